//! The directory of a run in training.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::checkpoint::{self, Checkpoint};
use super::disk::Disk;
use super::done::Done;
use super::format::{self, FORMAT, START_OVER};
use super::heartbeat::Locking;
use super::layout::{
    self, CHECKPOINT, DONE, EVALUATIONS, ITERATIONS, LOG, PREVIOUS, PROGRESS, RUN, VIEWS, WEIGHTS,
};
use super::lock::Lock;
use super::parts::{Place, Rows, drop_parts, read_parts, take_digests, write_part};
use super::progress::Progress;
use super::provenance::{self, Provenance};
use super::refusals::{refuse_another_run, refuse_lost, refuse_other_device};
use super::run_file::{Notes, RunFile};
use super::space;
use super::view::RunView;
use super::view_tallies::{self, ViewTally};
use super::watch::Watcher;
use super::weights_header::WeightsHeader;
use crate::digest::sha256;
use crate::exit::Exit;
use crate::plan::RunPlan;
use crate::processor::Processor;
use crate::record::{Ending, Evaluation, Iteration, Recorder, parquet};
use crate::regular;
use crate::weights::Weights;

/// State of a run when its directory is opened.
#[derive(Clone, Debug, PartialEq)]
pub enum Resume {
    /// It has already ended like this, whether or not the weights still exist.
    Done(Ending),
    /// Training resumes from this checkpoint.
    At(Checkpoint),
    /// Training starts from the beginning.
    New,
}

/// The directory of a run, locked by this process. Rows stay in memory until the next checkpoint.
#[derive(Debug)]
pub struct RunDirectory {
    disk: Disk,
    folder: PathBuf,
    file: RunFile,
    done: Option<Done>,
    /// Iteration of the last checkpoint.
    place: Place,
    waiting: Rows,
    /// How far the final test with several views came before this start.
    views: Vec<ViewTally>,
    /// The last recorded iteration.
    last: u64,
    /// The processor and the number of engine threads since this start.
    on: Processor,
    threads: usize,
    warnings: Vec<String>,
    lock: Lock,
}

impl RunDirectory {
    /// Opens or creates the directory of `plan` in `results_dir` and locks it; `fresh` removes an existing run first.
    ///
    /// # Errors
    /// [`Exit::Busy`] if another process is working on the run; [`Exit::Storage`] if it was started on another device or
    /// instruction set or evaluates differently, if a newer version wrote it, or if the disk is full or cannot be written.
    pub fn open(results_dir: &Path, plan: &RunPlan, notes: &Notes, fresh: bool) -> Result<Self> {
        Self::open_on(Disk::default(), results_dir, plan, notes, fresh)
    }

    /// [`RunDirectory::open`] on a disk on which tests can inject faults.
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
        let locking = Locking::default();
        let (how, on) = ((disk, &locking), plan.processor);
        Self::open_as(how, results_dir, (plan, on), notes, fresh, &mut |_| Ok(()))
    }

    /// [`RunDirectory::open_on`], which may take the run over from another host, on a processor that may not be the one that it
    /// was begun on, and whose watcher is told where that takes time.
    ///
    /// # Errors
    /// As for [`RunDirectory::open`]; the watcher's.
    pub fn open_as(
        (disk, locking): (Disk, &Locking),
        results_dir: &Path,
        (plan, on): (&RunPlan, Processor),
        notes: &Notes,
        fresh: bool,
        watcher: &mut Watcher<'_>,
    ) -> Result<Self> {
        let folder = results_dir.join(plan.folder());
        let lock = Lock::take_as(locking, results_dir, &plan.folder(), watcher)?;
        let removed = layout::removed(&folder);
        disk.remove_dir(&removed)?;
        if fresh && std::fs::symlink_metadata(&folder).is_ok() {
            // What lies there under this run's name may be the only copy of another one.
            if let Ok(Some(other)) = RunFile::load(&folder) {
                refuse_another_run(&folder, &other, plan)?;
            }
            disk.rename(&folder, &removed)?;
            disk.sync_parent(&folder)?;
            disk.remove_dir(&removed)?;
        }
        disk.remove_temporaries(&folder)?;
        let kept = RunFile::load(&folder)?;
        let done = Done::load(&folder, plan)?;
        let begun = [CHECKPOINT, PREVIOUS]
            .iter()
            .any(|name| folder.join(name).exists());
        ensure!(
            kept.is_some() || !(begun || folder.join(DONE).exists()),
            format::unreadable(&folder.join(RUN), &"it is missing", START_OVER)
        );
        if done.is_none() && !begun && kept.is_some() {
            refuse_lost(&folder, plan)?;
        }
        let mut warnings = Vec::new();
        if let Some(kept) = &kept {
            refuse_another_run(&folder, kept, plan)?;
            let measured_alike = kept.plan.measured() == plan.measured();
            if !measured_alike && done.is_some() {
                warnings.push(format!(
                    "{}: the run is done and was evaluated differently (recipe.evaluation); use --fresh to train it again",
                    folder.display()
                ));
            } else if !measured_alike && begun {
                return Err(Exit::Storage.error(format!(
                    "{}: the run was started with another recipe.evaluation; finish it with that one or start over with --fresh",
                    folder.display()
                )));
            }
        }
        if done.is_none() {
            if !begun && !fresh {
                refuse_other_device(results_dir, plan)?;
            }
            // A resumed run already occupies part of what it needs.
            let needed = space::needed(plan).saturating_sub(space::used(&folder));
            space::check(&folder, needed, space::available(&folder))?;
            disk.create_dir(&folder)?;
        }
        let begins = done.is_none() && !(begun && kept.is_some());
        // Before the first checkpoint nothing depends on the notes.
        let file = match kept {
            Some(kept) if begun || done.is_some() => kept,
            _ => RunFile {
                format: FORMAT,
                notes: notes.clone(),
                plan: plan.clone(),
                start: Provenance::now(0, on, notes.threads),
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
            views: Vec::new(),
            last: 0,
            on,
            threads: notes.threads,
            warnings,
            lock,
        };
        if begins {
            directory.write_run_file()?;
        }
        Ok(directory)
    }

    /// The state to resume from. Cleans up after an interruption: drops parts past the checkpoint, and falls back from a
    /// damaged newest checkpoint to the previous one, with a warning.
    ///
    /// # Errors
    /// [`Exit::Storage`] if no intact checkpoint is left or the disk cannot be written.
    pub fn resume(&mut self) -> Result<Resume> {
        if let Some(mut done) = self.done.take() {
            self.clear()?;
            self.take_digests(&mut done)?;
            let outcome = done.outcome;
            self.done = Some(done);
            return Ok(Resume::Done(outcome));
        }
        let found = checkpoint::newest(&self.folder, self.file.plan.identity())?;
        let Some(mut found) = found else {
            drop_parts(&self.disk, &self.folder, 0)?;
            self.disk.remove(&self.folder.join(VIEWS))?;
            return Ok(Resume::New);
        };
        if let Some(damage) = found.damage {
            let iteration = found.checkpoint.iteration;
            self.warn(format!(
                "{damage}; resuming from the previous checkpoint, iteration {iteration}"
            ))?;
        }
        if found.previous {
            // Otherwise the next checkpoint would replace the intact one with the damaged one.
            let newest = self.folder.join(CHECKPOINT);
            self.disk.rename(&self.folder.join(PREVIOUS), &newest)?;
            self.disk.sync_parent(&newest)?;
        }
        take_digests(&self.folder, &mut found.place)?;
        self.place = found.place;
        self.last = found.rows.iterations.last().map_or(0, |row| row.iteration);
        let iteration = found.checkpoint.iteration;
        // First, so that nobody looks for parts that are about to go.
        self.write_progress(iteration)?;
        drop_parts(&self.disk, &self.folder, self.place.part)?;
        self.file.format = FORMAT;
        let restart = Provenance::now(iteration, self.on, self.threads);
        self.file.restarts.push(restart);
        self.write_run_file()?;
        self.take_views(iteration)?;
        self.log(&format!("resumes after iteration {iteration}"))?;
        Ok(Resume::At(found.checkpoint))
    }

    /// Reads how far the final test came. It is of the weights at the last iteration, so before that there is none.
    fn take_views(&mut self, iteration: u64) -> Result<()> {
        let path = self.folder.join(VIEWS);
        if iteration < self.file.plan.recipe.iterations {
            return self.disk.remove(&path);
        }
        match view_tallies::load(&path, &self.file.plan) {
            Ok(views) => self.views = views,
            Err(error) if format::is_newer(&path) => return Err(error),
            Err(error) => self.warn(format!("{error:#}"))?,
        }
        Ok(())
    }

    /// How far the final test with several views came before this start; empty if it had not begun.
    pub fn view_tallies(&self) -> &[ViewTally] {
        &self.views
    }

    /// Keeps how far the final test with several views has come, until the run is finished.
    ///
    /// # Errors
    /// As for [`RunDirectory::checkpoint`].
    pub fn keep_view_tallies(&self, tallies: &[ViewTally]) -> Result<()> {
        self.lock.check()?;
        let bytes = view_tallies::to_bytes(&self.file.plan, tallies)?;
        let kept = self.disk.replace(&self.folder.join(VIEWS), &bytes);
        self.or_taken_over(kept)
    }

    /// Writes a checkpoint: first all rows recorded so far, then the state.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it cannot be written; the previous checkpoint is then unharmed. [`Exit::Busy`] if another process
    /// has taken the run over; the files are then that process's.
    pub fn checkpoint(&mut self, iteration: u64, state: &Weights, loop_state: &str) -> Result<()> {
        self.lock.check()?;
        let written = self.write_checkpoint(iteration, state, loop_state);
        self.or_taken_over(written)
    }

    fn write_checkpoint(
        &mut self,
        iteration: u64,
        state: &Weights,
        loop_state: &str,
    ) -> Result<()> {
        let mut place = self.place.clone();
        if !self.waiting.is_empty() {
            place.part += 1;
            place.iterations += self.waiting.iterations.len() as u64;
            place.evaluations += self.waiting.evaluations.len() as u64;
            let digests = write_part(
                &self.disk,
                &self.folder,
                place.part,
                &self.waiting,
                &self.file.provenance(),
            )?;
            place.files.extend(digests);
        }
        let [newest, previous] = [CHECKPOINT, PREVIOUS].map(|name| self.folder.join(name));
        let identity = self.file.plan.identity();
        let bytes = checkpoint::to_bytes(identity, iteration, &place, state, loop_state)?;
        let temporary = self.disk.write_beside(&newest, &bytes)?;
        // Large networks take their time to write.
        if let Err(taken_over) = self.lock.check() {
            self.disk.remove(&temporary)?;
            return Err(taken_over);
        }
        if newest.exists() {
            self.disk.rename(&newest, &previous)?;
        }
        self.disk.rename(&temporary, &newest)?;
        self.disk.sync_parent(&newest)?;
        self.place = place;
        self.waiting = Rows::default();
        self.write_progress(iteration)
    }

    /// Ends the run: merges its parts into one file of each kind, writes the weights, writes `done.json` last and removes
    /// checkpoints and parts. If interrupted, the run is finished again from its last checkpoint.
    ///
    /// # Errors
    /// [`Exit::Storage`] if something cannot be written; [`Exit::Busy`] if another process has taken the run over.
    pub fn finish(&mut self, outcome: Ending, weights: &Weights) -> Result<()> {
        self.lock.check()?;
        let finished = self.write_end(outcome, weights);
        self.or_taken_over(finished)
    }

    /// A result, unless it is an error of what another process has done, which has taken the run over.
    fn or_taken_over(&self, result: Result<()>) -> Result<()> {
        result.map_err(|error| match self.lock.check() {
            Err(taken) if Exit::of(&taken) == Exit::Busy => taken,
            _ => error,
        })
    }

    fn write_end(&mut self, outcome: Ending, weights: &Weights) -> Result<()> {
        ensure!(
            outcome.is_final(),
            Exit::Internal.error("a partial run cannot be finished; please report this")
        );
        let mut rows = read_parts(&self.folder, &self.place, self.file.plan.identity())?;
        rows.append(std::mem::take(&mut self.waiting));
        let provenance = self.file.provenance();
        let iterations = parquet::iterations_to_bytes(&rows.iterations, &provenance)?;
        let evaluations = parquet::evaluations_to_bytes(&rows.evaluations, &provenance)?;
        let mut weights = weights.clone();
        weights.metadata = self.weights_metadata(outcome)?;
        if self.place == Place::default() {
            // Without a checkpoint, this tells it from a finished run that lost its `done.json`.
            self.write_progress(0)?;
        }
        let mut files = BTreeMap::new();
        for (name, bytes) in [
            (ITERATIONS, iterations),
            (EVALUATIONS, evaluations),
            (WEIGHTS, weights.to_bytes()?),
        ] {
            self.disk.replace(&self.folder.join(name), &bytes)?;
            files.insert(name.to_owned(), sha256(&bytes));
        }
        self.lock.check()?;
        self.log(&format!("ends after iteration {}", self.last))?;
        let done = Done {
            format: FORMAT,
            outcome,
            iteration: self.last,
            time: provenance::time(),
            files,
        };
        self.write_done(&done)?;
        self.done = Some(done);
        self.clear()
    }

    fn write_done(&self, done: &Done) -> Result<()> {
        self.disk
            .replace(&self.folder.join(DONE), &format::to_json(done)?)
    }

    /// Records the digests of a run of an earlier version, which has none, and thereby those of its `run.toml`.
    fn take_digests(&mut self, done: &mut Done) -> Result<()> {
        if format::is_digested(done.format) {
            return Ok(());
        }
        // Whole, and of this run.
        RunView::look(&self.folder)?
            .map(RunView::read)
            .transpose()?;
        for name in [ITERATIONS, EVALUATIONS, WEIGHTS] {
            let path = self.folder.join(name);
            if path.exists() {
                let bytes = regular::read(&path)
                    .map_err(|error| format::unread(&path, &error, START_OVER))?;
                done.files.insert(name.to_owned(), sha256(&bytes));
            }
        }
        self.file.format = FORMAT;
        self.write_run_file()?;
        done.format = FORMAT;
        self.write_done(done)
    }

    /// Warnings for the user.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Appends a line with the time to the run's log.
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
        Progress::new(self.file.plan.identity(), iteration, self.place.clone())
            .save(&self.disk, &self.folder)
    }

    /// Removes what only an unfinished run needs. Idempotent.
    fn clear(&self) -> Result<()> {
        for name in [PROGRESS, CHECKPOINT, PREVIOUS, VIEWS] {
            self.disk.remove(&self.folder.join(name))?;
        }
        drop_parts(&self.disk, &self.folder, 0)
    }

    /// Metadata for users of the weights: the network, its recipe and how the run ended.
    fn weights_metadata(&self, outcome: Ending) -> Result<String> {
        WeightsHeader::new(&self.file.plan, outcome, self.last).to_json()
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
