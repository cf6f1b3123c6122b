//! Read-only views of finished and unfinished runs on disk. A run may advance, end or go away while it is looked at: what has
//! changed meanwhile is read again before anything is said about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Result, ensure};

use super::disk::Disk;
use super::done::Done;
use super::format::{self, START_OVER};
use super::layout::{
    self, CHECKPOINT, DONE, EVALUATIONS, ITERATIONS, PARTS, PROGRESS, RUN, WEIGHTS,
};
use super::lock::{self, Lock, Owner};
use super::parts::{Place, Rows, read_parts, undigested};
use super::progress::Progress;
use super::run_file::RunFile;
use crate::exit::Exit;
use crate::plan::RunPlan;
use crate::record::{Ending, parquet};
use crate::weights::Weights;

/// Times that a folder is read again because it changes.
const PATIENCE: usize = 50;

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
    /// sha256 (hex) of a final run's files by name; empty for runs of earlier versions.
    files: BTreeMap<String, String>,
}

/// The runs in a results folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// By profile and name.
    pub runs: Vec<RunView>,
    /// What looks like a run but cannot be used.
    pub skipped: Vec<Skipped>,
}

/// A folder that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub folder: PathBuf,
    /// In the words of an error.
    pub why: String,
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
            files: BTreeMap::new(),
        }
    }

    /// The run in a folder; none if there is no `run.toml`. Does not read checkpoints and records.
    ///
    /// # Errors
    /// [`Exit::Storage`] if its files cannot be read, contradict each other or were written by a newer version.
    pub fn look(folder: &Path) -> Result<Option<Self>> {
        steadily(folder, || Self::look_once(folder))
    }

    fn look_once(folder: &Path) -> Result<Option<Self>> {
        let Some(file) = RunFile::load(folder)? else {
            return Ok(None);
        };
        let mut done = Done::load(folder, &file.plan)?;
        let mut progress = None;
        if done.is_none() {
            progress = Progress::load(folder, &file.plan);
            // It may have ended since, which removes the progress.
            if progress.is_none() {
                done = Done::load(folder, &file.plan)?;
            }
        }
        if done.is_none() && progress.is_none() {
            let there = |name: &str| folder.join(name).exists();
            ensure!(
                !there(ITERATIONS) || there(PROGRESS) || there(CHECKPOINT) || there(DONE),
                format::unreadable(&folder.join(DONE), &"it is missing", START_OVER)
            );
        }
        let (ending, iteration) = match (&done, &progress) {
            (Some(done), _) => (done.outcome, done.iteration),
            (None, Some(progress)) => (Ending::Partial, progress.iteration),
            (None, None) => (Ending::Partial, 0),
        };
        let mut view = Self::new(folder.into(), file, ending, iteration);
        if let Some(progress) = progress {
            view.place = progress.place;
        }
        if let Some(done) = done {
            view.ended = Some(done.time);
            view.files = done.files;
        }
        Ok(Some(view))
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

    /// The final weights, if they exist.
    ///
    /// # Errors
    /// [`Exit::Storage`] if they are damaged or not those that the run ended with.
    pub fn load_weights(&self) -> Result<Option<Weights>> {
        let Some(path) = self.weights() else {
            return Ok(None);
        };
        match self.files.get(WEIGHTS) {
            None => Weights::load(&path).map(Some),
            Some(digest) => {
                let bytes = format::read_verified(&path, digest, START_OVER)?;
                Weights::from_bytes(&bytes).map(Some)
            }
        }
    }

    /// Reads the run's rows, for a partial run up to its last checkpoint. Returns them with the current view, since the
    /// run may have advanced or ended meanwhile.
    ///
    /// # Errors
    /// [`Exit::Storage`] if they cannot be read or are not those that the run recorded.
    pub fn read(self) -> Result<(Self, Rows)> {
        let mut now = self;
        for _ in 0..PATIENCE {
            let error = match now.rows() {
                Ok(rows) => return Ok((now, rows)),
                Err(error) => error,
            };
            let latest = Self::look(&now.folder)?.ok_or_else(|| gone(&now.folder))?;
            if latest == now {
                return Err(error);
            }
            now = latest;
        }
        Err(gone(&now.folder))
    }

    fn rows(&self) -> Result<Rows> {
        if !self.ending.is_final() {
            return read_parts(&self.folder, &self.place, self.plan().identity());
        }
        let bytes = |name: &str| -> Result<(PathBuf, Vec<u8>)> {
            let path = self.folder.join(name);
            let bytes = match self.files.get(name) {
                Some(digest) => format::read_verified(&path, digest, START_OVER)?,
                None => undigested(&path, self.plan().identity())?,
            };
            Ok((path, bytes))
        };
        let (path, iterations) = bytes(ITERATIONS)?;
        let iterations = parquet::iterations_from(&path, iterations)?;
        let each = (1..).zip(&iterations);
        let whole = iterations.len() as u64 == self.iteration
            && each
                .into_iter()
                .all(|(number, row)| row.iteration == number);
        ensure!(
            whole,
            format::unreadable(&path, &"it does not hold every iteration once", START_OVER)
        );
        let (path, evaluations) = bytes(EVALUATIONS)?;
        let evaluations = parquet::evaluations_from(&path, evaluations)?;
        let last = evaluations.last().map(|row| row.iteration);
        let whole = match self.ending {
            Ending::Finished => last == Some(self.iteration),
            _ => last.is_none_or(|last| last <= self.iteration),
        };
        ensure!(
            whole,
            format::unreadable(&path, &"it lacks the last evaluation", START_OVER)
        );
        let rows = Rows {
            iterations,
            evaluations,
        };
        rows.check(&self.folder, self.ending == Ending::Diverged)?;
        Ok(rows)
    }

    /// Who is working on the run in `results_dir`.
    pub fn owner(&self, results_dir: &Path) -> Owner {
        lock::owner(results_dir, &self.plan().folder())
    }

    /// Deletes the run from `results_dir`.
    ///
    /// # Errors
    /// [`Exit::Busy`] if another process is working on it; [`Exit::Storage`] if it cannot be removed.
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

/// Checks weights that lie in the folder of a finished run against what the run recorded of them.
///
/// # Errors
/// [`Exit::Storage`] if they differ.
pub fn check_weights(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|_| path.ends_with(WEIGHTS));
    match folder.map(RunView::look) {
        Some(Ok(Some(view))) => view.load_weights().map(drop),
        // Not a run's, or of a run that cannot be read.
        _ => Ok(()),
    }
}

fn gone(folder: &Path) -> anyhow::Error {
    Exit::Storage.error(format!(
        "{}: the run was started over while it was read; run the command again",
        folder.display()
    ))
}

/// The usable runs in `results_dir`, see [`scan`].
///
/// # Errors
/// [`Exit::Storage`] if the folder itself cannot be read.
pub fn find(results_dir: &Path) -> Result<Vec<RunView>> {
    Ok(scan(results_dir)?.runs)
}

/// All runs in `results_dir`; none if the folder does not exist. Folders that hold something other than runs are passed
/// over; runs that cannot be read or that lie under another name than their own are skipped.
///
/// # Errors
/// [`Exit::Storage`] if the folder itself cannot be read.
pub fn scan(results_dir: &Path) -> Result<Found> {
    let mut found = Found::default();
    if !results_dir.exists() {
        return Ok(found);
    }
    let profiles = folders(results_dir).map_err(|error| {
        Exit::Storage.error(format!("cannot read {}: {error}", results_dir.display()))
    })?;
    for profile in profiles {
        let runs = match folders(&profile) {
            Ok(runs) => runs,
            // A file system's own.
            Err(_) if profile.ends_with("lost+found") => continue,
            Err(error) => {
                let why = format!("{:#}", format::unread(&profile, &error, START_OVER));
                found.skipped.push(Skipped {
                    folder: profile,
                    why,
                });
                continue;
            }
        };
        for folder in runs {
            match steadily(&folder, || usable(&folder)) {
                Ok(None) => {}
                Ok(Some(view)) => found.runs.push(view),
                Err(error) => found.skipped.push(Skipped {
                    folder,
                    why: format!("{error:#}"),
                }),
            }
        }
    }
    Ok(found)
}

/// The run in a folder, under its own name; none in a folder of something else.
pub(super) fn usable(folder: &Path) -> Result<Option<RunView>> {
    let Some(view) = RunView::look(folder)? else {
        let of_a_run = [DONE, CHECKPOINT, ITERATIONS, PARTS];
        let looks = of_a_run.iter().any(|name| folder.join(name).exists());
        ensure!(
            !looks,
            format::unreadable(&folder.join(RUN), &"it is missing", START_OVER)
        );
        return Ok(None);
    };
    let plan = view.plan();
    let named = folder.file_name().is_some_and(|name| *name == *plan.name());
    let profile = folder.parent().and_then(Path::file_name);
    ensure!(
        named && profile.is_none_or(|name| *name == *plan.profile),
        Exit::Storage.error(format!(
            "{}: it holds the run {}; rename it to that, or remove it",
            folder.display(),
            plan.folder()
        ))
    );
    Ok(Some(view))
}

/// The visible folders in a folder, by name.
fn folders(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            !name.starts_with('.') && path.is_dir()
        })
        .collect();
    all.sort();
    Ok(all)
}

/// Reads a folder again for as long as it fails and the folder changes.
fn steadily<T>(folder: &Path, mut read: impl FnMut() -> Result<T>) -> Result<T> {
    let mut tries = 0;
    loop {
        let before = state(folder);
        match read() {
            Err(_) if tries < PATIENCE && state(folder) != before => tries += 1,
            result => return result,
        }
    }
}

/// The names, sizes and times of a folder's files and parts.
fn state(folder: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    walkdir::WalkDir::new(folder)
        .max_depth(2)
        .sort_by_file_name()
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            let written = metadata.modified().ok();
            Some((entry.into_path(), metadata.len(), written))
        })
        .collect()
}
