//! dfdx: devices, the project's own differentiable operators, running a `Network` forward and backward, SGD, named
//! tensors in and out. The only place with dfdx and `unsafe`.

pub mod cpu;

use crate::data::Batch;
use crate::weights::Weights;

/// What one training step reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Mean cross-entropy of the mini-batch before the update.
    pub loss: f32,
    /// Images whose class was not the most probable one.
    pub wrong: u32,
}

/// Which batch-norm statistics an evaluation normalises with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    Moving,
    /// Those of the last `finish_population`.
    Population,
}

/// Sums over the images of one evaluated batch, to be added up by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    pub images: u64,
    pub loss: f64,
    pub wrong: u64,
    pub wrong_top5: u64,
}

/// What a network is trained with, apart from the learning rate of each step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyperparameters {
    pub momentum: f32,
    pub momentum_form: crate::manifest::MomentumForm,
    pub weight_decay: f32,
    pub weight_decay_on: crate::manifest::DecayOn,
    pub norm_momentum: f32,
    pub norm_epsilon: f32,
    /// Images a batch-norm group, 0 for the whole mini-batch. The moving average takes the mean of the groups' statistics.
    pub norm_group: usize,
}

/// One network on one device, being trained. Object-safe: the loop knows no device.
pub trait Engine: Send {
    /// Forward, backward and update on one mini-batch.
    fn step(&mut self, batch: &Batch, learning_rate: f32) -> anyhow::Result<Step>;
    /// Forgets the population statistics and begins to gather new ones.
    fn begin_population(&mut self) -> anyhow::Result<()>;
    /// Runs one batch forward as in training and adds its batch-norm statistics; neither weights nor moving averages change.
    fn add_population(&mut self, batch: &Batch) -> anyhow::Result<()>;
    fn finish_population(&mut self, pooling: crate::manifest::Pooling) -> anyhow::Result<()>;
    /// Loss and errors of one batch in evaluation mode.
    fn evaluate(&mut self, batch: &Batch, statistics: Statistics) -> anyhow::Result<Tally>;
    /// `[images][classes]` in evaluation mode.
    fn logits(&mut self, batch: &Batch, statistics: Statistics) -> anyhow::Result<Vec<f32>>;
    /// Parameters and running statistics under torchvision's names; with `velocity`, also `velocity.NAME` of each parameter.
    /// Enough, bit for bit, to go on from.
    fn state(&self, velocity: bool) -> anyhow::Result<Weights>;
    /// Takes back what `state` gave. Missing velocity starts at 0. A missing or misshapen tensor is refused by name.
    fn restore(&mut self, state: &Weights) -> anyhow::Result<()>;
}
