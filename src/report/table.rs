//! The verdict as a table for a terminal, and the texts of its cells.

use std::fmt::Write as _;

use super::check::Yardstick;
use super::distance::PhaseRow;
use super::rows::{Gap, Status};
use super::statistics::Measured;
use super::verdict::Verdict;

/// Several lines, ending with the headline.
pub fn text(verdict: &Verdict) -> String {
    let mut text = format!(
        "{}, profile {}, {}, {}\n",
        verdict.experiment,
        verdict.profile,
        verdict.data,
        seeds_text(&verdict.seeds)
    );
    let mut rows = vec![
        [
            "network",
            "metric",
            "ours, %",
            "expected",
            "tolerance",
            "status",
        ]
        .map(String::from),
    ];
    for row in &verdict.expectations {
        rows.push([
            row.network.clone(),
            row.metric.text().into(),
            text_or_dash(row.measured.as_ref()),
            format!("{:.2} {}", row.expected, yardstick(row.against)),
            format!("± {:.2}", row.tolerance),
            with_note(row.status, &row.note),
        ]);
    }
    if rows.len() > 1 {
        text.push_str(&align(&rows));
    }
    for row in &verdict.expectations {
        if let Some(test) = &row.test {
            let metric = row.metric.text();
            let _ = writeln!(text, "  {} {metric}: {}", row.network, test.words);
        }
    }
    let mut rows = vec![["claim", "gap, points", "each seed", "status"].map(String::from)];
    for row in &verdict.claims {
        let status = with_note(row.status, "");
        rows.push([row.claim.clone(), String::new(), String::new(), status]);
        for comparison in &row.comparisons {
            rows.push([
                format!("  {}", comparison.text),
                gap_text(comparison.gap),
                gaps_text(&comparison.gaps),
                with_note(comparison.status, &comparison.note),
            ]);
            if !comparison.evidence.is_empty() {
                let evidence = format!("    {}", comparison.evidence);
                rows.push([evidence, String::new(), String::new(), String::new()]);
            }
        }
    }
    if rows.len() > 1 {
        text.push('\n');
        text.push_str(&align(&rows));
    }
    text.push_str(&curves(verdict));
    let _ = writeln!(text, "\n{}", verdict.headline);
    text
}

/// The distances to the paper's curves that mean something; of the others, why they do not.
fn curves(verdict: &Verdict) -> String {
    let mut rows = vec![
        [
            "curve against the paper's",
            "phase",
            "mean |difference|",
            "largest",
            "two runs would show",
            "in the band",
        ]
        .map(String::from),
    ];
    let mut reasons: Vec<&str> = Vec::new();
    for row in &verdict.curves {
        if !row.comparable {
            if !reasons.contains(&row.note.as_str()) {
                reasons.push(&row.note);
            }
            continue;
        }
        for phase in &row.phases {
            let [mean, largest, floor, band] = phase_cells(phase);
            let curve = format!("{} {}", row.network, row.metric.text());
            rows.push([curve, phase.phase.text().into(), mean, largest, floor, band]);
        }
    }
    let mut text = String::new();
    if rows.len() > 1 {
        text.push('\n');
        text.push_str(&align(&rows));
    }
    for reason in reasons {
        let _ = writeln!(text, "\ncurves not comparable with the paper's: {reason}");
    }
    text
}

/// Mean difference, largest difference, noise floor of both, share in the band.
pub(super) fn phase_cells(phase: &PhaseRow) -> [String; 4] {
    let number = |value: Option<f64>| value.map_or_else(|| "–".into(), |v| format!("{v:.2}"));
    let largest = match (phase.largest_difference, phase.largest_at) {
        (Some(by), Some(at)) => format!("{by:+.2} at {at}"),
        _ => "–".into(),
    };
    let mean = match phase.above {
        0 => number(phase.mean_difference),
        above => format!(
            "{} ({} of {above} above the axis too)",
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

/// A dash where there is none.
pub(super) fn text_or_dash(measured: Option<&Measured>) -> String {
    measured.map_or_else(|| "–".into(), Measured::text)
}

/// `1 seed: 0`, `3 seeds: 0, 1, 2`.
pub(super) fn seeds_text(seeds: &[u64]) -> String {
    let list: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let noun = if seeds.len() == 1 { "seed" } else { "seeds" };
    format!("{} {noun}: {}", seeds.len(), list.join(", "))
}

/// `+7.10`, or a dash.
pub(super) fn gap_text(gap: Option<f64>) -> String {
    gap.map_or_else(|| "–".into(), |points| format!("{points:+.2}"))
}

/// `+7.10, +5.20 (does not hold)`.
pub(super) fn gaps_text(gaps: &[Gap]) -> String {
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

pub(super) fn yardstick(against: Yardstick) -> &'static str {
    match against {
        Yardstick::Paper => "(paper)",
        Yardstick::Profile => "(profile)",
        Yardstick::Baseline => "(baseline)",
    }
}

pub(super) fn with_note(status: Status, note: &str) -> String {
    if note.is_empty() {
        status.name().into()
    } else {
        format!("{}: {note}", status.name())
    }
}

/// Columns side by side, each as wide as its widest cell, the last as it is.
fn align<const N: usize>(rows: &[[String; N]]) -> String {
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            if column + 1 == N {
                let _ = writeln!(text, "{cell}");
                continue;
            }
            let widest = rows.iter().map(|other| other[column].chars().count());
            let gap = widest.max().unwrap_or(0) - cell.chars().count() + 2;
            let _ = write!(text, "{cell}{:gap$}", "");
        }
    }
    text
}
