//! dfdx: devices, the project's own differentiable operators, running a `Network` forward and backward, SGD, named
//! tensors in and out. The only place with dfdx and `unsafe`.
//!
//! `operators.rs` says what a device must be able to do; `cpu_operators.rs` does it with the kernels of `cpu/` and, in a build
//! with the feature `cuda`, `cuda_operators.rs` with those of `cuda/`; `device.rs` says which devices there are;
//! `differentiable.rs` records it on dfdx's tape, `storage.rs` lends the memory, `placed.rs` brings mini-batches in, `model.rs`
//! is the network, `pass.rs` holds what a pass found, `update.rs` steps with it, `trainer.rs` is the [`Engine`], `bunch.rs` reads losses together, `population.rs` pools batch-norm statistics, `response.rs` sums what layers put out. Nothing but the devices' own
//! folders and operators knows which device it is.

mod bunch;
pub mod cpu;
mod cpu_operators;
#[cfg(any(feature = "cuda", test))]
mod cuda;
#[cfg(feature = "cuda")]
mod cuda_operators;
mod device;
mod differentiable;
mod model;
mod operators;
mod pass;
mod placed;
mod population;
mod response;
mod storage;
#[cfg(test)]
mod tests;
mod trainer;
mod update;

pub use cpu::Instructions;
pub use device::{BUILD_WITH_CUDA, Card, Device, cards, has_cuda, usable};
pub use response::{Response, Sums};

use anyhow::Result;

use crate::data::Batch;
use crate::exit::Exit;
use crate::manifest::Precision;
use crate::network::Network;
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
    /// Forward, backward and update on one mini-batch. What it reports is told by the next `finish_steps`: a device that works
    /// beside the processor goes on to the next step meanwhile.
    fn begin_step(&mut self, batch: &Batch, learning_rate: f32) -> anyhow::Result<()>;
    /// What the steps begun since the last call report, in their order. Waits until they are done.
    fn finish_steps(&mut self) -> anyhow::Result<Vec<Step>>;
    /// How many steps are best begun before they are finished; 1 where nothing is gained by more.
    fn bunch(&self) -> usize {
        1
    }
    /// One step, done.
    fn step(&mut self, batch: &Batch, learning_rate: f32) -> anyhow::Result<Step> {
        self.begin_step(batch, learning_rate)?;
        let last = self.finish_steps()?.pop();
        last.ok_or_else(|| Exit::Internal.error("a step that reports nothing"))
    }
    /// Whether the device makes the steps' forward and backward passes again as one piece, without being told every part.
    fn repeats(&self) -> bool {
        false
    }
    /// Whether the device keeps the images of [`Originals`](crate::data::Originals) in its own memory, so that mini-batches
    /// are better handed to it as decisions.
    fn keeps_images(&self) -> bool {
        false
    }
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

/// What the gradients of one mini-batch are, for those who compare them: parity, checks against finite differences.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstStep {
    /// Mean cross-entropy.
    pub loss: f32,
    /// `[images][classes]`, with the mini-batch's own batch-norm statistics.
    pub logits: Vec<f32>,
    /// Of the mean cross-entropy, without weight decay, under the parameters' names.
    pub gradients: Weights,
}

/// An engine that can be looked into: its gradients, and what its layers put out.
pub trait Differentiable: Engine {
    /// Forward and backward on one mini-batch; neither weights nor moving averages change.
    fn differentiate(&mut self, batch: &Batch) -> Result<FirstStep>;
    /// What each normalisation puts out for one batch, in the order of `Network::convolutions`; with `None`, normalised by
    /// the batch's own statistics as in training. Nothing changes.
    fn responses(&mut self, batch: &Batch, statistics: Option<Statistics>)
    -> Result<Vec<Response>>;
}

/// What an engine runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub device: Device,
    /// Threads, 0 for as many as the machine has cores. Results do not depend on it.
    pub threads: usize,
    /// The CPU's instruction set, by default the fastest that it has. Results depend on it in their last bits.
    pub instructions: Option<Instructions>,
    /// What it computes in; a device that cannot refuses.
    pub precision: Precision,
    /// Bytes of activations that a training step on the CPU keeps whatever they are. Of more, it drops the outputs of
    /// normalisations within blocks and makes them again for the backward pass, to the bit.
    pub keep: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            device: Device::default(),
            threads: 0,
            instructions: None,
            precision: Precision::Fp32,
            keep: KEEP,
        }
    }
}

/// A gibibyte: ResNet-110 at batch 128 is the first of the paper's networks for CIFAR-10 that makes some again.
const KEEP: usize = 1 << 30;

impl Options {
    /// Threads that an engine uses.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// The instruction set that an engine uses; one that the processor lacks is refused by name.
    pub fn instruction_set(&self) -> Result<Instructions> {
        let set = self.instructions.unwrap_or_else(Instructions::detect);
        match set.available() {
            true => Ok(set),
            false => Err(Exit::Device.error(format!(
                "this processor has no {} instructions; it has {}",
                set.name(),
                Instructions::detect().name()
            ))),
        }
    }

    /// What a run's identity says of it beside the kind of device: the CPU's instruction set, nothing for a GPU.
    pub fn identity(&self) -> Result<&'static str> {
        match self.device {
            Device::Cpu => Ok(self.instruction_set()?.name()),
            Device::Cuda(_) => Ok(""),
        }
    }

    /// The same in another precision.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Whether the device computes in the precision of the options.
    ///
    /// # Errors
    /// [`Exit::Device`] where it does not, with what it does.
    pub fn check_precision(&self) -> Result<()> {
        match (self.device, self.precision) {
            (Device::Cuda(_), _) | (Device::Cpu, Precision::Fp32) => Ok(()),
            (Device::Cpu, other) => Err(Exit::Device.error(format!(
                "precision {}: the CPU computes in fp32 alone; choose a GPU (--device cuda) or set precision to \"fp32\"",
                other.name()
            ))),
        }
    }

    /// The threads and instructions themselves, for kernels that are run one by one.
    ///
    /// # Errors
    /// As [`Options::instruction_set`].
    pub fn context(&self) -> Result<cpu::Context> {
        let instructions = self.instruction_set()?;
        Ok(cpu::Context::new(self.thread_count(), instructions))
    }
}

/// An engine for images of `image_size` x `image_size` pixels on the device of the options. Every tensor is zero until `restore`.
pub fn create(
    network: &Network,
    image_size: usize,
    hyper: &Hyperparameters,
    options: &Options,
) -> Result<Box<dyn Engine>> {
    Ok(create_differentiable(network, image_size, hyper, options)?)
}

/// As [`create`], for those who look into it.
pub fn create_differentiable(
    network: &Network,
    image_size: usize,
    hyper: &Hyperparameters,
    options: &Options,
) -> Result<Box<dyn Differentiable>> {
    options.check_precision()?;
    match options.device {
        Device::Cpu => {
            let cpu = dfdx::prelude::Cpu::default();
            let session = storage::Session::new(cpu, options.context()?, options.keep);
            let trainer = trainer::Trainer::new(session, network, image_size, hyper)?;
            Ok(Box::new(trainer))
        }
        #[cfg(feature = "cuda")]
        Device::Cuda(number) => {
            cuda_operators::create(number, options.precision, network, image_size, hyper)
        }
        #[cfg(not(feature = "cuda"))]
        Device::Cuda(_) => Err(Exit::Device.error(format!(
            "this build has no CUDA; one that has: {BUILD_WITH_CUDA}"
        ))),
    }
}
