//! The rows of a verdict: what became of each expectation, claim and curve, and what each network and run reached. Plain
//! data; serialised, they are the parts of `verdict.json`.

use serde::Serialize;

use super::circumstances::Yardstick;
use super::statistics::{Interval, Measured};
use super::status::Status;
use super::subject::Subject;
use crate::manifest::Metric;
use crate::record::Ending;

/// What a network reached over its finished runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkRow {
    pub network: String,
    pub seeds_finished: usize,
    pub seeds_asked: usize,
    pub test_error: Option<Measured>,
    pub moving_test_error: Option<Measured>,
    pub training_error: Option<Measured>,
    pub clean_training_error: Option<Measured>,
    /// The lowest along the way. Shown, never judged.
    pub best_test_error: Option<Measured>,
    /// Mean over the 3x3 layers of their responses' standard deviation, where the figure is of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Measured>,
}

/// An expectation and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExpectationRow {
    pub network: String,
    pub metric: Metric,
    pub measured: Option<Measured>,
    pub expected: f64,
    /// Deviation of the runs that the expected value is the mean of, where its source gives it, and how many they were.
    pub expected_deviation: Option<f64>,
    pub expected_runs: Option<usize>,
    pub tolerance: f64,
    /// Whether the manifest gives the tolerance; otherwise it follows from our seeds' deviation.
    pub tolerance_given: bool,
    pub against: Yardstick,
    pub source: String,
    pub status: Status,
    /// Why it is missing, not comparable or failed without a number.
    pub note: String,
    /// With three runs or more. The tolerance decides, not this.
    pub test: Option<Test>,
    /// The line of the manifest.
    pub line: Option<usize>,
}

impl ExpectationRow {
    /// What it is, what came out and why, in a line: `plain-20 test error 41.30 ± 0.20 (3), expected 38.00 ± 2.00`.
    pub fn text(&self) -> String {
        let measured = self.measured.map_or_else(|| "none".into(), |m| m.text());
        let mut text = format!(
            "{} {} {measured}, expected {:.2} ± {:.2} ({})",
            self.network,
            self.metric.text(),
            self.expected,
            self.tolerance,
            self.source
        );
        if !self.note.is_empty() {
            text += &format!(": {}", self.note);
        }
        text
    }
}

/// A two-sided test of our runs against the expected value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Test {
    pub method: TestMethod,
    /// At 95 %: Welch's of the difference of the means, points; the prediction's of one more run's error, %.
    pub interval: Interval,
    pub freedom: f64,
    pub p: f64,
    /// The same in words.
    pub words: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TestMethod {
    /// Welch's, where the value is a mean with a deviation over several runs.
    Welch,
    /// Whether the value could be one more of our runs, where it is a single number.
    Prediction,
}

/// One seed's share in a claim.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Gap {
    pub seed: u64,
    /// `error(higher) - error(lower)`.
    pub points: f64,
    /// Whether this seed alone would reach the margin. Shown; the mean is judged.
    pub holds: bool,
}

/// A claim and what became of it: it holds where all its comparisons do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimRow {
    pub claim: String,
    pub against: Yardstick,
    pub status: Status,
    pub comparisons: Vec<ComparisonRow>,
    /// The line of the manifest.
    pub line: Option<usize>,
}

/// Two networks' errors, of which one should be above the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonRow {
    pub text: String,
    pub metric: Metric,
    pub higher: String,
    pub lower: String,
    /// Points that the gap must reach.
    pub margin: f64,
    /// `mean error(higher) - mean error(lower)`, points.
    pub gap: Option<f64>,
    pub gaps: Vec<Gap>,
    /// Welch's interval of the gap at 95 %, from two seeds on. The gap decides, not this.
    pub welch: Option<Interval>,
    /// The bootstrap's at 95 %, from eight seeds on.
    pub bootstrap: Option<Interval>,
    /// On what the gap rests, in words.
    pub evidence: String,
    pub status: Status,
    pub note: String,
}

/// A value that was recorded before, of other runs than these, and whether it has changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BaselineRow {
    /// The baseline's name.
    pub baseline: String,
    pub network: String,
    pub metric: Metric,
    /// Of the runs that the value was not recorded from.
    pub measured: Option<Measured>,
    pub expected: f64,
    pub expected_deviation: Option<f64>,
    pub expected_runs: usize,
    pub tolerance: f64,
    pub status: BaselineStatus,
    /// Why it is not comparable.
    pub note: String,
}

/// What became of a recorded value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaselineStatus {
    /// Within the tolerance.
    Unchanged,
    Changed,
    /// There is no run but those that it was recorded from.
    OwnRuns,
    /// The runs are of another recipe or on other images.
    NotComparable,
}

impl BaselineStatus {
    /// As in tables and `verdict.json`.
    pub fn name(self) -> &'static str {
        match self {
            BaselineStatus::Unchanged => "unchanged",
            BaselineStatus::Changed => "changed",
            BaselineStatus::OwnRuns => "own-runs",
            BaselineStatus::NotComparable => "not-comparable",
        }
    }
}

/// A run that the verdict rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRow {
    pub network: String,
    pub seed: u64,
    pub ending: Ending,
    pub iteration: u64,
    pub test_error: Option<f64>,
    pub best_test_error: Option<f64>,
    pub best_iteration: Option<u64>,
    /// What its records show that is not its recipe; empty as it should be.
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
