//! The operators on NVIDIA GPUs: `kernels/` holds few, fused kernels in CUDA C++, which `build.rs` compiles with nvcc; `images.rs`, `convolution.rs`, `norm.rs`, `passes.rs`, `classifier.rs`, `update.rs` and `gather.rs` turn shapes into launches;
//! `arguments.rs` is what both sides agree on. Activations lie as the CPU's do.
//!
//! Three precisions. In `fp32` everything is 32-bit floats, multiplied and added one by one. In `tf32` the convolutions' three
//! products go through tensor cores: factors are rounded to TF32 when they are read, sums are floats. In `bf16` they do too,
//! and activations and their gradients are kept in 16 bits, half the memory and half the traffic of the passes between the
//! products; weights, statistics, the classifier and every sum stay floats, and what a pass reads is widened before it
//! computes. No loss scaling: bf16 has a float's range.
//!
//! A launch goes to a [`Gpu`]: a real one (`nvidia.rs`, on dfdx's own device), or in tests the same kernels compiled for the
//! host (`host.rs`), which is how they are held against the CPU's operators without a GPU (`check.rs`, `tests.rs`).
//!
//! No sum depends on which thread or block is faster: parts are cut by the shape alone and added in their order, without
//! atomic additions of floats. The same GPU and the same build give the same bits; another architecture's compiler may
//! contract multiplications and additions otherwise, and the CPU's sums have another order. A run that is resumed goes on from
//! its checkpoint on any GPU; in the bits of a run without a stop only on the same kind, and provenance names both.
//!
//! A step waits for nothing on the host's side: decisions, learning rates and addresses travel as arguments of launches,
//! storage is allocated and freed in the stream's order, and losses stay on the GPU until a bunch of them is read. From the
//! third mini-batch of a size on, the forward and backward pass are one graph (`graph.rs`), once it has shown that it gives
//! the bits of the single launches; `REFIG_CUDA_GRAPHS=off` stays with those. What waits: mini-batches given as pixels
//! (parity, recorded steps), evaluation, whose sums are read one by one, and checkpoints.

// Kernels take what they need by name.
#![allow(clippy::too_many_arguments)]

mod arguments;
mod check;
mod check_convolution;
mod check_images;
mod check_norm;
mod check_passes;
mod classifier;
mod convolution;
mod difference;
mod feature;
mod gather;
mod gpu;
mod graph;
#[cfg(test)]
mod host;
mod images;
mod norm;
#[cfg(feature = "cuda")]
mod nvidia;
mod passes;
#[cfg(test)]
mod tests;
mod update;

#[cfg(feature = "cuda")]
pub use check::self_check;
#[cfg(feature = "cuda")]
pub use classifier::{
    LEDGER, Labels, classify, classify_gradient, cross_entropy, cross_entropy_gradient,
    enter_cross_entropy, read_ledger,
};
#[cfg(feature = "cuda")]
pub use convolution::{convolve, convolve_input_gradient, convolve_weight_gradient};
#[cfg(feature = "cuda")]
pub use feature::download_feature;
#[cfg(feature = "cuda")]
pub use gather::download_many;
#[cfg(feature = "cuda")]
pub use gpu::Gpu;
#[cfg(feature = "cuda")]
pub use images::{Images, draw_images, put_images};
#[cfg(feature = "cuda")]
pub use norm::{Gate, Shortcut, normalise, normalise_fixed, normalise_gradient};
#[cfg(feature = "cuda")]
pub use nvidia::{Graph, Nvidia, cards};
#[cfg(feature = "cuda")]
pub use passes::{add, max_pool, max_pool_gradient, pool, pool_gradient, subsample_gradient};
#[cfg(feature = "cuda")]
pub use update::{MovingAverage, Update, average, descend};
