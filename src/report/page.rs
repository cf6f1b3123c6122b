//! `report.md`: the verdict as a page, the headline first.

use std::fmt::Write as _;

use super::check::Ending;
use super::table::{gap_text, gaps_text, seeds_text, text_or_dash, with_note, yardstick};
use super::verdict::Verdict;

/// The page. Links are relative to the report's folder.
pub fn markdown(verdict: &Verdict) -> String {
    let mut text = String::new();
    let mut line = |content: &str| {
        text.push_str(content);
        text.push('\n');
    };
    line(&format!("# {}", verdict.title));
    line("");
    line(&format!("**{}.**", verdict.headline));
    line("");
    if verdict.synthetic {
        line(
            "> **SYNTHETIC**: these runs were trained on images drawn by this program, not on CIFAR-10.",
        );
        line("> They show that the pipeline works and say nothing about the paper.");
        line("");
    }
    line(&format!(
        "Profile `{}`, {}, {}.",
        verdict.profile,
        verdict.data,
        seeds_text(&verdict.seeds)
    ));
    line("");
    line(&format!(
        "![{}]({}.png)",
        cell(&verdict.title),
        verdict.experiment
    ));
    line("");
    for section in [
        expectations(verdict),
        claims(verdict),
        networks(verdict),
        runs(verdict),
        differences(verdict),
        reproduce(verdict),
    ] {
        if !section.is_empty() {
            line(&section);
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn expectations(verdict: &Verdict) -> String {
    let rows = verdict.expectations.iter().map(|row| {
        vec![
            row.network.clone(),
            row.metric.text().into(),
            text_or_dash(row.measured.as_ref()),
            format!("{:.2} {}", row.expected, yardstick(row.against)),
            format!("± {:.2}", row.tolerance),
            with_note(row.status, &row.note),
            row.source.clone(),
        ]
    });
    section(
        "Final errors",
        "Errors in % at the last iteration, mean ± deviation over the seeds (number of seeds). Test errors use population \
         statistics; training errors are the mean of the last 20 mini-batches, as in the paper's curves.",
        &[
            "network",
            "metric",
            "ours",
            "expected",
            "tolerance",
            "status",
            "source",
        ],
        rows.collect(),
    )
}

fn claims(verdict: &Verdict) -> String {
    let mut rows = Vec::new();
    for row in &verdict.claims {
        rows.push(vec![
            format!("**{}** {}", row.claim, yardstick(row.against)),
            String::new(),
            String::new(),
            format!("**{}**", row.status.name()),
        ]);
        rows.extend(row.comparisons.iter().map(|comparison| {
            vec![
                comparison.text.clone(),
                gap_text(comparison.gap),
                gaps_text(&comparison.gaps),
                with_note(comparison.status, &comparison.note),
            ]
        }));
    }
    section(
        "Claims",
        "The gap is the error that should be the higher one less the other, in points. The mean over the seeds is judged, \
         each seed's gap is shown; a claim holds where all its comparisons do.",
        &["claim", "gap", "each seed", "status"],
        rows,
    )
}

fn networks(verdict: &Verdict) -> String {
    let rows = verdict.networks.iter().map(|row| {
        vec![
            row.network.clone(),
            text_or_dash(row.test_error.as_ref()),
            text_or_dash(row.moving_test_error.as_ref()),
            text_or_dash(row.best_test_error.as_ref()),
            text_or_dash(row.training_error.as_ref()),
            text_or_dash(row.clean_training_error.as_ref()),
            format!("{} of {}", row.seeds_finished, row.seeds_asked),
        ]
    });
    section(
        "Every network",
        "All in %. The best test error is the lowest of the evaluations along the way and is not judged: it was chosen by looking at the test set.",
        &[
            "network",
            "test",
            "test, moving average",
            "best test",
            "training, last 20 mini-batches",
            "training, clean pass",
            "seeds finished",
        ],
        rows.collect(),
    )
}

fn runs(verdict: &Verdict) -> String {
    let rows = verdict.runs.iter().map(|row| {
        let ending = match row.ending {
            Ending::Finished => format!("finished at {}", row.iteration),
            Ending::Diverged => format!("diverged at {}", row.iteration),
            Ending::Partial => format!("stands at {}", row.iteration),
        };
        let short: String = row.identity.chars().take(16).collect();
        vec![
            row.network.clone(),
            row.seed.to_string(),
            ending,
            format!("`{}`", row.folder),
            format!("`{short}`"),
            row.commit.clone(),
            row.machine.clone(),
        ]
    });
    section(
        "Runs",
        "The identity is a hash of everything that shapes a run's numbers; the rest is in each folder's `run.toml`.",
        &[
            "network",
            "seed",
            "iterations",
            "folder",
            "identity",
            "commit",
            "machine",
        ],
        rows.collect(),
    )
}

fn differences(verdict: &Verdict) -> String {
    let mut text = String::from("## What differs from the paper\n\n");
    if verdict.differences.is_empty() && verdict.overrides.is_empty() {
        text.push_str("Nothing in the recipe or the data; readings of what the paper leaves open are in the experiment's comments.\n");
    }
    for difference in &verdict.differences {
        let _ = writeln!(text, "- {difference}");
    }
    for change in &verdict.overrides {
        let _ = writeln!(text, "- changed on the command line: `--set {change}`");
    }
    text
}

fn reproduce(verdict: &Verdict) -> String {
    format!("## How to reproduce\n\n```\n{}\n```\n", verdict.command)
}

/// A heading, a sentence and a table; nothing where there are no rows.
fn section(heading: &str, about: &str, columns: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("## {heading}\n\n{about}\n\n| {} |\n|", columns.join(" | "));
    for _ in columns {
        text.push_str("---|");
    }
    text.push('\n');
    for row in rows {
        let cells: Vec<String> = row.iter().map(|content| cell(content)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// A pipe would end the cell.
fn cell(content: &str) -> String {
    content.replace('|', "\\|").replace('\n', " ")
}
