//! Launches of 3x3 convolutions of stride 1 at the sizes of section 4.2: `kernels/direct.cuh`. They need no packed weights.
//! Products on tensor cores, and all other convolutions, are `convolution.rs`.

use super::arguments::{Address, Direct, DirectGradient, Shape};
use super::convolution::Parts;
use super::gpu::{Gpu, Slot};
use super::index::{Divisor, size};
use super::kernel::{self, Kernel};
use crate::engine::cpu::{ConvShape, Feature};
use crate::recipe::Precision;

/// Channels read that a block holds at a time.
const CHUNK: usize = 16;
/// Rows that a block of a weight gradient holds at a time.
const UNIT_ROWS: usize = 4;

/// A kernel and what one block computes.
#[derive(Clone, Copy)]
pub struct Tile {
    kernel: Kernel<Direct>,
    images: usize,
    rows: usize,
    channels: usize,
}

fn served(precision: Precision, shape: ConvShape) -> bool {
    precision == Precision::Fp32
        && (shape.kernel, shape.stride) == (3, 1)
        && shape.input.channels.is_multiple_of(CHUNK)
        && shape.outputs.is_multiple_of(CHUNK)
}

/// The kernel for a convolution, or its input's gradient, that reads and writes so many channels. `None` if none serves it.
pub fn tile(precision: Precision, shape: ConvShape, read: usize, written: usize) -> Option<Tile> {
    let (kernel, images, rows, channels) = match (shape.input.height, shape.input.width) {
        // This one holds all channels that it reads.
        (height, 32) if height.is_multiple_of(8) && read == CHUNK => (kernel::DIRECT_32, 1, 8, 16),
        (height, 16) if height.is_multiple_of(8) => (kernel::DIRECT_16, 1, 8, 32),
        (8, 8) => (kernel::DIRECT_8, 2, 8, 32),
        _ => return None,
    };
    (served(precision, shape) && written.is_multiple_of(channels)).then_some(Tile {
        kernel,
        images,
        rows,
        channels,
    })
}

/// A convolution, or with `gradient` that of its input: an address and its feature in, and out.
///
/// # Safety
/// The tile must be this shape's, and the addresses those of such features and weights.
pub unsafe fn convolve<G: Gpu>(
    gpu: &G,
    tile: Tile,
    (from, read): (Address, Feature),
    weights: Address,
    (to, written): (Address, Feature),
    gradient: bool,
    accumulate: bool,
) -> Result<(), G::Error> {
    let arguments = Direct {
        from: corner(from, read),
        to: place(to, written.at(0, 0, 0)),
        weights,
        images: size(read.images),
        height: size(read.height),
        inputs: size(read.channels),
        outputs: size(written.channels),
        from_image: size(read.image_storage()),
        from_row: size(read.row_storage()),
        to_image: size(written.image_storage()),
        to_row: size(written.row_storage()),
        gradient: gradient.into(),
        accumulate: accumulate.into(),
        write_halo: (!accumulate).into(),
        whole: to,
        to_shape: Shape::new(written),
    };
    let tiles = read.images.div_ceil(tile.images) * (read.height / tile.rows);
    let grid = [tiles, written.channels / tile.channels, 1];
    // SAFETY: by the caller's promise; a pixel's neighbours lie in the halo at most.
    unsafe { gpu.launch(tile.kernel, grid, &arguments) }
}

/// The kernel of a weight gradient, and how it divides it.
#[derive(Clone, Copy)]
pub struct GradientKernel {
    kernel: Kernel<DirectGradient>,
    /// Blocks side by side, each for a share of the channels read.
    shares: usize,
    /// Rows of a block.
    rows: usize,
}

/// The kernel for a convolution's weight gradient. `None` if none serves it.
pub fn gradient_kernel(precision: Precision, shape: ConvShape) -> Option<GradientKernel> {
    let (kernel, shares, rows) = match (shape.input.width, shape.input.channels) {
        (32, 16) => (kernel::DIRECT_GRADIENT_16, 1, 32),
        (16, 32) => (kernel::DIRECT_GRADIENT_32, 1, 16),
        (8, 64) => (kernel::DIRECT_GRADIENT_64, 2, 16),
        _ => return None,
    };
    let fits = served(precision, shape)
        && shape.outputs == shape.input.channels
        && shape.input.height.is_multiple_of(UNIT_ROWS);
    fits.then_some(GradientKernel {
        kernel,
        shares,
        rows,
    })
}

/// The partial sums of a weight gradient.
///
/// # Safety
/// The kernel must be this shape's; `x` and `dy` must be features of its input and output.
pub unsafe fn weight_gradient<G: Gpu>(
    gpu: &G,
    with: GradientKernel,
    shape: ConvShape,
    x: Address,
    dy: Address,
) -> Result<Parts, G::Error> {
    let (input, output) = (shape.input, shape.output());
    let rows = output.images * output.height;
    let count = rows.div_ceil(with.rows);
    let sums = gpu.scratch(Slot::Partial, count * shape.weights() * size_of::<f32>())?;
    let arguments = DirectGradient {
        x: corner(x, input),
        dy: place(dy, output.at(0, 0, 0)),
        partial: sums,
        rows: size(rows),
        rows_each: size(with.rows),
        by_height: Divisor::new(output.height),
        x_image: size(input.image_storage()),
        x_row: size(input.row_storage()),
        dy_image: size(output.image_storage()),
        dy_row: size(output.row_storage()),
    };
    // SAFETY: by the caller's promise; the partial sums' memory has the size computed here.
    unsafe { gpu.launch(with.kernel, [count, with.shares, 1], &arguments)? };
    Ok(Parts {
        sums,
        count,
        depth: 9 * input.channels,
        columns: shape.outputs,
    })
}

/// The address of a number of a feature.
fn place(feature: Address, index: usize) -> Address {
    feature + (index * size_of::<f32>()) as Address
}

/// The address of the pixel above and left of the first one, in the halo.
fn corner(address: Address, feature: Feature) -> Address {
    let first = feature.at(0, 0, 0);
    place(address, first - feature.row_storage() - feature.channels)
}
