//! A plan as a file: the runs of an experiment, frozen, with all that a worker on another machine needs to make one of
//! them. Folders, threads and the place of the data are named where the work is done.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::work;
use crate::console::one_line;
use crate::counted::counted;
use crate::digest::sha256;
use crate::exit::Exit;
use crate::manifest::Experiment;
use crate::origin::DataName;
use crate::plan::RunPlan;
use crate::regular;
use crate::run::disk::Disk;
use crate::run::{FORMAT, read_toml, to_toml};

/// What to do about a plan file that cannot be used.
const REMEDY: &str = "write the plan again with `refig plan EXPERIMENT --out FILE`";

/// The runs of an experiment, in the order of its manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrozenPlan {
    /// As in a run's folder, since the runs are written as there.
    pub format: u32,
    /// Its name.
    pub experiment: String,
    pub profile: String,
    /// Changes to the recipe on the command line, as given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
    pub data: DataName,
    /// Whether SYNTHETIC images may stand in where no data is named.
    pub synthetic: bool,
    pub runs: Vec<FrozenRun>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrozenRun {
    /// `<network>-s<seed>-<first 8 of the identity>`, unique in the plan.
    pub name: String,
    /// The name of the run from whose weights it starts, which has to be finished first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_from: Option<String>,
    /// The arithmetic of the whole run, in multiply-adds: a longer run has more, on any machine.
    pub cost: f64,
    /// Network, recipe, seed, digest of the data, processor and identity.
    pub plan: RunPlan,
}

impl FrozenPlan {
    /// Freezes the `runs` of an experiment, with `test_images` per evaluation.
    pub fn new(experiment: &Experiment, runs: &[RunPlan], test_images: usize) -> Self {
        Self {
            format: FORMAT,
            experiment: experiment.name.clone(),
            profile: experiment.profile.clone(),
            overrides: experiment.overrides.clone(),
            data: experiment.data,
            synthetic: experiment.synthetic,
            runs: runs
                .iter()
                .map(|plan| FrozenRun {
                    name: plan.name(),
                    starts_from: start_of(plan, runs),
                    cost: work(plan, 0, test_images).total(),
                    plan: plan.clone(),
                })
                .collect(),
        }
    }

    /// Run number `index`, from 0.
    ///
    /// # Errors
    /// [`Exit::Usage`] if there are not so many.
    pub fn at(&self, index: usize) -> Result<&FrozenRun> {
        self.runs.get(index).ok_or_else(|| {
            Exit::Usage.error(format!(
                "--index {index}: the plan has {}, numbered from 0",
                counted(self.runs.len(), "run")
            ))
        })
    }

    /// The run of this name.
    ///
    /// # Errors
    /// [`Exit::Usage`] if there is none.
    pub fn named(&self, name: &str) -> Result<&FrozenRun> {
        let found = self.runs.iter().find(|run| run.name == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.runs.iter().map(|run| run.name.as_str()).collect();
            Exit::Usage.error(format!(
                "--run {name}: not in the plan, which has {}",
                names.join(", ")
            ))
        })
    }

    /// Checks that there is a run, and what is written twice.
    fn check(&self) -> Result<(), String> {
        if self.runs.is_empty() {
            return Err("it has no runs".into());
        }
        let plans: Vec<RunPlan> = self.runs.iter().map(|run| run.plan.clone()).collect();
        for (place, run) in self.runs.iter().enumerate() {
            let name = &run.name;
            if *name != run.plan.name() {
                return Err(format!("the run {name:?} is {}", run.plan.name()));
            }
            if run.plan.profile != self.profile {
                return Err(format!(
                    "{name} has the profile {:?}, not {:?}",
                    run.plan.profile, self.profile
                ));
            }
            if self.runs[..place].iter().any(|other| other.name == *name) {
                return Err(format!("{name} is in it twice"));
            }
            if run.starts_from != start_of(&run.plan, &plans) {
                return Err(format!("{name} does not start from the run that is named"));
            }
            if !(run.cost.is_finite() && run.cost >= 0.0) {
                return Err(format!("the cost of {name} is {}", run.cost));
            }
        }
        Ok(())
    }
}

/// The name of the run among `runs` from whose weights `plan` starts.
fn start_of(plan: &RunPlan, runs: &[RunPlan]) -> Option<String> {
    let identity = plan.start.as_deref()?;
    let start = runs.iter().find(|run| run.identity() == identity)?;
    Some(start.name())
}

/// Checks that a plan can be written to a path that was named with `--out`, before the work of making it.
///
/// # Errors
/// [`Exit::Usage`] if it is a folder, in a folder that does not exist, or another file than a plan.
pub fn check_place(path: &Path) -> Result<()> {
    let refuse = |why: String| Err(Exit::Usage.error(format!("--out {}: {why}", path.display())));
    if path.is_dir() {
        let inside = path.join("plan.toml");
        return refuse(format!(
            "it is a folder; name a file in it, such as {}",
            inside.display()
        ));
    }
    if path.is_file() && !is_plan(path) {
        return refuse(
            "this file is no plan, and would be lost; give the plan another name".into(),
        );
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => refuse(format!(
            "there is no folder {}; create it first",
            folder.display()
        )),
        _ => Ok(()),
    }
}

/// Whether a file is a plan, of whatever version, or empty.
fn is_plan(path: &Path) -> bool {
    let Ok(text) = regular::read_to_string(path) else {
        return false;
    };
    let keys = ["format", "profile", "runs"];
    text.is_empty()
        || toml::from_str::<toml::Table>(&text)
            .is_ok_and(|table| keys.iter().all(|key| table.contains_key(*key)))
}

/// Writes a plan atomically, in place of an older one.
///
/// # Errors
/// [`Exit::Storage`] if it cannot be written.
pub fn write(path: &Path, plan: &FrozenPlan) -> Result<()> {
    Disk::default().replace(path, &to_toml(plan)?)
}

/// Writes a plan into a folder under a name of its contents, so that others there are not replaced. Gives its path.
///
/// # Errors
/// As [`write()`].
pub fn write_in(folder: &Path, plan: &FrozenPlan) -> Result<PathBuf> {
    let bytes = to_toml(plan)?;
    let digest = sha256(&bytes);
    let path = folder.join(format!("plan-{}.toml", &digest[..16]));
    Disk::default().replace(&path, &bytes)?;
    Ok(path)
}

/// Reads a plan.
///
/// # Errors
/// [`Exit::Usage`] if there is no such file; [`Exit::Storage`] if it is damaged, contradicts itself, or was written by a
/// newer version.
pub fn read(path: &Path) -> Result<FrozenPlan> {
    let Some(mut plan) = read_toml::<FrozenPlan>(path, REMEDY)? else {
        return Err(Exit::Usage.error(format!("no plan at {}; {REMEDY}", path.display())));
    };
    plan.check().map_err(|fault| {
        // It may quote the file.
        let (path, fault) = (path.display(), one_line(&fault));
        Exit::Storage.error(format!("cannot use {path}: {fault}; {REMEDY}"))
    })?;
    plan.experiment = one_line(&plan.experiment);
    for text in &mut plan.overrides {
        *text = one_line(text);
    }
    Ok(plan)
}
