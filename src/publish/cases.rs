//! The verdict as cases for CI, one for each expectation and claim.

use super::cells::gap_text;
use crate::judge::{ClaimRow, Status, Verdict, Yardstick};

/// How CI reports a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Holds,
    /// Not comparable (another recipe or other images) while other cases are.
    Aside,
    /// Better than expected by more than the tolerance.
    Warning,
    /// It fails, or could not be checked.
    Error,
}

/// An expectation or a claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// `expectation` or `claim`.
    pub kind: &'static str,
    pub name: String,
    pub status: Status,
    pub severity: Severity,
    /// The numbers and the reason, in one line.
    pub text: String,
    /// Line in the manifest.
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
        // If nothing at all was comparable, nothing holds.
        Status::NotComparable if verdict.status == Status::NotComparable => Severity::Error,
        Status::NotComparable => Severity::Aside,
    };
    let expectations = verdict.expectations.iter().map(|row| {
        let whose = match row.against {
            Yardstick::Paper => "the paper's",
            Yardstick::Profile => "the profile's",
        };
        let metric = verdict.metric(row.metric, &row.network);
        Case {
            kind: "expectation",
            name: format!("{} {metric} against {whose}", row.network),
            status: row.status,
            severity: severity(row.status),
            text: row.text(metric),
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

/// The comparisons that decide the claim's status, with their gaps and reasons.
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
