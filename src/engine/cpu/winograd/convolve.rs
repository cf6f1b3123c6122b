//! Forward and input gradient, which is the same pass with the kernels rotated by 180 degrees.

use super::super::context::Context;
use super::super::feature::{Feature, zero_halo};
use super::super::near::with_near;
use super::super::shared_slice::SharedSlice;
use super::super::vector::{Kernel, Vector, dispatch, unroll, will_write};
use super::kernels::Kernels;
use super::tiles::{LANE, PLACES, Tiling, each_line, four, group, prefetch_patch, transform_patch};
use super::tiling::Tile;

/// Tiles that are held in registers at once.
const TILES: usize = 16;

/// Fewest tasks per thread; more tasks mean less waiting for the last one.
const TASKS: usize = 8;

/// `A^T m` along four values.
#[inline(always)]
unsafe fn outputs<V: Vector>(m: [V; 4]) -> [V; 2] {
    unsafe { [m[0].add(m[1]).add(m[2]), m[1].sub(m[2]).sub(m[3])] }
}

/// `G g` along three values.
#[inline(always)]
unsafe fn spread<V: Vector>(g: [V; 3]) -> [V; 4] {
    unsafe {
        let (half, nothing) = (V::splat(0.5), V::splat(0.0));
        let ends = g[0].add(g[2]);
        [
            g[0],
            ends.add(g[1]).mul_add(half, nothing),
            ends.sub(g[1]).mul_add(half, nothing),
            g[2],
        ]
    }
}

/// Stores a vector, or adds it with `accumulate`.
#[inline(always)]
unsafe fn write<V: Vector>(value: V, to: *mut f32, accumulate: bool) {
    unsafe {
        if accumulate {
            value.add(V::load(to)).store(to);
        } else {
            value.store(to);
        }
    }
}

/// Transforms a block of output channels, `G g G^T`, to `[place][input][channels of a block]`.
struct Pack<'a> {
    kernels: Kernels<'a>,
    first: usize,
    packed: *mut f32,
}

impl Kernel for Pack<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let vectors = V::VECTORS;
        let kernels = self.kernels;
        // SAFETY: `packed` has room for a block, and the weights have its channels.
        unsafe {
            let mut lanes = [[0.0f32; LANE]; 9];
            for input in 0..kernels.inputs {
                for vector in 0..vectors {
                    for lane in 0..V::LANES {
                        let output = self.first + vector * V::LANES + lane;
                        let from = input * kernels.from_input + output * kernels.from_output;
                        let kernel = &kernels.values[from..from + 9];
                        for (tap, value) in kernel.iter().enumerate() {
                            lanes[if kernels.rotated { 8 - tap } else { tap }][lane] = *value;
                        }
                    }
                    let mut g = [V::splat(0.0); 9];
                    unroll!(9: TAP in 0..9 => { g[TAP] = V::load(lanes[TAP].as_ptr()); });
                    let down = [
                        spread([g[0], g[3], g[6]]),
                        spread([g[1], g[4], g[7]]),
                        spread([g[2], g[5], g[8]]),
                    ];
                    let apart = kernels.inputs * vectors * V::LANES;
                    let to = self
                        .packed
                        .wrapping_add((input * vectors + vector) * V::LANES);
                    unroll!(4: ROW in 0..4 => {
                        let across = spread([down[0][ROW], down[1][ROW], down[2][ROW]]);
                        unroll!(4: COLUMN in 0..4 => {
                            across[COLUMN].store(to.wrapping_add((ROW * 4 + COLUMN) * apart));
                        });
                    });
                }
            }
        }
    }
}

/// Convolves `from` with kernels to `to`, or adds to it.
pub(super) fn convolve(
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
    let width = ctx.instructions.block();
    let floats = PLACES * kernels.inputs * width;
    let blocks = output.channels / width;
    let mut packed = ctx.scratch(blocks * floats);
    let places = SharedSlice::new(&mut packed);
    ctx.threads.run(blocks, &|block| {
        let pack = Pack {
            kernels,
            first: block * width,
            packed: places.pointer(block * floats),
        };
        dispatch(ctx.instructions, &pack);
    });
    let packed = &packed[..blocks * floats];
    let tiling = Tiling::of(output);
    let together = tiling.all().div_ceil(TILES);
    let tasks = (TASKS * ctx.threads.count()).min(together).max(1);
    let to = SharedSlice::new(to);
    ctx.pass(tasks, &|task| {
        let bounds = |task: usize| (together * task / tasks * TILES).min(tiling.all());
        let tiles = (bounds(task), bounds(task + 1));
        if !accumulate {
            let first = tiles.0.div_ceil(tiling.of_an_image());
            let last = tiles.1.div_ceil(tiling.of_an_image());
            for image in first..last {
                zero_halo(output, image, to);
            }
        }
        with_near(PLACES * TILES * (input.channels + width), |near| {
            let pass = Pass {
                packed,
                from,
                input,
                to: to.pointer(0),
                output,
                tiling,
                tiles,
                near: near.as_mut_ptr(),
                accumulate,
            };
            dispatch(ctx.instructions, &pass);
        });
    });
}

/// A pass over a range of tiles of all images.
struct Pass<'a> {
    /// `[block of output channels][place][input][channels of a block]`
    packed: &'a [f32],
    from: &'a [f32],
    input: Feature,
    to: *mut f32,
    output: Feature,
    tiling: Tiling,
    tiles: (usize, usize),
    /// Room for the transformed patches, `[group of channels][place][tile][channel]`, followed by the products of a block
    /// of output channels, `[place][tile][channel]`.
    near: *mut f32,
    accumulate: bool,
}

impl Kernel for Pass<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let inputs = self.input.channels;
        let width = V::BLOCK;
        let products = self.near.wrapping_add(inputs / LANE * group(TILES));
        let mut first = self.tiles.0;
        while first < self.tiles.1 {
            let count = TILES.min(self.tiles.1 - first);
            let mut tiles = [Tile::default(); TILES];
            for (index, tile) in tiles.iter_mut().enumerate().take(count) {
                *tile = self.tiling.tile(first + index);
            }
            // SAFETY: features were checked when the pass was created, `near` has room for patches and products, and no
            // other task writes these tiles.
            unsafe {
                for (index, tile) in tiles.iter().enumerate().take(count) {
                    let to = self.near.wrapping_add(index * LANE);
                    let from = self.from.as_ptr();
                    transform_patch::<V, TILES>(from, self.input, *tile, to);
                }
                for channel in (0..self.output.channels).step_by(width) {
                    let weights = self.packed[channel * PLACES * inputs..].as_ptr();
                    for place in 0..PLACES {
                        if channel == 0 {
                            self.prefetch(first + TILES + place);
                        }
                        let weights = weights.wrapping_add(place * inputs * width);
                        let patches = self.near.cast_const().wrapping_add(place * TILES * LANE);
                        let to = products.wrapping_add(place * TILES * width);
                        if V::MANY_REGISTERS {
                            self.multiply::<V, 1, 16>(weights, patches, to, 0);
                        } else {
                            self.multiply::<V, 2, 6>(weights, patches, to, 0);
                            self.multiply::<V, 2, 6>(weights, patches, to, 6);
                            self.multiply::<V, 2, 4>(weights, patches, to, 12);
                        }
                    }
                    for (index, tile) in tiles.iter().enumerate().take(count) {
                        for lane in (0..width).step_by(V::LANES) {
                            let products = products.wrapping_add(index * width + lane);
                            self.put::<V>(products, TILES * width, *tile, channel + lane);
                        }
                    }
                }
            }
            first += count;
        }
    }
}

impl Pass<'_> {
    /// Prefetches what an upcoming tile reads and writes.
    #[inline(always)]
    fn prefetch(&self, tile: usize) {
        if tile >= self.tiles.1 {
            return;
        }
        let (tile, channels) = (self.tiling.tile(tile), (0, self.output.channels));
        prefetch_patch(self.from.as_ptr(), self.input, tile);
        each_line(self.output, tile, channels, |at| {
            will_write(self.to.wrapping_add(at));
        });
    }

    /// Sums over the input channels, for `P` tiles from `tile` on and `N` vectors of output channels.
    #[inline(always)]
    unsafe fn multiply<V: Vector, const N: usize, const P: usize>(
        &self,
        weights: *const f32,
        patches: *const f32,
        to: *mut f32,
        tile: usize,
    ) {
        unsafe {
            let mut sum = [V::splat(0.0); 32];
            let mut weights = weights;
            let mut patches = patches.wrapping_add(tile * LANE);
            for _ in 0..self.input.channels / LANE {
                let mut at = patches;
                for _ in 0..LANE {
                    let mut w = [V::splat(0.0); 2];
                    unroll!(2: VEC in 0..N => {
                        w[VEC] = V::load(weights.wrapping_add(VEC * V::LANES));
                    });
                    unroll!(16: TILE in 0..P => {
                        let x = V::broadcast(at.wrapping_add(TILE * LANE));
                        unroll!(2: VEC in 0..N => {
                            sum[TILE * N + VEC] = x.mul_add(w[VEC], sum[TILE * N + VEC]);
                        });
                    });
                    at = at.wrapping_add(1);
                    weights = weights.wrapping_add(N * V::LANES);
                }
                patches = patches.wrapping_add(group(TILES));
            }
            let to = to.wrapping_add(tile * N * V::LANES);
            unroll!(16: TILE in 0..P => {
                unroll!(2: VEC in 0..N => {
                    sum[TILE * N + VEC].store(to.wrapping_add((TILE * N + VEC) * V::LANES));
                });
            });
        }
    }

    /// Writes `A^T m A` of one tile and one vector of channels to the output.
    #[inline(always)]
    unsafe fn put<V: Vector>(
        &self,
        products: *const f32,
        apart: usize,
        tile: Tile,
        channel: usize,
    ) {
        let output = self.output;
        unsafe {
            let row = 4 * apart;
            let rows: [[V; 2]; 4] = [
                outputs(four(products, apart, 3 * apart)),
                outputs(four(products.wrapping_add(row), apart, 3 * apart)),
                outputs(four(products.wrapping_add(2 * row), apart, 3 * apart)),
                outputs(four(products.wrapping_add(3 * row), apart, 3 * apart)),
            ];
            let left = outputs([rows[0][0], rows[1][0], rows[2][0], rows[3][0]]);
            let right = outputs([rows[0][1], rows[1][1], rows[2][1], rows[3][1]]);
            let corner = output.at(tile.image, tile.row, tile.column) + channel;
            let to = self.to.wrapping_add(corner);
            let below = to.wrapping_add(output.row_storage());
            write(left[0], to, self.accumulate);
            if tile.width == 2 {
                write(right[0], to.wrapping_add(output.channels), self.accumulate);
            }
            if tile.height == 2 {
                write(left[1], below, self.accumulate);
                if tile.width == 2 {
                    write(
                        right[1],
                        below.wrapping_add(output.channels),
                        self.accumulate,
                    );
                }
            }
        }
    }
}
