//! Batch normalisation forward, fused with the addition of a shortcut and the ReLU: one pass for the statistics, one that
//! writes.

use super::context::Context;
use super::feature::{Feature, zero_halo};
use super::norm_shape::NormShape;
use super::shared_slice::SharedSlice;
use super::shortcut::{Shortcut, subsampling};
use super::vector::{Kernel, Vector, dispatch, will_read};

/// `y = scale * (x - mean) / sqrt(variance + epsilon) + shift`, plus the shortcut, then with `relu` the ReLU. Each group's
/// mean and biased variance are written to `mean` and `variance`, `[groups][channels]`.
pub fn norm_forward(
    ctx: &Context,
    shape: NormShape,
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    shortcut: Shortcut<'_>,
    relu: bool,
    y: &mut [f32],
    mean: &mut [f32],
    variance: &mut [f32],
) {
    let feature = shape.feature;
    let channels = feature.channels;
    feature.check("x", x);
    assert_eq!(
        (mean.len(), variance.len()),
        (shape.groups() * channels, shape.groups() * channels)
    );
    let parts = shape.parts();
    let mut sums = vec![0.0f64; parts.len() * 2 * channels];
    let shared = SharedSlice::new(&mut sums);
    // Sums are of deviations from some value of the channel: sums of squares of x would lose a small variance.
    let pivot = |group: usize| &x[feature.at(shape.images_of(group).0, 0, 0)..][..channels];
    ctx.pass(parts.len(), &|part| {
        let (group, first, last) = parts[part];
        dispatch(
            ctx.instructions,
            &SumKernel {
                x,
                feature,
                images: (first, last),
                pivot: pivot(group),
                sums: shared.pointer(part * 2 * channels),
            },
        );
    });
    for group in 0..shape.groups() {
        let count = shape.values(group) as f64;
        for channel in 0..channels {
            let (mut sum, mut squares) = (0.0, 0.0);
            for (part, _) in parts.iter().enumerate().filter(|(_, part)| part.0 == group) {
                sum += sums[part * 2 * channels + channel];
                squares += sums[part * 2 * channels + channels + channel];
            }
            let spread = (squares - sum * sum / count) / count;
            mean[group * channels + channel] =
                (f64::from(pivot(group)[channel]) + sum / count) as f32;
            // Rounding may go below zero; a NaN must stay one.
            variance[group * channels + channel] = if spread < 0.0 { 0.0 } else { spread as f32 };
        }
    }
    let lines = lines(shape, mean, variance, scale, shift);
    apply(ctx, shape, x, &lines, shortcut, relu, y);
}

/// As [`norm_forward`], with given means and variances, `[groups][channels]`.
pub fn norm_inference(
    ctx: &Context,
    shape: NormShape,
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    mean: &[f32],
    variance: &[f32],
    shortcut: Shortcut<'_>,
    relu: bool,
    y: &mut [f32],
) {
    let lines = lines(shape, mean, variance, scale, shift);
    apply(ctx, shape, x, &lines, shortcut, relu, y);
}

/// The line of each group.
fn lines(
    shape: NormShape,
    mean: &[f32],
    variance: &[f32],
    scale: &[f32],
    shift: &[f32],
) -> Vec<Line> {
    let channels = shape.feature.channels;
    let all = shape.groups() * channels;
    assert_eq!((mean.len(), variance.len()), (all, all));
    mean.chunks(channels)
        .zip(variance.chunks(channels))
        .map(|(mean, variance)| Line::new(mean, variance, shape.epsilon, scale, shift))
        .collect()
}

/// Normalisation as one multiplication and one addition per channel. The backward pass computes the same line, so that it
/// knows exactly where the ReLU let values pass.
pub(super) struct Line {
    pub factor: Vec<f32>,
    pub offset: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    pub inverse: Vec<f64>,
}

impl Line {
    pub(super) fn new(
        mean: &[f32],
        variance: &[f32],
        epsilon: f32,
        scale: &[f32],
        shift: &[f32],
    ) -> Line {
        let channels = scale.len();
        assert_eq!(
            (mean.len(), variance.len(), shift.len()),
            (channels, channels, channels)
        );
        let inverse: Vec<f64> = variance
            .iter()
            .map(|&variance| 1.0 / (f64::from(variance) + f64::from(epsilon)).sqrt())
            .collect();
        let factor: Vec<f32> = (0..channels)
            .map(|c| (f64::from(scale[c]) * inverse[c]) as f32)
            .collect();
        let offset = (0..channels)
            .map(|c| (f64::from(shift[c]) - f64::from(mean[c]) * f64::from(factor[c])) as f32)
            .collect();
        Line {
            factor,
            offset,
            inverse,
        }
    }
}

fn apply(
    ctx: &Context,
    shape: NormShape,
    x: &[f32],
    lines: &[Line],
    shortcut: Shortcut<'_>,
    relu: bool,
    y: &mut [f32],
) {
    let feature = shape.feature;
    feature.check("x", x);
    feature.check("y", y);
    assert_eq!(lines[0].factor.len(), feature.channels);
    shortcut.check(feature);
    let y = SharedSlice::new(y);
    ctx.pass(feature.images, &|image| {
        zero_halo(feature, image, y);
        let line = &lines[shape.group_of(image)];
        let (added, source, stride) = match shortcut {
            Shortcut::None => (None, feature, 1),
            Shortcut::Identity(data) => (Some(data), feature, 1),
            Shortcut::Subsampled {
                data,
                feature: from,
            } => (Some(data), from, subsampling(from, feature)),
        };
        dispatch(
            ctx.instructions,
            &ApplyKernel {
                x,
                feature,
                image,
                line,
                added,
                source,
                stride,
                floor: if relu { 0.0 } else { f32::NEG_INFINITY },
                y: y.pointer(0),
            },
        );
    });
}

/// Calls a method for four vectors of channels at a time, then for one, then for the rest of less than one.
macro_rules! by_channels {
    ($vector:ident, $from:expr, $to:expr, $object:ident.$method:ident $(::<$($constant:ident),+>)?, $block:expr) => {{
        let (mut channel, to, block) = ($from, $to, $block);
        while channel + 4 * $vector::LANES <= to {
            $object.$method::<$vector, 4, true $($(, $constant)+)?>(channel, $vector::LANES, block);
            channel += 4 * $vector::LANES;
        }
        while channel + $vector::LANES <= to {
            $object.$method::<$vector, 1, true $($(, $constant)+)?>(channel, $vector::LANES, block);
            channel += $vector::LANES;
        }
        if channel < to {
            $object.$method::<$vector, 1, false $($(, $constant)+)?>(channel, to - channel, block);
        }
    }};
}
pub(super) use by_channels;

/// # Safety
/// As for [`Vector`].
#[inline(always)]
pub(super) unsafe fn load<V: Vector, const WHOLE: bool>(from: *const f32, count: usize) -> V {
    unsafe {
        if WHOLE {
            V::load(from)
        } else {
            V::load_part(from, count)
        }
    }
}

/// # Safety
/// As for [`Vector`].
#[inline(always)]
pub(super) unsafe fn store<V: Vector, const WHOLE: bool>(value: V, to: *mut f32, count: usize) {
    unsafe {
        if WHOLE {
            value.store(to)
        } else {
            value.store_part(to, count)
        }
    }
}

/// Prefetches the `N` vectors of channels after those at `from`.
#[inline(always)]
pub(super) fn prefetch<V: Vector, const N: usize>(from: *const f32) {
    for v in 0..N {
        will_read(from.wrapping_add((N + v) * V::LANES));
    }
}

/// Adds the lanes of a short sum to double-precision sums.
///
/// # Safety
/// As for [`Vector`]; `to` has `count` places.
#[inline(always)]
pub(super) unsafe fn flush<V: Vector, const WHOLE: bool>(value: V, to: *mut f64, count: usize) {
    unsafe {
        if WHOLE {
            return value.add_to_doubles(to);
        }
        let mut lanes = [0.0f32; 16];
        value.store(lanes.as_mut_ptr());
        for lane in 0..count {
            let to = to.wrapping_add(lane);
            to.write_unaligned(to.read_unaligned() + f64::from(lanes[lane]));
        }
    }
}

/// Sums of the deviations and of their squares over some images: `[2][channels]`.
struct SumKernel<'a> {
    x: &'a [f32],
    feature: Feature,
    images: (usize, usize),
    pivot: &'a [f32],
    sums: *mut f64,
}

impl Kernel for SumKernel<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        // SAFETY: the feature's length was checked; `sums` has two rows of channels.
        unsafe {
            for block in blocks::<V>(self.feature, self.images, true) {
                by_channels!(V, 0, self.feature.channels, self.sum, block);
            }
        }
    }
}

/// Pixels that are summed in single precision before they are added to double-precision sums.
pub(super) const SHORT: usize = 32;

/// Floats of an image that the L2 cache does not hold together with what else is read.
const LARGE: usize = 1 << 17;

/// Some pixels of some images.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub images: (usize, usize),
    pub rows: (usize, usize),
    pub columns: (usize, usize),
    /// Whether the channels of a pixel are not processed at once, so that the next ones are worth prefetching.
    pub apart: bool,
}

/// The pixels of some images, in blocks of which all channels are processed before the next block. If images are small or have
/// few channels, all pixels are one block. Otherwise a block is as many rows as are summed in single precision, or a pixel if
/// there is nothing to sum.
#[inline(always)]
pub(super) fn blocks<V: Vector>(
    feature: Feature,
    images: (usize, usize),
    sums: bool,
) -> impl Iterator<Item = Block> {
    let apart = feature.channels > 4 * V::LANES && feature.image_storage() > LARGE;
    let (some_images, some_rows, some_columns) = match (apart, sums) {
        (false, _) => (images.1 - images.0, feature.height, feature.width),
        (true, true) => (1, SHORT.div_ceil(feature.width.max(1)), feature.width),
        (true, false) => (1, 1, 1),
    };
    let cuts = |first: usize, last: usize, step: usize| {
        (first..last)
            .step_by(step.max(1))
            .map(move |first| (first, (first + step).min(last)))
    };
    cuts(images.0, images.1, some_images).flat_map(move |images| {
        cuts(0, feature.height, some_rows).flat_map(move |rows| {
            cuts(0, feature.width, some_columns).map(move |columns| Block {
                images,
                rows,
                columns,
                apart: apart && sums,
            })
        })
    })
}

impl SumKernel<'_> {
    #[inline(always)]
    unsafe fn sum<V: Vector, const N: usize, const WHOLE: bool>(
        &self,
        channel: usize,
        count: usize,
        block: Block,
    ) {
        let feature = self.feature;
        unsafe {
            let zero = V::splat(0.0);
            let mut pivot = [zero; N];
            for v in 0..N {
                pivot[v] = load::<V, WHOLE>(self.pivot.as_ptr().add(channel + v * V::LANES), count);
            }
            let (mut sum, mut squares, mut pending) = ([zero; N], [zero; N], 0);
            for image in block.images.0..block.images.1 {
                for row in block.rows.0..block.rows.1 {
                    let mut x = self.x.as_ptr().add(feature.at(image, row, 0) + channel);
                    for _ in 0..feature.width {
                        if block.apart {
                            prefetch::<V, N>(x);
                        }
                        for v in 0..N {
                            let value =
                                load::<V, WHOLE>(x.wrapping_add(v * V::LANES), count).sub(pivot[v]);
                            sum[v] = sum[v].add(value);
                            squares[v] = value.mul_add(value, squares[v]);
                        }
                        x = x.wrapping_add(feature.channels);
                    }
                    pending += feature.width;
                    if pending >= SHORT || row + 1 == feature.height {
                        for v in 0..N {
                            let to = self.sums.add(channel + v * V::LANES);
                            flush::<V, WHOLE>(sum[v], to, count);
                            flush::<V, WHOLE>(squares[v], to.add(feature.channels), count);
                        }
                        (sum, squares, pending) = ([zero; N], [zero; N], 0);
                    }
                }
            }
        }
    }
}

/// Normalises one image.
struct ApplyKernel<'a> {
    x: &'a [f32],
    feature: Feature,
    image: usize,
    line: &'a Line,
    added: Option<&'a [f32]>,
    /// The shape of `added`.
    source: Feature,
    /// Distance between the pixels of `added` that are read.
    stride: usize,
    floor: f32,
    y: *mut f32,
}

impl Kernel for ApplyKernel<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        const WITH: bool = true;
        const WITHOUT: bool = false;
        // SAFETY: both features and the shortcut were checked; each task writes a different image.
        unsafe {
            let shared = self.added.map_or(0, |_| self.source.channels);
            for block in blocks::<V>(self.feature, (self.image, self.image + 1), false) {
                by_channels!(V, 0, shared, self.apply::<WITH>, block);
                by_channels!(V, shared, self.feature.channels, self.apply::<WITHOUT>, block);
            }
        }
    }
}

impl ApplyKernel<'_> {
    #[inline(always)]
    unsafe fn apply<V: Vector, const N: usize, const WHOLE: bool, const ADD: bool>(
        &self,
        channel: usize,
        count: usize,
        block: Block,
    ) {
        let feature = self.feature;
        unsafe {
            let floor = V::splat(self.floor);
            let mut factor = [floor; N];
            let mut offset = [floor; N];
            for v in 0..N {
                factor[v] =
                    load::<V, WHOLE>(self.line.factor.as_ptr().add(channel + v * V::LANES), count);
                offset[v] =
                    load::<V, WHOLE>(self.line.offset.as_ptr().add(channel + v * V::LANES), count);
            }
            let added = self.added.unwrap_or(&[]).as_ptr();
            let extra_step = self.stride * self.source.channels;
            for row in block.rows.0..block.rows.1 {
                let (first, last) = block.columns;
                let at = feature.at(self.image, row, first) + channel;
                let mut x = self.x.as_ptr().add(at);
                let mut y = self.y.add(at);
                let mut extra = if ADD {
                    let (row, column) = (row * self.stride, first * self.stride);
                    added.add(self.source.at(self.image, row, column) + channel)
                } else {
                    added
                };
                for _ in first..last {
                    for v in 0..N {
                        let skip = v * V::LANES;
                        let mut value = load::<V, WHOLE>(x.wrapping_add(skip), count)
                            .mul_add(factor[v], offset[v]);
                        if ADD {
                            value = value.add(load::<V, WHOLE>(extra.wrapping_add(skip), count));
                        }
                        store::<V, WHOLE>(floor.or_above(value), y.wrapping_add(skip), count);
                    }
                    x = x.wrapping_add(feature.channels);
                    y = y.wrapping_add(feature.channels);
                    if ADD {
                        extra = extra.wrapping_add(extra_step);
                    }
                }
            }
        }
    }
}
