//! Launches of convolutions, forward and backward.

use super::arguments::{Address, Lattice, Pack, Shape, Sweep, TAPS, WeightGradient, WeightSum};
use super::direct;
use super::gpu::{Gpu, Slot, check, check_feature};
use super::index::{Divisor, size};
use super::kernel::{self, Kernels};
use crate::engine::cpu::{ConvShape, Feature};
use crate::recipe::Precision;

/// Depth that a block of a sweep loads at a time, in numbers or tensor-core words; packed weights are padded to it.
const DEPTH: usize = 16;
/// Depth that a block of a weight gradient computes.
const TILE: usize = 64;
/// Pixels, or words of them, that a block of a weight gradient loads at a time.
const STRETCH: usize = 16;
/// Warps that a weight gradient is split into, enough for the largest GPU. Fixed, so that sums are the same on all GPUs.
const WARPS: usize = 2048;

/// A sweep's kernel and the tile that one block computes.
struct Tile {
    kernels: &'static Kernels<Sweep>,
    pixels: usize,
    columns: usize,
}

fn tile(outputs: usize, pixels: usize, quads: bool) -> Tile {
    let (kernels, tile, columns) = match (outputs, quads) {
        (..=16, true) => (&kernel::SWEEP_256X16, 256, 16),
        (..=16, false) => (&kernel::SWEEP_256X16_ANY, 256, 16),
        (..=32, true) => (&kernel::SWEEP_128X32, 128, 32),
        (..=32, false) => (&kernel::SWEEP_128X32_ANY, 128, 32),
        // Larger tiles if there are enough of them.
        (128.., true) if pixels * outputs >= 256 * 128 * 128 => (&kernel::SWEEP_128X128, 128, 128),
        (_, true) => (&kernel::SWEEP_64X64, 64, 64),
        (_, false) => (&kernel::SWEEP_64X64_ANY, 64, 64),
    };
    Tile {
        kernels,
        pixels: tile,
        columns,
    }
}

/// One product, which computes `columns * rows` pixels of each image.
struct Product {
    images: usize,
    rows: usize,
    columns: usize,
    from: Lattice,
    to: Lattice,
    /// For each tap, its index in the weights and its distance from the pixel, in floats.
    taps: Vec<(usize, isize)>,
    /// Channels read.
    inputs: usize,
    /// Channels written.
    outputs: usize,
    /// Distances between neighbouring channels in the weights.
    input_step: usize,
    output_step: usize,
    to_feature: Feature,
    accumulate: bool,
    write_halo: bool,
}

fn sweep<G: Gpu>(
    gpu: &G,
    product: &Product,
    from: Address,
    weights: Address,
    to: Address,
) -> Result<(), G::Error> {
    let depth = product.taps.len() * product.inputs;
    let pixels = product.images * product.rows * product.columns;
    let tile = tile(product.outputs, pixels, product.inputs.is_multiple_of(4));
    let precision = gpu.precision();
    let packed_columns = product.outputs.next_multiple_of(tile.columns);
    // Packed as depth rows of all columns; for tensor cores, as columns of all depth words.
    let (lines, step) = match words(precision) {
        None => (depth.next_multiple_of(DEPTH), packed_columns),
        Some(each) => (packed_columns, depth.div_ceil(each).next_multiple_of(DEPTH)),
    };
    // A word is as large as a float.
    let packed = gpu.scratch(Slot::Packed, lines * step * size_of::<f32>())?;
    let mut taps = [0; TAPS];
    let mut offsets = [0; TAPS];
    for (index, &(tap, offset)) in product.taps.iter().enumerate() {
        taps[index] = tap as i32;
        offsets[index] = offset as i32;
    }
    let pack = Pack {
        weights,
        packed,
        depth: size(depth),
        outputs: size(product.outputs),
        by_step: Divisor::new(step),
        lines: size(lines),
        by_inputs: Divisor::new(product.inputs),
        input_step: size(product.input_step),
        output_step: size(product.output_step),
        taps,
    };
    let sweep = Sweep {
        from,
        packed,
        to,
        pixels: size(pixels),
        by_plane: Divisor::new(product.rows * product.columns),
        by_columns: Divisor::new(product.columns),
        from_at: product.from,
        to_at: product.to,
        by_inputs: Divisor::new(product.inputs),
        outputs: size(product.outputs),
        depth: size(depth),
        packed_step: size(step),
        accumulate: product.accumulate.into(),
        write_halo: product.write_halo.into(),
        to_shape: Shape::new(product.to_feature),
        offsets,
    };
    let blocks = (lines * step).div_ceil(256);
    let grid = [
        pixels.div_ceil(tile.pixels),
        packed_columns / tile.columns,
        1,
    ];
    // SAFETY: the addresses are those of features and weights whose lengths the callers checked, and of scratch memory of
    // the size computed here; taps lie within the weights and reach no further than the halo.
    unsafe {
        if blocks > 0 {
            gpu.launch(kernel::PACK.of(precision), [blocks, 1, 1], &pack)?;
        }
        gpu.launch(tile.kernels.of(precision), grid, &sweep)
    }
}

/// Numbers per tensor-core word; `None` if floats are multiplied without tensor cores.
fn words(precision: Precision) -> Option<usize> {
    match precision {
        Precision::Fp32 => None,
        Precision::Tf32 => Some(1),
        Precision::Bf16 => Some(2),
    }
}

fn check_shape<G: Gpu>(
    gpu: &G,
    shape: ConvShape,
    x: &G::Numbers,
    weight: &G::Numbers,
    y: &G::Numbers,
) {
    assert!(
        shape.kernel % 2 == 1 && shape.kernel * shape.kernel <= TAPS,
        "unsupported kernel side {}",
        shape.kernel
    );
    assert!(
        shape.input.halo >= shape.padding(),
        "the halo is smaller than the padding: {shape:?}"
    );
    check_feature(gpu, "x", x, shape.input);
    check(gpu, "weight", weight, shape.weights());
    check_feature(gpu, "y", y, shape.output());
}

/// Where each output pixel's first tap lies in the input.
fn windows(shape: ConvShape) -> Lattice {
    let input = shape.input;
    Lattice {
        start: size((input.halo - shape.padding()) * (input.row_storage() + input.channels)),
        image: size(input.image_storage()),
        row: size(shape.stride * input.row_storage()),
        column: size(shape.stride * input.channels),
    }
}

fn pixels_of(feature: Feature) -> Lattice {
    Lattice {
        start: size(feature.at(0, 0, 0)),
        image: size(feature.image_storage()),
        row: size(feature.row_storage()),
        column: size(feature.channels),
    }
}

/// `y = x * weight`, with shapes as in the CPU's `conv_forward`.
pub fn convolve<G: Gpu>(
    gpu: &G,
    shape: ConvShape,
    x: &G::Numbers,
    weight: &G::Numbers,
    y: &mut G::Numbers,
) -> Result<(), G::Error> {
    check_shape(gpu, shape, x, weight, y);
    let (input, output, k) = (shape.input, shape.output(), shape.kernel);
    if let Some(tile) = direct::tile(gpu.precision(), shape, input.channels, shape.outputs) {
        let (from, to) = ((gpu.address(x), input), (gpu.address(y), output));
        // SAFETY: lengths were checked.
        return unsafe { direct::convolve(gpu, tile, from, gpu.address(weight), to, false, false) };
    }
    let taps = (0..k * k).map(|tap| {
        let offset = tap / k * input.row_storage() + tap % k * input.channels;
        (tap, offset as isize)
    });
    let product = Product {
        images: output.images,
        rows: output.height,
        columns: output.width,
        from: windows(shape),
        to: pixels_of(output),
        taps: taps.collect(),
        inputs: input.channels,
        outputs: shape.outputs,
        input_step: k * k,
        output_step: input.channels * k * k,
        to_feature: output,
        accumulate: false,
        write_halo: true,
    };
    sweep(
        gpu,
        &product,
        gpu.address(x),
        gpu.address(weight),
        gpu.address(y),
    )
}

/// The gradient of the input, for kernels up to 3, added to `dx` with `accumulate`. A strided convolution is split into one
/// product for each parity of rows and columns, so that nothing is multiplied by the zeros between the outputs.
pub fn convolve_input_gradient<G: Gpu>(
    gpu: &G,
    shape: ConvShape,
    dy: &G::Numbers,
    weight: &G::Numbers,
    dx: &mut G::Numbers,
    accumulate: bool,
) -> Result<(), G::Error> {
    check_shape(gpu, shape, dx, weight, dy);
    assert!(shape.kernel <= 3, "unsupported input gradient: {shape:?}");
    let (input, output) = (shape.input, shape.output());
    if let Some(tile) = direct::tile(gpu.precision(), shape, shape.outputs, input.channels) {
        let (from, to) = ((gpu.address(dy), output), (gpu.address(dx), input));
        // SAFETY: lengths were checked.
        return unsafe {
            direct::convolve(gpu, tile, from, gpu.address(weight), to, true, accumulate)
        };
    }
    let (k, s, pad) = (shape.kernel, shape.stride, shape.padding());
    // The taps through which inputs of a parity are read, as (tap, distance of the output from input / stride).
    let reach = |parity: usize| -> Vec<(usize, isize)> {
        (0..k)
            .filter(|tap| (parity + pad + s - tap % s).is_multiple_of(s))
            .map(|tap| {
                (
                    tap,
                    (parity as isize + pad as isize - tap as isize) / s as isize,
                )
            })
            .collect()
    };
    let to = pixels_of(input);
    for py in 0..s.min(input.height) {
        for px in 0..s.min(input.width) {
            let mut taps = Vec::new();
            for (ky, rows) in reach(py) {
                for (kx, columns) in reach(px) {
                    let row = output.row_storage() as isize;
                    taps.push((ky * k + kx, rows * row + columns * output.channels as isize));
                }
            }
            if taps.is_empty() && accumulate {
                continue;
            }
            let product = Product {
                images: input.images,
                rows: (input.height - py).div_ceil(s),
                columns: (input.width - px).div_ceil(s),
                from: pixels_of(output),
                to: Lattice {
                    start: to.start + size(py) * to.row + size(px) * to.column,
                    row: size(s) * to.row,
                    column: size(s) * to.column,
                    ..to
                },
                taps,
                inputs: shape.outputs,
                outputs: input.channels,
                input_step: input.channels * k * k,
                output_step: k * k,
                to_feature: input,
                accumulate,
                write_halo: !accumulate && (py, px) == (0, 0),
            };
            sweep(
                gpu,
                &product,
                gpu.address(dy),
                gpu.address(weight),
                gpu.address(dx),
            )?;
        }
    }
    Ok(())
}

/// The gradient of the weights.
pub fn convolve_weight_gradient<G: Gpu>(
    gpu: &G,
    shape: ConvShape,
    x: &G::Numbers,
    dy: &G::Numbers,
    dweight: &mut G::Numbers,
) -> Result<(), G::Error> {
    check_shape(gpu, shape, x, dweight, dy);
    let (x, dy) = (gpu.address(x), gpu.address(dy));
    // SAFETY: lengths were checked.
    let parts = unsafe {
        match direct::gradient_kernel(gpu.precision(), shape) {
            Some(kernel) => direct::weight_gradient(gpu, kernel, shape, x, dy)?,
            None => weight_gradient(gpu, shape, x, dy)?,
        }
    };
    let depth = shape.kernel * shape.kernel * shape.input.channels;
    let sum = WeightSum {
        partial: parts.sums,
        dweights: gpu.address(dweight),
        parts: size(parts.count),
        packed_depth: size(parts.depth),
        packed_columns: size(parts.columns),
        outputs: size(shape.outputs),
        depth: size(depth),
        taps: size(shape.kernel * shape.kernel),
        by_outputs: Divisor::new(shape.outputs),
        by_inputs: Divisor::new(shape.input.channels),
    };
    let grid = [(depth * shape.outputs).div_ceil(16), 1, 1];
    // SAFETY: the parts were made for this shape.
    unsafe { gpu.launch(kernel::WEIGHT_SUM, grid, &sum) }
}

/// Partial sums of a weight gradient, `[count][depth][columns]`.
pub(super) struct Parts {
    pub sums: Address,
    pub count: usize,
    /// At least taps times channels read.
    pub depth: usize,
    /// At least the channels written.
    pub columns: usize,
}

/// The partial sums of any convolution's weight gradient.
///
/// # Safety
/// `x` and `dy` must be features of the shape's input and output.
unsafe fn weight_gradient<G: Gpu>(
    gpu: &G,
    shape: ConvShape,
    x: Address,
    dy: Address,
) -> Result<Parts, G::Error> {
    let (input, output, k) = (shape.input, shape.output(), shape.kernel);
    let quads = input.channels.is_multiple_of(4) && shape.outputs.is_multiple_of(4);
    let (kernels, columns) = match (shape.outputs, quads) {
        (..=16, true) => (&kernel::WEIGHT_GRADIENT_16, 16),
        (..=16, false) => (&kernel::WEIGHT_GRADIENT_16_ANY, 16),
        (..=32, true) => (&kernel::WEIGHT_GRADIENT_32, 32),
        (..=32, false) => (&kernel::WEIGHT_GRADIENT_32_ANY, 32),
        (_, true) => (&kernel::WEIGHT_GRADIENT_64, 64),
        (_, false) => (&kernel::WEIGHT_GRADIENT_64_ANY, 64),
    };
    let kernel = kernels.of(gpu.precision());
    let stretch = STRETCH * words(gpu.precision()).unwrap_or(1);
    let depth = k * k * input.channels;
    let packed_depth = depth.next_multiple_of(TILE);
    let packed_columns = shape.outputs.next_multiple_of(columns);
    let tiles = (packed_depth / TILE) * (packed_columns / columns);
    let pixels = output.pixels();
    let warps = kernel.threads as usize / 32;
    let wanted = (WARPS / (tiles * warps)).clamp(1, pixels.div_ceil(stretch).max(1));
    let pixels_each = pixels.div_ceil(wanted).next_multiple_of(stretch);
    let parts = pixels.div_ceil(pixels_each).max(1);
    let partial = parts * packed_depth * packed_columns * size_of::<f32>();
    let partial = gpu.scratch(Slot::Partial, partial)?;
    let mut offsets = [0; TAPS];
    for (tap, offset) in offsets.iter_mut().enumerate().take(k * k) {
        *offset = (tap / k * input.row_storage() + tap % k * input.channels) as i32;
    }
    let gradient = WeightGradient {
        x,
        dy,
        partial,
        pixels: size(pixels),
        pixels_each: size(pixels_each),
        by_plane: Divisor::new(output.height * output.width),
        by_columns: Divisor::new(output.width),
        x_at: windows(shape),
        dy_at: pixels_of(output),
        by_inputs: Divisor::new(input.channels),
        outputs: size(shape.outputs),
        depth: size(depth),
        packed_depth: size(packed_depth),
        packed_columns: size(packed_columns),
        offsets,
    };
    let grid = [packed_depth / TILE, packed_columns / columns, parts];
    // SAFETY: by the caller's promise; the partial sums' memory has the size computed here, windows reach no further than
    // the halo.
    unsafe { gpu.launch(kernel, grid, &gradient)? };
    Ok(Parts {
        sums: partial,
        count: parts,
        depth: packed_depth,
        columns: packed_columns,
    })
}
