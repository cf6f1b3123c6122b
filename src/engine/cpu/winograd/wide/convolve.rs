//! Forward and input gradient, which is the same pass with the kernels rotated by 180 degrees.

use super::super::super::context::Context;
use super::super::super::feature::{Feature, zero_halo};
use super::super::super::near::with_near;
use super::super::super::product::{Ahead, LANE, RowsByBlock, width};
use super::super::super::shared_slice::SharedSlice;
use super::super::super::vector::{Kernel, Vector, dispatch, unroll};
use super::super::kernels::Kernels;
use super::tiles::{SIDE, Tiling, chunks, patch};
use super::transforms::{transform_kernel, transform_patch, transform_products};
use super::{CHUNK, PLACES};

/// Tiles that are multiplied with a block of kernels, in multiples of the rows that stay in registers.
const TILES: usize = 48;

/// Channels that are summed over before the next ones' kernels are transformed, so that those stay in the L2 cache.
const DEPTH: usize = 128;

/// Tiles that a task transforms.
const TRANSFORMS: usize = 8;

/// Convolves `from` with kernels to `to`, or adds to it.
pub(in super::super) fn convolve(
    ctx: &Context,
    kernels: Kernels<'_>,
    from: &[f32],
    input: Feature,
    to: &mut [f32],
    output: Feature,
    accumulate: bool,
) {
    input.check("input", from);
    output.check("output", to);
    let width = ctx.instructions.wide_block();
    let (inputs, blocks) = (kernels.inputs, output.channels / width);
    let tiling = Tiling::of(output);
    let most = (CHUNK / (PLACES * inputs)).max(TILES);
    let part = PLACES * inputs * TILES;
    let mut patches = ctx.scratch(most.min(tiling.all()).div_ceil(TILES) * part);
    let to = SharedSlice::new(to);
    if !accumulate {
        ctx.threads
            .run(output.images, &|image| zero_halo(output, image, to));
    }
    let mut chunks: Vec<(usize, usize)> = chunks(tiling.all(), most).collect();
    if ctx.turn() {
        chunks.reverse();
    }
    for (start, end) in chunks {
        let tiles = end - start;
        let transformed = SharedSlice::new(&mut patches);
        ctx.threads.run(tiles.div_ceil(TRANSFORMS), &|task| {
            let first = task * TRANSFORMS;
            let place = first / TILES * part + first % TILES * LANE;
            dispatch(
                ctx.instructions,
                &Patches {
                    from,
                    input,
                    tiling,
                    tiles: (start + first, (start + first + TRANSFORMS).min(end)),
                    to: transformed.pointer(place),
                },
            );
        });
        let patches = &patches[..];
        let parts = tiles.div_ceil(TILES);
        ctx.threads.run(blocks * parts, &|task| {
            // Tasks that use the same kernels follow each other.
            let (block, index) = (task / parts, task % parts);
            let first = index * TILES;
            let last = (first + TILES).min(tiles);
            let depth = DEPTH.min(inputs);
            with_near(PLACES * width * (depth + TILES), |near| {
                let products = near.as_mut_ptr().wrapping_add(PLACES * width * depth);
                let places: [usize; TILES] = std::array::from_fn(|tile| tile * width);
                dispatch(
                    ctx.instructions,
                    &Outputs {
                        kernels,
                        channel: block * width,
                        patches: patches[part * index..].as_ptr(),
                        tiling,
                        tiles: (start + first, start + last),
                        to: to.pointer(0),
                        accumulate,
                        packed: near.as_mut_ptr(),
                        products,
                        places: &places[..last - first],
                    },
                );
            });
        });
    }
}

/// Transforms the patches of some tiles to `[place][group of channels][tile][channel]` with room for [`TILES`] tiles.
struct Patches<'a> {
    from: &'a [f32],
    input: Feature,
    tiling: Tiling,
    tiles: (usize, usize),
    to: *mut f32,
}

impl Kernel for Patches<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let apart = self.input.channels * TILES;
        for index in self.tiles.0..self.tiles.1 {
            let (rows, columns) = patch(self.tiling.tile(index), self.input);
            let to = self.to.wrapping_add((index - self.tiles.0) * LANE);
            for channel in (0..self.input.channels).step_by(V::LANES) {
                let to = to.wrapping_add(channel / LANE * TILES * LANE + channel % LANE);
                let from = self.from.as_ptr().wrapping_add(channel);
                // SAFETY: a patch lies in the feature and its halo; there is room for the chunk's tiles.
                unsafe { transform_patch::<V>(from, rows, columns, to, apart) };
            }
        }
    }
}

/// A block of output channels of some tiles.
struct Outputs<'a> {
    kernels: Kernels<'a>,
    /// The block's first output channel.
    channel: usize,
    /// `[place][group of channels][tile][channel]`
    patches: *const f32,
    tiling: Tiling,
    tiles: (usize, usize),
    to: *mut f32,
    accumulate: bool,
    /// Room for transformed kernels, `[place][input][channel of the block]`.
    packed: *mut f32,
    /// Room for products, `[place][tile][channel of the block]`.
    products: *mut f32,
    /// The place of each tile among the products.
    places: &'a [usize],
}

impl Kernel for Outputs<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let width = width::<V>();
        let inputs = self.kernels.inputs;
        let mut first = 0;
        while first < inputs {
            let depth = DEPTH.min(inputs - first);
            // SAFETY: there is room for kernels and products, and no other task writes this block of these tiles.
            unsafe {
                self.pack::<V>(first, depth);
                let patches = self.patches.wrapping_add(first * TILES);
                for place in 0..PLACES {
                    RowsByBlock {
                        a: patches.wrapping_add(place * inputs * TILES),
                        apart: TILES * LANE,
                        depth,
                        b: self.packed.cast_const().wrapping_add(place * depth * width),
                        c: self.products.wrapping_add(place * TILES * width),
                        places: self.places,
                        accumulate: first > 0,
                        ahead: Ahead::NONE,
                    }
                    .multiply::<V>();
                }
            }
            first += depth;
        }
        for tile in self.tiles.0..self.tiles.1 {
            for lane in (0..width).step_by(V::LANES) {
                // SAFETY: as above.
                unsafe { self.put::<V>(tile, lane) };
            }
        }
    }
}

impl Outputs<'_> {
    /// Copies the kernels of a group of input channels and a vector of output channels, beginning at `from`, to
    /// `[input][kernel position][output channel]`.
    #[inline(always)]
    unsafe fn unpack<V: Vector>(&self, from: usize, to: *mut f32) {
        let kernels = self.kernels;
        let from = kernels.values[from..].as_ptr();
        unsafe {
            if kernels.from_input == 9 {
                for column in (0..9 * LANE).step_by(V::LANES) {
                    let to = to.wrapping_add(column * V::LANES);
                    let from = from.wrapping_add(column);
                    V::transpose(from, kernels.from_output, V::LANES, to, V::LANES);
                }
                return;
            }
            for input in 0..LANE {
                for column in (0..9).step_by(V::LANES) {
                    let from = from.wrapping_add(input * kernels.from_input + column);
                    let to = to.wrapping_add((input * 9 + column) * V::LANES);
                    let count = (9 - column).min(V::LANES);
                    V::transpose(from, kernels.from_output, count, to, V::LANES);
                }
            }
        }
    }

    /// Transforms the kernels of some input channels and this block.
    #[inline(always)]
    unsafe fn pack<V: Vector>(&self, first: usize, depth: usize) {
        let width = width::<V>();
        let kernels = self.kernels;
        // `[input][kernel position][output channel]`
        let mut near = [0.0f32; 9 * LANE * LANE];
        for lane in (0..width).step_by(V::LANES) {
            for group in (0..depth).step_by(LANE) {
                let output = (self.channel + lane) * kernels.from_output;
                let from = output + (first + group) * kernels.from_input;
                // SAFETY: the weights hold these channels, and there is room for the kernels of the block.
                unsafe {
                    self.unpack::<V>(from, near.as_mut_ptr());
                    for input in 0..LANE {
                        let mut g = [V::splat(0.0); 9];
                        unroll!(9: TAP in 0..9 => {
                            let tap = if kernels.rotated { 8 - TAP } else { TAP };
                            g[TAP] = V::load(near.as_ptr().wrapping_add((input * 9 + tap) * V::LANES));
                        });
                        let to = self.packed.wrapping_add((group + input) * width + lane);
                        transform_kernel(g, to, depth * width);
                    }
                }
            }
        }
    }

    /// Writes one vector of channels of one tile to the output.
    #[inline(always)]
    unsafe fn put<V: Vector>(&self, index: usize, lane: usize) {
        let output = self.tiling.feature;
        let width = width::<V>();
        let tile = self.tiling.tile(index);
        let from = (index - self.tiles.0) * width + lane;
        unsafe {
            let products = self.products.cast_const().wrapping_add(from);
            let y: [[V; SIDE]; SIDE] = transform_products(products, TILES * width);
            let to = self.to.wrapping_add(self.channel + lane);
            unroll!(4: ROW in 0..4 => {
                unroll!(4: COLUMN in 0..4 => {
                    if ROW < tile.height && COLUMN < tile.width {
                        let (row, column) = (tile.row + ROW, tile.column + COLUMN);
                        let to = to.wrapping_add(output.at(tile.image, row, column));
                        let mut value = y[ROW][COLUMN];
                        if self.accumulate {
                            value = value.add(V::load(to));
                        }
                        value.store(to);
                    }
                });
            });
        }
    }
}
