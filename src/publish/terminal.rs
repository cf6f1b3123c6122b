//! The verdict as tables for the terminal.

use super::cells::{
    baselines, curves_apart, final_errors, gap_text, gaps_text, phase_cells, reasons,
    response_cells, responses_apart, seeds_text, yardstick,
};
use super::foreign::one_line;
use super::sheet::{Cell, Sheet, cell};
use crate::console::{Ink, Span};
use crate::judge::{ClaimRow, Status, Verdict};

/// The tables, then the headline as the last line.
pub fn table(verdict: &Verdict) -> Vec<Span> {
    let mut sheet = Sheet::default();
    let head = format!(
        "{}, profile {}, {}, {}",
        verdict.experiment,
        verdict.profile,
        verdict.data,
        seeds_text(&verdict.seeds)
    );
    sheet.text(0, Ink::Plain, &head);
    errors(&mut sheet, verdict);
    expectations(&mut sheet, verdict);
    claims(&mut sheet, verdict);
    curves(&mut sheet, verdict);
    responses(&mut sheet, verdict);
    for (name, found) in baselines(verdict) {
        sheet.blank();
        sheet.text(0, Ink::Plain, &format!("{name}: {found}"));
    }
    if let Some(line) = verdict.near_chance() {
        sheet.blank();
        sheet.text(0, Ink::Doubtful, &line);
    }
    sheet.blank();
    sheet.text(0, ink(verdict.status), &verdict.headline);
    sheet.into_spans()
}

/// The headline alone, in one line.
pub fn headline(verdict: &Verdict) -> Vec<Span> {
    vec![Span {
        ink: ink(verdict.status),
        text: one_line(&verdict.headline) + "\n",
    }]
}

/// The colour of a status.
fn ink(status: Status) -> Ink {
    match status {
        Status::Pass => Ink::Good,
        Status::Fail | Status::FailWithinNoise => Ink::Bad,
        Status::PassWithinNoise | Status::PassByMargin | Status::Better | Status::Missing => {
            Ink::Doubtful
        }
        Status::NotComparable | Status::NothingClaimed => Ink::Dim,
    }
}

/// The final errors of every network, also where nothing is claimed.
fn errors(sheet: &mut Sheet, verdict: &Verdict) {
    let rows: Vec<Vec<Cell>> = final_errors(verdict)
        .iter()
        .map(|error| {
            let metric = verdict.metric(error.metric, error.network);
            let [mean, deviation, seeds] = error.cells();
            let network = error.network.to_owned();
            [network, metric.to_owned(), mean, deviation, seeds]
                .map(cell)
                .to_vec()
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    sheet.blank();
    let head = ["network", "final, %", "#mean", "#deviation", "#seeds"];
    sheet.grid(&head, &rows);
}

/// The expected errors that are comparable, then why the others are not and why some have no number.
fn expectations(sheet: &mut Sheet, verdict: &Verdict) {
    let rows: Vec<Vec<Cell>> = verdict
        .expectations
        .iter()
        .filter(|row| row.status != Status::NotComparable)
        .map(|row| {
            let ours = row.measured.map(|measured| measured.mean);
            vec![
                cell(&row.network),
                cell(verdict.metric(row.metric, &row.network)),
                cell(ours.map_or_else(|| "–".into(), |mean| format!("{mean:.2}"))),
                cell(format!("{:.2} {}", row.expected, yardstick(row.against))),
                cell(format!("{:.2}", row.tolerance)),
                (ink(row.status), row.status.name().into()),
            ]
        })
        .collect();
    if !rows.is_empty() {
        sheet.blank();
        let head = [
            "network",
            "metric",
            "#ours",
            "#expected",
            "#within",
            "status",
        ];
        sheet.grid(&head, &rows);
    }
    let reasons = reasons(verdict.expectations.iter());
    if !reasons.is_empty() {
        sheet.blank();
    }
    for (status, reason) in reasons {
        let label = status.name();
        let indent = label.len() + 2;
        sheet.labelled((ink(status), label), indent, Ink::Plain, &reason);
    }
    for row in &verdict.expectations {
        if let Some(test) = &row.test {
            let metric = verdict.metric(row.metric, &row.network);
            let text = format!("{} {metric}: {}", row.network, test.words);
            sheet.text(2, Ink::Dim, &text);
        }
    }
}

/// Each claim with its comparisons, the status in front.
fn claims(sheet: &mut Sheet, verdict: &Verdict) {
    let statuses = verdict.claims.iter().flat_map(|claim| {
        let own = claim.comparisons.iter().map(|comparison| comparison.status);
        own.chain([claim.status])
    });
    let Some(widest) = statuses.map(|status| status.name().len()).max() else {
        return;
    };
    let indent = widest + 2;
    for claim in &verdict.claims {
        sheet.blank();
        let label = (ink(claim.status), claim.status.name());
        sheet.labelled(label, indent, Ink::Plain, &claim.claim);
        let shared = shared_note(claim);
        if let Some(note) = shared {
            sheet.text(indent + 2, Ink::Plain, note);
        }
        for comparison in &claim.comparisons {
            let label = (ink(comparison.status), comparison.status.name());
            sheet.labelled(label, indent + 2, Ink::Plain, &comparison.text);
            if comparison.gap.is_some() {
                let (gap, by_seed) = (gap_text(comparison.gap), gaps_text(&comparison.gaps));
                let text = match comparison.gaps.len() {
                    0 | 1 => format!("gap {gap}"),
                    _ => format!("gap {gap}, by seed {by_seed}"),
                };
                sheet.text(indent + 4, Ink::Plain, &text);
            }
            if !comparison.note.is_empty() && shared.is_none() {
                sheet.text(indent + 4, Ink::Plain, &comparison.note);
            }
            if !comparison.evidence.is_empty() {
                sheet.text(indent + 4, Ink::Dim, &comparison.evidence);
            }
        }
    }
}

/// The note of several comparisons that all have the same.
fn shared_note(claim: &ClaimRow) -> Option<&str> {
    let [first, others @ ..] = &claim.comparisons[..] else {
        return None;
    };
    let same = others.iter().all(|other| other.note == first.note);
    (same && !others.is_empty() && !first.note.is_empty()).then_some(first.note.as_str())
}

/// Distances to the paper's curves where comparable, else the reason.
fn curves(sheet: &mut Sheet, verdict: &Verdict) {
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    for row in verdict.curves.iter().filter(|row| row.comparable) {
        for phase in &row.phases {
            let [mean, largest, floor, band] = phase_cells(phase);
            let metric = verdict.metric(row.metric, &row.network);
            let curve = format!("{} {metric}", row.network);
            let phase = phase.phase.text().to_owned();
            rows.push(
                [curve, phase, mean, largest, floor, band]
                    .map(cell)
                    .to_vec(),
            );
        }
    }
    if !rows.is_empty() {
        sheet.blank();
        let head = [
            "curve vs paper",
            "phase",
            "mean |difference|",
            "largest",
            "run-to-run noise",
            "within band",
        ];
        sheet.grid(&head, &rows);
    }
    for reason in curves_apart(&verdict.curves) {
        sheet.blank();
        sheet.text(0, Ink::Plain, &reason);
    }
}

/// Distances to the paper's layer responses where comparable, else the reason.
fn responses(sheet: &mut Sheet, verdict: &Verdict) {
    let comparable = verdict.responses.iter().filter(|row| row.comparable);
    let rows: Vec<Vec<Cell>> = comparable
        .map(|row| {
            let [ours, papers, mean, farthest] = response_cells(row);
            [row.network.clone(), ours, papers, mean, farthest]
                .map(cell)
                .to_vec()
        })
        .collect();
    if !rows.is_empty() {
        sheet.blank();
        let head = [
            "layer responses",
            "ours",
            "paper's",
            "mean distance",
            "farthest, at layer",
        ];
        sheet.grid(&head, &rows);
    }
    for reason in responses_apart(&verdict.responses) {
        sheet.blank();
        sheet.text(0, Ink::Plain, &reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::plain;
    use crate::judge::{Circumstances, Subject, judge_values};
    use crate::manifest::{Expectation, Metric};
    use crate::origin::{DataKind, Origin};
    use crate::record::Ending;

    fn subject(network: &str, error: f64) -> Subject {
        Subject {
            network: network.into(),
            seed: 0,
            origin: Origin::Cifar10,
            data_digest: String::new(),
            treated: String::new(),
            ending: Ending::Finished,
            iteration: 600,
            test_error: Some(error),
            moving_test_error: None,
            training_error: Some(error),
            clean_training_error: None,
            response: None,
            others: Default::default(),
            best: None,
            folder: String::new(),
            identity: String::new(),
            commit: String::new(),
            machine: String::new(),
            faults: Vec::new(),
            recipe: String::new(),
        }
    }

    fn circumstances(networks: &[&str]) -> Circumstances {
        Circumstances {
            experiment: "fig6".into(),
            profile: "quick".into(),
            networks: networks.iter().map(ToString::to_string).collect(),
            seeds: vec![0],
            differences: vec!["batch 64 (paper: 128)".into()],
            departures: networks
                .iter()
                .map(|name| ((*name).into(), vec!["batch 64 (paper: 128)".into()]))
                .collect(),
            chance: 90.0,
            ..Circumstances::default()
        }
    }

    #[test]
    fn equal_reasons_are_one_line_with_their_networks() {
        let names = ["plain-20", "plain-32", "resnet-20"];
        let papers = names.map(|network| Expectation {
            network: network.into(),
            metric: Metric::TestError,
            value: 9.0,
            tolerance: Some(0.5),
            source: "Table 6".into(),
            deviation: None,
            runs: None,
            data: DataKind::Cifar10,
            line: None,
        });
        let runs = names.map(|network| subject(network, 60.0));
        let verdict = judge_values(&circumstances(&names), &[], &papers, &[], &runs);
        let spans = table(&verdict);
        let text = plain(&spans);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(line.matches("batch 64").count(), 1, "{text}");
        assert!(
            line.contains("not-comparable plain-20, plain-32, resnet-20: not the paper's recipe"),
            "{text}"
        );
        assert!(
            spans
                .iter()
                .any(|span| span.ink == Ink::Dim && span.text == "not-comparable")
        );
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        // The same holds where runs are missing.
        let verdict = judge_values(&circumstances(&names), &papers, &[], &[], &[]);
        let line = plain(&table(&verdict));
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            line.contains("missing plain-20, plain-32, resnet-20: seed 0 has not been run"),
            "{line}"
        );
    }

    #[test]
    fn final_errors_are_listed_where_nothing_is_claimed_and_named_for_their_images() {
        let runs = [subject("plain-20", 60.25)];
        let mut circumstances = circumstances(&["plain-20"]);
        let text = |circumstances: &Circumstances| {
            plain(&table(&judge_values(circumstances, &[], &[], &[], &runs)))
        };
        let test = text(&circumstances);
        assert!(
            test.contains("plain-20  test error      60.25          –      1\n"),
            "{test}"
        );
        circumstances.held_out = vec!["plain-20".into()];
        let held_out = text(&circumstances);
        assert!(
            held_out.contains("plain-20  validation error  60.25"),
            "{held_out}"
        );
        assert!(!held_out.contains("test error"), "{held_out}");
    }
}
