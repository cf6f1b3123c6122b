//! Judges every expectation, claim and curve on the evidence.

use anyhow::Result;

use super::circumstances::{Circumstances, Yardstick};
use super::claims::judge_claim;
use super::comparable::{comparable, of_network};
use super::curve_distance::{FinishedRun, distances};
use super::evidence::{Evidence, PAPER};
use super::expectations::{comparable_with, judge_expectation};
use super::response_distance::response_distances;
use super::rows::NetworkRow;
use super::run_evidence::RunEvidence;
use super::statistics::Measured;
use super::subject::Subject;
use super::verdict::Verdict;
use crate::manifest::{Claim, Expectation, Experiment, Metric};
use crate::origin::{DataKind, Origin};
use crate::record::Ending;

/// Judges an experiment on its evidence. Seeds without a run are missing. At profiles other than the paper's, the
/// paper's values are not comparable.
///
/// # Errors
/// If a recipe cannot be serialised, which is a bug.
pub fn judge(evidence: &Evidence) -> Result<Verdict> {
    let experiment = &evidence.experiment;
    let subjects = subjects(evidence)?;
    let circumstances = circumstances(evidence);
    let own: &[Expectation] = match circumstances.papers_profile {
        true => &[],
        false => &experiment.expectations,
    };
    let (papers, claims) = (&evidence.papers_errors, &experiment.claims);
    let mut verdict = judge_values(&circumstances, own, papers, claims, &subjects);
    for baseline in &evidence.baselines {
        verdict
            .baselines
            .extend(baseline.compare(&circumstances.networks, &subjects));
    }
    let finished: Vec<FinishedRun> = evidence
        .runs
        .iter()
        .filter(|run| run.view.ending == Ending::Finished)
        .map(|run| FinishedRun {
            plan: run.plan(),
            rows: &run.rows,
        })
        .collect();
    let on_the_way = Circumstances {
        departures: experiment.departures_on_the_way(),
        ..circumstances
    };
    let refuse = |network: &str| {
        let (paper, kind) = (Yardstick::Paper, experiment.data.kind());
        comparable(&on_the_way, paper, kind, &[network], &subjects)
            .err()
            .map(|(_, reason)| reason)
    };
    verdict.curves = distances(experiment, &evidence.paper, &finished, &refuse);
    let papers = &evidence.papers_responses;
    verdict.responses = response_distances(experiment, papers, &evidence.runs, &refuse);
    Ok(verdict)
}

/// The error of guessing among the networks' classes, %.
fn chance(experiment: &Experiment) -> f64 {
    100.0 * (1.0 - 1.0 / experiment.classes() as f64)
}

/// A summary of each run.
///
/// # Errors
/// As [`judge`].
pub fn subjects(evidence: &Evidence) -> Result<Vec<Subject>> {
    evidence
        .runs
        .iter()
        .map(|run| Subject::of(run, &evidence.experiment))
        .collect()
}

fn circumstances(evidence: &Evidence) -> Circumstances {
    let (experiment, seeds) = (&evidence.experiment, &evidence.seeds);
    let (name, profile) = (&experiment.name, &experiment.profile);
    let mut command = format!("cargo run -- reproduce {name} --profile {profile}");
    if *seeds != experiment.seeds {
        let list: Vec<String> = seeds.iter().map(u64::to_string).collect();
        command.push_str(&format!(" --seeds {}", list.join(",")));
    }
    if !experiment.part.is_empty() {
        command.push_str(&format!(" --networks {}", experiment.part.join(",")));
    }
    // Elsewhere the paper's images may be found, or downloaded.
    let made = |run: &RunEvidence| run.view.file.notes.data == Origin::Synthetic;
    if evidence.runs.iter().any(made) {
        command.push_str(&format!(" --data {}", DataKind::Synthetic.name()));
    }
    for change in &experiment.overrides {
        command.push_str(&format!(" --set '{change}'"));
    }
    let required = experiment.networks.iter().filter(|entry| !entry.optional);
    let networks = required.map(|entry| entry.name.clone()).collect();
    Circumstances {
        experiment: name.clone(),
        manifest: experiment.file.display().to_string(),
        title: experiment.evaluated(|_| true).reworded(&experiment.title),
        profile: profile.clone(),
        networks,
        seeds: seeds.clone(),
        overrides: experiment.overrides.clone(),
        differences: experiment.departures(),
        departures: experiment.departures_by_network(),
        readings: experiment.readings(),
        papers_profile: profile == PAPER && experiment.is_of_the_paper(),
        command,
        responses: experiment.responses.is_some(),
        chance: chance(experiment),
        data: experiment.data,
        scale: experiment.scale(),
        held_out: experiment.held_out(),
        training_window: experiment.training_window,
    }
}

/// Judges plain values: `own` are the profile's expectations, `papers` the paper's.
pub fn judge_values(
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
    let of_profile = own.iter().map(|value| (value, Yardstick::Profile));
    let of_paper = papers.iter().map(|value| (value, Yardstick::Paper));
    let expectations = of_profile
        .chain(of_paper)
        .map(|(value, against)| {
            let allowed = comparable_with(circumstances, value, against, subjects);
            judge_expectation(circumstances, value, against, allowed, subjects)
        })
        .collect();
    let claims = claims
        .iter()
        .map(|claim| judge_claim(circumstances, claim, subjects))
        .collect();
    Verdict::new(circumstances, networks, expectations, claims, subjects)
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
        others: Metric::FURTHER
            .into_iter()
            .filter_map(|metric| Some((metric, over(&|s| s.error(metric))?)))
            .collect(),
    }
}
