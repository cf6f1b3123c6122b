//! Training a [`Network`](crate::network::Network) on a dfdx device. dfdx and `unsafe` are confined to this folder.
//!
//! - `contract.rs` is the interface, [`Engine`]; `options.rs` and `device.rs` say what an engine runs on, `factory.rs`
//!   creates it, `cards.rs` lists and checks GPUs
//! - `residency.rs` and `arithmetic.rs` are what a device must provide, memory and operators; `cpu_residency.rs` and
//!   `cpu_arithmetic.rs` provide it with the kernels of `cpu/`, `cuda_residency.rs` and `cuda_arithmetic.rs` with those of
//!   `cuda/`. Everything below is the same for every device
//! - `session.rs` pools memory, `gradient.rs` files gradients on dfdx's tape, `activation.rs` has the values that operators
//!   read, `differentiable.rs` the operators
//! - `model.rs` is the network and its forward pass, `model_state.rs` its named tensors in and out, `pass.rs` a forward and
//!   backward pass, `descent.rs` the update
//! - `trainer.rs` implements [`Engine`]: `mini_batch.rs` brings mini-batches in, `recorded_pass.rs` replays passes,
//!   `accumulation.rs` adds up those of a mini-batch in pieces, `loss_ledger.rs` reads losses together, `population.rs` pools
//!   batch-norm statistics, `layer_sums.rs` sums layer outputs, `error.rs` converts dfdx's errors

mod accumulation;
mod activation;
mod arithmetic;
mod cards;
mod contract;
pub mod cpu;
mod cpu_arithmetic;
mod cpu_residency;
#[cfg(any(feature = "cuda", test))]
mod cuda;
#[cfg(feature = "cuda")]
mod cuda_arithmetic;
#[cfg(feature = "cuda")]
mod cuda_residency;
mod descent;
mod device;
mod differentiable;
mod error;
mod factory;
mod gradient;
mod hyperparameters;
mod layer_sums;
mod loss_ledger;
mod mini_batch;
mod model;
mod model_state;
mod options;
mod pass;
mod population;
mod recorded_pass;
mod residency;
mod session;
#[cfg(test)]
mod tests;
mod trainer;

pub use crate::processor::Instructions;
pub use cards::{cards, usable};
pub use contract::{Differentiable, Engine, FirstStep, Hyperparameters, Statistics, Step, Tally};
pub use device::{BUILD_WITH_CUDA, Card, Device, has_cuda};
pub use factory::{create, create_differentiable};
pub use layer_sums::{Response, Sums};
pub use options::{KEEP, Options};
