//! Runs that are not needed any more. A run is only named with a reason that was found in it and in an experiment: what no
//! experiment mentions may be somebody's, and stays.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::manifest::{Experiment, NetworkEntry};
use crate::plan::RunPlan;
use crate::record::Ending;
use crate::run::RunView;

/// A run, and why it is not needed.
#[derive(Clone, Debug, PartialEq)]
pub struct Unneeded {
    pub run: RunView,
    pub why: String,
}

/// The runs of `runs` that are not needed by these experiments, each loaded at each of its profiles:
///
/// - a later version of the arithmetic has finished the same run;
/// - an experiment trained it, and now describes that network otherwise at that profile. Runs with changed fields
///   (`--set`) are never meant.
///
/// # Errors
/// If a plan cannot be serialised, which is a bug.
pub fn unneeded(runs: &[RunView], experiments: &[Experiment]) -> Result<Vec<Unneeded>> {
    let mut finished: BTreeMap<String, u32> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.ending == Ending::Finished) {
        let version = run.plan().numerics_version;
        let newest = finished.entry(whichever_version(run.plan())?).or_default();
        *newest = version.max(*newest);
    }
    let mut found = Vec::new();
    for run in runs {
        let plan = run.plan();
        let newest = finished.get(&whichever_version(plan)?).copied();
        let why = match newest.filter(|newest| *newest > plan.numerics_version) {
            Some(newest) => Some(format!(
                "made again with version {newest} of the arithmetic, this one with {}",
                plan.numerics_version
            )),
            None => replaced(run, experiments),
        };
        found.extend(why.map(|why| Unneeded {
            run: run.clone(),
            why,
        }));
    }
    Ok(found)
}

/// The identity that a run would have with a fixed version of the arithmetic.
fn whichever_version(plan: &RunPlan) -> Result<String> {
    Ok(plan.by_version(0)?.identity().to_owned())
}

/// Why a run's own experiment has no use for it.
fn replaced(run: &RunView, experiments: &[Experiment]) -> Option<String> {
    let (plan, notes) = (run.plan(), &run.file.notes);
    let wanted = |entry: &NetworkEntry| {
        let starts = entry.start.as_deref();
        plan.belongs_to(entry) || starts.is_some_and(|start| plan.belongs_to(start))
    };
    let used = experiments
        .iter()
        .any(|other| other.networks.iter().any(wanted));
    if used || !notes.overrides.is_empty() {
        return None;
    }
    let own = experiments.iter().find(|other| {
        other.name == notes.experiment
            && other.profile == plan.profile
            && other.network(&plan.network.name).is_some()
    })?;
    Some(format!(
        "{} at profile {} now trains {} with another recipe",
        own.name, own.profile, plan.network.name
    ))
}
