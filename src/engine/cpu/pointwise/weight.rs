//! The gradient of the weights: products of channels summed over the pixels, in partial sums over fixed groups of pixels that
//! are added in order.

use super::super::context::Context;
use super::super::conv_shape::ConvShape;
use super::super::near::with_near;
use super::super::product::{Ahead, LANE, WIDEST, add_outer_products, width};
use super::super::shared_slice::SharedSlice;
use super::super::vector::{Kernel, Vector, dispatch};
use super::grid::{Grid, gather};

/// Most groups that the pixels of a mini-batch are split into. Fixed, so that sums do not depend on the number of threads.
const GROUPS: usize = 16;

/// Most floats of all groups' sums together, unless a single group has more. Wide layers get fewer groups.
const SUMS: usize = 1 << 20;

/// Most pixels that are summed in registers before they are added to memory: those of a group of channels and of a block stay
/// in the L1 cache. A third of 392 fits, which a 16th of a mini-batch of 8 has at 28x28 pixels.
const SPAN: usize = 136;

/// Input channels that are copied at a time, so that copies stay in the L2 cache.
const INPUTS: usize = 256;

/// Fewest tasks per thread.
const TASKS: usize = 4;

/// `dw`; see [`conv_weight_gradient`](super::super::conv_weight_gradient).
pub(in super::super) fn weight_gradient(
    ctx: &Context,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    shape: ConvShape,
) {
    let (inputs, width) = (shape.input.channels, ctx.instructions.wide_block());
    let blocks = shape.outputs / width;
    let grids = (
        Grid::of(shape.input, shape.stride),
        Grid::of(shape.output(), 1),
    );
    let pixels = grids.0.pixels();
    let groups = (SUMS / shape.weights())
        .min(GROUPS)
        .min(pixels.div_ceil(SPAN))
        .max(1);
    // The blocks of one task share the copies of `x`. Their number does not affect any sum.
    let sets = (TASKS * ctx.threads.count())
        .div_ceil(groups)
        .clamp(1, blocks);
    let floats = blocks * inputs * width;
    let mut partial = ctx.scratch(groups * floats);
    let sums = SharedSlice::new(&mut partial);
    ctx.pass(groups * sets, &|task| {
        let (group, set) = (task / sets, task % sets);
        let (first, last) = (blocks * set / sets, blocks * (set + 1) / sets);
        let cut = |group: usize| pixels * group / groups;
        let some = INPUTS.min(inputs);
        with_near(SPAN * (some + (last - first) * width), |near| {
            dispatch(
                ctx.instructions,
                &Pass {
                    x,
                    dy,
                    grids,
                    pixels: (cut(group), cut(group + 1)),
                    inputs,
                    blocks: (first, last),
                    sums: sums.pointer(group * floats + first * inputs * width),
                    near: near.as_mut_ptr(),
                },
            );
        });
    });
    let partial = &partial[..groups * floats];
    let pieces = inputs / LANE;
    let dw = SharedSlice::new(dw);
    ctx.threads.run(blocks * pieces, &|task| {
        let (block, first) = (task / pieces, task % pieces * LANE);
        dispatch(
            ctx.instructions,
            &GroupSums {
                partial: &partial[(block * inputs + first) * width..],
                stride: floats,
                groups,
                inputs,
                dw: dw.pointer(block * width * inputs + first),
            },
        );
    });
}

/// Adds up the groups for one group of input channels and a block of output channels, and writes the sums in the order of
/// weights.
struct GroupSums<'a> {
    /// The first group's, `[input channel][output channel of the block]`.
    partial: &'a [f32],
    /// Floats between groups.
    stride: usize,
    groups: usize,
    inputs: usize,
    /// `[output channel][input channel]`
    dw: *mut f32,
}

impl Kernel for GroupSums<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let width = width::<V>();
        let mut near = [0.0f32; LANE * WIDEST];
        for lane in (0..LANE * width).step_by(V::LANES) {
            // SAFETY: `partial` holds all groups.
            unsafe {
                let from = self.partial[lane..].as_ptr();
                let mut sum = V::load(from);
                for group in 1..self.groups {
                    sum = sum.add(V::load(from.wrapping_add(group * self.stride)));
                }
                sum.store(near[lane..].as_mut_ptr());
            }
        }
        for output in (0..width).step_by(V::LANES) {
            for input in (0..LANE).step_by(V::LANES) {
                let from = near[input * width + output..].as_ptr();
                let to = self.dw.wrapping_add(output * self.inputs + input);
                // SAFETY: no other task writes these places of `dw`.
                unsafe { V::transpose(from, width, V::LANES, to, self.inputs) };
            }
        }
    }
}

/// The sums over some pixels, for some blocks of output channels.
struct Pass<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    /// The pixels of `x` and `dy`.
    grids: (Grid, Grid),
    pixels: (usize, usize),
    inputs: usize,
    /// Blocks of output channels, as start and end.
    blocks: (usize, usize),
    /// `[block][input channel][output channel of the block]`
    sums: *mut f32,
    /// Room for pixels of `x`, `[group of channels][pixel][channel]`, followed by those of `dy`, `[block][pixel][channel]`.
    near: *mut f32,
}

/// Where the pixels begin that are summed in registers.
struct Span {
    x: [usize; SPAN],
    dy: [usize; SPAN],
    count: usize,
}

impl Span {
    fn x(&self) -> &[usize] {
        &self.x[..self.count]
    }

    fn dy(&self) -> &[usize] {
        &self.dy[..self.count]
    }
}

impl Kernel for Pass<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let spans = (self.pixels.1 - self.pixels.0).div_ceil(SPAN);
        let mut span = self.span(0, spans);
        for index in 0..spans {
            let next = self.span(index + 1, spans);
            // SAFETY: features were checked, `near` and `sums` have room, and no other task writes these sums.
            unsafe { self.add::<V>(&span, &next, index == 0) };
            span = next;
        }
    }
}

impl Pass<'_> {
    /// One of several spans, which differ by a pixel at most; an empty one after the last.
    #[inline(always)]
    fn span(&self, index: usize, spans: usize) -> Span {
        let pixels = self.pixels.1 - self.pixels.0;
        let cut = |index: usize| self.pixels.0 + pixels * index.min(spans) / spans;
        let (pixel, count) = (cut(index), cut(index + 1) - cut(index));
        let (mut x, mut dy) = ([0; SPAN], [0; SPAN]);
        self.grids.0.places(pixel, &mut x[..count]);
        self.grids.1.places(pixel, &mut dy[..count]);
        Span { x, dy, count }
    }

    /// Adds a span to the sums, and prefetches the next.
    #[inline(always)]
    unsafe fn add<V: Vector>(&self, span: &Span, next: &Span, fresh: bool) {
        let width = width::<V>();
        let blocks = self.blocks.1 - self.blocks.0;
        let gradients = self.near.wrapping_add(SPAN * INPUTS.min(self.inputs));
        let (x, dy) = (self.x.as_ptr(), self.dy.as_ptr());
        let outputs = (self.blocks.0 * width, self.blocks.1 * width);
        // SAFETY: as above.
        unsafe { gather::<V>(dy, span.dy(), outputs, width, gradients, SPAN * width) };
        let mut first = 0;
        while first < self.inputs {
            let last = (first + INPUTS).min(self.inputs);
            // SAFETY: as above.
            unsafe { gather::<V>(x, span.x(), (first, last), LANE, self.near, SPAN * LANE) };
            // What is copied next.
            let (then, places) = if last < self.inputs {
                (last, span.x())
            } else {
                (0, next.x())
            };
            let ahead = |from, places| Ahead {
                from,
                places,
                share: (0, 1),
            };
            for block in 0..blocks {
                let d = gradients.cast_const().wrapping_add(block * SPAN * width);
                let sums = self.sums.wrapping_add(block * self.inputs * width);
                for channel in (first..last).step_by(LANE) {
                    let lane = channel - first;
                    let inputs = match block {
                        0 => ahead(x.wrapping_add(then + lane), places),
                        _ => Ahead::NONE,
                    };
                    let outputs = if last == self.inputs && lane < width {
                        ahead(dy.wrapping_add(outputs.0 + block * width + lane), next.dy())
                    } else {
                        Ahead::NONE
                    };
                    let x = self.near.cast_const().wrapping_add(lane * SPAN);
                    let to = sums.wrapping_add(channel * width);
                    let ahead = [inputs, outputs];
                    // SAFETY: as above.
                    unsafe { add_outer_products::<V>(x, d, span.count, to, fresh, ahead) };
                }
            }
            first = last;
        }
    }
}
