//! Launches of batch normalisation.

use super::arguments::{Address, Norm, NormApply, NormGradientApply, Shape};
use super::gpu::{Gpu, Slot, check, check_feature};
use super::index::{Divisor, size};
use super::kernel;
use crate::engine::cpu::{Feature, NormShape, subsampling};

/// Threads per block.
const THREADS: usize = 256;
/// Channels that one block sums.
const CHANNELS: usize = 64;
/// Channels that a thread handles at a time, if they come in fours.
const UNIT: usize = 4;

/// What is added before the ReLU.
pub enum Shortcut<'a, N> {
    None,
    /// A feature of the same shape.
    Identity(&'a N),
    /// Option A: every second pixel of a feature of this shape.
    Subsampled(&'a N, Feature),
}

/// Where the ReLU after a normalisation lets gradients pass.
pub enum Gate<'a, N> {
    /// Everywhere: there was no ReLU.
    Open,
    /// Recomputed from the normalisation's input.
    Recomputed,
    /// Where this output is above 0.
    Output(&'a N),
}

fn group_images(shape: NormShape) -> usize {
    let (first, last) = shape.images_of(0);
    (last - first).max(1)
}

/// Blocks that sum a group of so many values. By the shape alone, so that sums are the same on every GPU: few, because one
/// block adds their sums, but no block gets more than 2^16 values as long as that is possible.
fn parts(values: usize) -> usize {
    (values / (1 << 12))
        .clamp(1, 128)
        .max((values >> 16).min(512))
}

/// Whether each thread handles [`UNIT`] channels at a time.
fn by_units(feature: Feature) -> bool {
    feature.channels.is_multiple_of(UNIT)
}

/// The operands of sums; addresses of absent ones are 0.
struct Operands {
    x: Address,
    scale: Address,
    shift: Address,
    mean: Address,
    variance: Address,
    dy: Address,
    output: Address,
    dscale: Address,
    dshift: Address,
    gate: u32,
    apart: bool,
}

fn sums<G: Gpu>(
    gpu: &G,
    shape: NormShape,
    operands: Operands,
) -> Result<(Norm, [usize; 3]), G::Error> {
    let feature = shape.feature;
    let channels = feature.channels;
    let group_pixels = group_images(shape) * feature.height * feature.width;
    let parts = parts(group_pixels * channels).min(group_pixels);
    let unit = if by_units(feature) { UNIT } else { 1 };
    let lanes = channels.min(CHANNELS) / unit;
    let groups = shape.groups();
    let norm = Norm {
        x: operands.x,
        scale: operands.scale,
        shift: operands.shift,
        mean: operands.mean,
        variance: operands.variance,
        lines: gpu.scratch(Slot::Lines, groups * 4 * channels * size_of::<f32>())?,
        partial: gpu.scratch(
            Slot::Partial,
            groups * parts * 2 * channels * size_of::<f64>(),
        )?,
        counter: gpu.scratch(Slot::Counter, size_of::<u32>())?,
        shape: Shape::new(feature),
        by_group: Divisor::new(group_images(shape)),
        group_pixels: size(group_pixels),
        groups: size(groups),
        parts: size(parts),
        pixels: size(feature.pixels()),
        by_lanes: Divisor::new(lanes),
        rows: size(THREADS / lanes),
        epsilon: shape.epsilon,
        dy: operands.dy,
        output: operands.output,
        dscale: operands.dscale,
        dshift: operands.dshift,
        gate: operands.gate,
        apart: operands.apart.into(),
    };
    Ok((norm, [parts, channels.div_ceil(CHANNELS), groups]))
}

/// The grid of a pass over a whole feature.
fn pass(feature: Feature) -> [usize; 3] {
    let unit = if by_units(feature) { UNIT } else { 1 };
    [(feature.storage() / unit).div_ceil(THREADS), 1, 1]
}

fn apply<G: Gpu>(
    gpu: &G,
    shape: NormShape,
    x: &G::Numbers,
    lines: Address,
    shortcut: Shortcut<'_, G::Numbers>,
    relu: bool,
    y: &mut G::Numbers,
) -> Result<(), G::Error> {
    let feature = shape.feature;
    check_feature(gpu, "y", y, feature);
    let (add, added, source) = match shortcut {
        Shortcut::None => (0, 0, feature),
        Shortcut::Identity(added) => {
            check_feature(gpu, "shortcut", added, feature);
            (1, gpu.address(added), feature)
        }
        Shortcut::Subsampled(added, source) => {
            check_feature(gpu, "shortcut", added, source);
            (2, gpu.address(added), source)
        }
    };
    let arguments = NormApply {
        x: gpu.address(x),
        added,
        y: gpu.address(y),
        lines,
        shape: Shape::new(feature),
        source: Shape::new(source),
        stride: size(if add == 2 {
            subsampling(source, feature)
        } else {
            1
        }),
        add,
        relu: relu.into(),
        by_group: Divisor::new(group_images(shape)),
    };
    let kernels = match by_units(feature) {
        true => kernel::NORM_APPLY_4,
        false => kernel::NORM_APPLY_1,
    };
    // SAFETY: lengths were checked, and the lines belong to this shape's groups.
    unsafe { gpu.launch(kernels.of(gpu.precision()), pass(feature), &arguments) }
}

/// Normalises with each group's statistics, which are written to `mean` and `variance`, `[groups][channels]`, then adds the
/// shortcut, then applies the ReLU.
pub fn normalise<G: Gpu>(
    gpu: &G,
    shape: NormShape,
    x: &G::Numbers,
    [scale, shift]: [&G::Numbers; 2],
    shortcut: Shortcut<'_, G::Numbers>,
    relu: bool,
    y: &mut G::Numbers,
    [mean, variance]: [&mut G::Numbers; 2],
) -> Result<(), G::Error> {
    let channels = shape.feature.channels;
    check_feature(gpu, "x", x, shape.feature);
    check(gpu, "scale", scale, channels);
    check(gpu, "shift", shift, channels);
    check(gpu, "mean", mean, shape.groups() * channels);
    check(gpu, "variance", variance, shape.groups() * channels);
    let operands = Operands {
        x: gpu.address(x),
        scale: gpu.address(scale),
        shift: gpu.address(shift),
        mean: gpu.address(mean),
        variance: gpu.address(variance),
        dy: 0,
        output: 0,
        dscale: 0,
        dshift: 0,
        gate: 0,
        apart: false,
    };
    let (norm, grid) = sums(gpu, shape, operands)?;
    let kernels = match by_units(shape.feature) {
        true => kernel::NORM_STATISTICS_4,
        false => kernel::NORM_STATISTICS_1,
    };
    // SAFETY: lengths were checked, scratch memory has the sizes that the kernel assumes.
    unsafe { gpu.launch(kernels.of(gpu.precision()), grid, &norm)? };
    apply(gpu, shape, x, norm.lines, shortcut, relu, y)
}

/// As [`normalise`], with given statistics, `[groups][channels]`.
pub fn normalise_fixed<G: Gpu>(
    gpu: &G,
    shape: NormShape,
    x: &G::Numbers,
    [scale, shift]: [&G::Numbers; 2],
    [mean, variance]: [&G::Numbers; 2],
    shortcut: Shortcut<'_, G::Numbers>,
    relu: bool,
    y: &mut G::Numbers,
) -> Result<(), G::Error> {
    let (channels, groups) = (shape.feature.channels, shape.groups());
    check_feature(gpu, "x", x, shape.feature);
    check(gpu, "scale", scale, channels);
    check(gpu, "shift", shift, channels);
    check(gpu, "mean", mean, groups * channels);
    check(gpu, "variance", variance, groups * channels);
    let operands = Operands {
        x: gpu.address(x),
        scale: gpu.address(scale),
        shift: gpu.address(shift),
        mean: gpu.address(mean),
        variance: gpu.address(variance),
        dy: 0,
        output: 0,
        dscale: 0,
        dshift: 0,
        gate: 0,
        apart: false,
    };
    let (norm, _) = sums(gpu, shape, operands)?;
    let grid = [channels.div_ceil(THREADS), 1, groups];
    // SAFETY: as above.
    unsafe { gpu.launch(kernel::NORM_LINES, grid, &norm)? };
    apply(gpu, shape, x, norm.lines, shortcut, relu, y)
}

/// As the CPU's `norm_backward`: with `dx`, writes the gradient of the input there and turns `dy` into the gradient of the
/// shortcut; without, turns `dy` into the gradient of the input.
pub fn normalise_gradient<G: Gpu>(
    gpu: &G,
    shape: NormShape,
    x: &G::Numbers,
    [scale, shift]: [&G::Numbers; 2],
    [mean, variance]: [&G::Numbers; 2],
    gate: Gate<'_, G::Numbers>,
    dy: &mut G::Numbers,
    dx: Option<&mut G::Numbers>,
    [dscale, dshift]: [&mut G::Numbers; 2],
) -> Result<(), G::Error> {
    let feature = shape.feature;
    let channels = feature.channels;
    check_feature(gpu, "x", x, feature);
    check_feature(gpu, "dy", dy, feature);
    for (what, numbers) in [
        ("scale", scale),
        ("shift", shift),
        ("dscale", &*dscale),
        ("dshift", &*dshift),
    ] {
        check(gpu, what, numbers, channels);
    }
    check(gpu, "mean", mean, shape.groups() * channels);
    check(gpu, "variance", variance, shape.groups() * channels);
    let (gate, output) = match gate {
        Gate::Open => (0, 0),
        Gate::Recomputed => (1, 0),
        Gate::Output(output) => {
            check_feature(gpu, "output", output, feature);
            (2, gpu.address(output))
        }
    };
    if let Some(dx) = &dx {
        check_feature(gpu, "dx", dx, feature);
    }
    let apart = dx.is_some();
    let operands = Operands {
        x: gpu.address(x),
        scale: gpu.address(scale),
        shift: gpu.address(shift),
        mean: gpu.address(mean),
        variance: gpu.address(variance),
        dy: gpu.address(dy),
        output,
        dscale: gpu.address(dscale),
        dshift: gpu.address(dshift),
        gate,
        apart,
    };
    let (norm, grid) = sums(gpu, shape, operands)?;
    let arguments = NormGradientApply {
        x: norm.x,
        dy: norm.dy,
        output,
        dx: dx.map_or(norm.dy, |dx| gpu.address(dx)),
        lines: norm.lines,
        mean: norm.mean,
        shape: norm.shape,
        // `dy` is masked already.
        gate: if apart { 0 } else { gate },
        by_group: norm.by_group,
    };
    let (sums, applies) = match by_units(feature) {
        true => (kernel::NORM_GRADIENT_SUMS_4, kernel::NORM_GRADIENT_APPLY_4),
        false => (kernel::NORM_GRADIENT_SUMS_1, kernel::NORM_GRADIENT_APPLY_1),
    };
    // SAFETY: lengths were checked, scratch memory has the sizes that the kernels assume; if `dx` is `dy`, each thread
    // reads its floats before it writes them.
    unsafe {
        gpu.launch(sums.of(gpu.precision()), grid, &norm)?;
        gpu.launch(applies.of(gpu.precision()), pass(feature), &arguments)
    }
}
