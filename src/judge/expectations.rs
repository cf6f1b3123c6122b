//! Judges expected final errors.
//!
//! The error at the last iteration is judged, as the mean over seeds; the best error is shown but never judged.

use super::circumstances::{Circumstances, Yardstick};
use super::comparable::{ROUNDING, comparable, gather};
use super::rows::ExpectationRow;
use super::significance::{default_tolerance, test};
use super::statistics::Measured;
use super::status::Status;
use super::subject::Subject;
use crate::manifest::Expectation;

/// Whether the runs have the recipe and the data of an expected value.
pub(super) fn comparable_with(
    circumstances: &Circumstances,
    expectation: &Expectation,
    against: Yardstick,
    subjects: &[Subject],
) -> Result<(), (Status, String)> {
    let network = expectation.network.as_str();
    comparable(
        circumstances,
        against,
        expectation.data,
        &[network],
        subjects,
    )?;
    // Our own value holds for its recipe only. Claims, which are orderings, are judged anyway.
    if against == Yardstick::Profile && !circumstances.overrides.is_empty() {
        return Err((
            Status::NotComparable,
            format!(
                "the expected value is for runs without --set {}",
                circumstances.overrides.join(" --set ")
            ),
        ));
    }
    Ok(())
}

pub(super) fn judge_expectation(
    circumstances: &Circumstances,
    expectation: &Expectation,
    against: Yardstick,
    allowed: Result<(), (Status, String)>,
    subjects: &[Subject],
) -> ExpectationRow {
    let network = expectation.network.as_str();
    let gathered = gather(circumstances, network, expectation.metric, subjects);
    let measured = gathered.as_ref().ok().map(|values| Measured::of(values));
    let tolerance = expectation.tolerance.unwrap_or_else(|| {
        let paper = circumstances.papers_profile || against == Yardstick::Paper;
        default_tolerance(measured.and_then(|m| m.deviation), paper)
    });
    let (status, note) = match (&allowed, &gathered) {
        (Err((status, reason)), _) | (Ok(()), Err((status, reason))) => (*status, reason.clone()),
        (Ok(()), Ok(values)) => {
            let away = Measured::of(values).mean - expectation.value;
            let status = if away > tolerance + ROUNDING {
                Status::Fail
            } else if away < -tolerance - ROUNDING {
                Status::Better
            } else {
                Status::Pass
            };
            (status, String::new())
        }
    };
    ExpectationRow {
        network: network.into(),
        metric: expectation.metric,
        measured,
        expected: expectation.value,
        expected_deviation: expectation.deviation,
        expected_runs: expectation.runs,
        tolerance,
        tolerance_given: expectation.tolerance.is_some(),
        against,
        source: expectation.source.clone(),
        status,
        note,
        test: measured
            .filter(|_| allowed.is_ok())
            .and_then(|measured| test(&measured, expectation)),
        line: expectation.line,
    }
}
