//! The gradient of a convolution's weights: partial sums over fixed groups of images, added in their order.

use super::conv::ConvShape;
use super::feature::{Feature, Shared};
use super::vector::{Kernel, Vector, dispatch, unroll};
use super::{Context, Instructions};

/// Groups that the images of a mini-batch are divided into. Fixed, so that sums do not depend on the number of threads.
const GROUPS: usize = 16;

/// Pixels that are summed in registers before they are added to memory: what stays in the first cache, and short sums that
/// lose little.
const PIXELS: usize = 128;

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
    let width = match ctx.instructions {
        Instructions::Avx512 | Instructions::Avx2 => 16,
        Instructions::Portable => 8,
    };
    let (k, cin) = (shape.kernel, input.channels);
    let groups = output.images.clamp(1, GROUPS);
    let blocks = shape.outputs.div_ceil(width);
    let depth = k * k * cin;
    let tiles = tiles(ctx.instructions, k, cin);
    // [group][block][kernel row][kernel column][input channel][output channel of the block]
    let mut partial = ctx.scratch(groups * blocks * depth * width);
    let sums = Shared::new(&mut partial);
    ctx.threads.run(groups * blocks, &|task| {
        let (group, block) = (task / blocks, task % blocks);
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
                channel: block * width,
                sums: sums.pointer(task * depth * width),
            },
        );
    });
    let stride = blocks * depth * width;
    let partial = &partial[..groups * stride];
    let dw = Shared::new(dw);
    ctx.threads.run(blocks * k * k, &|task| {
        let (block, tap) = (task / (k * k), task % (k * k));
        dispatch(
            ctx.instructions,
            &GroupSums {
                partial: &partial[task * cin * width..],
                stride,
                groups,
                inputs: cin,
                outputs: (shape.outputs - block * width).min(width),
                dw: dw.pointer(block * width * depth + tap),
                dw_input: k * k,
                dw_output: depth,
            },
        );
    });
}

/// Adds the groups of one kernel position and block of output channels, and puts the sums into the order of weights.
struct GroupSums<'a> {
    /// Of the first group, `[input channel][output channel of the block]`.
    partial: &'a [f32],
    /// Floats from group to group.
    stride: usize,
    groups: usize,
    inputs: usize,
    outputs: usize,
    dw: *mut f32,
    /// Floats between the weights of two input channels, of two output channels.
    dw_input: usize,
    dw_output: usize,
}

impl Kernel for GroupSums<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let vectors = if V::MANY_REGISTERS { 1 } else { 2 };
        let mut lanes = [0.0f32; 16];
        for input in 0..self.inputs {
            for vector in 0..vectors {
                let at = (input * vectors + vector) * V::LANES;
                let first = vector * V::LANES;
                // SAFETY: `partial` holds all groups; places of `dw` are this block's own.
                unsafe {
                    let from = self.partial[at..].as_ptr();
                    let mut sum = V::load(from);
                    for group in 1..self.groups {
                        sum = sum.add(V::load(from.wrapping_add(group * self.stride)));
                    }
                    sum.store(lanes.as_mut_ptr());
                    for output in first..self.outputs.min(first + V::LANES) {
                        *self.dw.add(output * self.dw_output + input * self.dw_input) =
                            lanes[output - first];
                    }
                }
            }
        }
    }
}

/// Some of the floats that a kernel row covers, which are contiguous in the input.
#[derive(Clone, Copy)]
struct Tile {
    kernel_row: usize,
    /// `kernel column * inputs + input channel`.
    first: usize,
    length: usize,
}

/// All tiles of a kernel, those of the same channels after one another: they read the same cache lines.
fn tiles(instructions: Instructions, kernel: usize, inputs: usize) -> Vec<Tile> {
    let lengths: &[usize] = match instructions {
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

struct WeightKernel<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    input: Feature,
    output: Feature,
    /// Floats from the start of an image to what its first output pixel reads.
    corner: usize,
    stride: usize,
    /// Floats that a kernel row covers.
    span: usize,
    tiles: &'a [Tile],
    images: (usize, usize),
    channel: usize,
    sums: *mut f32,
}

/// Pixels of one chunk: some images whole, or some rows of one.
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
                // SAFETY: features were checked; tiles lie within the kernel, `sums` has room for this block.
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
        let lanes = if V::MANY_REGISTERS {
            V::LANES
        } else {
            2 * V::LANES
        };
        let whole = self.channel + lanes <= self.output.channels;
        for &tile in self.tiles {
            unsafe {
                if V::MANY_REGISTERS {
                    match (tile.length, whole) {
                        (16, true) => self.tile::<V, 1, 16, true>(tile, chunk, fresh),
                        (9, true) => self.tile::<V, 1, 9, true>(tile, chunk, fresh),
                        (16, false) => self.tile::<V, 1, 16, false>(tile, chunk, fresh),
                        (9, false) => self.tile::<V, 1, 9, false>(tile, chunk, fresh),
                        (4, _) => self.tile::<V, 1, 4, false>(tile, chunk, fresh),
                        _ => self.tile::<V, 1, 1, false>(tile, chunk, fresh),
                    }
                } else {
                    match (tile.length, whole) {
                        (6, true) => self.tile::<V, 2, 6, true>(tile, chunk, fresh),
                        (6, false) => self.tile::<V, 2, 6, false>(tile, chunk, fresh),
                        (3, _) => self.tile::<V, 2, 3, false>(tile, chunk, fresh),
                        _ => self.tile::<V, 2, 1, false>(tile, chunk, fresh),
                    }
                }
            }
        }
    }

    /// `L` input floats by `N` vectors of output channels, summed over the pixels of a chunk.
    #[inline(always)]
    unsafe fn tile<V: Vector, const N: usize, const L: usize, const WHOLE: bool>(
        &self,
        tile: Tile,
        chunk: Chunk,
        fresh: bool,
    ) {
        let (input, output) = (self.input, self.output);
        let x_step = self.stride * input.channels;
        let (x_down, dy_down) = (self.stride * input.row_storage(), output.row_storage());
        let mut counts = [0; 2];
        for v in 0..N {
            counts[v] = (output.channels - self.channel)
                .saturating_sub(v * V::LANES)
                .min(V::LANES);
        }
        unsafe {
            // [input float][vector], as many as are used.
            let mut sum = [V::splat(0.0); 32];
            for image in chunk.images.0..chunk.images.1 {
                let mut x_row = self.x.as_ptr().wrapping_add(
                    image * input.image_storage()
                        + self.corner
                        + (chunk.rows.0 * self.stride + tile.kernel_row) * input.row_storage()
                        + tile.first,
                );
                let mut dy_row = self
                    .dy
                    .as_ptr()
                    .wrapping_add(output.at(image, chunk.rows.0, 0) + self.channel);
                for _ in chunk.rows.0..chunk.rows.1 {
                    let (mut x, mut dy) = (x_row, dy_row);
                    for _ in 0..output.width {
                        let mut d = [V::splat(0.0); 2];
                        unroll!(2: VEC in 0..N => {
                            if WHOLE {
                                d[VEC] = V::load(dy.wrapping_add(VEC * V::LANES));
                            } else if counts[VEC] > 0 {
                                d[VEC] = V::load_part(dy.wrapping_add(VEC * V::LANES), counts[VEC]);
                            }
                        });
                        unroll!(16: FLOAT in 0..L => {
                            let x = V::broadcast(x.wrapping_add(FLOAT));
                            unroll!(2: VEC in 0..N => {
                                sum[FLOAT * N + VEC] = x.mul_add(d[VEC], sum[FLOAT * N + VEC]);
                            });
                        });
                        x = x.wrapping_add(x_step);
                        dy = dy.wrapping_add(output.channels);
                    }
                    x_row = x_row.wrapping_add(x_down);
                    dy_row = dy_row.wrapping_add(dy_down);
                }
            }
            let sums = self
                .sums
                .wrapping_add((tile.kernel_row * self.span + tile.first) * N * V::LANES);
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
