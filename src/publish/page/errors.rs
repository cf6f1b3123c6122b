//! The sections of a page on errors: the final ones with the paper's, and others that are shown beside them.

use super::contents::{Cell, Section};
use crate::judge::{ExpectationRow, NetworkRow, Status, Verdict, Yardstick};
use crate::publish::cells::{final_errors, reasons, text_or_dash};
use crate::recipe::TRAINING_WINDOW;
use crate::record::Ending;

/// How close the final errors came to the paper's, in words; none if the paper has no errors, or ours are missing.
pub(super) fn closeness(verdict: &Verdict) -> Option<String> {
    let papers = || {
        let rows = verdict.expectations.iter();
        rows.filter(|row| row.against == Yardstick::Paper)
    };
    let away: Vec<(f64, &ExpectationRow)> = papers()
        .filter(|row| row.status != Status::NotComparable)
        .filter_map(|row| Some((row.measured?.mean - row.expected, row)))
        .collect();
    let farthest = away.iter().max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
    let Some((by, row)) = farthest else {
        let none = papers().count() > 0 && papers().all(|row| row.status == Status::NotComparable);
        return none.then(|| "final errors are not comparable with the paper's".into());
    };
    let mean = away.iter().map(|(by, _)| by.abs()).sum::<f64>() / away.len() as f64;
    Some(format!(
        "final errors differ from the paper's by {mean:.2} points on average, most in {}'s {} ({by:+.2})",
        row.network,
        verdict.metric(row.metric, &row.network)
    ))
}

/// The final errors of every network, whether or not something is claimed of them, and the paper's. A difference to the
/// paper only where recipe and data are the same.
pub(super) fn finals(verdict: &Verdict) -> Option<Section> {
    let papers = || {
        let rows = verdict.expectations.iter();
        rows.filter(|row| row.against == Yardstick::Paper)
    };
    let rows = final_errors(verdict).into_iter().map(|error| {
        let paper = papers().find(|row| row.network == error.network && row.metric == error.metric);
        let difference = match (paper, error.measured) {
            (Some(row), _) if row.status == Status::NotComparable => "not comparable".into(),
            (Some(row), Some(ours)) => format!("{:+.2}", ours.mean - row.expected),
            _ => "–".into(),
        };
        let range = match error.measured {
            Some(of) if of.seeds > 1 => format!("{:.2} to {:.2}", of.minimum, of.maximum),
            _ => "–".into(),
        };
        let [mean, deviation, seeds] = error.cells();
        vec![
            Cell::text(error.network),
            Cell::text(verdict.metric(error.metric, error.network)),
            Cell::Strong(mean),
            Cell::text(deviation),
            Cell::text(seeds),
            Cell::text(range),
            Cell::text(paper.map_or_else(|| "–".into(), |row| format!("{:.2}", row.expected))),
            Cell::text(difference),
        ]
    });
    let judged = if is_judged(verdict) {
        ", which are judged"
    } else {
        ""
    };
    let about = format!(
        "Errors in % at the last iteration{judged}: mean, standard deviation and range over seeds. Errors on images that were \
         not trained on use batch-norm statistics of training images (population); training errors are the mean over the \
         last {} augmented mini-batches{}. Layer responses are standard deviations, not errors.",
        verdict.training_window,
        match verdict.training_window {
            TRAINING_WINDOW => ", as in the paper's curves",
            _ => "",
        }
    );
    let mut section = Section::table(
        "errors",
        "Final errors",
        &[&about],
        &[
            "network",
            "metric",
            "#mean",
            "#deviation",
            "#seeds",
            "#range",
            "#paper's",
            "#difference",
        ],
        rows.collect(),
    )?;
    let apart = papers().filter(|row| row.status == Status::NotComparable);
    let reasons = reasons(apart).into_iter();
    section
        .about
        .extend(reasons.map(|(_, reason)| format!("Not compared with the paper: {reason}.")));
    Some(section)
}

/// Whether an expectation or a claim was judged by runs: there is none in some figures, and at some profiles none is comparable.
fn is_judged(verdict: &Verdict) -> bool {
    let values = verdict.expectations.iter().map(|row| row.status);
    let claims = verdict.claims.iter().filter(|row| !row.is_computed());
    let mut statuses = values.chain(claims.map(|row| row.status));
    statuses.any(|status| status != Status::NotComparable)
}

/// Errors that are shown and not judged.
pub(super) fn measurements(verdict: &Verdict) -> Option<Section> {
    let rows = verdict.networks.iter().map(|row: &NetworkRow| {
        vec![
            Cell::text(&row.network),
            Cell::text(best(verdict, row)),
            Cell::text(text_or_dash(row.clean_training_error.as_ref())),
            Cell::text(text_or_dash(row.moving_test_error.as_ref())),
            Cell::text(format!("{} of {}", row.seeds_finished, row.seeds_asked)),
        ]
    });
    let word = verdict.evaluated(|_| true).word();
    let (best, moving) = (
        format!("#{word}, best (iteration)"),
        format!("#{word}, moving average"),
    );
    let columns = [
        "network",
        best.as_str(),
        "#training, clean pass",
        moving.as_str(),
        "#seeds finished",
    ];
    Section::table(
        "measurements",
        "Other measurements",
        &[
            "Errors in %, mean ± standard deviation over seeds (number of seeds); none is judged. Best is the lowest during \
             training, selected on the images that it is measured on. The clean pass is over training images without \
             augmentation after the last iteration. The moving average is that of batch-norm statistics.",
        ],
        &columns,
        rows.collect(),
    )
}

/// The best errors and their iterations, by seed; one iteration if all seeds share it.
fn best(verdict: &Verdict, row: &NetworkRow) -> String {
    let mut at: Vec<String> = verdict
        .runs
        .iter()
        .filter(|run| run.network == row.network && run.ending == Ending::Finished)
        .filter_map(|run| run.best_iteration)
        .map(|iteration| iteration.to_string())
        .collect();
    if at.iter().all(|iteration| *iteration == at[0]) {
        at.truncate(1);
    }
    match row.best_test_error.as_ref() {
        Some(best) if !at.is_empty() => format!("{} at {}", best.text(), at.join(", ")),
        best => text_or_dash(best),
    }
}
