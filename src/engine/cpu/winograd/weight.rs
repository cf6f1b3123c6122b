//! The gradient of the weights of 3x3 kernels with stride 1 by minimal filtering, F(3x3, 2x2): sixteen products per tile
//! instead of thirty-six, as in `convolve.rs`, summed over the tiles.
//!
//! Partial sums over fixed groups of images are added in order, so that results do not depend on the number of threads.

use super::super::context::Context;
use super::super::conv_shape::ConvShape;
use super::super::feature::Feature;
use super::super::near::with_near;
use super::super::shared_slice::SharedSlice;
use super::super::vector::{Kernel, Vector, dispatch, unroll, will_read};
use super::tiles::{LANE, PLACES, Tiling, each_line, group, prefetch_patch, transform_patch};
use super::tiling::Tile;

/// Most groups that the images of a mini-batch are split into. Fixed, so that sums do not depend on the number of threads.
const GROUPS: usize = 16;

/// Most floats of all groups' sums together, unless a single group has more. Wide layers get fewer groups, having enough
/// tasks anyway.
const SUMS: usize = PLACES * 64 * 64 * 8;

/// Floats of sums that a task aims to keep in the L2 cache.
const NEAR: usize = 1 << 15;

/// Tiles that are summed in registers before they are added to memory.
const SPAN: usize = 32;

/// `dw`; see [`conv_weight_gradient`](super::super::conv_weight_gradient).
pub(in super::super) fn weight_gradient(
    ctx: &Context,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    shape: ConvShape,
) {
    let (input, output) = (shape.input, shape.output());
    let width = ctx.instructions.block();
    let inputs = input.channels;
    let floats = PLACES * inputs * width;
    let groups = output
        .images
        .min(GROUPS)
        .min(SUMS / (PLACES * inputs * shape.outputs))
        .max(1);
    let blocks = shape.outputs / width;
    // The blocks of one task share the patches of `x`. Their number does not affect any sum.
    let together = (NEAR / floats).clamp(1, blocks);
    let sets = blocks.div_ceil(together);
    let tiling = Tiling::of(output);
    let mut partial = ctx.scratch(groups * blocks * floats);
    let sums = SharedSlice::new(&mut partial);
    ctx.pass(groups * sets, &|task| {
        let (group_of_images, set) = (task / sets, task % sets);
        let first = set * together;
        let last = (first + together).min(blocks);
        let start = |group: usize| output.images * group / groups * tiling.of_an_image();
        let kept = inputs / LANE * group(SPAN) + (last - first) * PLACES * SPAN * width;
        with_near(kept, |near| {
            let pass = Pass {
                x,
                dy,
                input,
                output,
                tiling,
                tiles: (start(group_of_images), start(group_of_images + 1)),
                channels: (first * width, last * width),
                sums: sums.pointer((group_of_images * blocks + first) * floats),
                near: near.as_mut_ptr(),
            };
            dispatch(ctx.instructions, &pass);
        });
    });
    let partial = &partial[..groups * blocks * floats];
    let dw = SharedSlice::new(dw);
    ctx.threads.run(blocks * (inputs / LANE), &|task| {
        let (block, lane) = (task / (inputs / LANE), task % (inputs / LANE));
        let sums = GroupSums {
            partial: &partial[block * floats..],
            stride: blocks * floats,
            groups,
            inputs,
            first: lane * LANE,
            dw: dw.pointer(block * width * inputs * 9),
        };
        dispatch(ctx.instructions, &sums);
    });
}

/// A pass over the tiles of some images, for some blocks of output channels.
struct Pass<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    input: Feature,
    output: Feature,
    tiling: Tiling,
    tiles: (usize, usize),
    /// Output channels, in whole blocks, as start and end.
    channels: (usize, usize),
    /// `[block][place][input channel][output channel of the block]`
    sums: *mut f32,
    /// Room for the transformed patches of `x`, `[group of channels][place][tile][channel]`, followed by the transformed
    /// tiles of `dy`, `[block][place][tile][channel]`.
    near: *mut f32,
}

impl Kernel for Pass<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let inputs = self.input.channels;
        let width = V::BLOCK;
        let gradients = self.near.wrapping_add(inputs / LANE * group(SPAN));
        let blocks = (self.channels.1 - self.channels.0) / width;
        let mut first = self.tiles.0;
        while first < self.tiles.1 {
            let count = SPAN.min(self.tiles.1 - first);
            let fresh = first == self.tiles.0;
            // SAFETY: features were checked; `near` and `sums` have room for what is written to them.
            unsafe {
                for index in 0..count {
                    let tile = self.tiling.tile(first + index);
                    let patches = self.near.wrapping_add(index * LANE);
                    transform_patch::<V, SPAN>(self.x.as_ptr(), self.input, tile, patches);
                    for block in 0..blocks {
                        for lane in (0..width).step_by(V::LANES) {
                            let to = (block * PLACES * SPAN + index) * width + lane;
                            let channel = self.channels.0 + block * width + lane;
                            let to = gradients.wrapping_add(to);
                            self.transform_gradient::<V>(tile, channel, to, SPAN * width);
                        }
                    }
                }
                for place in 0..PLACES {
                    for next in 0..SPAN / PLACES {
                        self.prefetch(first + SPAN + place * (SPAN / PLACES) + next);
                    }
                    for block in 0..blocks {
                        let dy = (block * PLACES + place) * SPAN * width;
                        let dy = gradients.cast_const().wrapping_add(dy);
                        let to = (block * PLACES + place) * inputs * width;
                        let to = self.sums.wrapping_add(to);
                        for lane in 0..inputs / LANE {
                            let x = self.near.cast_const();
                            let x = x.wrapping_add(lane * group(SPAN) + place * SPAN * LANE);
                            let to = to.wrapping_add(lane * LANE * width);
                            if V::MANY_REGISTERS {
                                add_products::<V, 1, 16>(x, dy, to, count, fresh);
                            } else {
                                let next = 6 * width;
                                add_products::<V, 2, 6>(x, dy, to, count, fresh);
                                let (x, to) = (x.wrapping_add(6), to.wrapping_add(next));
                                add_products::<V, 2, 6>(x, dy, to, count, fresh);
                                let (x, to) = (x.wrapping_add(6), to.wrapping_add(next));
                                add_products::<V, 2, 4>(x, dy, to, count, fresh);
                            }
                        }
                    }
                }
            }
            first += count;
        }
    }
}

impl Pass<'_> {
    /// Prefetches what an upcoming tile reads.
    #[inline(always)]
    fn prefetch(&self, tile: usize) {
        if tile >= self.tiles.1 {
            return;
        }
        let tile = self.tiling.tile(tile);
        prefetch_patch(self.x.as_ptr(), self.input, tile);
        each_line(self.output, tile, self.channels, |at| {
            will_read(self.dy.as_ptr().wrapping_add(at));
        });
    }

    /// `A dy A^T` of one tile and one vector of channels, with zeros for overhanging pixels.
    #[inline(always)]
    unsafe fn transform_gradient<V: Vector>(
        &self,
        tile: Tile,
        channel: usize,
        to: *mut f32,
        apart: usize,
    ) {
        unsafe {
            let right = self.output.channels;
            let from = self.output.at(tile.image, tile.row, tile.column) + channel;
            let from = self.dy.as_ptr().wrapping_add(from);
            let below = from.wrapping_add(self.output.row_storage());
            let mut dy = [[V::splat(0.0); 2]; 2];
            dy[0][0] = V::load(from);
            if tile.width == 2 {
                dy[0][1] = V::load(from.wrapping_add(right));
            }
            if tile.height == 2 {
                dy[1][0] = V::load(below);
                if tile.width == 2 {
                    dy[1][1] = V::load(below.wrapping_add(right));
                }
            }
            let left: [V; 4] = spread_gradient([dy[0][0], dy[1][0]]);
            let right: [V; 4] = spread_gradient([dy[0][1], dy[1][1]]);
            unroll!(4: ROW in 0..4 => {
                let across = spread_gradient([left[ROW], right[ROW]]);
                unroll!(4: COLUMN in 0..4 => {
                    across[COLUMN].store(to.wrapping_add((ROW * 4 + COLUMN) * apart));
                });
            });
        }
    }
}

/// `A y` along two values.
#[inline(always)]
unsafe fn spread_gradient<V: Vector>(y: [V; 2]) -> [V; 4] {
    unsafe {
        [
            y[0],
            y[0].add(y[1]),
            y[0].sub(y[1]),
            V::splat(0.0).sub(y[1]),
        ]
    }
}

/// `G^T s` along four values.
#[inline(always)]
unsafe fn contract<V: Vector>(s: [V; 4]) -> [V; 3] {
    unsafe {
        let half = V::splat(0.5);
        let sum = s[1].add(s[2]);
        [
            sum.mul_add(half, s[0]),
            s[1].sub(s[2]).mul_add(half, V::splat(0.0)),
            sum.mul_add(half, s[3]),
        ]
    }
}

/// Adds the products of `C` input channels and `N` vectors of output channels over `count` tiles to `to`, or writes them
/// with `fresh`.
#[inline(always)]
unsafe fn add_products<V: Vector, const N: usize, const C: usize>(
    x: *const f32,
    dy: *const f32,
    to: *mut f32,
    count: usize,
    fresh: bool,
) {
    unsafe {
        let mut sum = [V::splat(0.0); 32];
        let (mut x, mut dy) = (x, dy);
        for _ in 0..count {
            let mut d = [V::splat(0.0); 2];
            unroll!(2: VEC in 0..N => {
                d[VEC] = V::load(dy.wrapping_add(VEC * V::LANES));
            });
            unroll!(16: INPUT in 0..C => {
                let x = V::broadcast(x.wrapping_add(INPUT));
                unroll!(2: VEC in 0..N => {
                    sum[INPUT * N + VEC] = x.mul_add(d[VEC], sum[INPUT * N + VEC]);
                });
            });
            x = x.wrapping_add(LANE);
            dy = dy.wrapping_add(N * V::LANES);
        }
        unroll!(16: INPUT in 0..C => {
            unroll!(2: VEC in 0..N => {
                let to = to.wrapping_add((INPUT * N + VEC) * V::LANES);
                let mut value = sum[INPUT * N + VEC];
                if !fresh {
                    value = value.add(V::load(to));
                }
                value.store(to);
            });
        });
    }
}

/// Adds up the groups for sixteen input channels and a block of output channels, and transforms the sums to weights.
struct GroupSums<'a> {
    /// The first group's, `[place][input channel][output channel of the block]`.
    partial: &'a [f32],
    /// Floats between groups.
    stride: usize,
    groups: usize,
    inputs: usize,
    /// The first input channel.
    first: usize,
    /// The block's, `[output channel][input channel][kernel position]`.
    dw: *mut f32,
}

impl Kernel for GroupSums<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let vectors = V::VECTORS;
        let apart = self.inputs * vectors * V::LANES;
        let mut lanes = [[0.0f32; LANE]; 9];
        for input in self.first..self.first + LANE {
            for vector in 0..vectors {
                // SAFETY: `partial` holds all groups; no other task writes these places of `dw`.
                unsafe {
                    let from = self.partial[(input * vectors + vector) * V::LANES..].as_ptr();
                    let mut sum = [V::splat(0.0); PLACES];
                    for group in 0..self.groups {
                        let from = from.wrapping_add(group * self.stride);
                        unroll!(16: PLACE in 0..PLACES => {
                            sum[PLACE] = sum[PLACE].add(V::load(from.wrapping_add(PLACE * apart)));
                        });
                    }
                    let mut rows = [[V::splat(0.0); 3]; 4];
                    unroll!(4: ROW in 0..4 => {
                        rows[ROW] = contract([
                            sum[ROW * 4],
                            sum[ROW * 4 + 1],
                            sum[ROW * 4 + 2],
                            sum[ROW * 4 + 3],
                        ]);
                    });
                    unroll!(3: COLUMN in 0..3 => {
                        let down = contract([
                            rows[0][COLUMN],
                            rows[1][COLUMN],
                            rows[2][COLUMN],
                            rows[3][COLUMN],
                        ]);
                        unroll!(3: ROW in 0..3 => {
                            down[ROW].store(lanes[ROW * 3 + COLUMN].as_mut_ptr());
                        });
                    });
                    for lane in 0..V::LANES {
                        let output = vector * V::LANES + lane;
                        let to = self.dw.wrapping_add((output * self.inputs + input) * 9);
                        for tap in 0..9 {
                            *to.wrapping_add(tap) = lanes[tap][lane];
                        }
                    }
                }
            }
        }
    }
}
