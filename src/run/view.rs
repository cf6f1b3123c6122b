//! Runs on disk, looked at without changing anything: finished ones and those that go on.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::about::{About, Done, Outcome};
use super::checkpoint;
use super::disk::Disk;
use super::lock::Lock;
use super::{EVALUATIONS, ITERATIONS, RUN, WEIGHTS};
use crate::plan::RunPlan;
use crate::record::{Evaluation, Iteration, parquet};

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is left to do.
    Done { outcome: Outcome, iteration: u64 },
    /// It goes on after this iteration; 0 if it has no checkpoint yet.
    Partial { iteration: u64 },
}

/// A run on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct RunView {
    pub folder: PathBuf,
    pub about: About,
    pub state: State,
    /// When it ended for good: UTC, RFC 3339.
    pub ended: Option<String>,
}

impl RunView {
    /// What the run is.
    pub fn plan(&self) -> &RunPlan {
        &self.about.plan
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done { .. })
    }

    /// The final weights, where they are there.
    pub fn weights(&self) -> Option<PathBuf> {
        let path = self.folder.join(WEIGHTS);
        (self.is_done() && path.exists()).then_some(path)
    }

    /// The rows of its iterations; of a partial run those up to its checkpoint.
    ///
    /// # Errors
    /// [`crate::exit::Exit::Storage`] if they cannot be read.
    pub fn iterations(&self) -> Result<Vec<Iteration>> {
        match self.state {
            State::Done { .. } => parquet::read_iterations(&self.folder.join(ITERATIONS)),
            State::Partial { .. } => {
                let found = checkpoint::newest(&self.folder, &self.about.plan.identity)?;
                Ok(found.map(|found| found.rows.iterations).unwrap_or_default())
            }
        }
    }

    /// The rows of its evaluations; of a partial run those up to its checkpoint.
    ///
    /// # Errors
    /// [`crate::exit::Exit::Storage`] if they cannot be read.
    pub fn evaluations(&self) -> Result<Vec<Evaluation>> {
        match self.state {
            State::Done { .. } => parquet::read_evaluations(&self.folder.join(EVALUATIONS)),
            State::Partial { .. } => {
                let found = checkpoint::newest(&self.folder, &self.about.plan.identity)?;
                Ok(found
                    .map(|found| found.rows.evaluations)
                    .unwrap_or_default())
            }
        }
    }

    /// Removes the run from the disk, in `results_dir`.
    ///
    /// # Errors
    /// [`crate::exit::Exit::Storage`] if another process is at work on it or it cannot be removed.
    pub fn remove(&self, results_dir: &Path) -> Result<()> {
        let disk = Disk::default();
        let _lock = Lock::take(results_dir, &self.plan().folder())?;
        let removed = self
            .folder
            .with_file_name(format!(".removed-{}", self.plan().name()));
        disk.remove_dir(&removed)?;
        disk.rename(&self.folder, &removed)?;
        disk.remove_dir(&removed)?;
        disk.sync_parent(&removed)
    }
}

/// Every run in `results_dir` (or in one profile's folder of it), by profile and name; none where there is no such folder.
///
/// # Errors
/// [`crate::exit::Exit::Storage`] if a run cannot be read or was written by a newer version.
pub fn find(results_dir: &Path) -> Result<Vec<RunView>> {
    if !results_dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut runs = Vec::new();
    let entries = walkdir::WalkDir::new(results_dir)
        .max_depth(3)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| {
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            entry.depth() == 0 || !hidden
        });
    for entry in entries {
        let entry = entry.with_context(|| format!("{}", results_dir.display()))?;
        if entry.file_name() != RUN {
            continue;
        }
        let folder = entry.path().parent().unwrap_or(results_dir);
        runs.extend(look(folder)?);
    }
    Ok(runs)
}

/// The run in a folder; none if there is no `run.toml`.
///
/// # Errors
/// As for [`find`].
pub(super) fn look(folder: &Path) -> Result<Option<RunView>> {
    let Some(about) = About::load(folder)? else {
        return Ok(None);
    };
    let done = Done::load(folder)?;
    let ended = done.as_ref().map(|done| done.time.clone());
    let state = match done {
        Some(done) => State::Done {
            outcome: done.outcome,
            iteration: done.iteration,
        },
        None => State::Partial {
            iteration: checkpoint::newest(folder, &about.plan.identity)?
                .map_or(0, |found| found.checkpoint.iteration),
        },
    };
    Ok(Some(RunView {
        folder: folder.into(),
        about,
        state,
        ended,
    }))
}

/// The runs in `results_dir` whose identities are not in `keep`.
///
/// # Errors
/// As for [`find`].
pub fn unnamed(results_dir: &Path, keep: &[String]) -> Result<Vec<RunView>> {
    let mut runs = find(results_dir)?;
    runs.retain(|run| !keep.contains(&run.about.plan.identity));
    Ok(runs)
}
