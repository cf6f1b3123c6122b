//! From the files of runs to what a check knows of them.

use anyhow::Result;

use super::baseline::Baseline;
use super::check::{Circumstances, Ending, Subject, Yardstick, comparable, judge};
use super::paper_curves::{Rows, distances};
use super::selection::origin;
use super::verdict::Verdict;
use super::{curves, recorded};
use crate::manifest::{DataKind, Expectation, Experiment};
use crate::record::{Evaluation, Iteration, Split, Statistics};
use crate::run::{Outcome, ResponseRecord, RunView, State};

/// The profile whose expectations and claims are the paper's own.
const PAPER: &str = "paper";

/// Judges an experiment by the runs that were selected for it (see [`super::selection::select`]), one a network and seed.
/// Seeds without a run are missing. At another profile than the paper's, the paper's values stand beside it as not comparable.
///
/// # Errors
/// [`crate::exit::Exit::Storage`] where a run's records or the paper's curves cannot be read.
pub fn check(experiment: &Experiment, seeds: &[u64], runs: &[RunView]) -> Result<Verdict> {
    check_against(experiment, seeds, runs, None)
}

/// [`check`], with the errors of a baseline as expectations beside the profile's own.
///
/// # Errors
/// As for [`check`].
pub fn check_against(
    experiment: &Experiment,
    seeds: &[u64],
    runs: &[RunView],
    baseline: Option<&Baseline>,
) -> Result<Verdict> {
    let read = read(seeds, runs)?;
    let subjects: Vec<Subject> = read
        .iter()
        .map(|run| subject(run, experiment))
        .collect::<Result<_>>()?;
    let papers_profile = experiment.profile == PAPER;
    let (own, papers): (&[Expectation], Vec<Expectation>) = if papers_profile {
        (&[], experiment.expectations.clone())
    } else {
        (&experiment.expectations, papers_expectations(experiment))
    };
    let mut circumstances = circumstances(experiment, seeds, runs);
    if let Some(baseline) = baseline {
        let mut values = baseline.values_for(&subjects);
        values.retain(|value| experiment.network(&value.expectation.network).is_some());
        circumstances.baseline = values;
    }
    let claims = &experiment.claims;
    let mut verdict = judge(&circumstances, own, &papers, claims, &subjects);
    let finished: Vec<Rows> = read
        .iter()
        .filter(|run| {
            matches!(
                run.view.state,
                State::Done {
                    outcome: Outcome::Finished,
                    ..
                }
            )
        })
        .map(|run| Rows {
            plan: run.view.plan(),
            iterations: &run.iterations,
            evaluations: &run.evaluations,
        })
        .collect();
    verdict.curves = distances(experiment, &finished, &|network| {
        let kind = DataKind::Cifar10;
        comparable(
            &circumstances,
            Yardstick::Paper,
            kind,
            &[network],
            &subjects,
        )
        .err()
        .map(|(_, reason)| reason)
    })?;
    Ok(verdict)
}

/// What is known of each run.
///
/// # Errors
/// [`crate::exit::Exit::Storage`] where records cannot be read.
pub fn subjects(experiment: &Experiment, seeds: &[u64], runs: &[RunView]) -> Result<Vec<Subject>> {
    read(seeds, runs)?
        .iter()
        .map(|run| subject(run, experiment))
        .collect()
}

/// A run with its rows, which are read once.
struct Read<'a> {
    view: &'a RunView,
    iterations: Vec<Iteration>,
    evaluations: Vec<Evaluation>,
}

fn read<'a>(seeds: &[u64], runs: &'a [RunView]) -> Result<Vec<Read<'a>>> {
    runs.iter()
        .filter(|run| seeds.contains(&run.plan().seed))
        .map(|view| {
            Ok(Read {
                view,
                iterations: view.iterations()?,
                evaluations: view.evaluations()?,
            })
        })
        .collect()
}

/// The paper's values for the networks of another profile; none where the manifest has no such profile.
fn papers_expectations(experiment: &Experiment) -> Vec<Expectation> {
    Experiment::load(&experiment.file, PAPER, &[])
        .map(|paper| paper.expectations)
        .unwrap_or_default()
        .into_iter()
        .filter(|value| experiment.network(&value.network).is_some())
        .collect()
}

fn circumstances(experiment: &Experiment, seeds: &[u64], runs: &[RunView]) -> Circumstances {
    let (name, profile) = (&experiment.name, &experiment.profile);
    let mut command = format!("cargo run -- reproduce {name} --profile {profile}");
    if seeds != experiment.seeds {
        let list: Vec<String> = seeds.iter().map(u64::to_string).collect();
        command.push_str(&format!(" --seeds {}", list.join(",")));
    }
    for change in &experiment.overrides {
        command.push_str(&format!(" --set '{change}'"));
    }
    // An optional network is part of the check once it has been run.
    let networks = experiment
        .networks
        .iter()
        .filter(|entry| {
            !entry.optional || runs.iter().any(|run| run.plan().network == entry.network)
        })
        .map(|entry| entry.name.clone())
        .collect();
    Circumstances {
        experiment: name.clone(),
        manifest: experiment.file.display().to_string(),
        title: experiment.title.clone(),
        profile: profile.clone(),
        networks,
        seeds: seeds.to_vec(),
        overrides: experiment.overrides.clone(),
        differences: experiment.departures(),
        papers_profile: profile == PAPER,
        command,
        responses: experiment.responses.is_some(),
        baseline: Vec::new(),
    }
}

fn subject(read: &Read, experiment: &Experiment) -> Result<Subject> {
    let (run, iterations, evaluations) = (read.view, &read.iterations, &read.evaluations);
    let plan = run.plan();
    let mut faults = recorded::faults(&plan.recipe, iterations);
    if let Some(entry) = experiment.network(&plan.network.name) {
        let (ours, asked) = (&plan.recipe.evaluation, &entry.recipe.evaluation);
        faults.extend(recorded::measured_otherwise(ours, asked));
    }
    let (ending, iteration) = match run.state {
        State::Done {
            outcome: Outcome::Finished,
            iteration,
        } => (Ending::Finished, iteration),
        State::Done {
            outcome: Outcome::Diverged,
            iteration,
        } => (Ending::Diverged, iteration),
        State::Partial { iteration } => (Ending::Partial, iteration),
    };
    let at_the_end =
        |split, statistics| error_at(evaluations, plan.recipe.iterations, split, statistics);
    let start = &run.about.start;
    let dirty = if start.dirty { "-dirty" } else { "" };
    let machine = [
        plan.device.as_str(),
        plan.instructions.as_str(),
        plan.recipe.precision.name(),
        start.cpu.as_str(),
        start.gpu.as_str(),
    ];
    let machine: Vec<&str> = machine
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    Ok(Subject {
        network: plan.network.name.clone(),
        seed: plan.seed,
        origin: origin(run),
        ending,
        iteration,
        test_error: at_the_end(Split::Test, Statistics::Population),
        moving_test_error: at_the_end(Split::Test, Statistics::Moving),
        // One point: the last.
        training_error: curves::training(iterations, experiment.training_window, u64::MAX)
            .last()
            .filter(|point| point.iteration == plan.recipe.iterations)
            .map(|point| point.error),
        clean_training_error: at_the_end(Split::Train, Statistics::Population),
        response: response(run, experiment)?,
        best: best(evaluations),
        folder: plan.folder(),
        identity: plan.identity.clone(),
        commit: match start.commit.get(..12).unwrap_or(&start.commit) {
            "" => String::new(),
            commit => format!("{commit}{dirty}"),
        },
        machine: machine.join(", "),
        faults,
        recipe: plan.recipe_digest()?,
    })
}

/// The mean over the layers of their responses' deviation, if the experiment is about them and they were measured.
fn response(run: &RunView, experiment: &Experiment) -> Result<Option<f64>> {
    let Some(how) = &experiment.responses else {
        return Ok(None);
    };
    let record = ResponseRecord::load(&run.folder, how, &run.plan().identity)?;
    Ok(record
        .filter(|record| !record.layer.is_empty())
        .map(|record| {
            let sum: f64 = record.layer.iter().map(|layer| layer.deviation).sum();
            sum / record.layer.len() as f64
        }))
}

/// The error of the evaluation at exactly this iteration.
fn error_at(
    rows: &[Evaluation],
    iteration: u64,
    split: Split,
    statistics: Statistics,
) -> Option<f64> {
    rows.iter()
        .rev()
        .find(|row| {
            row.iteration == iteration && row.split == split && row.statistics == statistics
        })
        .map(|row| row.error)
}

/// The first of the lowest test errors with population statistics.
fn best(rows: &[Evaluation]) -> Option<(u64, f64)> {
    rows.iter()
        .filter(|row| row.split == Split::Test && row.statistics == Statistics::Population)
        .filter(|row| row.error.is_finite())
        .map(|row| (row.iteration, row.error))
        .min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
}
