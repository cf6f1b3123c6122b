//! Convolutions with 3x3 kernels and stride 1 by minimal filtering, Winograd's F(2x2, 3x3) as applied by Lavin and Gray
//! (arXiv:1509.09308, section 4.1): sixteen products of channels per tile of 2x2 outputs instead of thirty-six.
//!
//! `tiling.rs` has the tiles and `tiles.rs` the patches around them, `kernels.rs` the kernels, `convolve.rs` the pass that is
//! both forward and input gradient, `weight.rs` the gradient of the weights. A tile's sums do not depend on which tiles are
//! processed together. `wide/` is F(4x4, 3x3) for layers of many channels.

mod convolve;
mod kernels;
mod tiles;
mod tiling;
mod weight;
mod wide;

use super::context::Context;
use super::conv_shape::ConvShape;
use super::feature::Feature;
use kernels::Kernels;
use tiles::LANE;

/// Whether minimal filtering supports a convolution, forward and backward.
pub(super) fn serves(shape: ConvShape) -> bool {
    shape.kernel == 3
        && shape.stride == 1
        && shape.input.channels.is_multiple_of(LANE)
        && shape.outputs.is_multiple_of(LANE)
}

/// Convolves a feature with kernels to another one, or adds to that one.
type Pass = fn(&Context, Kernels<'_>, &[f32], Feature, &mut [f32], Feature, bool);

/// The pass that serves a convolution best.
fn pass(shape: ConvShape) -> Pass {
    if wide::serves(shape) {
        wide::convolve
    } else {
        convolve::convolve
    }
}

/// `y = x * w`; see [`conv_forward`](super::conv_forward).
pub(super) fn forward(ctx: &Context, x: &[f32], w: &[f32], y: &mut [f32], shape: ConvShape) {
    let kernels = Kernels::forward(w, shape);
    pass(shape)(ctx, kernels, x, shape.input, y, shape.output(), false);
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
    let kernels = Kernels::backward(w, shape);
    let output = shape.output();
    pass(shape)(ctx, kernels, dy, output, dx, shape.input, accumulate);
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
