//! Batch normalisation forward, fused with the addition of a shortcut and the ReLU: one pass for the statistics, one that
//! writes.

use super::context::Context;
use super::feature::{Feature, zero_halo};
use super::norm_shape::NormShape;
use super::shared_slice::SharedSlice;
use super::shortcut::{Shortcut, subsampling};
use super::vector::{Kernel, Vector, dispatch};

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
    ctx.threads.run(parts.len(), &|part| {
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
    ctx.threads.run(feature.images, &|image| {
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
    ($vector:ident, $from:expr, $to:expr, $object:ident.$method:ident $(::<$($constant:ident),+>)?) => {{
        let (mut channel, to) = ($from, $to);
        while channel + 4 * $vector::LANES <= to {
            $object.$method::<$vector, 4, true $($(, $constant)+)?>(channel, $vector::LANES);
            channel += 4 * $vector::LANES;
        }
        while channel + $vector::LANES <= to {
            $object.$method::<$vector, 1, true $($(, $constant)+)?>(channel, $vector::LANES);
            channel += $vector::LANES;
        }
        if channel < to {
            $object.$method::<$vector, 1, false $($(, $constant)+)?>(channel, to - channel);
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

/// Adds the lanes of a short sum to double-precision sums.
///
/// # Safety
/// As for [`Vector`]; `to` has `count` places.
#[inline(always)]
pub(super) unsafe fn flush<V: Vector>(value: V, to: *mut f64, count: usize) {
    let mut lanes = [0.0f32; 16];
    unsafe {
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
        unsafe { by_channels!(V, 0, self.feature.channels, self.sum) }
    }
}

/// Pixels that are summed in single precision before they are added to double-precision sums.
pub(super) const SHORT: usize = 32;

impl SumKernel<'_> {
    #[inline(always)]
    unsafe fn sum<V: Vector, const N: usize, const WHOLE: bool>(
        &self,
        channel: usize,
        count: usize,
    ) {
        let feature = self.feature;
        unsafe {
            let zero = V::splat(0.0);
            let mut pivot = [zero; N];
            for v in 0..N {
                pivot[v] = load::<V, WHOLE>(self.pivot.as_ptr().add(channel + v * V::LANES), count);
            }
            let (mut sum, mut squares, mut pending) = ([zero; N], [zero; N], 0);
            for image in self.images.0..self.images.1 {
                for row in 0..feature.height {
                    let mut x = self.x.as_ptr().add(feature.at(image, row, 0) + channel);
                    for _ in 0..feature.width {
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
                            flush(sum[v], to, count);
                            flush(squares[v], to.add(feature.channels), count);
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
            by_channels!(V, 0, shared, self.apply::<WITH>);
            by_channels!(V, shared, self.feature.channels, self.apply::<WITHOUT>);
        }
    }
}

impl ApplyKernel<'_> {
    #[inline(always)]
    unsafe fn apply<V: Vector, const N: usize, const WHOLE: bool, const ADD: bool>(
        &self,
        channel: usize,
        count: usize,
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
            for row in 0..feature.height {
                let at = feature.at(self.image, row, 0) + channel;
                let mut x = self.x.as_ptr().add(at);
                let mut y = self.y.add(at);
                let mut extra = if ADD {
                    added.add(self.source.at(self.image, row * self.stride, 0) + channel)
                } else {
                    added
                };
                for _ in 0..feature.width {
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
