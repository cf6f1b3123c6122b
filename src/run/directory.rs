//! A run's directory while the run is made.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::checkpoint::{self, Checkpoint};
use super::disk::Disk;
use super::done::Done;
use super::format::FORMAT;
use super::layout::{
    CHECKPOINT, DONE, EVALUATIONS, ITERATIONS, LOG, PREVIOUS, PROGRESS, RUN, WEIGHTS,
};
use super::lock::Lock;
use super::parts::{Place, Rows, drop_parts, read_parts, write_part};
use super::progress::Progress;
use super::provenance::{self, Provenance};
use super::run_file::{Notes, RunFile};
use super::space;
use super::view::RunView;
use crate::exit::Exit;
use crate::plan::RunPlan;
use crate::record::{Ending, Evaluation, Iteration, Recorder, parquet};
use crate::weights::Weights;

/// Where a run stands when its directory is opened.
#[derive(Clone, Debug, PartialEq)]
pub enum Resume {
    /// It ended like this before, whether or not the weights are still there.
    Done(Ending),
    /// Training goes on from here.
    At(Checkpoint),
    /// Training begins.
    New,
}

/// The directory of a run, locked for this process. Rows wait in memory for the next checkpoint.
#[derive(Debug)]
pub struct RunDirectory {
    disk: Disk,
    folder: PathBuf,
    file: RunFile,
    done: Option<Done>,
    /// Where the last checkpoint stands.
    place: Place,
    waiting: Rows,
    /// The last iteration that was recorded.
    last: u64,
    /// The engine's threads at this start.
    threads: usize,
    warnings: Vec<String>,
    _lock: Lock,
}

impl RunDirectory {
    /// Opens or begins the directory of `plan` in `results_dir` and locks it; with `fresh`, what was there is removed first.
    ///
    /// # Errors
    /// [`Exit::Storage`] if another process is at work on the run, if it was begun on another device or instruction set or
    /// is measured otherwise, if a newer version wrote it, or if the disk has no room or cannot be written.
    pub fn open(results_dir: &Path, plan: &RunPlan, notes: &Notes, fresh: bool) -> Result<Self> {
        Self::open_on(Disk::default(), results_dir, plan, notes, fresh)
    }

    /// [`RunDirectory::open`] on a disk that a test can stop.
    ///
    /// # Errors
    /// As for [`RunDirectory::open`].
    pub fn open_on(
        disk: Disk,
        results_dir: &Path,
        plan: &RunPlan,
        notes: &Notes,
        fresh: bool,
    ) -> Result<Self> {
        let folder = results_dir.join(plan.folder());
        let lock = Lock::take(results_dir, &plan.folder())?;
        // A run is removed under another name, so that half of it is never taken for a run.
        let removed = folder.with_file_name(format!(".removed-{}", plan.name()));
        disk.remove_dir(&removed)?;
        if fresh && folder.exists() {
            disk.rename(&folder, &removed)?;
            disk.sync_parent(&folder)?;
            disk.remove_dir(&removed)?;
        }
        let kept = RunFile::load(&folder)?;
        let done = Done::load(&folder, plan)?;
        let begun = [CHECKPOINT, PREVIOUS]
            .iter()
            .any(|name| folder.join(name).exists());
        let mut warnings = Vec::new();
        if let Some(kept) = &kept {
            ensure!(
                kept.plan.same_run(plan),
                Exit::Storage.error(format!(
                    "{}: the folder holds another run, {}; name another folder with --results-dir",
                    folder.display(),
                    kept.plan.identity()
                ))
            );
            let measured_alike = kept.plan.measured() == plan.measured();
            if !measured_alike && done.is_some() {
                warnings.push(format!(
                    "{}: the run is done and was measured otherwise (recipe.evaluation); --fresh makes it again",
                    folder.display()
                ));
            } else if !measured_alike && begun {
                return Err(Exit::Storage.error(format!(
                    "{}: the run was begun with another recipe.evaluation; finish it with that one or start over with --fresh",
                    folder.display()
                )));
            }
        }
        if done.is_none() {
            if !begun && !fresh {
                refuse_other_device(results_dir, plan)?;
            }
            space::check(&folder, space::needed(plan), space::available(&folder))?;
            disk.create_dir(&folder)?;
        }
        let begins = done.is_none() && !(begun && kept.is_some());
        // Before the first checkpoint nothing depends on what was noted.
        let file = match kept {
            Some(kept) if begun || done.is_some() => kept,
            _ => RunFile {
                format: FORMAT,
                notes: notes.clone(),
                plan: plan.clone(),
                start: Provenance::now(0, plan.processor, notes.threads),
                restarts: Vec::new(),
            },
        };
        let directory = Self {
            disk,
            folder,
            file,
            done,
            place: Place::default(),
            waiting: Rows::default(),
            last: 0,
            threads: notes.threads,
            warnings,
            _lock: lock,
        };
        if begins {
            directory.write_run_file()?;
        }
        Ok(directory)
    }

    /// Where the run stands. What a stop left behind is put in order: parts past the checkpoint are dropped, a damaged
    /// newest checkpoint gives way to the one before, with a warning.
    ///
    /// # Errors
    /// [`Exit::Storage`] if no whole checkpoint is left or the disk cannot be written.
    pub fn resume(&mut self) -> Result<Resume> {
        if let Some(outcome) = self.done.as_ref().map(|done| done.outcome) {
            self.clear()?;
            return Ok(Resume::Done(outcome));
        }
        let found = checkpoint::newest(&self.folder, self.file.plan.identity())?;
        let Some(found) = found else {
            drop_parts(&self.disk, &self.folder, 0)?;
            return Ok(Resume::New);
        };
        if let Some(warning) = found.warning {
            self.warn(warning)?;
        }
        if found.previous {
            // Else the next checkpoint would put the damaged one in the place of the whole one.
            let newest = self.folder.join(CHECKPOINT);
            self.disk.rename(&self.folder.join(PREVIOUS), &newest)?;
            self.disk.sync_parent(&newest)?;
        }
        drop_parts(&self.disk, &self.folder, found.place.part)?;
        self.place = found.place;
        self.last = found.rows.iterations.last().map_or(0, |row| row.iteration);
        let iteration = found.checkpoint.iteration;
        self.write_progress(iteration)?;
        let restart = Provenance::now(iteration, self.file.plan.processor, self.threads);
        self.file.restarts.push(restart);
        self.write_run_file()?;
        self.log(&format!("goes on after iteration {iteration}"))?;
        Ok(Resume::At(found.checkpoint))
    }

    /// Keeps a state to go on from, with every row handed over so far: first the rows, then the state.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it cannot be written. What was kept before is still there.
    pub fn checkpoint(&mut self, iteration: u64, state: &Weights, loop_state: &str) -> Result<()> {
        let mut place = self.place;
        if !self.waiting.is_empty() {
            place.part += 1;
            place.iterations += self.waiting.iterations.len() as u64;
            place.evaluations += self.waiting.evaluations.len() as u64;
            write_part(
                &self.disk,
                &self.folder,
                place.part,
                &self.waiting,
                &self.file.provenance(),
            )?;
        }
        let [newest, previous] = [CHECKPOINT, PREVIOUS].map(|name| self.folder.join(name));
        let identity = self.file.plan.identity();
        let bytes = checkpoint::to_bytes(identity, iteration, place, state, loop_state)?;
        let temporary = self.disk.write_beside(&newest, &bytes)?;
        if newest.exists() {
            self.disk.rename(&newest, &previous)?;
        }
        self.disk.rename(&temporary, &newest)?;
        self.disk.sync_parent(&newest)?;
        self.place = place;
        self.waiting = Rows::default();
        self.write_progress(iteration)
    }

    /// Ends the run for good: its parts become one file of each kind, the weights are written, `done.json` comes last and
    /// checkpoints and parts are removed. Stopped anywhere in between, it is done again from the last checkpoint.
    ///
    /// # Errors
    /// [`Exit::Storage`] if something cannot be written.
    pub fn finish(&mut self, outcome: Ending, weights: &Weights) -> Result<()> {
        ensure!(
            outcome.is_final(),
            Exit::Internal.error("a partial run cannot be finished; please report this")
        );
        let mut rows = read_parts(&self.folder, self.place)?;
        rows.append(std::mem::take(&mut self.waiting));
        let provenance = self.file.provenance();
        let iterations = parquet::iterations_to_bytes(&rows.iterations, &provenance)?;
        let evaluations = parquet::evaluations_to_bytes(&rows.evaluations, &provenance)?;
        let mut weights = weights.clone();
        weights.metadata = self.weights_metadata(outcome)?;
        let done = Done {
            format: FORMAT,
            outcome,
            iteration: self.last,
            time: provenance::time(),
        };
        for (name, bytes) in [
            (ITERATIONS, iterations),
            (EVALUATIONS, evaluations),
            (WEIGHTS, weights.to_bytes()?),
        ] {
            self.disk.replace(&self.folder.join(name), &bytes)?;
        }
        self.log(&format!("ends after iteration {}", self.last))?;
        let mut text = serde_json::to_vec_pretty(&done)?;
        text.push(b'\n');
        self.disk.replace(&self.folder.join(DONE), &text)?;
        self.done = Some(done);
        self.clear()
    }

    /// What the user should know of and that does not stop the run.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds a line with the time to the run's log.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it cannot be written.
    pub fn log(&self, text: &str) -> Result<()> {
        let line = format!("{} {text}", provenance::time());
        self.disk.append(&self.folder.join(LOG), &line)
    }

    fn warn(&mut self, warning: String) -> Result<()> {
        self.log(&warning)?;
        self.warnings.push(warning);
        Ok(())
    }

    fn write_run_file(&self) -> Result<()> {
        self.disk
            .replace(&self.folder.join(RUN), &self.file.to_bytes()?)
    }

    fn write_progress(&self, iteration: u64) -> Result<()> {
        Progress::new(self.file.plan.identity(), iteration, self.place)
            .save(&self.disk, &self.folder)
    }

    /// Removes what only a run that goes on needs. Harmless when done twice.
    fn clear(&self) -> Result<()> {
        for name in [PROGRESS, CHECKPOINT, PREVIOUS] {
            self.disk.remove(&self.folder.join(name))?;
        }
        let temporary = format!("{CHECKPOINT}.tmp");
        self.disk.remove(&self.folder.join(temporary))?;
        drop_parts(&self.disk, &self.folder, 0)
    }

    /// What a user of the weights must know: the network, and how its input is normalised and its statistics were taken.
    fn weights_metadata(&self, outcome: Ending) -> Result<String> {
        let plan = &self.file.plan;
        Ok(serde_json::to_string(&serde_json::json!({
            "format": FORMAT,
            "network": plan.network,
            "recipe": plan.recipe,
            "seed": plan.seed,
            "profile": plan.profile,
            "data_digest": plan.data_digest,
            "identity": plan.identity(),
            "outcome": outcome,
            "iteration": self.last,
        }))?)
    }
}

impl Recorder for RunDirectory {
    fn iteration(&mut self, row: Iteration) -> Result<()> {
        ensure!(
            row.iteration == self.last + 1,
            "iteration {} was recorded after {}",
            row.iteration,
            self.last
        );
        self.last = row.iteration;
        self.waiting.iterations.push(row);
        Ok(())
    }

    fn evaluation(&mut self, row: Evaluation) -> Result<()> {
        self.waiting.evaluations.push(row);
        Ok(())
    }
}

/// A run that was begun with other arithmetic is not silently begun anew: the user may have lost sight of hours of work.
fn refuse_other_device(results_dir: &Path, plan: &RunPlan) -> Result<()> {
    let folder = results_dir.join(&plan.profile);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Ok(());
    };
    let mut names: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    names.sort();
    let alike = format!("{}-s{}-", plan.network.name, plan.seed);
    for name in names {
        if !name.to_string_lossy().starts_with(&alike) {
            continue;
        }
        // What cannot be read is not this run's concern.
        let Ok(Some(run)) = RunView::look(&folder.join(&name)) else {
            continue;
        };
        let other = run.plan();
        let alike = plan.on(other.processor)?.same_run(other);
        if run.ending == Ending::Partial && run.iteration > 0 && alike && !other.same_run(plan) {
            return Err(Exit::Storage.error(format!(
                "{}: this run was begun on {} and stands at iteration {}; on {} it would give different numbers: \
                 finish it on {}, or start over with --fresh",
                run.folder.display(),
                other.processor,
                run.iteration,
                plan.processor,
                other.processor,
            )));
        }
    }
    Ok(())
}
