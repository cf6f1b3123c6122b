//! Convolutions with 1x1 kernels and many channels, which bottleneck networks spend most of their time on: products of
//! matrices, whose rows are pixels. The pixels that a task needs are copied side by side first, because pixels of many
//! channels are so far apart in memory that they would evict each other from the caches.
//!
//! `convolve.rs` has forward and input gradient, `weight.rs` the gradient of the weights, `grid.rs` the pixels.

mod convolve;
mod grid;
mod weight;

pub(super) use convolve::{forward, input_gradient};
pub(super) use weight::weight_gradient;

use super::conv_shape::ConvShape;

/// Fewest channels on both sides for which copying the pixels pays.
const MANY: usize = 64;

/// Whether a convolution is computed here, forward and backward.
pub(super) fn serves(shape: ConvShape) -> bool {
    let many = |channels: usize| channels >= MANY && channels.is_multiple_of(32);
    shape.kernel == 1 && many(shape.input.channels) && many(shape.outputs)
}
