//! Forward and input gradient, which is the same product with the weights transposed.

use super::super::context::Context;
use super::super::conv_shape::ConvShape;
use super::super::feature::{Feature, zero_halo};
use super::super::near::with_near;
use super::super::product::{Ahead, LANE, RowsByBlock, width};
use super::super::shared_slice::SharedSlice;
use super::super::vector::{Kernel, Vector, dispatch};
use super::grid::{Grid, gather};

/// Floats of copied pixels that a task aims to keep in the L2 cache.
const NEAR: usize = 96 << 10;

/// Most and fewest pixels of a task, in multiples of the rows that stay in registers.
const PIXELS: (usize, usize) = (48, 192);

/// Channels that are summed over before the next pixels' turn, so that a block of weights stays in the caches.
const DEPTH: usize = 256;

/// Most copies that a task makes one after the other, so that the pixels of the next are prefetched; and fewest tasks per thread.
const COPIES: usize = 4;
const TASKS: usize = 8;

/// Weights in memory, seen from a pass: it reads inputs and computes outputs.
#[derive(Clone, Copy)]
enum Weights<'a> {
    /// `[output][input]`
    Forward { values: &'a [f32], inputs: usize },
    /// `[input][output]`
    Transposed { values: &'a [f32], outputs: usize },
}

impl Weights<'_> {
    fn inputs(self) -> usize {
        match self {
            Weights::Forward { inputs, .. } => inputs,
            Weights::Transposed { values, outputs } => values.len() / outputs,
        }
    }
}

/// Packs a block of output channels to `[input][output channel of the block]`.
struct Pack<'a> {
    weights: Weights<'a>,
    /// The first output channel.
    first: usize,
    packed: *mut f32,
}

impl Kernel for Pack<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let width = width::<V>();
        for lane in (0..width).step_by(V::LANES) {
            let output = self.first + lane;
            let packed = self.packed.wrapping_add(lane);
            match self.weights {
                Weights::Forward { values, inputs } => {
                    let from = values[output * inputs..].as_ptr();
                    for input in (0..inputs).step_by(V::LANES) {
                        let to = packed.wrapping_add(input * width);
                        // SAFETY: the weights hold these channels, and there is room for the block.
                        unsafe {
                            V::transpose(from.wrapping_add(input), inputs, V::LANES, to, width);
                        }
                    }
                }
                Weights::Transposed { values, outputs } => {
                    for (input, row) in values.chunks_exact(outputs).enumerate() {
                        let to = packed.wrapping_add(input * width);
                        // SAFETY: as above.
                        unsafe { V::load(row[output..].as_ptr()).store(to) };
                    }
                }
            }
        }
    }
}

/// `y = x * w`; see [`conv_forward`](super::super::conv_forward).
pub(in super::super) fn forward(
    ctx: &Context,
    x: &[f32],
    w: &[f32],
    y: &mut [f32],
    shape: ConvShape,
) {
    let weights = Weights::Forward {
        values: w,
        inputs: shape.input.channels,
    };
    let output = shape.output();
    let grids = (Grid::of(shape.input, shape.stride), Grid::of(output, 1));
    convolve(ctx, weights, x, y, output, grids, false);
}

/// `dx = dy * w` transposed; see [`conv_input_gradient`](super::super::conv_input_gradient).
pub(in super::super) fn input_gradient(
    ctx: &Context,
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
    shape: ConvShape,
    accumulate: bool,
) {
    let weights = Weights::Transposed {
        values: w,
        outputs: shape.input.channels,
    };
    let input = shape.input;
    if shape.stride > 1 && !accumulate {
        // No output reads the pixels in between.
        let dx = SharedSlice::new(dx);
        ctx.threads.run(input.images, &|image| {
            let storage = input.image_storage();
            // SAFETY: each task writes a different image.
            unsafe { dx.slice(image * storage, storage).fill(0.0) };
        });
    }
    let grids = (Grid::of(shape.output(), 1), Grid::of(input, shape.stride));
    convolve(ctx, weights, dy, dx, input, grids, accumulate);
}

fn convolve(
    ctx: &Context,
    weights: Weights<'_>,
    from: &[f32],
    to: &mut [f32],
    output: Feature,
    (source, target): (Grid, Grid),
    accumulate: bool,
) {
    output.check("output", to);
    let width = ctx.instructions.wide_block();
    let blocks = output.channels / width;
    let depth = weights.inputs();
    let mut packed = ctx.scratch(blocks * depth * width);
    let places = SharedSlice::new(&mut packed);
    ctx.threads.run(blocks, &|block| {
        let pack = Pack {
            weights,
            first: block * width,
            packed: places.pointer(block * depth * width),
        };
        dispatch(ctx.instructions, &pack);
    });
    let packed = &packed[..blocks * depth * width];
    let pixels = source.pixels();
    let some = (NEAR / depth / 12 * 12).clamp(PIXELS.0, PIXELS.1);
    let copies = (pixels.div_ceil(some) / (TASKS * ctx.threads.count())).clamp(1, COPIES);
    let of_a_task = some * copies;
    let to = SharedSlice::new(to);
    ctx.pass(pixels.div_ceil(of_a_task), &|task| {
        let (first, last) = (task * of_a_task, ((task + 1) * of_a_task).min(pixels));
        if !accumulate {
            let image = |pixel: usize| pixel.div_ceil(target.of_an_image());
            for image in image(first)..image(last) {
                zero_halo(output, image, to);
            }
        }
        let places = |grid: Grid| {
            let mut places = vec![0; last - first];
            grid.places(first, &mut places);
            places
        };
        with_near((some + 12) * depth, |near| {
            dispatch(
                ctx.instructions,
                &Pass {
                    packed,
                    from,
                    depth,
                    blocks,
                    to: to.pointer(0),
                    places: (&places(source), &places(target)),
                    some,
                    near: near.as_mut_ptr(),
                    accumulate,
                },
            );
        });
    });
}

/// All output channels of some pixels.
struct Pass<'a> {
    /// `[block of output channels][input channel][channel of a block]`
    packed: &'a [f32],
    from: &'a [f32],
    /// Input channels.
    depth: usize,
    blocks: usize,
    to: *mut f32,
    /// The pixels' first input channels and first output channels.
    places: (&'a [usize], &'a [usize]),
    /// Pixels that are copied at a time.
    some: usize,
    /// Room for their input channels.
    near: *mut f32,
    accumulate: bool,
}

impl Kernel for Pass<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let mut copies = self.places.0.chunks(self.some).peekable();
        let mut outputs = self.places.1.chunks(self.some);
        while let (Some(places), Some(outputs)) = (copies.next(), outputs.next()) {
            let next = copies.peek().copied().unwrap_or_default();
            // SAFETY: features were checked, `near` has room, and no other task writes these pixels.
            unsafe { self.multiply::<V>(places, outputs, next) };
        }
    }
}

impl Pass<'_> {
    /// Computes the pixels whose inputs begin at `places`, and prefetches those at `next`.
    #[inline(always)]
    unsafe fn multiply<V: Vector>(&self, places: &[usize], outputs: &[usize], next: &[usize]) {
        let apart = (places.len() + 12) * LANE;
        let (from, channels) = (self.from.as_ptr(), (0, self.depth));
        // SAFETY: as above.
        unsafe { gather::<V>(from, places, channels, LANE, self.near, apart) };
        for block in 0..self.blocks {
            // All blocks together prefetch each of twelve pixels once.
            let share = |block: usize| 12 * block / self.blocks;
            let mut first = 0;
            while first < self.depth {
                let depth = DEPTH.min(self.depth - first);
                let b = (block * self.depth + first) * width::<V>();
                // SAFETY: as above.
                unsafe {
                    RowsByBlock {
                        a: self.near.cast_const().wrapping_add(first / LANE * apart),
                        apart,
                        depth,
                        b: self.packed.as_ptr().wrapping_add(b),
                        c: self.to.wrapping_add(block * width::<V>()),
                        places: outputs,
                        accumulate: self.accumulate || first > 0,
                        ahead: Ahead {
                            from: from.wrapping_add(first),
                            places: next,
                            share: (share(block), share(block + 1)),
                        },
                    }
                    .multiply::<V>();
                }
                first += depth;
            }
        }
    }
}
