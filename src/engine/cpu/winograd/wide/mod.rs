//! Minimal filtering F(4x4, 3x3) of wide layers: thirty-six products of channels per tile of 4x4 outputs instead of a hundred
//! and forty-four. Its sums are off by up to 3.3e-6 of the largest where those of F(2x2, 3x3) are off by 1e-6.
//!
//! `tiles.rs` has the tiles and `transforms.rs` what is done to them before and after the products, `convolve.rs` forward and
//! input gradient, `weight.rs` the gradient of the weights. Tiles are processed in chunks that stay in the L3 cache: first all
//! threads transform the chunk's tiles, then they multiply. A tile's sums do not depend on which tiles are processed together.

mod convolve;
mod tiles;
mod transforms;
mod weight;

pub(super) use convolve::convolve;
pub(super) use weight::weight_gradient;

use super::super::conv_shape::ConvShape;

/// Products of a tile, one for each place of a patch of 6x6 inputs.
const PLACES: usize = 36;

/// Floats of a chunk's transformed patches, which stay in the L3 cache.
const CHUNK: usize = 5 << 18;

/// Whether a convolution that minimal filtering supports is wide enough: products of 64 channels outweigh the larger
/// transforms, unless images are so small that most tiles are at an edge.
pub(super) fn serves(shape: ConvShape) -> bool {
    let (inputs, outputs) = (shape.input.channels, shape.outputs);
    let many = |channels: usize| channels >= 64 && channels.is_multiple_of(32);
    many(inputs)
        && many(outputs)
        && (inputs * outputs > 64 * 64 || shape.input.height.min(shape.input.width) > 8)
}
