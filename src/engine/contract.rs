//! The engine's interface: what the training loop and the measurements call, and the plain data that passes through it.

use std::ops::AddAssign;

use anyhow::Result;

use crate::data::Batch;
use crate::exit::Exit;
use crate::recipe::{DecayOn, MomentumForm, Pooling};
use crate::weights::Weights;

use super::layer_sums::Response;

/// The outcome of one training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Mean cross-entropy of the mini-batch before the update.
    pub loss: f32,
    /// Images whose class was not the most probable one.
    pub wrong: u32,
}

/// Which batch-norm statistics to evaluate with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// The moving averages.
    Moving,
    /// Those of the last `finish_population`.
    Population,
}

/// Sums over evaluated images, of one or of many batches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    pub images: u64,
    pub loss: f64,
    pub wrong: u64,
    pub wrong_top5: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.images += other.images;
        self.loss += other.loss;
        self.wrong += other.wrong;
        self.wrong_top5 += other.wrong_top5;
    }
}

/// Training hyperparameters, except for the learning rate, which each step is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyperparameters {
    pub momentum: f32,
    pub momentum_form: MomentumForm,
    pub weight_decay: f32,
    pub weight_decay_on: DecayOn,
    pub norm_momentum: f32,
    pub norm_epsilon: f32,
    /// Images per batch-norm group; 0 for the whole mini-batch. Moving averages take the mean of the groups' statistics.
    pub norm_group: usize,
    /// Images per piece of a step, whose gradients are added before the one update; 0 for the whole mini-batch. A piece is
    /// normalised by itself, so that `norm_group` must divide it.
    pub micro_batch: usize,
}

/// One network training on one device. Object-safe, so that the training loop does not depend on the device.
pub trait Engine: Send {
    /// Queues forward, backward and update for one mini-batch, in pieces of `Hyperparameters::micro_batch`. `finish_steps` returns the outcome, so that a device that
    /// works asynchronously need not be waited for in between.
    fn begin_step(&mut self, batch: &Batch, learning_rate: f32) -> Result<()>;
    /// Waits for the steps begun since the last call and returns their outcomes in order.
    fn finish_steps(&mut self) -> Result<Vec<Step>>;
    /// How many steps to begin before calling `finish_steps`; 1 if queueing more gains nothing.
    fn steps_in_flight(&self) -> usize {
        1
    }
    /// Begins one step and waits for it.
    fn step(&mut self, batch: &Batch, learning_rate: f32) -> Result<Step> {
        self.begin_step(batch, learning_rate)?;
        let last = self.finish_steps()?.pop();
        last.ok_or_else(|| Exit::Internal.error("a step without an outcome; please report this"))
    }
    /// Whether the device replays a recorded forward and backward pass instead of launching every operation.
    fn repeats(&self) -> bool {
        false
    }
    /// Whether the device normalises images, and keeps those of [`Originals`](crate::data::Originals) in its own memory, in
    /// which case mini-batches are better passed as decisions or [`Crops`](crate::data::Crops) than as pixels.
    fn normalises(&self) -> bool {
        false
    }
    /// Discards the population statistics and starts to gather new ones.
    fn begin_population(&mut self) -> Result<()>;
    /// Runs one batch forward in training mode and adds its batch-norm statistics. Weights and moving averages are left
    /// alone.
    fn add_population(&mut self, batch: &Batch) -> Result<()>;
    /// Pools the gathered statistics.
    ///
    /// # Errors
    /// If no batch was added.
    fn finish_population(&mut self, pooling: Pooling) -> Result<()>;
    /// Loss and errors of one batch in evaluation mode.
    fn evaluate(&mut self, batch: &Batch, statistics: Statistics) -> Result<Tally>;
    /// Logits of one batch in evaluation mode, `[images][classes]`. Images may have another size than those that the engine
    /// trains on, and another width than height: a network's last features are means over all places. Weights are shared, but
    /// the memory of activations is allocated anew wherever the size changes, so batches of a size are best kept together.
    fn logits(&mut self, batch: &Batch, statistics: Statistics) -> Result<Vec<f32>>;
    /// Parameters and running statistics under torchvision's names; with `velocity`, also `velocity.NAME` for each
    /// parameter. Enough to resume bit for bit.
    fn state(&self, velocity: bool) -> Result<Weights>;
    /// Restores what `state` returned. Missing velocities start at 0.
    ///
    /// # Errors
    /// Names a missing or misshapen tensor; the engine is left unchanged.
    fn restore(&mut self, state: &Weights) -> Result<()>;
}

/// Loss, logits and gradients of one mini-batch, for parity checks and finite differences.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstStep {
    /// Mean cross-entropy.
    pub loss: f32,
    /// `[images][classes]`, with the mini-batch's own batch-norm statistics.
    pub logits: Vec<f32>,
    /// Gradients of the mean cross-entropy, without weight decay, under the parameters' names.
    pub gradients: Weights,
}

/// An engine whose gradients and layer responses can be inspected.
pub trait Differentiable: Engine {
    /// Forward and backward on one mini-batch, in one piece. Weights and moving averages are left alone.
    fn differentiate(&mut self, batch: &Batch) -> Result<FirstStep>;
    /// Sums over the outputs of each normalisation for one batch, in the order of `Network::convolutions`. `None`
    /// normalises with the batch's own statistics, as in training. The engine's state is left alone.
    fn responses(&mut self, batch: &Batch, statistics: Option<Statistics>)
    -> Result<Vec<Response>>;
}
