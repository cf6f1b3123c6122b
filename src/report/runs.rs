//! Which runs on disk belong to an experiment, and what the figure and the verdict are told of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::assemble::{DrawnRun, assemble};
use super::check::{Circumstances, Ending, Subject, judge};
use super::figure::{self, End};
use super::reference::Reference;
use super::verdict::Verdict;
use crate::data::Origin;
use crate::exit::Exit;
use crate::manifest::Experiment;
use crate::record::{Evaluation, Iteration, Split, Statistics};
use crate::run::{self, Outcome, RunView, State};

/// Where a run's images came from, as its notes say.
fn origin(view: &RunView) -> Origin {
    match view.about.notes.data.as_str() {
        "cifar10" => Origin::Cifar10,
        "synthetic" => Origin::Synthetic,
        _ => Origin::Other,
    }
}

/// CIFAR-10 comes before other images, the synthetic set last.
fn rank(origin: Origin) -> u8 {
    match origin {
        Origin::Cifar10 => 0,
        Origin::Other => 1,
        Origin::Synthetic => 2,
    }
}

/// The runs in `results_dir` of an experiment's networks, recipe and seeds: by identity, not by where they lie. Runs on
/// several kinds of images, devices or instruction sets are never mixed: those on `wanted` images, else on CIFAR-10 before
/// the synthetic set, and of these the largest group.
///
/// # Errors
/// [`Exit::Storage`] if the folder cannot be read.
pub fn select(
    experiment: &Experiment,
    seeds: &[u64],
    results_dir: &Path,
    wanted: Option<Origin>,
) -> Result<Vec<RunView>> {
    let mut groups: BTreeMap<(u8, String), Vec<RunView>> = BTreeMap::new();
    for view in run::find(results_dir)? {
        let plan = view.plan();
        let named = experiment
            .networks
            .iter()
            .any(|entry| plan.belongs_to(entry));
        let origin = origin(&view);
        if named && seeds.contains(&plan.seed) && wanted.is_none_or(|kind| kind == origin) {
            let kind = format!("{} {} {}", plan.data_digest, plan.device, plan.instructions);
            groups.entry((rank(origin), kind)).or_default().push(view);
        }
    }
    let best = groups.keys().map(|(rank, _)| *rank).min();
    Ok(groups
        .into_iter()
        .filter(|((rank, _), _)| Some(*rank) == best)
        .map(|(_, views)| views)
        // The first of the largest groups.
        .rev()
        .max_by_key(Vec::len)
        .unwrap_or_default())
}

/// Draws the figure of `runs` into `folder` and gives what a reader should know of what is missing.
///
/// # Errors
/// [`Exit::Storage`] if records cannot be read or the figure cannot be written.
pub fn render(
    experiment: &Experiment,
    runs: &[RunView],
    folder: &Path,
    reference: bool,
) -> Result<Vec<String>> {
    let mut references: BTreeMap<PathBuf, Reference> = BTreeMap::new();
    for file in experiment
        .panels
        .iter()
        .filter_map(|panel| panel.reference.as_ref())
        .map(|reference| &reference.file)
        .filter(|_| reference)
    {
        if !references.contains_key(file) {
            references.insert(file.clone(), Reference::read(file)?);
        }
    }
    let mut drawn = Vec::new();
    for view in runs {
        drawn.push(DrawnRun {
            plan: view.plan().clone(),
            origin: origin(view),
            end: match view.state {
                State::Partial { .. } => End::Partial,
                State::Done {
                    outcome: Outcome::Diverged,
                    ..
                } => End::Diverged,
                State::Done { .. } => End::Finished,
            },
            iterations: view.iterations()?,
            evaluations: view.evaluations()?,
        });
    }
    let (figure, warnings) = assemble(experiment, &drawn, &references);
    let svg = figure::svg(&figure)?;
    let png = figure::png(&svg)?;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(folder.join(format!("{}.svg", experiment.name)), svg))
        .and_then(|()| std::fs::write(folder.join(format!("{}.png", experiment.name)), png))
        .with_context(|| {
            Exit::Storage.error(format!("cannot write the figure into {}", folder.display()))
        })?;
    Ok(warnings)
}

/// Judges `runs` by the experiment's expectations and claims.
///
/// # Errors
/// [`Exit::Storage`] if records cannot be read.
pub fn check(experiment: &Experiment, seeds: &[u64], runs: &[RunView]) -> Result<Verdict> {
    let mut subjects = Vec::new();
    for view in runs {
        subjects.push(subject(view, experiment.training_window)?);
    }
    let paper = experiment.profile == "paper";
    let circumstances = Circumstances {
        experiment: experiment.name.clone(),
        title: experiment.title.clone(),
        profile: experiment.profile.clone(),
        networks: experiment
            .networks
            .iter()
            .filter(|entry| !entry.optional)
            .map(|entry| entry.name.clone())
            .collect(),
        seeds: seeds.to_vec(),
        overrides: experiment.overrides.clone(),
        differences: experiment.departures(),
        papers_profile: paper,
        command: format!(
            "refig reproduce {} --profile {}",
            experiment.name, experiment.profile
        ),
    };
    let (own, papers) = if paper {
        (Vec::new(), experiment.expectations.clone())
    } else {
        (experiment.expectations.clone(), Vec::new())
    };
    Ok(judge(
        &circumstances,
        &own,
        &papers,
        &experiment.claims,
        &subjects,
    ))
}

fn subject(view: &RunView, window: usize) -> Result<Subject> {
    let plan = view.plan();
    let (iterations, evaluations) = (view.iterations()?, view.evaluations()?);
    let last = iterations.last().map_or(0, |row| row.iteration);
    let at_end = |split, statistics| error_at(&evaluations, last, split, statistics);
    let commit = &view.about.start;
    Ok(Subject {
        network: plan.network.name.clone(),
        seed: plan.seed,
        origin: origin(view),
        ending: match view.state {
            State::Partial { .. } => Ending::Partial,
            State::Done {
                outcome: Outcome::Diverged,
                ..
            } => Ending::Diverged,
            State::Done { .. } => Ending::Finished,
        },
        iteration: last,
        test_error: at_end(Split::Test, Statistics::Population),
        moving_test_error: at_end(Split::Test, Statistics::Moving),
        training_error: training_error(&iterations, window),
        clean_training_error: at_end(Split::Train, Statistics::Population),
        best: evaluations
            .iter()
            .filter(|row| row.split == Split::Test && row.statistics == Statistics::Population)
            .min_by(|a, b| a.error.total_cmp(&b.error))
            .map(|row| (row.iteration, row.error)),
        folder: plan.folder(),
        identity: plan.identity.clone(),
        commit: if commit.dirty && !commit.commit.is_empty() {
            format!("{}-dirty", commit.commit)
        } else {
            commit.commit.clone()
        },
        machine: format!(
            "{} {}, {} threads",
            plan.device, plan.instructions, view.about.notes.threads
        ),
    })
}

fn error_at(
    rows: &[Evaluation],
    iteration: u64,
    split: Split,
    statistics: Statistics,
) -> Option<f64> {
    rows.iter()
        .find(|row| {
            row.iteration == iteration && row.split == split && row.statistics == statistics
        })
        .map(|row| row.error)
}

/// Mean error of the last `window` mini-batches, %: a point of the paper's training curve.
fn training_error(rows: &[Iteration], window: usize) -> Option<f64> {
    let last = rows.get(rows.len().saturating_sub(window)..)?;
    (!last.is_empty()).then(|| last.iter().map(|row| row.error).sum::<f64>() / last.len() as f64)
}
