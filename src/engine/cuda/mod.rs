//! The operators on NVIDIA GPUs. `kernels/` has a few fused kernels in CUDA C++, which `build.rs` compiles with nvcc.
//!
//! - `convolution.rs`, `direct.rs`, `norm.rs`, `passes.rs`, `classifier.rs`, `update.rs`, `images.rs`, `crops.rs`, `labels.rs` and
//!   `gather.rs` turn shapes into launches; `feature.rs` transfers features
//! - `kernel.rs` names the kernels, `arguments.rs` lays out their arguments, `index.rs` has their index arithmetic
//! - `gpu.rs` is the interface of a GPU, `launch.rs` a recorded launch, `nvidia.rs` a real GPU on dfdx's device, `open.rs`
//!   opens it. `host.rs` runs the same kernels on the host in tests
//! - `self_check/` compares operators with the CPU's, in tests and before a GPU is used
//!
//! # Precision
//! In `fp32` everything is 32-bit floats, without tensor cores. In `tf32` the three products of a convolution use tensor
//! cores: factors are rounded to TF32 when they are read, sums are floats. `bf16` uses them too, and keeps activations and
//! their gradients in 16 bits, which halves memory and the traffic of passes between products; weights, statistics, the
//! classifier and all sums stay floats, and passes widen what they read before they compute. There is no loss scaling,
//! since bf16 has a float's range.
//!
//! # Determinism
//! No sum depends on the timing of threads or blocks: work is split by the shape alone and partial sums are added in order,
//! without atomic additions of floats. The same build on the same GPU gives the same bits. On another architecture the
//! compiler may fuse multiplications and additions differently, and the CPU adds in another order. A run can be resumed on
//! any GPU, but only one of the same kind gives the bits of an uninterrupted run; provenance names both.
//!
//! # Waiting
//! A training step never makes the host wait: decisions, learning rates and addresses travel as arguments of launches,
//! storage is allocated and freed in stream order, and losses stay on the GPU until several are read together. From the
//! third mini-batch of a size on, forward and backward pass are launched as one graph, once it has reproduced the bits of
//! the single launches; `REFIG_CUDA_GRAPHS=off` keeps the single launches. What may wait: mini-batches passed as
//! pixels (parity) or as crops (photographs), whose bytes are copied, evaluation, which reads each batch's sums, and
//! checkpoints.

// Kernels take every operand as a separate argument.
#![allow(clippy::too_many_arguments)]

mod arguments;
mod classifier;
mod convolution;
mod crops;
mod direct;
mod feature;
mod gather;
mod gpu;
#[cfg(test)]
mod host;
mod images;
mod index;
mod kernel;
mod labels;
mod launch;
mod norm;
#[cfg(feature = "cuda")]
mod nvidia;
#[cfg(feature = "cuda")]
mod open;
mod passes;
mod self_check;
#[cfg(test)]
mod tests;
mod update;

#[cfg(feature = "cuda")]
pub use classifier::{
    LEDGER, classify, classify_gradient, cross_entropy, cross_entropy_gradient,
    enter_cross_entropy, read_ledger,
};
#[cfg(feature = "cuda")]
pub use convolution::{convolve, convolve_input_gradient, convolve_weight_gradient};
#[cfg(feature = "cuda")]
pub use crops::{Mean, put_crops};
#[cfg(feature = "cuda")]
pub use feature::download_feature;
#[cfg(feature = "cuda")]
pub use gather::{download_many, put_at};
#[cfg(feature = "cuda")]
pub use gpu::Gpu;
#[cfg(feature = "cuda")]
pub use images::{Images, draw_images, put_images};
#[cfg(feature = "cuda")]
pub use labels::Labels;
#[cfg(feature = "cuda")]
pub use norm::{Gate, Shortcut, normalise, normalise_fixed, normalise_gradient};
#[cfg(feature = "cuda")]
pub use nvidia::{Graph, Nvidia, cards};
#[cfg(feature = "cuda")]
pub use open::open;
#[cfg(feature = "cuda")]
pub use passes::{add, max_pool, max_pool_gradient, pool, pool_gradient, subsample_gradient};
#[cfg(feature = "cuda")]
pub use update::{MovingAverage, Update, average, descend};
