//! The verdict for CI: every expectation and claim as a case.

use super::cells::gap_text;
use crate::judge::{ClaimRow, Status, Verdict, Yardstick};

/// How a case is told to CI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It holds.
    Holds,
    /// Not judged here: values of another recipe or other images, beside others that decide.
    Aside,
    /// Better than expected by more than the tolerance.
    Warning,
    /// It does not hold, or could not be made sure of.
    Error,
}

/// An expectation or a claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// `expectation`, `claim`.
    pub kind: &'static str,
    pub name: String,
    pub status: Status,
    pub severity: Severity,
    /// The numbers and the reason, one line.
    pub text: String,
    /// Of the manifest.
    pub line: Option<usize>,
}

/// Every expectation, then every claim. With `strict`, `better` is an error.
pub fn cases(verdict: &Verdict, strict: bool) -> Vec<Case> {
    let severity = |status| match status {
        Status::Pass | Status::PassWithinNoise | Status::PassByMargin | Status::NothingClaimed => {
            Severity::Holds
        }
        Status::Better if strict => Severity::Error,
        Status::Better => Severity::Warning,
        Status::Fail | Status::FailWithinNoise | Status::Missing => Severity::Error,
        // Where nothing could be compared at all, nothing held.
        Status::NotComparable if verdict.status == Status::NotComparable => Severity::Error,
        Status::NotComparable => Severity::Aside,
    };
    let expectations = verdict.expectations.iter().map(|row| {
        let whose = match row.against {
            Yardstick::Paper => "the paper's",
            Yardstick::Profile => "the profile's",
        };
        Case {
            kind: "expectation",
            name: format!("{} {} against {whose}", row.network, row.metric.text()),
            status: row.status,
            severity: severity(row.status),
            text: row.text(),
            line: row.line,
        }
    });
    let claims = verdict.claims.iter().map(|row| Case {
        kind: "claim",
        name: row.claim.clone(),
        status: row.status,
        severity: severity(row.status),
        text: claim_text(row),
        line: row.line,
    });
    expectations.chain(claims).collect()
}

/// The comparisons that give the claim its status, with their gaps and reasons.
fn claim_text(row: &ClaimRow) -> String {
    let decisive: Vec<String> = row
        .comparisons
        .iter()
        .filter(|comparison| comparison.status == row.status)
        .map(|comparison| {
            let gap = gap_text(comparison.gap);
            match comparison.note.as_str() {
                "" => format!("{}: gap {gap}", comparison.text),
                note => format!("{}: {note}", comparison.text),
            }
        })
        .collect();
    decisive.join("; ")
}
