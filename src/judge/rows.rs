//! The rows of a verdict: the outcome of each expectation, claim and baseline value, and the results of each network and
//! run. Serialised, they are the parts of `verdict.json`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::circumstances::Yardstick;
use super::statistics::{Interval, Measured};
use super::status::Status;
use super::subject::Subject;
use crate::manifest::Metric;
use crate::record::Ending;

/// A network's results over its finished runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkRow {
    pub network: String,
    pub seeds_finished: usize,
    pub seeds_asked: usize,
    pub test_error: Option<Measured>,
    pub moving_test_error: Option<Measured>,
    pub training_error: Option<Measured>,
    pub clean_training_error: Option<Measured>,
    /// The lowest during training. Shown, never judged.
    pub best_test_error: Option<Measured>,
    /// Standard deviation of responses, mean over the 3x3 layers; only for figures of layer responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Measured>,
    /// Top-5 errors, and errors with other views than the centre, where they were asked for or the paper gives them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub others: BTreeMap<Metric, Measured>,
}

/// An expectation and its outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExpectationRow {
    pub network: String,
    pub metric: Metric,
    pub measured: Option<Measured>,
    pub expected: f64,
    /// Deviation and number of the runs behind the expected value, if its source gives them.
    pub expected_deviation: Option<f64>,
    pub expected_runs: Option<usize>,
    pub tolerance: f64,
    /// Whether the manifest gives the tolerance; otherwise it is derived from our seeds' deviation.
    pub tolerance_given: bool,
    pub against: Yardstick,
    pub source: String,
    pub status: Status,
    /// Why it is missing or not comparable, or why it failed without a number.
    pub note: String,
    /// With three runs or more. Informative; the tolerance decides.
    pub test: Option<Test>,
    /// Line in the manifest.
    pub line: Option<usize>,
}

impl ExpectationRow {
    /// The expectation, the result and the reason, in one line, with the name of the metric:
    /// `plain-20 test error 41.30 ± 0.20 (3), expected 38.00 within 2.00 (by hand)`.
    pub fn text(&self, metric: &str) -> String {
        let measured = self.measured.map_or_else(|| "none".into(), |m| m.text());
        let mut text = format!(
            "{} {metric} {measured}, expected {:.2} within {:.2} ({})",
            self.network, self.expected, self.tolerance, self.source
        );
        if !self.note.is_empty() {
            text += &format!(": {}", self.note);
        }
        text
    }
}

/// A two-sided test of our runs and the expected value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Test {
    pub method: TestMethod,
    /// At 95 %: for Welch, of the difference of the means, points; for prediction, of another run's error, %.
    pub interval: Interval,
    pub freedom: f64,
    pub p: f64,
    /// The same in words.
    pub words: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TestMethod {
    /// If the value is a mean with a deviation over several runs.
    Welch,
    /// If the value is a single number: whether it could be another of our runs.
    Prediction,
}

/// A comparison's gap for one seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Gap {
    pub seed: u64,
    /// `error(higher) - error(lower)`.
    pub points: f64,
    /// Whether this seed alone reaches the margin. Shown; the mean is judged.
    pub holds: bool,
}

/// A claim and its outcome. It holds if all its comparisons do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimRow {
    pub claim: String,
    pub against: Yardstick,
    pub status: Status,
    pub comparisons: Vec<ComparisonRow>,
    /// Line in the manifest.
    pub line: Option<usize>,
}

impl ClaimRow {
    /// Whether it is about numbers that follow from the networks alone. Such a claim can fail, but makes no pass where what
    /// needs runs is missing or not comparable.
    pub fn is_computed(&self) -> bool {
        let mut metrics = self.comparisons.iter().map(|row| row.metric);
        !self.comparisons.is_empty() && metrics.all(|metric| metric == Metric::MultiplyAdds)
    }
}

/// Two networks' errors, one of which should be higher.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonRow {
    pub text: String,
    pub metric: Metric,
    pub higher: String,
    pub lower: String,
    /// The least gap, points.
    pub margin: f64,
    /// `mean error(higher) - mean error(lower)`, points.
    pub gap: Option<f64>,
    pub gaps: Vec<Gap>,
    /// Welch's 95 % interval of the gap, with two seeds or more. Does not decide whether the comparison holds.
    pub welch: Option<Interval>,
    /// The bootstrap's 95 % interval, with eight seeds or more.
    pub bootstrap: Option<Interval>,
    /// Evidence for the gap, in words.
    pub evidence: String,
    pub status: Status,
    pub note: String,
}

/// A baseline's value, recorded from other runs, and whether it has changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BaselineRow {
    /// The baseline's name.
    pub baseline: String,
    pub network: String,
    pub metric: Metric,
    /// Over runs that the value was not recorded from.
    pub measured: Option<Measured>,
    pub expected: f64,
    pub expected_deviation: Option<f64>,
    pub expected_runs: usize,
    pub tolerance: f64,
    pub status: BaselineStatus,
    /// Why it is not comparable.
    pub note: String,
}

/// The outcome for a baseline's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaselineStatus {
    /// Within the tolerance.
    Unchanged,
    Changed,
    /// The only runs are those it was recorded from.
    OwnRuns,
    /// The runs have another recipe or other images.
    NotComparable,
}

impl BaselineStatus {
    /// The name in tables and `verdict.json`.
    pub fn name(self) -> &'static str {
        match self {
            BaselineStatus::Unchanged => "unchanged",
            BaselineStatus::Changed => "changed",
            BaselineStatus::OwnRuns => "own-runs",
            BaselineStatus::NotComparable => "not-comparable",
        }
    }
}

/// A run that was judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRow {
    pub network: String,
    pub seed: u64,
    pub ending: Ending,
    pub iteration: u64,
    pub test_error: Option<f64>,
    pub best_test_error: Option<f64>,
    pub best_iteration: Option<u64>,
    /// Deviations of its records from its recipe; normally empty.
    pub faults: Vec<String>,
    pub folder: String,
    pub identity: String,
    pub commit: String,
    pub machine: String,
}

impl RunRow {
    pub(super) fn of(subject: &Subject) -> Self {
        let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
        RunRow {
            network: subject.network.clone(),
            seed: subject.seed,
            ending: subject.ending,
            iteration: subject.iteration,
            test_error: finite(subject.test_error),
            best_test_error: finite(subject.best.map(|(_, error)| error)),
            best_iteration: subject.best.map(|(iteration, _)| iteration),
            faults: subject.faults.clone(),
            folder: subject.folder.clone(),
            identity: subject.identity.clone(),
            commit: subject.commit.clone(),
            machine: subject.machine.clone(),
        }
    }
}
