//! CPU kernels: pure functions on slices of floats for every operator that a network needs, forward and backward, with
//! AVX-512, AVX2 or portable code selected at run time, on a pool of threads. They do not depend on dfdx.
//!
//! Activations are [`Feature`]s, channels innermost, with a stored halo of zeros. Every reduction is split by the shape
//! alone and added in a fixed order, so results do not depend on the number of threads, to the bit.
//!
//! Kernels panic on slices of a wrong length, which are a bug in the caller.
//!
//! - `context.rs`, `threads.rs`, `aligned.rs`, `near.rs`, `shared_slice.rs` and `vector.rs` are what kernels are made with
//! - `conv.rs` and `conv_weight.rs` are convolutions, by the sweeps of `sweep.rs`, by minimal filtering (`winograd/`) or, with
//!   1x1 kernels and many channels, as products of matrices (`pointwise/`, `product.rs`)
//! - `norm.rs` and `norm_backward.rs` are batch normalisation, fused with `shortcut.rs` and ReLU
//! - `max_pool.rs`, `pool.rs`, `linear.rs`, `loss.rs`, `add.rs`, `sgd.rs` and `moving_average.rs` are the rest; `peak.rs`
//!   measures what the CPU could do

// Loops over registers are indexed, which compilers unroll; kernels take every operand as a separate argument.
#![allow(clippy::needless_range_loop, clippy::too_many_arguments)]

mod add;
mod aligned;
mod context;
mod conv;
mod conv_shape;
mod conv_weight;
mod feature;
mod linear;
mod loss;
mod max_pool;
mod moving_average;
mod near;
mod norm;
mod norm_backward;
mod norm_shape;
mod peak;
mod pointwise;
mod pool;
mod product;
mod sgd;
mod shared_slice;
mod shortcut;
mod sweep;
#[cfg(test)]
mod tests;
mod threads;
mod vector;
mod winograd;

pub use crate::processor::Instructions;
pub use add::add_into;
pub use context::Context;
pub use conv::{conv_forward, conv_input_gradient};
pub use conv_shape::ConvShape;
pub use conv_weight::conv_weight_gradient;
pub use feature::{Feature, add_halo};
pub use linear::{LinearShape, linear_backward, linear_forward};
pub use loss::{CrossEntropy, cross_entropy, cross_entropy_gradient, log_sum, rank};
pub use max_pool::{max_pool_backward, max_pool_forward};
pub use moving_average::moving_average;
pub use norm::{norm_forward, norm_inference};
pub use norm_backward::{Mask, norm_backward};
pub use norm_shape::NormShape;
pub use peak::peak_sample;
pub use pool::{mean_pool_backward, mean_pool_forward};
pub use sgd::{SgdStep, sgd_update};
pub use shortcut::{Shortcut, shortcut_a_backward, subsampling};
pub use threads::Threads;
