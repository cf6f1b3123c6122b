//! Convolutions of 3x3 kernels with stride 1 by minimal filtering, F(2x2, 3x3) of Winograd as Lavin and Gray apply it
//! (arXiv:1509.09308, section 4.1): sixteen products of channels a tile of 2x2 outputs in the place of thirty-six.
//!
//! `tiles.rs` has the tiles and the patches around them, `convolve.rs` the passes forward and back to the input, `weight.rs`
//! the gradient of the weights. Whatever tiles go together, a tile's sums are the same.

mod convolve;
mod tiles;
mod weight;

pub(super) use convolve::{forward, input_gradient};
pub(super) use weight::weight_gradient;

use super::conv::ConvShape;

/// Products of a tile: the places of a patch of 4x4 inputs.
const PLACES: usize = 16;

/// Channels that lie side by side in transformed patches. Channels are a multiple of them.
const LANE: usize = 16;

/// Whether a convolution can be made so, forward and backward.
pub(super) fn serves(shape: ConvShape) -> bool {
    shape.kernel == 3
        && shape.stride == 1
        && shape.input.channels.is_multiple_of(LANE)
        && shape.outputs.is_multiple_of(LANE)
}
