//! Batch normalisation backward, through the ReLU and to the shortcut: one pass for the sums, one that writes.

use super::context::Context;
use super::feature::{Feature, zero_halo};
use super::norm::{Block, Line, SHORT, blocks, by_channels, flush, load, prefetch, store};
use super::norm_shape::NormShape;
use super::shared_slice::SharedSlice;
use super::vector::{Kernel, Vector, dispatch};

/// Where the ReLU after a normalisation lets gradients pass.
#[derive(Clone, Copy, Debug)]
pub enum Mask<'a> {
    /// Everywhere: there was no ReLU.
    None,
    /// Recomputed from `x`, exactly, so that the output need not be kept; possible without a shortcut.
    Recomputed,
    /// Where this output is above 0.
    Output(&'a [f32]),
}

/// Gradients of [`norm_forward`](super::norm_forward), given its `mean` and `variance`.
///
/// On entry, `dy` is the gradient of the output. With `dx`, the gradient of the input is written there, and `dy` is masked
/// by the ReLU, which makes it the gradient of the shortcut. Without, `dy` becomes the gradient of the input. `dscale` and
/// `dshift`, `[channels]`, are overwritten.
pub fn norm_backward(
    ctx: &Context,
    shape: NormShape,
    x: &[f32],
    scale: &[f32],
    shift: &[f32],
    mean: &[f32],
    variance: &[f32],
    mask: Mask<'_>,
    dy: &mut [f32],
    dx: Option<&mut [f32]>,
    dscale: &mut [f32],
    dshift: &mut [f32],
) {
    let feature = shape.feature;
    let channels = feature.channels;
    feature.check("x", x);
    feature.check("dy", dy);
    assert_eq!(
        (mean.len(), variance.len()),
        (shape.groups() * channels, shape.groups() * channels)
    );
    assert_eq!(
        (scale.len(), dscale.len(), dshift.len()),
        (channels, channels, channels)
    );
    let (gate, output) = match mask {
        Mask::None => (Gate::Open, &[][..]),
        Mask::Recomputed => (Gate::Recomputed, &[][..]),
        Mask::Output(output) => {
            feature.check("output", output);
            (Gate::Output, output)
        }
    };
    let lines: Vec<Line> = (0..shape.groups())
        .map(|group| {
            let of = group * channels..(group + 1) * channels;
            Line::new(
                &mean[of.clone()],
                &variance[of],
                shape.epsilon,
                scale,
                shift,
            )
        })
        .collect();
    let apart = dx.is_some();
    if let Some(dx) = &dx {
        feature.check("dx", dx);
    }
    let parts = shape.parts();
    let mut sums = vec![0.0f64; parts.len() * 2 * channels];
    let shared = SharedSlice::new(&mut sums);
    let dy = SharedSlice::new(dy);
    let dx = dx.map(SharedSlice::new);
    let rows = |group: usize| group * channels..(group + 1) * channels;
    ctx.pass(parts.len(), &|part| {
        let (group, first, last) = parts[part];
        dispatch(
            ctx.instructions,
            &GradientSums {
                x,
                dy: dy.pointer(0),
                output,
                feature,
                images: (first, last),
                gate,
                write: apart && gate != Gate::Open,
                mean: &mean[rows(group)],
                line: &lines[group],
                sums: shared.pointer(part * 2 * channels),
            },
        );
    });
    dscale.fill(0.0);
    dshift.fill(0.0);
    // dx = factor * g + slope * (x - mean) + constant
    let mut slopes = vec![0.0f32; shape.groups() * channels];
    let mut constants = vec![0.0f32; shape.groups() * channels];
    for channel in 0..channels {
        let (mut total_scale, mut total_shift) = (0.0, 0.0);
        for group in 0..shape.groups() {
            let (mut plain, mut weighted) = (0.0, 0.0);
            for (part, _) in parts.iter().enumerate().filter(|(_, part)| part.0 == group) {
                plain += sums[part * 2 * channels + channel];
                weighted += sums[part * 2 * channels + channels + channel];
            }
            let count = shape.values(group) as f64;
            let inverse = lines[group].inverse[channel];
            let factor = f64::from(scale[channel]) * inverse;
            slopes[group * channels + channel] =
                (-factor * inverse * inverse * weighted / count) as f32;
            constants[group * channels + channel] = (-factor * plain / count) as f32;
            total_scale += weighted * inverse;
            total_shift += plain;
        }
        dscale[channel] = total_scale as f32;
        dshift[channel] = total_shift as f32;
    }
    ctx.pass(feature.images, &|image| {
        let group = shape.group_of(image);
        let to = dx.unwrap_or(dy);
        zero_halo(feature, image, to);
        dispatch(
            ctx.instructions,
            &InputGradient {
                x,
                dy: dy.pointer(0),
                dx: to.pointer(0),
                output,
                feature,
                image,
                gate: if apart { Gate::Open } else { gate },
                mean: &mean[rows(group)],
                line: &lines[group],
                slope: &slopes[rows(group)],
                constant: &constants[rows(group)],
            },
        );
    });
}

/// [`Mask`] without the output.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Recomputed,
    Output,
}

const OPEN: u8 = 0;
const RECOMPUTED: u8 = 1;
const OUTPUT: u8 = 2;

/// Sums of the masked gradient and of its product with `x - mean` over some images: `[2][channels]`.
struct GradientSums<'a> {
    x: &'a [f32],
    dy: *mut f32,
    output: &'a [f32],
    feature: Feature,
    images: (usize, usize),
    gate: Gate,
    /// Whether `dy` is masked in place.
    write: bool,
    mean: &'a [f32],
    line: &'a Line,
    sums: *mut f64,
}

impl Kernel for GradientSums<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        // SAFETY: features were checked; tasks have disjoint images and sums.
        unsafe {
            let all = self.feature.channels;
            for block in blocks::<V>(self.feature, self.images, true) {
                match self.gate {
                    Gate::Open => by_channels!(V, 0, all, self.sum::<OPEN>, block),
                    Gate::Recomputed => by_channels!(V, 0, all, self.sum::<RECOMPUTED>, block),
                    Gate::Output => by_channels!(V, 0, all, self.sum::<OUTPUT>, block),
                }
            }
        }
    }
}

impl GradientSums<'_> {
    #[inline(always)]
    unsafe fn sum<V: Vector, const N: usize, const WHOLE: bool, const GATE: u8>(
        &self,
        channel: usize,
        count: usize,
        block: Block,
    ) {
        let feature = self.feature;
        unsafe {
            let zero = V::splat(0.0);
            let (mut mean, mut factor, mut offset) = ([zero; N], [zero; N], [zero; N]);
            for v in 0..N {
                let at = channel + v * V::LANES;
                mean[v] = load::<V, WHOLE>(self.mean.as_ptr().add(at), count);
                factor[v] = load::<V, WHOLE>(self.line.factor.as_ptr().add(at), count);
                offset[v] = load::<V, WHOLE>(self.line.offset.as_ptr().add(at), count);
            }
            let (mut plain, mut weighted, mut pending) = ([zero; N], [zero; N], 0);
            for image in block.images.0..block.images.1 {
                for row in block.rows.0..block.rows.1 {
                    let mut at = feature.at(image, row, 0) + channel;
                    for _ in 0..feature.width {
                        if block.apart {
                            prefetch::<V, N>(self.x.as_ptr().wrapping_add(at));
                            prefetch::<V, N>(self.dy.wrapping_add(at));
                            if GATE == OUTPUT {
                                prefetch::<V, N>(self.output.as_ptr().wrapping_add(at));
                            }
                        }
                        for v in 0..N {
                            let place = at.wrapping_add(v * V::LANES);
                            let x = load::<V, WHOLE>(self.x.as_ptr().wrapping_add(place), count);
                            let mut g = load::<V, WHOLE>(self.dy.wrapping_add(place), count);
                            if GATE == RECOMPUTED {
                                g = g.where_positive(x.mul_add(factor[v], offset[v]));
                            }
                            if GATE == OUTPUT {
                                g = g.where_positive(load::<V, WHOLE>(
                                    self.output.as_ptr().wrapping_add(place),
                                    count,
                                ));
                            }
                            if GATE != OPEN && self.write {
                                store::<V, WHOLE>(g, self.dy.wrapping_add(place), count);
                            }
                            plain[v] = plain[v].add(g);
                            weighted[v] = g.mul_add(x.sub(mean[v]), weighted[v]);
                        }
                        at = at.wrapping_add(feature.channels);
                    }
                    pending += feature.width;
                    if pending >= SHORT || row + 1 == feature.height {
                        for v in 0..N {
                            let to = self.sums.add(channel + v * V::LANES);
                            flush::<V, WHOLE>(plain[v], to, count);
                            flush::<V, WHOLE>(weighted[v], to.add(feature.channels), count);
                        }
                        (plain, weighted, pending) = ([zero; N], [zero; N], 0);
                    }
                }
            }
        }
    }
}

/// The gradient of one image.
struct InputGradient<'a> {
    x: &'a [f32],
    dy: *const f32,
    dx: *mut f32,
    output: &'a [f32],
    feature: Feature,
    image: usize,
    gate: Gate,
    mean: &'a [f32],
    line: &'a Line,
    slope: &'a [f32],
    constant: &'a [f32],
}

impl Kernel for InputGradient<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        // SAFETY: features were checked; each task writes a different image. `dx` may be `dy`: each place is read before it
        // is written and not after.
        unsafe {
            let all = self.feature.channels;
            for block in blocks::<V>(self.feature, (self.image, self.image + 1), false) {
                match self.gate {
                    Gate::Open => by_channels!(V, 0, all, self.write::<OPEN>, block),
                    Gate::Recomputed => by_channels!(V, 0, all, self.write::<RECOMPUTED>, block),
                    Gate::Output => by_channels!(V, 0, all, self.write::<OUTPUT>, block),
                }
            }
        }
    }
}

impl InputGradient<'_> {
    #[inline(always)]
    unsafe fn write<V: Vector, const N: usize, const WHOLE: bool, const GATE: u8>(
        &self,
        channel: usize,
        count: usize,
        block: Block,
    ) {
        let feature = self.feature;
        unsafe {
            let zero = V::splat(0.0);
            let (mut mean, mut factor, mut offset) = ([zero; N], [zero; N], [zero; N]);
            let (mut slope, mut constant) = ([zero; N], [zero; N]);
            for v in 0..N {
                let at = channel + v * V::LANES;
                mean[v] = load::<V, WHOLE>(self.mean.as_ptr().add(at), count);
                factor[v] = load::<V, WHOLE>(self.line.factor.as_ptr().add(at), count);
                offset[v] = load::<V, WHOLE>(self.line.offset.as_ptr().add(at), count);
                slope[v] = load::<V, WHOLE>(self.slope.as_ptr().add(at), count);
                constant[v] = load::<V, WHOLE>(self.constant.as_ptr().add(at), count);
            }
            for row in block.rows.0..block.rows.1 {
                let (first, last) = block.columns;
                let mut at = feature.at(self.image, row, first) + channel;
                for _ in first..last {
                    for v in 0..N {
                        let place = at.wrapping_add(v * V::LANES);
                        let x = load::<V, WHOLE>(self.x.as_ptr().wrapping_add(place), count);
                        let mut g = load::<V, WHOLE>(self.dy.wrapping_add(place), count);
                        if GATE == RECOMPUTED {
                            g = g.where_positive(x.mul_add(factor[v], offset[v]));
                        }
                        if GATE == OUTPUT {
                            g = g.where_positive(load::<V, WHOLE>(
                                self.output.as_ptr().wrapping_add(place),
                                count,
                            ));
                        }
                        let level = x.sub(mean[v]).mul_add(slope[v], constant[v]);
                        store::<V, WHOLE>(
                            g.mul_add(factor[v], level),
                            self.dx.wrapping_add(place),
                            count,
                        );
                    }
                    at = at.wrapping_add(feature.channels);
                }
            }
        }
    }
}
