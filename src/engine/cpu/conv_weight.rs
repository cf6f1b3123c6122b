//! The gradient of a convolution's weights: partial sums over fixed groups of images, added in order.

use super::context::Context;
use super::conv_shape::ConvShape;
use super::feature::Feature;
use super::pointwise;
use super::shared_slice::SharedSlice;
use super::vector::{Kernel, Vector, dispatch, unroll};
use super::winograd;
use crate::processor::Instructions;

/// Most groups that the images of a mini-batch are split into. Fixed, so that sums do not depend on the number of threads.
const GROUPS: usize = 16;

/// Most floats of all groups' sums together, unless a single group has more. Wide layers get fewer groups, having enough
/// tasks anyway.
const SUMS: usize = GROUPS * 64 * 64 * 9;

/// Pixels that are summed in registers before they are added to memory: few enough to stay in the L1 cache and to lose
/// little precision.
const PIXELS: usize = 128;

/// Floats of sums that a task aims to keep in the L2 cache.
const NEAR: usize = 1 << 16;

/// Fewest tasks per thread.
const TASKS: usize = 8;

/// `dw`, `[outputs][inputs][kernel][kernel]`, from the input `x` and the output's gradient `dy`.
pub fn conv_weight_gradient(
    ctx: &Context,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
    shape: ConvShape,
) {
    shape.check();
    let (input, output) = (shape.input, shape.output());
    input.check("x", x);
    output.check("dy", dy);
    assert_eq!(dw.len(), shape.weights());
    if winograd::serves(shape) {
        return winograd::weight_gradient(ctx, x, dy, dw, shape);
    }
    if pointwise::serves(shape) {
        return pointwise::weight_gradient(ctx, x, dy, dw, shape);
    }
    let width = ctx.instructions.block();
    let (k, cin) = (shape.kernel, input.channels);
    let groups = output
        .images
        .min(GROUPS)
        .min(SUMS / shape.weights().max(1))
        .max(1);
    let blocks = shape.outputs.div_ceil(width);
    let depth = k * k * cin;
    // The blocks of one task share its reads of `x`. Their number does not affect any sum.
    let together = (NEAR / (depth * width))
        .min(groups * blocks / (TASKS * ctx.threads.count()))
        .clamp(1, blocks.max(1));
    let sets = blocks.div_ceil(together);
    let tiles = tiles(ctx.instructions, k, cin);
    let chunk = PIXELS.max(output.width);
    // [group][block][kernel row][kernel column][input channel][output channel of the block]
    let all = groups * blocks * depth * width;
    let mut scratch = ctx.scratch(all + groups * sets * together * chunk * width);
    let (partial, near) = scratch.split_at_mut(all);
    let (sums, near) = (SharedSlice::new(partial), SharedSlice::new(near));
    ctx.pass(groups * sets, &|task| {
        let (group, set) = (task / sets, task % sets);
        let first = set * together;
        dispatch(
            ctx.instructions,
            &WeightKernel {
                x,
                dy,
                input,
                output,
                corner: (input.halo - shape.padding()) * (input.row_storage() + cin),
                stride: shape.stride,
                span: k * cin,
                tiles: &tiles,
                images: (
                    output.images * group / groups,
                    output.images * (group + 1) / groups,
                ),
                blocks: (first, (first + together).min(blocks)),
                sums: sums.pointer((group * blocks + first) * depth * width),
                sums_block: depth * width,
                near: near.pointer(task * together * chunk * width),
                near_block: chunk * width,
            },
        );
    });
    let stride = blocks * depth * width;
    let partial = &scratch[..all];
    let dw = SharedSlice::new(dw);
    let pieces = cin.div_ceil(INPUTS);
    ctx.threads.run(blocks * pieces, &|task| {
        let (block, first) = (task / pieces, task % pieces * INPUTS);
        dispatch(
            ctx.instructions,
            &GroupSums {
                partial: &partial[block * depth * width..],
                stride,
                groups,
                taps: k * k,
                inputs: cin,
                some: (first, (first + INPUTS).min(cin)),
                outputs: (shape.outputs - block * width).min(width),
                dw: dw.pointer(block * width * depth),
            },
        );
    });
}

/// Input channels whose sums one task gathers, enough for its writes for an output channel to fill cache lines.
const INPUTS: usize = 32;

/// Adds up the groups for some input channels and a block of output channels, and writes the sums in the order of weights.
struct GroupSums<'a> {
    /// The first group's, `[kernel position][input channel][output channel of the block]`.
    partial: &'a [f32],
    /// Floats between groups.
    stride: usize,
    groups: usize,
    taps: usize,
    inputs: usize,
    /// Input channels, as start and end.
    some: (usize, usize),
    outputs: usize,
    /// `[output channel][input channel][kernel position]`
    dw: *mut f32,
}

impl Kernel for GroupSums<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let vectors = V::VECTORS;
        let mut lanes = [0.0f32; 16];
        for input in self.some.0..self.some.1 {
            for place in 0..self.taps * vectors {
                let (tap, vector) = (place / vectors, place % vectors);
                let at = ((tap * self.inputs + input) * vectors + vector) * V::LANES;
                let first = vector * V::LANES;
                // SAFETY: `partial` holds all groups; no other task writes these places of `dw`.
                unsafe {
                    let from = self.partial[at..].as_ptr();
                    let mut sum = V::load(from);
                    for group in 1..self.groups {
                        sum = sum.add(V::load(from.wrapping_add(group * self.stride)));
                    }
                    sum.store(lanes.as_mut_ptr());
                    for output in first..self.outputs.min(first + V::LANES) {
                        *self
                            .dw
                            .add((output * self.inputs + input) * self.taps + tap) =
                            lanes[output - first];
                    }
                }
            }
        }
    }
}

/// A run of the floats that a kernel row covers, which are contiguous in the input.
#[derive(Clone, Copy)]
struct Tile {
    kernel_row: usize,
    /// `kernel column * inputs + input channel`.
    first: usize,
    length: usize,
}

/// All tiles of a kernel. Those of the same channels are adjacent, since they read the same cache lines.
fn tiles(instructions: Instructions, kernel: usize, inputs: usize) -> Vec<Tile> {
    let lengths: &[usize] = match instructions {
        Instructions::Avx512 if kernel == 7 && inputs == 3 => &[7],
        Instructions::Avx512 => &[16, 9, 4, 1],
        _ => &[6, 3, 1],
    };
    let mut tiles = Vec::new();
    for kernel_row in 0..kernel {
        let mut first = 0;
        while first < kernel * inputs {
            let left = kernel * inputs - first;
            let length = lengths
                .iter()
                .copied()
                .find(|length| *length <= left)
                .unwrap_or(1);
            tiles.push(Tile {
                kernel_row,
                first,
                length,
            });
            first += length;
        }
    }
    tiles.sort_by_key(|tile| (tile.first % inputs, tile.first, tile.kernel_row));
    tiles
}

/// The sums of some images, for some blocks of output channels.
struct WeightKernel<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    input: Feature,
    output: Feature,
    /// Floats from the start of an image to the first float that its first output pixel reads.
    corner: usize,
    stride: usize,
    /// Floats that a kernel row covers.
    span: usize,
    tiles: &'a [Tile],
    images: (usize, usize),
    /// Blocks of output channels.
    blocks: (usize, usize),
    /// The first block's.
    sums: *mut f32,
    /// Floats between blocks.
    sums_block: usize,
    /// Room for the pixels of a chunk of `dy`, block by block.
    near: *mut f32,
    near_block: usize,
}

/// The pixels of a chunk: some whole images, or some rows of one.
#[derive(Clone, Copy)]
struct Chunk {
    images: (usize, usize),
    rows: (usize, usize),
}

impl Kernel for WeightKernel<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let area = self.output.height * self.output.width;
        let together = (PIXELS / area.max(1)).max(1);
        let rows = (PIXELS / self.output.width.max(1)).clamp(1, self.output.height.max(1));
        let mut image = self.images.0;
        let mut fresh = true;
        while image < self.images.1 {
            let images = (image, (image + together).min(self.images.1));
            let mut row = 0;
            while row < self.output.height {
                let chunk = Chunk {
                    images,
                    rows: (row, (row + rows).min(self.output.height)),
                };
                // SAFETY: features were checked; tiles lie within the kernel; `sums` and `near` have room for the blocks.
                unsafe { self.chunk::<V>(chunk, fresh) };
                fresh = false;
                row += rows;
            }
            image += together;
        }
    }
}

impl WeightKernel<'_> {
    #[inline(always)]
    unsafe fn chunk<V: Vector>(&self, chunk: Chunk, fresh: bool) {
        let blocks = self.blocks.1 - self.blocks.0;
        for block in 0..blocks {
            // SAFETY: as in `run`.
            unsafe {
                if V::MANY_REGISTERS {
                    self.bring_near::<V, 1>(chunk, block);
                } else {
                    self.bring_near::<V, 2>(chunk, block);
                }
            }
        }
        for &tile in self.tiles {
            for block in 0..blocks {
                unsafe {
                    if V::MANY_REGISTERS {
                        match tile.length {
                            16 => self.tile::<V, 1, 16>(tile, chunk, block, fresh),
                            9 => self.tile::<V, 1, 9>(tile, chunk, block, fresh),
                            7 => self.tile::<V, 1, 7>(tile, chunk, block, fresh),
                            4 => self.tile::<V, 1, 4>(tile, chunk, block, fresh),
                            _ => self.tile::<V, 1, 1>(tile, chunk, block, fresh),
                        }
                    } else {
                        match tile.length {
                            6 => self.tile::<V, 2, 6>(tile, chunk, block, fresh),
                            3 => self.tile::<V, 2, 3>(tile, chunk, block, fresh),
                            _ => self.tile::<V, 2, 1>(tile, chunk, block, fresh),
                        }
                    }
                }
            }
        }
    }

    /// Copies one block of the chunk's pixels of `dy` side by side, with zeros after the last channel. With many channels,
    /// pixels are so far apart in memory that they would evict each other from the L1 cache.
    #[inline(always)]
    unsafe fn bring_near<V: Vector, const N: usize>(&self, chunk: Chunk, block: usize) {
        let output = self.output;
        let channel = (self.blocks.0 + block) * N * V::LANES;
        let whole = channel + N * V::LANES <= output.channels;
        unsafe {
            let mut to = self.near.wrapping_add(block * self.near_block);
            for image in chunk.images.0..chunk.images.1 {
                for row in chunk.rows.0..chunk.rows.1 {
                    let mut dy = self
                        .dy
                        .as_ptr()
                        .wrapping_add(output.at(image, row, 0) + channel);
                    for _ in 0..output.width {
                        for v in 0..N {
                            let skip = v * V::LANES;
                            let from = dy.wrapping_add(skip);
                            let value = if whole {
                                V::load(from)
                            } else {
                                let left = output.channels.saturating_sub(channel + skip);
                                match left.min(V::LANES) {
                                    0 => V::splat(0.0),
                                    count => V::load_part(from, count),
                                }
                            };
                            value.store(to.wrapping_add(skip));
                        }
                        dy = dy.wrapping_add(output.channels);
                        to = to.wrapping_add(N * V::LANES);
                    }
                }
            }
        }
    }

    /// `L` floats of a kernel row by `N` vectors of output channels.
    #[inline(always)]
    unsafe fn tile<V: Vector, const N: usize, const L: usize>(
        &self,
        tile: Tile,
        chunk: Chunk,
        block: usize,
        fresh: bool,
    ) {
        let (input, output) = (self.input, self.output);
        let x_step = self.stride * input.channels;
        let x_down = self.stride * input.row_storage();
        unsafe {
            // [input float][vector], of which L * N are used.
            let mut sum = [V::splat(0.0); 32];
            let mut dy = self.near.cast_const().wrapping_add(block * self.near_block);
            for image in chunk.images.0..chunk.images.1 {
                let mut x_row = self.x.as_ptr().wrapping_add(
                    image * input.image_storage()
                        + self.corner
                        + (chunk.rows.0 * self.stride + tile.kernel_row) * input.row_storage()
                        + tile.first,
                );
                for _ in chunk.rows.0..chunk.rows.1 {
                    let mut x = x_row;
                    for _ in 0..output.width {
                        let mut d = [V::splat(0.0); 2];
                        unroll!(2: VEC in 0..N => {
                            d[VEC] = V::load(dy.wrapping_add(VEC * V::LANES));
                        });
                        unroll!(16: FLOAT in 0..L => {
                            let x = V::broadcast(x.wrapping_add(FLOAT));
                            unroll!(2: VEC in 0..N => {
                                sum[FLOAT * N + VEC] = x.mul_add(d[VEC], sum[FLOAT * N + VEC]);
                            });
                        });
                        x = x.wrapping_add(x_step);
                        dy = dy.wrapping_add(N * V::LANES);
                    }
                    x_row = x_row.wrapping_add(x_down);
                }
            }
            let sums = self.sums.wrapping_add(
                block * self.sums_block + (tile.kernel_row * self.span + tile.first) * N * V::LANES,
            );
            unroll!(16: PLACE in 0..L * N => {
                let to = sums.wrapping_add(PLACE * V::LANES);
                let mut value = sum[PLACE];
                if !fresh {
                    value = value.add(V::load(to));
                }
                value.store(to);
            });
        }
    }
}
