//! Cell texts shared by the terminal table and the pages.

use crate::judge::statistics::Measured;
use crate::judge::{
    BaselineRow, BaselineStatus, CurveRow, ExpectationRow, Gap, PhaseRow, ResponseRow, Status,
    Verdict, Yardstick,
};
use crate::manifest::Metric;

/// Mean difference, largest difference, the noise floor of both, share within the band.
pub fn phase_cells(phase: &PhaseRow) -> [String; 4] {
    let number = |value: Option<f64>| value.map_or_else(|| "–".into(), |v| format!("{v:.2}"));
    let largest = match (phase.largest_difference, phase.largest_at) {
        (Some(by), Some(at)) => format!("{by:+.2} at {at}"),
        _ => "–".into(),
    };
    let mean = match phase.above {
        0 => number(phase.mean_difference),
        above => format!(
            "{} ({} of {above} also above the axis)",
            number(phase.mean_difference),
            phase.above_too
        ),
    };
    [
        mean,
        largest,
        format!(
            "{} / {}",
            number(phase.floor_mean),
            number(phase.floor_largest)
        ),
        phase
            .inside_band
            .map_or_else(|| "–".into(), |share| format!("{:.0} %", 100.0 * share)),
    ]
}

/// Our mean response, the paper's, the mean distance, and where it is farthest.
pub fn response_cells(row: &ResponseRow) -> [String; 4] {
    [
        format!("{:.2}", row.ours),
        format!("{:.2}", row.papers),
        format!("{:.0} %", row.mean_distance),
        format!("{:.2} times at {}", row.farthest_ratio, row.farthest_layer),
    ]
}

/// `plain-20: test error`.
pub fn named(verdict: &Verdict, metric: Metric, network: &str) -> String {
    format!("{network}: {}", verdict.metric(metric, network))
}

/// A network's final error by one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FinalError<'a> {
    pub network: &'a str,
    pub metric: Metric,
    /// None if no run of the network has finished.
    pub measured: Option<Measured>,
}

impl FinalError<'_> {
    /// Mean, standard deviation over seeds, number of seeds.
    pub fn cells(&self) -> [String; 3] {
        let dash = || "–".to_owned();
        let Some(measured) = self.measured else {
            return [dash(), dash(), "0".into()];
        };
        [
            format!("{:.2}", measured.mean),
            measured
                .deviation
                .map_or_else(dash, |deviation| format!("{deviation:.2}")),
            measured.seeds.to_string(),
        ]
    }
}

/// The final errors of every network, whether or not something is claimed of them; its layer responses where they were
/// measured.
pub fn final_errors(verdict: &Verdict) -> Vec<FinalError<'_>> {
    let mut errors = Vec::new();
    for row in &verdict.networks {
        let of = |metric, measured| FinalError {
            network: &row.network,
            metric,
            measured,
        };
        errors.push(of(Metric::TestError, row.test_error));
        let others = [
            (Metric::TrainingError, row.training_error),
            (Metric::Response, row.response),
        ];
        let further = row.others.iter();
        let further = further.map(|(&metric, &measured)| (metric, Some(measured)));
        errors.extend(
            others
                .into_iter()
                .chain(further)
                .filter(|(metric, measured)| {
                    measured.is_some() || is_judged(verdict, &row.network, *metric)
                })
                .map(|(metric, measured)| of(metric, measured)),
        );
    }
    errors
}

/// Whether an expected error or a claim is about this error of a network.
fn is_judged(verdict: &Verdict, network: &str, metric: Metric) -> bool {
    let expectations = verdict.expectations.iter();
    let mut comparisons = verdict.claims.iter().flat_map(|claim| &claim.comparisons);
    expectations
        .filter(|row| row.status != Status::NotComparable)
        .any(|row| row.network == network && row.metric == metric)
        || comparisons.any(|row| {
            row.metric == metric
                && [&row.higher, &row.lower]
                    .into_iter()
                    .any(|name| name == network)
        })
}

/// A dash for none.
pub fn text_or_dash(measured: Option<&Measured>) -> String {
    measured.map_or_else(|| "–".into(), Measured::text)
}

/// `seed 0`, `3 seeds: 0, 1, 2`.
pub fn seeds_text(seeds: &[u64]) -> String {
    let list: Vec<String> = seeds.iter().map(u64::to_string).collect();
    match seeds {
        [seed] => format!("seed {seed}"),
        _ => format!("{} seeds: {}", seeds.len(), list.join(", ")),
    }
}

/// `+7.10`, or a dash.
pub fn gap_text(gap: Option<f64>) -> String {
    gap.map_or_else(|| "–".into(), |points| format!("{points:+.2}"))
}

/// `+7.10, +5.20 (does not hold)`.
pub fn gaps_text(gaps: &[Gap]) -> String {
    let each: Vec<String> = gaps
        .iter()
        .map(|gap| {
            let exception = if gap.holds { "" } else { " (does not hold)" };
            format!("{:+.2}{exception}", gap.points)
        })
        .collect();
    if each.is_empty() {
        "–".into()
    } else {
        each.join(", ")
    }
}

/// Why expectations are not comparable or have no number, each reason once with its networks.
pub fn reasons<'a>(
    expectations: impl Iterator<Item = &'a ExpectationRow>,
) -> Vec<(Status, String)> {
    let mut reasons: Vec<(Status, String, Vec<&str>)> = Vec::new();
    for row in expectations.filter(|row| !row.note.is_empty()) {
        // Notes that differ only in the network's name are the same.
        let note = row.note.replace(&format!("{} ", row.network), "");
        let network = row.network.as_str();
        let known = reasons
            .iter_mut()
            .find(|(status, other, _)| *status == row.status && *other == note);
        match known {
            Some((_, _, networks)) => {
                if !networks.contains(&network) {
                    networks.push(network);
                }
            }
            None => reasons.push((row.status, note, vec![network])),
        }
    }
    reasons
        .into_iter()
        .map(|(status, note, networks)| (status, format!("{}: {note}", networks.join(", "))))
        .collect()
}

/// Which curves are not comparable with the paper's, and why, each reason once.
pub fn curves_apart(curves: &[CurveRow]) -> Vec<String> {
    let rows = curves
        .iter()
        .map(|row| (row.network.as_str(), row.comparable, row.note.as_str()));
    apart("curves", rows)
}

/// As [`curves_apart`], of layer responses.
pub fn responses_apart(responses: &[ResponseRow]) -> Vec<String> {
    let rows = responses
        .iter()
        .map(|row| (row.network.as_str(), row.comparable, row.note.as_str()));
    apart("layer responses", rows)
}

/// Each reason once; `rows` are a network, whether it is comparable, and why not.
fn apart<'a>(
    what: &str,
    rows: impl Iterator<Item = (&'a str, bool, &'a str)> + Clone,
) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (network, _, note) in rows.clone().filter(|(_, comparable, _)| !comparable) {
        match reasons.iter_mut().find(|(reason, _)| *reason == note) {
            Some((_, networks)) if networks.contains(&network) => {}
            Some((_, networks)) => networks.push(network),
            None => reasons.push((note, vec![network])),
        }
    }
    let all = reasons.len() == 1 && rows.clone().all(|(_, comparable, _)| !comparable);
    reasons
        .into_iter()
        .map(|(reason, networks)| {
            let whose = match all {
                true => String::new(),
                false => format!(" of {}", networks.join(", ")),
            };
            format!("{what}{whose} not comparable with the paper: {reason}")
        })
        .collect()
}

pub fn yardstick(against: Yardstick) -> &'static str {
    match against {
        Yardstick::Paper => "(paper)",
        Yardstick::Profile => "(profile)",
    }
}

/// A line for each baseline: its name, the outcomes counted, and the values that changed.
pub fn baselines(verdict: &Verdict) -> Vec<(String, String)> {
    let mut names: Vec<&str> = Vec::new();
    for row in &verdict.baselines {
        if !names.contains(&row.baseline.as_str()) {
            names.push(&row.baseline);
        }
    }
    names
        .into_iter()
        .map(|name| {
            let rows = verdict.baselines.iter().filter(|row| row.baseline == name);
            let of = |status| rows.clone().filter(move |row| row.status == status);
            let counted = [
                BaselineStatus::Changed,
                BaselineStatus::Unchanged,
                BaselineStatus::OwnRuns,
                BaselineStatus::NotComparable,
            ]
            .map(|status| (of(status).count(), status.name()))
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, name)| format!("{count} {name}"))
            .collect::<Vec<_>>()
            .join(", ");
            let changed: Vec<String> = of(BaselineStatus::Changed)
                .map(|row| baseline_text(verdict, row))
                .collect();
            let text = match changed.is_empty() {
                true => counted,
                false => format!("{counted}: {}", changed.join("; ")),
            };
            (format!("baseline {name}"), text)
        })
        .collect()
}

/// `plain-20 test error 66.10 (1), recorded 62.04 with tolerance 3.60`.
pub fn baseline_text(verdict: &Verdict, row: &BaselineRow) -> String {
    format!(
        "{} {} {}, recorded {:.2} with tolerance {:.2}",
        row.network,
        verdict.metric(row.metric, &row.network),
        text_or_dash(row.measured.as_ref()),
        row.expected,
        row.tolerance
    )
}

pub fn with_note(status: Status, note: &str) -> String {
    if note.is_empty() {
        status.name().into()
    } else {
        format!("{}: {note}", status.name())
    }
}
