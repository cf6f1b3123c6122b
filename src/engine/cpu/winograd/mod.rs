//! Convolutions with 3x3 kernels and stride 1 by minimal filtering, Winograd's F(2x2, 3x3) as applied by Lavin and Gray
//! (arXiv:1509.09308, section 4.1): sixteen products of channels per tile of 2x2 outputs instead of thirty-six.
//!
//! `tiles.rs` has the tiles and the patches around them, `kernels.rs` the kernels, `convolve.rs` forward and input gradient,
//! `weight.rs` the gradient of the weights. A tile's sums do not depend on which tiles are processed together. `wide/` is
//! F(4x4, 3x3) for layers of many channels.

mod convolve;
mod kernels;
mod tiles;
mod weight;
mod wide;

use super::context::Context;
use super::conv_shape::ConvShape;
use tiles::LANE;

/// Whether minimal filtering supports a convolution, forward and backward.
pub(super) fn serves(shape: ConvShape) -> bool {
    shape.kernel == 3
        && shape.stride == 1
        && shape.input.channels.is_multiple_of(LANE)
        && shape.outputs.is_multiple_of(LANE)
}

/// `y = x * w`; see [`conv_forward`](super::conv_forward).
pub(super) fn forward(ctx: &Context, x: &[f32], w: &[f32], y: &mut [f32], shape: ConvShape) {
    if wide::serves(shape) {
        wide::forward(ctx, x, w, y, shape);
    } else {
        convolve::forward(ctx, x, w, y, shape);
    }
}

/// `dx = dy * w` transposed; see [`conv_input_gradient`](super::conv_input_gradient).
pub(super) fn input_gradient(
    ctx: &Context,
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
    shape: ConvShape,
    accumulate: bool,
) {
    if wide::serves(shape) {
        wide::input_gradient(ctx, dy, w, dx, shape, accumulate);
    } else {
        convolve::input_gradient(ctx, dy, w, dx, shape, accumulate);
    }
}

/// `dw`; see [`conv_weight_gradient`](super::conv_weight_gradient).
pub(super) fn weight_gradient(
    ctx: &Context,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    shape: ConvShape,
) {
    if wide::serves(shape) {
        wide::weight_gradient(ctx, x, dy, dw, shape);
    } else {
        weight::weight_gradient(ctx, x, dy, dw, shape);
    }
}
