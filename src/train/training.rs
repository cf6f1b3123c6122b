//! The loop: iterations, not epochs.

use std::time::{Duration, Instant};

use crate::data::{Batch, ImageSet};
use crate::engine::Engine;
use crate::exit::Exit;
use crate::manifest::Recipe;
use crate::record::{Evaluation, Iteration, Recorder};
use crate::weights::Weights;

use super::evaluation::{check_test_images, evaluate};
use super::{LoopState, MiniBatch, Phase, Schedule, Stop};

/// Receives a run's rows, and now and then a state to go on from. Rows handed over since the last `keep` are lost with
/// the process, and are made again.
pub trait Keeper: Recorder {
    /// Keeps the engine's state and the loop's; every row handed over so far belongs to it.
    ///
    /// # Errors
    /// If it cannot be kept; the loop ends with that error.
    fn keep(&mut self, state: &Weights, at: &LoopState) -> anyhow::Result<()>;
}

/// Sees the training's progress. Nothing it does changes a result.
pub trait Observer {
    /// An update was made.
    fn iteration(&mut self, _row: &Iteration) {}
    /// An evaluation is going on: `done` of `total` images of this phase.
    fn phase(&mut self, _phase: Phase, _done: u64, _total: u64) {}
    /// An evaluation is complete; called once for each of its rows.
    fn evaluation(&mut self, _row: &Evaluation) {}
    /// A state was kept.
    fn kept(&mut self, _iteration: u64) {}
}

/// An observer that looks away.
impl Observer for () {}

/// Mini-batches without end.
pub trait MiniBatches {
    /// The next one.
    ///
    /// # Errors
    /// If it cannot be prepared; the loop ends with that error.
    fn next(&mut self) -> anyhow::Result<Batch>;
    /// Takes back the memory of one that is no longer needed.
    fn recycle(&mut self, _batch: Batch) {}
}

/// The images of one run.
pub struct TrainingData<'a> {
    /// Augmented mini-batches, from that of iteration `LoopState::iteration + 1` on.
    pub batches: &'a mut dyn MiniBatches,
    pub train: &'a ImageSet,
    /// The test set, or the images held out in its place.
    pub test: &'a ImageSet,
    /// How many test images there must be, where that is known.
    pub test_images: Option<usize>,
    /// Normalised images without augmentation, by index.
    pub batch: &'a dyn Fn(&ImageSet, &[u32]) -> Batch,
    /// Training images over which the population statistics are pooled, the same at every evaluation.
    pub statistics: Vec<u32>,
    /// Training images of the clean pass after the last iteration; empty for none.
    pub clean: Vec<u32>,
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every iteration and evaluation was made.
    Finished,
    /// The loss became infinite or NaN; the row of that iteration is the last one. A result, not a failure.
    Diverged,
    /// A stop was asked for; the state was kept.
    Interrupted,
}

/// One network in training: what it takes and to whom it reports.
pub struct Training<'a> {
    /// Holds the state that belongs to the `LoopState` to start from.
    pub engine: &'a mut dyn Engine,
    pub data: TrainingData<'a>,
    pub recipe: &'a Recipe,
    pub keeper: &'a mut dyn Keeper,
    pub observer: &'a mut dyn Observer,
    pub stop: &'a Stop,
    /// Wall clock between two kept states outside evaluations. Changes no result.
    pub keep_every: Duration,
}

impl Training<'_> {
    /// Trains from `state` (`LoopState::default()` for a new run) to the last iteration, to divergence or until a stop.
    /// An evaluation is made after every `interval` updates and after the last, before a drop of the learning rate at the
    /// same iteration takes effect; it is recorded whole or not at all, and made again on resume. A run that starts from
    /// another's weights is evaluated before its first update too.
    ///
    /// # Errors
    /// Those of the data, the engine and the keeper; [`Exit::Storage`] for a state beyond the recipe's last iteration.
    pub fn run(&mut self, mut state: LoopState) -> anyhow::Result<Outcome> {
        let total = self.recipe.iterations;
        if state.iteration > total {
            return Err(Exit::Storage.error(format!(
                "the checkpoint is of iteration {}, the recipe ends at {total}; start the run over with --fresh",
                state.iteration
            )));
        }
        check_test_images(self.data.test, self.data.test_images)?;
        let schedule = Schedule::new(self.recipe);
        let mut kept_at = Instant::now();
        // A state that lies on disk already is not written again.
        let mut kept = Some((state.iteration, state.evaluated));
        // What was trained before is looked at before it is trained on.
        let begins = state.iteration == 0 && self.recipe.init.from.is_some();
        if begins && !self.evaluate(&mut state)? {
            return Ok(Outcome::Interrupted);
        }
        loop {
            if self.due(&state) && !self.evaluate(&mut state)? {
                self.keep(&state, &mut kept)?;
                return Ok(Outcome::Interrupted);
            }
            // Every evaluation is kept: it is the dearest to make again.
            let fresh_evaluation = state.evaluated == state.iteration && state.iteration > 0;
            if fresh_evaluation || kept_at.elapsed() >= self.keep_every {
                self.keep(&state, &mut kept)?;
                kept_at = Instant::now();
            }
            if state.iteration == total {
                return Ok(Outcome::Finished);
            }
            if self.stop.requested().is_some() {
                self.keep(&state, &mut kept)?;
                return Ok(Outcome::Interrupted);
            }
            if !self.bunch(&schedule, &mut state)? {
                return Ok(Outcome::Diverged);
            }
        }
    }

    /// Whether an evaluation belongs to this iteration and is not yet made.
    fn due(&self, state: &LoopState) -> bool {
        let interval = self.recipe.evaluation.interval;
        let regular = interval > 0 && state.iteration.is_multiple_of(interval);
        state.evaluated < state.iteration && (regular || state.iteration == self.recipe.iterations)
    }

    /// Makes and records the evaluation of this iteration. False if it was stopped.
    fn evaluate(&mut self, state: &mut LoopState) -> anyhow::Result<bool> {
        let clean = state.iteration == self.recipe.iterations || state.iteration == 0;
        let rows = evaluate(
            self.engine,
            &self.data,
            &self.recipe.evaluation,
            (state.iteration, clean),
            self.stop,
            self.observer,
        )?;
        let Some(rows) = rows else { return Ok(false) };
        for row in rows {
            self.observer.evaluation(&row);
            self.keeper.evaluation(row)?;
        }
        state.evaluated = state.iteration;
        Ok(true)
    }

    /// How many mini-batches may follow each other before their losses are asked for: as many as the engine likes, up to the
    /// next evaluation. While the errors decide the learning rate it is one.
    fn bunch_size(&self, schedule: &Schedule, state: &LoopState) -> u64 {
        if schedule.warm_up().is_some() && !state.warm_up.over {
            return 1;
        }
        let interval = self.recipe.evaluation.interval;
        let to_evaluation = match interval {
            0 => u64::MAX,
            _ => interval - state.iteration % interval,
        };
        let left = self.recipe.iterations - state.iteration;
        (self.engine.bunch().max(1) as u64)
            .min(left)
            .min(to_evaluation)
    }

    /// A few mini-batches, then their rows; where one's loss is not finite its row is the last. False if there was one.
    fn bunch(&mut self, schedule: &Schedule, state: &mut LoopState) -> anyhow::Result<bool> {
        let started = Instant::now();
        let mut begun = Vec::new();
        for step in 1..=self.bunch_size(schedule, state) {
            if step > 1 && self.stop.requested().is_some() {
                break;
            }
            let rate = schedule.rate(state.iteration + step, &state.warm_up);
            let batch = self.data.batches.next()?;
            self.engine.begin_step(&batch, rate as f32)?;
            begun.push((rate, batch.labels.len() as u32));
            self.data.batches.recycle(batch);
        }
        let steps = self.engine.finish_steps()?;
        if steps.len() != begun.len() {
            return Err(Exit::Internal.error(format!(
                "{} mini-batches were begun and {} ended; please report this",
                begun.len(),
                steps.len()
            )));
        }
        let seconds = started.elapsed().as_secs_f64() / steps.len() as f64;
        let set = self.data.train.labels.len().max(1);
        for (step, (rate, images)) in steps.into_iter().zip(begun) {
            let wrong = step.wrong;
            let counted = MiniBatch { wrong, images };
            state.iteration += 1;
            state.warm_up.observe(schedule.warm_up(), counted);
            state.seconds += seconds;
            let row = Iteration {
                iteration: state.iteration,
                epoch: state.iteration as f64 * self.recipe.batch as f64 / set as f64,
                learning_rate: rate,
                loss: f64::from(step.loss),
                error: counted.error(),
                seconds: state.seconds,
            };
            self.observer.iteration(&row);
            self.keeper.iteration(row)?;
            if !step.loss.is_finite() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Keeps this state unless it was kept already.
    fn keep(&mut self, state: &LoopState, kept: &mut Option<(u64, u64)>) -> anyhow::Result<()> {
        let now = (state.iteration, state.evaluated);
        if kept.replace(now) != Some(now) {
            self.keeper.keep(&self.engine.state(true)?, state)?;
            self.observer.kept(state.iteration);
        }
        Ok(())
    }
}
