//! Expectations and claims against what runs reached. Pure functions of plain values: what is read from files, and from
//! which, is settled in `subjects.rs`.
//!
//! The number that is judged is the one at the last iteration, its mean over the seeds; the best one along the way is
//! shown by name and never judged.

use serde::Serialize;

use super::evidence::{Evidence, between, default_tolerance, test};
use super::rows::{ClaimRow, ComparisonRow, ExpectationRow, Gap, NetworkRow, Status};
use super::statistics::Measured;
use super::verdict::Verdict;
use crate::data::Origin;
use crate::manifest::{Claim, Comparison, DataKind, Expectation, Metric};

/// How a run ended, as far as the records tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    Finished,
    /// The loss became NaN or infinite.
    Diverged,
    /// Not there yet: interrupted, or going on at this moment.
    Partial,
}

/// What is known of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    pub network: String,
    pub seed: u64,
    pub origin: Origin,
    pub ending: Ending,
    /// The last iteration recorded.
    pub iteration: u64,
    /// At the last iteration, with population statistics, %.
    pub test_error: Option<f64>,
    /// The same with the moving average, %. Shown, not judged.
    pub moving_test_error: Option<f64>,
    /// Mean of the last 20 mini-batches, augmented, %: the paper's training curve.
    pub training_error: Option<f64>,
    /// Training images without augmentation after the last iteration, %.
    pub clean_training_error: Option<f64>,
    /// Mean over the 3x3 layers of their responses' standard deviation, where it was measured.
    pub response: Option<f64>,
    /// Iteration and value of the lowest test error with population statistics. Shown, never judged.
    pub best: Option<(u64, f64)>,
    /// The run's folder, relative to the results folder.
    pub folder: String,
    /// sha256 (hex) of everything that shapes the run's numbers.
    pub identity: String,
    /// The commit that made the run, with `-dirty` where the tree was; empty if unknown.
    pub commit: String,
    /// What it ran on: device, instruction set, precision, processor, GPU.
    pub machine: String,
    /// What the records show that is not the recipe, or how they were measured otherwise, a phrase each. A run with one is
    /// comparable with nothing.
    pub faults: Vec<String>,
    /// sha256 (hex) of network, recipe and measurement, the same for every seed.
    pub recipe: String,
}

/// Whose value an expectation or a claim holds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Yardstick {
    /// The paper's, which only the paper's recipe on the paper's data can be held against.
    Paper,
    /// This project's own at this profile.
    Profile,
    /// Errors accepted before, see [`super::baseline`].
    Baseline,
}

impl Subject {
    /// The run's value of a metric: %, of responses a standard deviation.
    pub fn error(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::TestError => self.test_error,
            Metric::TrainingError => self.training_error,
            Metric::Response => self.response,
        }
    }
}

/// The circumstances under which runs are judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Circumstances {
    pub experiment: String,
    /// The experiment's file.
    pub manifest: String,
    pub title: String,
    pub profile: String,
    /// Networks in the order of the figure.
    pub networks: Vec<String>,
    /// Seeds that every network must have.
    pub seeds: Vec<u64>,
    /// `--set` arguments.
    pub overrides: Vec<String>,
    /// What differs from the paper's recipe, a phrase each.
    pub differences: Vec<String>,
    /// Whether this profile's claims are the paper's own, with the paper's margins.
    pub papers_profile: bool,
    /// The command that makes these results again.
    pub command: String,
    /// Whether the figure is of layer responses, which every finished run must have.
    pub responses: bool,
    /// Values of a baseline that these runs are held against as well.
    pub baseline: Vec<BaselineValue>,
}

/// A value of a baseline, and why it cannot be compared with these runs, if it cannot.
#[derive(Clone, Debug, PartialEq)]
pub struct BaselineValue {
    pub expectation: Expectation,
    pub refused: Option<String>,
}

/// Values read from decimal text and their sums are off by less than this, points.
const ROUNDING: f64 = 1e-9;

/// Judges every claim and expectation: `own` are the profile's, `papers` the paper's.
pub fn judge(
    circumstances: &Circumstances,
    own: &[Expectation],
    papers: &[Expectation],
    claims: &[Claim],
    subjects: &[Subject],
) -> Verdict {
    let networks = circumstances
        .networks
        .iter()
        .map(|network| network_row(network, circumstances, subjects))
        .collect();
    let of_profile = own.iter().map(|value| (value, Yardstick::Profile, None));
    let of_paper = papers.iter().map(|value| (value, Yardstick::Paper, None));
    let of_baseline = circumstances.baseline.iter().map(|value| {
        (
            &value.expectation,
            Yardstick::Baseline,
            value.refused.as_ref(),
        )
    });
    let expectations = of_baseline
        .chain(of_profile)
        .chain(of_paper)
        .map(|(value, against, refused)| {
            let allowed = match refused {
                Some(reason) => Err((Status::NotComparable, reason.clone())),
                None => may_be_held_against(circumstances, value, against, subjects),
            };
            judge_expectation(circumstances, value, against, allowed, subjects)
        })
        .collect();
    let claims = claims
        .iter()
        .map(|claim| judge_claim(circumstances, claim, subjects))
        .collect();
    Verdict::new(circumstances, networks, expectations, claims, subjects)
}

/// What keeps values from being compared, or the values: one a seed, in the order of the seeds.
type Gathered = Result<Vec<f64>, (Status, String)>;

/// The runs of a network with the seeds asked for, in their order.
fn of_network<'a>(
    network: &'a str,
    circumstances: &'a Circumstances,
    subjects: &'a [Subject],
) -> impl Iterator<Item = (u64, Option<&'a Subject>)> {
    circumstances.seeds.iter().map(move |&seed| {
        let found = subjects
            .iter()
            .find(|subject| subject.network == network && subject.seed == seed);
        (seed, found)
    })
}

/// Not comparable comes first, for whatever the numbers are they say nothing; then what failed for certain, then what is missing.
pub(super) fn comparable(
    circumstances: &Circumstances,
    against: Yardstick,
    data: DataKind,
    networks: &[&str],
    subjects: &[Subject],
) -> Result<(), (Status, String)> {
    let refuse = |reason: String| Err((Status::NotComparable, reason));
    for network in networks {
        for (seed, subject) in of_network(network, circumstances, subjects) {
            if let Some(fault) = subject.and_then(|subject| subject.faults.first()) {
                return refuse(format!(
                    "{network} seed {seed} is not of its recipe: {fault}"
                ));
            }
        }
    }
    if against == Yardstick::Paper {
        if !circumstances.overrides.is_empty() {
            return refuse(format!(
                "not the paper's recipe: --set {}",
                circumstances.overrides.join(" --set ")
            ));
        }
        if let Some(difference) = circumstances.differences.first() {
            return refuse(match circumstances.differences.len() {
                1 => format!("not the paper's recipe: {difference}"),
                n => format!("not the paper's recipe: {difference} and {} more", n - 1),
            });
        }
    }
    let wanted = match (against, data) {
        (Yardstick::Paper, _) | (_, DataKind::Cifar10) => Some(Origin::Cifar10),
        (_, DataKind::Synthetic) => Some(Origin::Synthetic),
        (_, DataKind::Any) => None,
    };
    let mut origins: Vec<Origin> = Vec::new();
    for network in networks {
        for (_, subject) in of_network(network, circumstances, subjects) {
            if let Some(subject) = subject
                && !origins.contains(&subject.origin)
            {
                origins.push(subject.origin);
            }
        }
    }
    if let (Some(wanted), Some(other)) = (
        wanted,
        origins.iter().find(|&&origin| Some(origin) != wanted),
    ) {
        return refuse(format!(
            "made on {}, the value is of {}",
            origin_name(*other),
            origin_name(wanted)
        ));
    }
    // Nothing was ever recorded or claimed of images that are neither.
    if origins.contains(&Origin::Other) {
        return refuse(format!("made on {}", origin_name(Origin::Other)));
    }
    if origins.len() > 1 {
        return refuse("the runs are of different data".into());
    }
    Ok(())
}

pub(super) fn gather(
    circumstances: &Circumstances,
    network: &str,
    metric: Metric,
    subjects: &[Subject],
) -> Gathered {
    let mut values = Vec::new();
    let mut missing = Vec::new();
    for (seed, subject) in of_network(network, circumstances, subjects) {
        let Some(subject) = subject else {
            missing.push(format!("{network} seed {seed} has not been run"));
            continue;
        };
        match (subject.ending, subject.error(metric)) {
            (Ending::Diverged, _) => {
                let at = subject.iteration;
                return Err((
                    Status::Fail,
                    format!("{network} seed {seed} diverged at iteration {at}"),
                ));
            }
            (Ending::Partial, _) => missing.push(format!(
                "{network} seed {seed} stands at iteration {}",
                subject.iteration
            )),
            (Ending::Finished, Some(value)) if value.is_finite() => values.push(value),
            (Ending::Finished, Some(value)) => {
                return Err((
                    Status::Fail,
                    format!(
                        "{network} seed {seed} ended with a {} of {value}",
                        metric.text()
                    ),
                ));
            }
            (Ending::Finished, None) => missing.push(format!(
                "{network} seed {seed} recorded no {}",
                metric.text()
            )),
        }
    }
    if !missing.is_empty() {
        return Err((Status::Missing, missing.join("; ")));
    }
    if values.is_empty() {
        return Err((
            Status::Missing,
            format!("no seed of {network} is asked for"),
        ));
    }
    Ok(values)
}

/// Whether runs are of the recipe and the data that an expected value is of.
fn may_be_held_against(
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
    // A profile's recorded value is that of its recipe: another recipe may well end elsewhere. Its claims, which are
    // orderings, are judged all the same. A baseline knows its recipe by its digest.
    if against != Yardstick::Baseline && !circumstances.overrides.is_empty() {
        return Err((
            Status::NotComparable,
            format!(
                "recorded without --set {}",
                circumstances.overrides.join(" --set ")
            ),
        ));
    }
    Ok(())
}

fn judge_expectation(
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

fn judge_claim(circumstances: &Circumstances, claim: &Claim, subjects: &[Subject]) -> ClaimRow {
    let against = if circumstances.papers_profile {
        Yardstick::Paper
    } else {
        Yardstick::Profile
    };
    let comparisons: Vec<ComparisonRow> = claim
        .comparisons
        .iter()
        .map(|comparison| {
            let names = [comparison.higher.as_str(), comparison.lower.as_str()];
            let allowed = comparable(circumstances, against, claim.data, &names, subjects);
            judge_comparison(circumstances, comparison, allowed, subjects)
        })
        .collect();
    ClaimRow {
        claim: claim.says.clone(),
        against,
        status: Status::of_all(comparisons.iter().map(|row| row.status)),
        comparisons,
        line: claim.line,
    }
}

fn judge_comparison(
    circumstances: &Circumstances,
    comparison: &Comparison,
    allowed: Result<(), (Status, String)>,
    subjects: &[Subject],
) -> ComparisonRow {
    let [higher, lower] = [&comparison.higher, &comparison.lower]
        .map(|network| gather(circumstances, network, comparison.metric, subjects));
    let holds = |gap: f64| gap >= comparison.margin - ROUNDING;
    let mut gaps = Vec::new();
    let mut mean_gap = None;
    let mut evidence = Evidence::default();
    if let (Ok(higher), Ok(lower)) = (&higher, &lower) {
        for ((&seed, a), b) in circumstances.seeds.iter().zip(higher).zip(lower) {
            gaps.push(Gap {
                seed,
                points: a - b,
                holds: holds(a - b),
            });
        }
        mean_gap = Some(Measured::of(higher).mean - Measured::of(lower).mean);
        evidence = between(higher, lower, comparison.margin);
    }
    let (status, note) = match (allowed, higher, lower) {
        (Err(refused), _, _) => refused,
        // A failure is certain, whatever is missing of the other network.
        (_, Err((Status::Fail, why)), _) | (_, _, Err((Status::Fail, why))) => (Status::Fail, why),
        (_, Err(a), Err(b)) => (Status::Missing, format!("{}; {}", a.1, b.1)),
        (_, Err(why), _) | (_, _, Err(why)) => why,
        (Ok(()), Ok(_), Ok(_)) if mean_gap.is_some_and(holds) => (Status::Pass, String::new()),
        (Ok(()), Ok(_), Ok(_)) => (Status::Fail, String::new()),
    };
    ComparisonRow {
        text: comparison.text(),
        metric: comparison.metric,
        higher: comparison.higher.clone(),
        lower: comparison.lower.clone(),
        margin: comparison.margin,
        gap: mean_gap,
        gaps,
        welch: evidence.welch,
        bootstrap: evidence.bootstrap,
        evidence: evidence.words,
        status,
        note,
    }
}

fn network_row(network: &str, circumstances: &Circumstances, subjects: &[Subject]) -> NetworkRow {
    let finished: Vec<&Subject> = of_network(network, circumstances, subjects)
        .filter_map(|(_, subject)| subject)
        .filter(|subject| subject.ending == Ending::Finished)
        .collect();
    let over = |value: &dyn Fn(&Subject) -> Option<f64>| {
        let values: Option<Vec<f64>> = finished
            .iter()
            .map(|subject| value(subject).filter(|v| v.is_finite()))
            .collect();
        values
            .filter(|values| !values.is_empty())
            .map(|values| Measured::of(&values))
    };
    NetworkRow {
        network: network.into(),
        seeds_finished: finished.len(),
        seeds_asked: circumstances.seeds.len(),
        test_error: over(&|s| s.test_error),
        moving_test_error: over(&|s| s.moving_test_error),
        training_error: over(&|s| s.training_error),
        clean_training_error: over(&|s| s.clean_training_error),
        best_test_error: over(&|s| s.best.map(|(_, error)| error)),
        response: over(&|s| s.response),
    }
}

/// As in titles and sentences. The synthetic set's name is in capitals wherever it appears.
pub fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Cifar10 => "CIFAR-10",
        Origin::Other => "other images than CIFAR-10",
        Origin::Synthetic => "SYNTHETIC images",
    }
}
