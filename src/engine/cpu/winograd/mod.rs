//! Convolutions with 3x3 kernels and stride 1 by minimal filtering, Winograd's F(2x2, 3x3) as applied by Lavin and Gray
//! (arXiv:1509.09308, section 4.1): sixteen products of channels per tile of 2x2 outputs instead of thirty-six.
//!
//! `tiles.rs` has the tiles and the patches around them, `convolve.rs` forward and input gradient, `weight.rs` the gradient
//! of the weights. A tile's sums do not depend on which tiles are processed together.

mod convolve;
mod tiles;
mod weight;

pub(super) use convolve::{forward, input_gradient};
pub(super) use weight::weight_gradient;

use super::conv_shape::ConvShape;
use tiles::LANE;

/// Whether minimal filtering supports a convolution, forward and backward.
pub(super) fn serves(shape: ConvShape) -> bool {
    shape.kernel == 3
        && shape.stride == 1
        && shape.input.channels.is_multiple_of(LANE)
        && shape.outputs.is_multiple_of(LANE)
}
