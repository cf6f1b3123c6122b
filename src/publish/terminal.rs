//! The verdict as tables for the terminal.

use std::fmt::Write as _;

use super::cells::{
    baselines, gap_text, gaps_text, phase_cells, seeds_text, text_or_dash, with_note, yardstick,
};
use crate::judge::Verdict;

/// The tables, then the headline on the last line.
pub fn table(verdict: &Verdict) -> String {
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
    let mut rows = vec![["claim", "gap, points", "by seed", "status"].map(String::from)];
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
    for (name, found) in baselines(verdict) {
        let _ = writeln!(text, "\n{name}: {found}");
    }
    if let Some(line) = verdict.near_chance() {
        let _ = writeln!(text, "\n{line}");
    }
    let _ = writeln!(text, "\n{}", verdict.headline);
    text
}

/// Distances to the paper's curves where comparable, else the reason.
fn curves(verdict: &Verdict) -> String {
    let mut rows = vec![
        [
            "curve vs paper",
            "phase",
            "mean |difference|",
            "largest",
            "run-to-run noise",
            "within band",
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
        let _ = writeln!(text, "\ncurves not comparable with the paper: {reason}");
    }
    text
}

/// Pads each column but the last to its widest cell.
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
