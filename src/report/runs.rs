//! Which runs on disk belong to an experiment, and the figure that is drawn of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::assemble::{DrawnRun, assemble};
use super::figure::{self, End};
use super::reference::Reference;
use super::selection::origin;
use crate::data::Origin;
use crate::exit::Exit;
use crate::manifest::Experiment;
use crate::run::{self, Outcome, RunView, State};

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
