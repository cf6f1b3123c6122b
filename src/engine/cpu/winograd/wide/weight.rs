//! The gradient of the weights by minimal filtering, F(3x3, 4x4): thirty-six products per tile, summed over the tiles.
//!
//! A task sums over the tiles of a chunk for some input channels and a block of output channels. Chunks are fixed by the shape,
//! so that results do not depend on the number of threads.

use super::super::super::context::Context;
use super::super::super::conv_shape::ConvShape;
use super::super::super::feature::Feature;
use super::super::super::near::with_near;
use super::super::super::product::{Ahead, LANE, add_outer_products, width};
use super::super::super::shared_slice::SharedSlice;
use super::super::super::vector::{Kernel, Vector, dispatch, unroll};
use super::tiles::{SIDE, Tiling, chunks, patch};
use super::transforms::{transform_gradient, transform_patch, transform_sums};
use super::{CHUNK, PLACES};

/// Fewest tiles of a chunk.
const TILES: usize = 64;

/// Tiles that are summed in registers before they are added to memory.
const SPAN: usize = 64;

/// Tiles that a task transforms.
const TRANSFORMS: usize = 8;

/// `dw`; see [`conv_weight_gradient`](super::super::super::conv_weight_gradient).
pub(in super::super) fn weight_gradient(
    ctx: &Context,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    shape: ConvShape,
) {
    let (input, output) = (shape.input, shape.output());
    let width = ctx.instructions.wide_block();
    let (inputs, blocks) = (input.channels, output.channels / width);
    // Input channels of a task: more of them share what is read of the gradients, fewer make enough tasks.
    let some = if inputs < 128 { 32 } else { 64 };
    let sets = inputs.div_ceil(some);
    let tiling = Tiling::of(output);
    let most = (2 * CHUNK / (PLACES * (inputs + output.channels))).max(TILES);
    let chunks: Vec<(usize, usize)> = chunks(tiling.all(), most).collect();
    let room = chunks
        .iter()
        .map(|(start, end)| end - start)
        .max()
        .unwrap_or(0);
    let floats = PLACES * some * width;
    // Sums of a single chunk stay with their task.
    let kept = if chunks.len() > 1 {
        blocks * sets * floats
    } else {
        0
    };
    let of_patches = PLACES * inputs * room;
    let of_gradients = PLACES * output.channels * room;
    let mut scratch = ctx.scratch(of_patches + of_gradients + kept);
    let (transformed, sums) = scratch.split_at_mut(of_patches + of_gradients);
    let sums = SharedSlice::new(sums);
    let dw = SharedSlice::new(dw);
    for (index, &(start, end)) in chunks.iter().enumerate() {
        let places = SharedSlice::new(transformed);
        ctx.threads
            .run((end - start).div_ceil(TRANSFORMS), &|task| {
                let first = task * TRANSFORMS;
                dispatch(
                    ctx.instructions,
                    &Transforms {
                        x,
                        dy,
                        input,
                        tiling,
                        tiles: (start + first, (start + first + TRANSFORMS).min(end)),
                        room,
                        patches: places.pointer(first * LANE),
                        gradients: places.pointer(of_patches + first * width),
                    },
                );
            });
        let (patches, gradients) = transformed[..of_patches + of_gradients].split_at(of_patches);
        ctx.threads.run(blocks * sets, &|task| {
            let (block, set) = (task / sets, task % sets);
            let sum_to = |sums: *mut f32| {
                dispatch(
                    ctx.instructions,
                    &Sums {
                        patches,
                        gradients,
                        inputs,
                        blocks,
                        room,
                        tiles: end - start,
                        block,
                        some: (set * some, ((set + 1) * some).min(inputs)),
                        sums,
                        fresh: index == 0,
                        dw: (index + 1 == chunks.len())
                            .then(|| dw.pointer(block * width * inputs * 9)),
                    },
                );
            };
            if kept > 0 {
                sum_to(sums.pointer(task * floats));
            } else {
                with_near(floats, |near| sum_to(near.as_mut_ptr()));
            }
        });
    }
}

/// Transforms the patches and the gradients of some tiles.
struct Transforms<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    input: Feature,
    tiling: Tiling,
    tiles: (usize, usize),
    /// Tiles that there is room for.
    room: usize,
    /// `[place][group of channels][tile][channel]`
    patches: *mut f32,
    /// `[place][block][tile][channel of the block]`
    gradients: *mut f32,
}

impl Kernel for Transforms<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let output = self.tiling.feature;
        let width = width::<V>();
        for index in self.tiles.0..self.tiles.1 {
            let tile = self.tiling.tile(index);
            let place = index - self.tiles.0;
            let (rows, columns) = patch(tile, self.input);
            for channel in (0..self.input.channels).step_by(V::LANES) {
                let (group, lane) = (channel / LANE, channel % LANE);
                let to = (group * self.room + place) * LANE + lane;
                let to = self.patches.wrapping_add(to);
                let from = self.x.as_ptr().wrapping_add(channel);
                let apart = self.input.channels * self.room;
                // SAFETY: a patch lies in the feature and its halo; there is room for the chunk's tiles.
                unsafe { transform_patch::<V>(from, rows, columns, to, apart) };
            }
            for channel in (0..output.channels).step_by(V::LANES) {
                let (block, lane) = (channel / width, channel % width);
                let to = (block * self.room + place) * width + lane;
                let to = self.gradients.wrapping_add(to);
                let from = self.dy.as_ptr().wrapping_add(channel);
                let apart = output.channels * self.room;
                // SAFETY: pixels within the feature are read; there is room for the chunk's tiles.
                unsafe {
                    let mut y = [[V::splat(0.0); SIDE]; SIDE];
                    unroll!(4: ROW in 0..4 => {
                        unroll!(4: COLUMN in 0..4 => {
                            if ROW < tile.height && COLUMN < tile.width {
                                let (row, column) = (tile.row + ROW, tile.column + COLUMN);
                                let from = from.wrapping_add(output.at(tile.image, row, column));
                                y[ROW][COLUMN] = V::load(from);
                            }
                        });
                    });
                    transform_gradient(y, to, apart);
                }
            }
        }
    }
}

/// Sums over the tiles of a chunk, for some input channels and a block of output channels.
struct Sums<'a> {
    /// `[place][group of channels][tile][channel]`
    patches: &'a [f32],
    /// `[place][block][tile][channel of the block]`
    gradients: &'a [f32],
    inputs: usize,
    blocks: usize,
    /// Tiles that there is room for.
    room: usize,
    tiles: usize,
    block: usize,
    /// Input channels, as start and end.
    some: (usize, usize),
    /// `[place][input channel][output channel of the block]`
    sums: *mut f32,
    /// Whether the chunk is the first.
    fresh: bool,
    /// After the last chunk, the block's `[output channel][input channel][kernel position]`.
    dw: Option<*mut f32>,
}

impl Kernel for Sums<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let width = width::<V>();
        let channels = self.some.1 - self.some.0;
        for place in 0..PLACES {
            let patches = (place * self.inputs + self.some.0) * self.room;
            let patches = self.patches[patches..].as_ptr();
            let gradients = (place * self.blocks + self.block) * self.room * width;
            let gradients = self.gradients[gradients..].as_ptr();
            let sums = self.sums.wrapping_add(place * channels * width);
            for first in (0..self.tiles).step_by(SPAN) {
                let count = SPAN.min(self.tiles - first);
                let d = gradients.wrapping_add(first * width);
                for channel in (0..channels).step_by(LANE) {
                    let x = patches.wrapping_add(channel * self.room + first * LANE);
                    let to = sums.wrapping_add(channel * width);
                    let fresh = self.fresh && first == 0;
                    // SAFETY: patches and gradients hold the chunk's tiles, and no other task has these sums.
                    unsafe { add_outer_products::<V>(x, d, count, to, fresh, [Ahead::NONE; 2]) };
                }
            }
        }
        if let Some(dw) = self.dw {
            // SAFETY: no other task writes these channels of `dw`.
            unsafe { self.put::<V>(dw) };
        }
    }
}

impl Sums<'_> {
    /// Writes the gradients of the kernels.
    #[inline(always)]
    unsafe fn put<V: Vector>(&self, dw: *mut f32) {
        let width = width::<V>();
        let channels = self.some.1 - self.some.0;
        // `[input][kernel position][output channel]`
        let mut near = [0.0f32; 9 * LANE * LANE];
        for group in (0..channels).step_by(LANE) {
            for lane in (0..width).step_by(V::LANES) {
                // SAFETY: the sums are complete, and no other task writes these kernels.
                unsafe {
                    for input in 0..LANE {
                        let sums = self.sums.cast_const();
                        let sums = sums.wrapping_add((group + input) * width + lane);
                        let g: [V; 9] = transform_sums(sums, channels * width);
                        let to = near.as_mut_ptr().wrapping_add(input * 9 * V::LANES);
                        unroll!(9: TAP in 0..9 => { g[TAP].store(to.wrapping_add(TAP * V::LANES)); });
                    }
                    let to = dw.wrapping_add((lane * self.inputs + self.some.0 + group) * 9);
                    for column in (0..9 * LANE).step_by(V::LANES) {
                        let from = near.as_ptr().wrapping_add(column * V::LANES);
                        let to = to.wrapping_add(column);
                        V::transpose(from, V::LANES, V::LANES, to, 9 * self.inputs);
                    }
                }
            }
        }
    }
}
