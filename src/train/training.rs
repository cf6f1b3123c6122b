//! The training loop, in iterations rather than epochs.

use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::exit::Exit;
use crate::recipe::Recipe;
use crate::record::{Ending, Iteration};

use super::data::TrainingData;
use super::evaluation::{EvaluationData, check_test_images, evaluate};
use super::observer::{Keeper, Observer};
use super::schedule::Schedule;
use super::state::{LoopState, MiniBatch};
use super::stop::Stop;

/// What a few mini-batches led to.
enum Advanced {
    On,
    /// The last loss is not finite.
    Diverged,
    /// The next mini-batch cannot be had.
    Starved(anyhow::Error),
}

/// The training of one network: its inputs, and the receivers of its rows and progress.
pub struct Training<'a> {
    /// Holds the weights that belong to the `LoopState` to start from.
    pub engine: &'a mut dyn Engine,
    pub data: TrainingData<'a>,
    pub recipe: &'a Recipe,
    pub keeper: &'a mut dyn Keeper,
    pub observer: &'a mut dyn Observer,
    pub stop: &'a Stop,
    /// Wall-clock time between saved states, apart from those at evaluations. Does not affect results.
    pub keep_every: Duration,
}

impl Training<'_> {
    /// Trains from `state` (`LoopState::default()` for a new run) to the last iteration, to divergence, or until a stop is
    /// requested, which saves the state ([`Ending::Partial`]).
    ///
    /// Evaluates after every `interval` updates and after the last one, before a learning-rate drop at the same iteration
    /// takes effect. An evaluation is recorded completely or not at all; an interrupted one is repeated on resume. A run
    /// that starts from another run's weights is also evaluated before its first update.
    ///
    /// # Errors
    /// Those of the data, after which the state is saved, of the engine and the keeper; [`Exit::Storage`] for a state beyond the recipe's last iteration.
    pub fn run(&mut self, mut state: LoopState) -> anyhow::Result<Ending> {
        let total = self.recipe.iterations;
        if state.iteration > total {
            return Err(Exit::Storage.error(format!(
                "the checkpoint is at iteration {}, but the recipe ends at {total}; remove the run's folder to start it over",
                state.iteration
            )));
        }
        check_test_images(self.data.test_images, self.data.required)?;
        let schedule = Schedule::new(self.recipe);
        let mut kept_at = Instant::now();
        // The state on disk is not written again.
        let mut kept = Some((state.iteration, state.evaluated));
        // Evaluate inherited weights before the first update.
        let inherits = state.iteration == 0 && self.recipe.init.from.is_some();
        if inherits && !self.evaluate(&mut state)? {
            return Ok(Ending::Partial);
        }
        loop {
            if self.due(&state) && !self.evaluate(&mut state)? {
                self.keep(&state, &mut kept)?;
                return Ok(Ending::Partial);
            }
            // Save after every evaluation, which is the most expensive thing to repeat.
            let fresh_evaluation = state.evaluated == state.iteration && state.iteration > 0;
            if fresh_evaluation || kept_at.elapsed() >= self.keep_every {
                self.keep(&state, &mut kept)?;
                kept_at = Instant::now();
            }
            if state.iteration == total {
                return Ok(Ending::Finished);
            }
            if self.stop.requested().is_some() {
                self.keep(&state, &mut kept)?;
                return Ok(Ending::Partial);
            }
            match self.advance(&schedule, &mut state)? {
                Advanced::On => {}
                Advanced::Diverged => return Ok(Ending::Diverged),
                // The network is as good as before; only what it would have learned from next is missing.
                Advanced::Starved(error) => {
                    return Err(match self.keep(&state, &mut kept) {
                        Ok(()) => error,
                        Err(other) => error.context(format!("the state is not saved ({other:#})")),
                    });
                }
            }
        }
    }

    /// Whether this iteration has an evaluation that is still to be made.
    fn due(&self, state: &LoopState) -> bool {
        let interval = self.recipe.evaluation.interval;
        let regular = interval > 0 && state.iteration.is_multiple_of(interval);
        state.evaluated < state.iteration && (regular || state.iteration == self.recipe.iterations)
    }

    /// Makes and records the evaluation of this iteration. Returns false if stopped.
    fn evaluate(&mut self, state: &mut LoopState) -> anyhow::Result<bool> {
        let clean = state.iteration == self.recipe.iterations || state.iteration == 0;
        let rows = evaluate(
            self.engine,
            &EvaluationData::of(&self.data, clean),
            &self.recipe.evaluation,
            state.iteration,
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

    /// Number of mini-batches to queue before reading their losses: what the engine prefers, up to the next evaluation.
    /// During warm-up it is one, because the errors decide the learning rate.
    fn steps_in_flight(&self, schedule: &Schedule, state: &LoopState) -> u64 {
        if schedule.warm_up().is_some() && !state.warm_up.over {
            return 1;
        }
        let interval = self.recipe.evaluation.interval;
        let to_evaluation = match interval {
            0 => u64::MAX,
            _ => interval - state.iteration % interval,
        };
        let left = self.recipe.iterations - state.iteration;
        (self.engine.steps_in_flight().max(1) as u64)
            .min(left)
            .min(to_evaluation)
    }

    /// Trains on a few mini-batches, then records their rows, up to the first loss that is not finite.
    fn advance(&mut self, schedule: &Schedule, state: &mut LoopState) -> anyhow::Result<Advanced> {
        let started = Instant::now();
        let mut queued = Vec::new();
        let mut starved = None;
        for step in 1..=self.steps_in_flight(schedule, state) {
            if step > 1 && self.stop.requested().is_some() {
                break;
            }
            let rate = schedule.rate(state.iteration + step, &state.warm_up);
            let batch = match self.data.batches.next() {
                Ok(batch) => batch,
                Err(error) => {
                    starved = Some(error);
                    break;
                }
            };
            self.engine.begin_step(&batch, rate as f32)?;
            queued.push((rate, batch.labels.len() as u32));
            self.data.batches.recycle(batch);
        }
        if queued.is_empty()
            && let Some(error) = starved
        {
            return Ok(Advanced::Starved(error));
        }
        let steps = self.engine.finish_steps()?;
        if steps.len() != queued.len() {
            return Err(Exit::Internal.error(format!(
                "{} mini-batches were started but {} finished; please report this",
                queued.len(),
                steps.len()
            )));
        }
        let seconds = started.elapsed().as_secs_f64() / steps.len() as f64;
        let set = self.data.training_images.max(1);
        for (step, (rate, images)) in steps.into_iter().zip(queued) {
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
                return Ok(Advanced::Diverged);
            }
        }
        Ok(starved.map_or(Advanced::On, Advanced::Starved))
    }

    /// Saves this state unless it is saved already.
    fn keep(&mut self, state: &LoopState, kept: &mut Option<(u64, u64)>) -> anyhow::Result<()> {
        let now = (state.iteration, state.evaluated);
        if kept.replace(now) != Some(now) {
            self.keeper.keep(&self.engine.state(true)?, state)?;
            self.observer.kept(state.iteration);
        }
        Ok(())
    }
}
