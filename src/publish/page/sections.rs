//! The verdict as the sections of a page: the answer first, then distances, evidence, differences from the paper, and
//! how to reproduce it.

use anyhow::Result;

use super::contents::{Body, Cell, Page, Section};
use super::{distances, errors, provenance};
use crate::figure::Drawing;
use crate::judge::{ClaimRow, ExpectationRow, RunEvidence, RunRow, Status, Verdict, Yardstick};
use crate::publish::cells::{
    baselines, gap_text, gaps_text, named, seeds_text, text_or_dash, yardstick,
};
use crate::record::Ending;

/// What a page shows besides the verdict.
#[derive(Clone, Copy, Debug, Default)]
pub struct Material<'a> {
    /// None if there is nothing to draw.
    pub figure: Option<&'a Drawing>,
    /// The runs that were judged.
    pub runs: &'a [RunEvidence],
    /// Relative URL from the report's folder to the results folder; see [`super::relative`].
    pub results: &'a str,
}

/// The page of a verdict.
///
/// # Errors
/// [`crate::exit::Exit::Storage`] if a run's files cannot be read.
pub fn page(verdict: &Verdict, material: &Material) -> Result<Page> {
    let figure = material.figure.map(|_| Section {
        id: "figure",
        heading: "Figure",
        about: Vec::new(),
        body: Body::Figure,
    });
    let sections = [
        figure,
        judged(verdict),
        errors::finals(verdict),
        errors::measurements(verdict),
        distances::of_curves(verdict),
        distances::of_responses(verdict),
        claims(verdict),
        tests(verdict),
        differences(verdict),
        runs(verdict, material),
        provenance::section(material.runs)?,
        reproduce(verdict, material),
    ];
    Ok(Page {
        title: verdict.title.clone(),
        experiment: verdict.experiment.clone(),
        home: "../../index.html",
        judged: true,
        status: verdict.status,
        headline: match errors::closeness(verdict) {
            Some(closeness) => format!("{}; {closeness}", verdict.headline),
            None => verdict.headline.clone(),
        },
        shouts: shouts(verdict),
        line: match material.figure {
            Some(Drawing::Curves(figure)) => figure.line.clone(),
            _ => {
                let (profile, data) = (&verdict.profile, &verdict.data);
                let seeds = seeds_text(&verdict.seeds);
                format!("profile {profile} · {data} · {seeds}")
            }
        },
        sections: sections.into_iter().flatten().collect(),
    })
}

fn shouts(verdict: &Verdict) -> Vec<(String, String)> {
    let mut shouts = Vec::new();
    if verdict.synthetic {
        shouts.push((
            "SYNTHETIC".into(),
            format!(
                "these runs were trained on generated images, not on {}. They show that the pipeline works and say \
                 nothing about the paper.",
                verdict.data_set.origin().name()
            ),
        ));
    }
    if let Some(line) = verdict.near_chance() {
        shouts.push(("NEAR CHANCE".into(), format!("{line}.")));
    }
    if !verdict.overrides.is_empty() {
        shouts.push((
            "CHANGED RECIPE".into(),
            format!(
                "these runs were made with --set {} and are not compared with expected errors.",
                verdict.overrides.join(" --set ")
            ),
        ));
    }
    shouts
}

/// Everything judged, in one table: claims, expected errors, baselines. Values that are not comparable, often the
/// paper's at a smaller scale, share a row; the table of final errors has them next to ours.
fn judged(verdict: &Verdict) -> Option<Section> {
    let mut rows = Vec::new();
    let (apart, judged): (Vec<_>, Vec<_>) = verdict
        .expectations
        .iter()
        .partition(|row| row.status == Status::NotComparable);
    rows.extend(verdict.claims.iter().map(claim));
    rows.extend(judged.into_iter().map(|row| expectation(verdict, row)));
    for against in [Yardstick::Profile, Yardstick::Paper] {
        let of_these = apart.iter().filter(|row| row.against == against);
        let mut by_reason: Vec<(&str, usize)> = Vec::new();
        for row in of_these {
            match by_reason.iter_mut().find(|(reason, _)| *reason == row.note) {
                Some((_, count)) => *count += 1,
                None => by_reason.push((&row.note, 1)),
            }
        }
        for (reason, count) in by_reason {
            let whose = match against {
                Yardstick::Paper => "the paper",
                Yardstick::Profile => "this profile",
            };
            rows.push(vec![
                Cell::text(match count {
                    1 => format!("1 final error of {whose}"),
                    several => format!("{several} final errors of {whose}"),
                }),
                Cell::status(Status::NotComparable, reason),
                Cell::text("–"),
                Cell::text("–"),
                Cell::text(""),
            ]);
        }
    }
    for (name, found) in baselines(verdict) {
        rows.push(vec![
            Cell::text(name),
            Cell::text(found),
            Cell::text("–"),
            Cell::text("–"),
            Cell::text("our earlier runs; not evidence about the paper"),
        ]);
    }
    Section::table(
        "verdict",
        "Verdict",
        &[
            "Errors in % at the last iteration, mean ± standard deviation over seeds (number of seeds). Expected \
             errors hold within their tolerance, in points. Claims are gaps between two networks' errors, in points.",
        ],
        &[
            "expectation or claim",
            "status",
            "#ours",
            "#expected",
            "source",
        ],
        rows,
    )
}

fn expectation(verdict: &Verdict, row: &ExpectationRow) -> Vec<Cell> {
    vec![
        Cell::text(named(verdict, row.metric, &row.network)),
        Cell::status(row.status, &row.note),
        Cell::text(text_or_dash(row.measured.as_ref())),
        Cell::text(format!(
            "{:.2} within {:.2} {}",
            row.expected,
            row.tolerance,
            yardstick(row.against)
        )),
        Cell::text(&row.source),
    ]
}

/// A claim in one row; with several comparisons, the smallest and the largest gap.
fn claim(row: &ClaimRow) -> Vec<Cell> {
    let mut gaps: Vec<f64> = row.comparisons.iter().filter_map(|c| c.gap).collect();
    gaps.sort_by(f64::total_cmp);
    let ours = match gaps[..] {
        [] => "–".into(),
        [one] => gap_text(Some(one)),
        [first, .., last] => format!("{first:+.2} to {last:+.2}"),
    };
    let margin = row.comparisons.first().map_or(0.0, |c| c.margin);
    let note = row
        .comparisons
        .iter()
        .find(|c| c.status == row.status && c.status != Status::Pass)
        .map_or("", |c| if c.note.is_empty() { &c.text } else { &c.note });
    vec![
        Cell::text(&row.claim),
        Cell::status(row.status, note),
        Cell::text(ours),
        Cell::text(format!("≥ {margin:+} {}", yardstick(row.against))),
        Cell::text("claim"),
    ]
}

fn claims(verdict: &Verdict) -> Option<Section> {
    let mut rows = Vec::new();
    for row in &verdict.claims {
        rows.push(vec![
            Cell::Strong(format!("{} {}", row.claim, yardstick(row.against))),
            Cell::status(row.status, ""),
            Cell::text(""),
            Cell::text(""),
        ]);
        rows.extend(row.comparisons.iter().map(|comparison| {
            vec![
                Cell::text(&comparison.text),
                Cell::status(comparison.status, &comparison.note),
                Cell::text(gap_text(comparison.gap)),
                Cell::text(gaps_text(&comparison.gaps)),
            ]
        }));
    }
    Section::table(
        "claims",
        "Claims",
        &[
            "The gap is the error claimed to be higher minus the other, in points. The mean over seeds is judged; gaps by \
             seed are shown. A claim holds if all its comparisons do.",
        ],
        &["claim", "status", "#gap", "#by seed"],
        rows,
    )
}

/// Tests and intervals from the scatter of the seeds.
fn tests(verdict: &Verdict) -> Option<Section> {
    let mut rows = Vec::new();
    for row in &verdict.expectations {
        if let Some(test) = &row.test {
            rows.push(vec![
                Cell::text(named(verdict, row.metric, &row.network)),
                Cell::text(&test.words),
            ]);
        }
    }
    for comparison in verdict.claims.iter().flat_map(|claim| &claim.comparisons) {
        if !comparison.evidence.is_empty() {
            rows.push(vec![
                Cell::text(&comparison.text),
                Cell::text(&comparison.evidence),
            ]);
        }
    }
    Section::table(
        "tests",
        "Statistical evidence",
        &["Two-sided tests and 95 % intervals. They inform; tolerances and margins decide."],
        &["value or gap", "evidence"],
        rows,
    )
}

fn differences(verdict: &Verdict) -> Option<Section> {
    let mut items = verdict.differences.clone();
    for reading in &verdict.readings {
        items.push(format!("{reading}, where the paper leaves the choice open"));
    }
    for change in &verdict.overrides {
        items.push(format!("changed on the command line: --set {change}"));
    }
    if items.is_empty() {
        items.push(
            "nothing in the recipe or the data; what the paper leaves open is noted in the experiment's comments".into(),
        );
    }
    Some(Section {
        id: "differences",
        heading: "Differences from the paper",
        about: Vec::new(),
        body: Body::List(items),
    })
}

fn runs(verdict: &Verdict, material: &Material) -> Option<Section> {
    let folder = |row: &RunRow| {
        if material.results.is_empty() {
            Cell::Code(row.folder.clone())
        } else {
            Cell::Link {
                text: row.folder.clone(),
                href: format!("{}/{}/", material.results, row.folder),
            }
        }
    };
    let percent = |value: Option<f64>| value.map_or("–".into(), |v| format!("{v:.2}"));
    let rows = verdict.runs.iter().map(|row| {
        let mut ending = match row.ending {
            Ending::Finished => format!("finished at {}", row.iteration),
            Ending::Diverged => format!("DIVERGED at {}", row.iteration),
            Ending::Partial => format!("unfinished at {}", row.iteration),
        };
        if !row.faults.is_empty() {
            ending += &format!("; NOT OF ITS RECIPE: {}", row.faults.join(", "));
        }
        let short: String = row.identity.chars().take(16).collect();
        vec![
            Cell::text(&row.network),
            Cell::text(row.seed.to_string()),
            Cell::text(ending),
            Cell::text(percent(row.test_error)),
            Cell::text(match row.best_iteration {
                Some(at) => format!("{} at {at}", percent(row.best_test_error)),
                None => "–".into(),
            }),
            folder(row),
            Cell::Code(short),
            Cell::Code(row.commit.clone()),
            Cell::text(&row.machine),
        ]
    });
    let word = verdict.evaluated(|_| true).word();
    let (last, best) = (format!("#{word}, last"), format!("#{word}, best"));
    Section::table(
        "runs",
        "Runs",
        &[
            "The identity is a hash of everything that affects a run's numbers. Each folder holds the resolved recipe \
             (run.toml), every iteration and evaluation (Parquet) and, where they were kept, the final weights.",
        ],
        &[
            "network",
            "#seed",
            "iterations",
            last.as_str(),
            best.as_str(),
            "folder",
            "identity",
            "commit",
            "machine",
        ],
        rows.collect(),
    )
}

fn reproduce(verdict: &Verdict, material: &Material) -> Option<Section> {
    let mut about = vec![
        "The check command judges the runs that there are, without training; the reproduce command trains those that are \
         missing, all where there are none, and writes this page."
            .to_owned(),
    ];
    let mut lines = vec![verdict.command.replacen(" reproduce ", " check ", 1)];
    match provenance::commit(material.runs) {
        Some(commit) => lines.push(format!("git checkout {commit}")),
        None if material.runs.is_empty() => {}
        None => about.push(
            "The runs were not all made at one clean commit, so a checkout may not reproduce their numbers; see Provenance."
                .into(),
        ),
    }
    lines.push(verdict.command.clone());
    Some(Section {
        id: "reproduce",
        heading: "How to reproduce",
        about,
        body: Body::Commands(lines),
    })
}
