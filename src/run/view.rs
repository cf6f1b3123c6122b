//! Read-only views of finished and unfinished runs on disk.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::disk::Disk;
use super::done::Done;
use super::layout::{self, EVALUATIONS, ITERATIONS, RUN, WEIGHTS};
use super::lock::Lock;
use super::parts::{Place, Rows, read_parts};
use super::progress::Progress;
use super::run_file::RunFile;
use crate::plan::RunPlan;
use crate::record::{Ending, parquet};

/// A run on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct RunView {
    pub folder: PathBuf,
    pub file: RunFile,
    pub ending: Ending,
    /// The last recorded iteration; for a partial run, that of its last checkpoint, or 0 without one.
    pub iteration: u64,
    /// When it ended: UTC, RFC 3339.
    pub ended: Option<String>,
    /// Where a partial run's records end.
    place: Place,
}

impl RunView {
    /// A view of a run without reading its folder.
    pub fn new(folder: PathBuf, file: RunFile, ending: Ending, iteration: u64) -> Self {
        Self {
            folder,
            file,
            ending,
            iteration,
            ended: None,
            place: Place::default(),
        }
    }

    /// The run in a folder; none if there is no `run.toml`.
    ///
    /// # Errors
    /// As [`find`].
    pub fn look(folder: &Path) -> Result<Option<Self>> {
        let Some(file) = RunFile::load(folder)? else {
            return Ok(None);
        };
        let done = Done::load(folder, &file.plan)?;
        let progress = match done {
            Some(_) => None,
            None => Progress::load(folder, file.plan.identity()),
        };
        let (ending, iteration) = match (&done, &progress) {
            (Some(done), _) => (done.outcome, done.iteration),
            (None, Some(progress)) => (Ending::Partial, progress.iteration),
            (None, None) => (Ending::Partial, 0),
        };
        Ok(Some(Self {
            ended: done.map(|done| done.time),
            place: progress.map_or_else(Place::default, |progress| progress.place),
            ..Self::new(folder.into(), file, ending, iteration)
        }))
    }

    /// The run's plan.
    pub fn plan(&self) -> &RunPlan {
        &self.file.plan
    }

    /// `plain-20 seed 1`.
    pub fn title(&self) -> String {
        let plan = self.plan();
        format!("{} seed {}", plan.network.name, plan.seed)
    }

    /// The path of the final weights, if they exist.
    pub fn weights(&self) -> Option<PathBuf> {
        let path = self.folder.join(WEIGHTS);
        (self.ending.is_final() && path.exists()).then_some(path)
    }

    /// Reads the run's rows, for a partial run up to its last checkpoint. Returns them with the current view, since the
    /// run may have advanced or ended meanwhile.
    ///
    /// # Errors
    /// [`crate::exit::Exit::Storage`] if they cannot be read.
    pub fn read(self) -> Result<(Self, Rows)> {
        match self.rows() {
            Ok(rows) => Ok((self, rows)),
            Err(error) => match Self::look(&self.folder)? {
                Some(now) if now != self => now.rows().map(|rows| (now, rows)),
                _ => Err(error),
            },
        }
    }

    fn rows(&self) -> Result<Rows> {
        if self.ending.is_final() {
            Ok(Rows {
                iterations: parquet::read_iterations(&self.folder.join(ITERATIONS))?,
                evaluations: parquet::read_evaluations(&self.folder.join(EVALUATIONS))?,
            })
        } else {
            read_parts(&self.folder, self.place)
        }
    }

    /// Deletes the run from `results_dir`.
    ///
    /// # Errors
    /// [`crate::exit::Exit::Storage`] if another process is working on it or it cannot be removed.
    pub fn remove(&self, results_dir: &Path) -> Result<()> {
        let disk = Disk::default();
        let _lock = Lock::take(results_dir, &self.plan().folder())?;
        let removed = layout::removed(&self.folder);
        disk.remove_dir(&removed)?;
        disk.rename(&self.folder, &removed)?;
        disk.remove_dir(&removed)?;
        disk.sync_parent(&removed)
    }
}

/// All runs in `results_dir` (or a profile's folder in it), by profile and name; empty if the folder does not exist.
/// Does not read checkpoints.
///
/// # Errors
/// [`crate::exit::Exit::Storage`] if a run's files cannot be read, contradict each other or were written by a newer
/// version.
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
        runs.extend(RunView::look(folder)?);
    }
    Ok(runs)
}
