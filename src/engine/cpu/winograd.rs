//! Convolutions of 3x3 kernels with stride 1 by minimal filtering, F(2x2, 3x3) of Winograd as Lavin and Gray apply it
//! (arXiv:1509.09308, section 4.1): sixteen products of channels a tile of 2x2 outputs in the place of thirty-six.
//!
//! Whatever tiles go together, a tile's sums are the same: results depend neither on the partition nor on the threads.

use std::cell::RefCell;

use super::conv::ConvShape;
use super::feature::{Feature, Shared, zero_halo};
use super::vector::{Kernel, Vector, dispatch, unroll};
use super::{Aligned, Context, Instructions};

/// Products of a tile: the places of a patch of 4x4 inputs.
pub(super) const PLACES: usize = 16;

/// Tiles that are in registers together.
pub(super) const TILES: usize = 16;

/// Channels that lie side by side in transformed patches. Channels are a multiple of them.
pub(super) const LANE: usize = 16;

/// Tasks for each thread, at least: the last ones to end wait for less.
const TASKS: usize = 8;

/// Whether a convolution can be made so, forward and backward.
pub(super) fn serves(shape: ConvShape) -> bool {
    shape.kernel == 3
        && shape.stride == 1
        && shape.input.channels.is_multiple_of(LANE)
        && shape.outputs.is_multiple_of(LANE)
}

/// Output channels that are in registers together.
pub(super) fn block(instructions: Instructions) -> usize {
    match instructions {
        Instructions::Avx512 | Instructions::Avx2 => 16,
        Instructions::Portable => 8,
    }
}

thread_local! {
    /// What a task keeps near while it works: transformed patches and products. Kept by the thread, so that it stays in its
    /// cache from task to task.
    static NEAR: RefCell<Aligned> = RefCell::new(Aligned::zeros(0));
}

/// Calls with at least `len` floats of any content that are this thread's own.
pub(super) fn with_near(len: usize, body: impl FnOnce(&mut [f32])) {
    NEAR.with_borrow_mut(|near| {
        if near.len() < len {
            *near = Aligned::zeros(len);
        }
        body(&mut near[..len]);
    });
}

/// The tiles of a feature, image by image and row by row. Where a side is odd, the last tile hangs over by a pixel.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    feature: Feature,
    rows: usize,
    columns: usize,
}

/// Where a tile lies.
#[derive(Clone, Copy, Default)]
pub(super) struct Tile {
    pub image: usize,
    pub row: usize,
    pub column: usize,
    /// Rows and columns within the feature, 1 or 2.
    pub height: usize,
    pub width: usize,
}

impl Tiling {
    pub(super) fn of(feature: Feature) -> Tiling {
        Tiling {
            feature,
            rows: feature.height.div_ceil(2),
            columns: feature.width.div_ceil(2),
        }
    }

    #[inline(always)]
    pub(super) fn of_an_image(&self) -> usize {
        self.rows * self.columns
    }

    pub(super) fn all(&self) -> usize {
        self.feature.images * self.of_an_image()
    }

    #[inline(always)]
    pub(super) fn tile(&self, index: usize) -> Tile {
        let (image, rest) = (index / self.of_an_image(), index % self.of_an_image());
        let (row, column) = (2 * (rest / self.columns), 2 * (rest % self.columns));
        Tile {
            image,
            row,
            column,
            height: (self.feature.height - row).min(2),
            width: (self.feature.width - column).min(2),
        }
    }
}

/// `B^T d` along four values.
#[inline(always)]
unsafe fn patch<V: Vector>(d: [V; 4]) -> [V; 4] {
    unsafe {
        [
            d[0].sub(d[2]),
            d[1].add(d[2]),
            d[2].sub(d[1]),
            d[1].sub(d[3]),
        ]
    }
}

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

/// Four vectors, of which the second is `step` floats behind the first, the third as many more, the fourth `last`.
#[inline(always)]
unsafe fn four<V: Vector>(from: *const f32, step: usize, last: usize) -> [V; 4] {
    unsafe {
        [
            V::load(from),
            V::load(from.wrapping_add(step)),
            V::load(from.wrapping_add(2 * step)),
            V::load(from.wrapping_add(last)),
        ]
    }
}

/// Writes a vector or adds it to what is there.
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

/// Floats of the transformed patches of one group of channels of `tiles` tiles, `[place][tile][channel]`.
pub(super) const fn group(tiles: usize) -> usize {
    PLACES * tiles * LANE
}

/// Transforms the 4x4 patch around a tile, `B^T d B`, of all channels of `x`, into the tile's place among `T` of each group.
///
/// # Safety
/// `x` holds `feature`, whose halo is at least 1; `to` has room; the processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn transform_patch<V: Vector, const T: usize>(
    x: *const f32,
    feature: Feature,
    tile: Tile,
    to: *mut f32,
) {
    let (row, column) = (feature.row_storage(), feature.channels);
    let corner = feature.at(tile.image, tile.row, tile.column) - row - column;
    // What would lie past the halo counts in outputs only that hang over: anything finite will do.
    let (last_row, last_column) = (row * (1 + tile.height), column * (1 + tile.width));
    let mut channel = 0;
    while channel < feature.channels {
        // SAFETY: all sixteen pixels lie in the feature or its halo.
        unsafe {
            let x = x.wrapping_add(corner + channel);
            let rows: [[V; 4]; 4] = [
                patch(four(x, column, last_column)),
                patch(four(x.wrapping_add(row), column, last_column)),
                patch(four(x.wrapping_add(2 * row), column, last_column)),
                patch(four(x.wrapping_add(last_row), column, last_column)),
            ];
            let to = to.wrapping_add(channel / LANE * group(T) + channel % LANE);
            unroll!(16: PLACE in 0..4 => {
                let down = patch([rows[0][PLACE], rows[1][PLACE], rows[2][PLACE], rows[3][PLACE]]);
                down[0].store(to.wrapping_add(PLACE * T * LANE));
                down[1].store(to.wrapping_add((4 + PLACE) * T * LANE));
                down[2].store(to.wrapping_add((8 + PLACE) * T * LANE));
                down[3].store(to.wrapping_add((12 + PLACE) * T * LANE));
            });
        }
        channel += V::LANES;
    }
}

/// Hints at the pixels of a tile's patch that its neighbours above and to the left do not touch: memory would be waited for
/// between the products, not under them.
#[inline(always)]
pub(super) fn announce_patch<V: Vector>(x: *const f32, feature: Feature, tile: Tile) {
    let corner = feature.at(tile.image, tile.row, tile.column) + feature.channels;
    for row in 1..3 {
        for float in (0..2 * feature.channels).step_by(LANE) {
            V::will_read(x.wrapping_add(corner + row * feature.row_storage() + float));
        }
    }
}

/// Weights as they lie in memory, seen from a pass: what it reads are inputs, what it makes are outputs.
struct Kernels<'a> {
    values: &'a [f32],
    inputs: usize,
    /// Floats from input channel to input channel.
    from_input: usize,
    from_output: usize,
    /// The last kernel position first.
    turned: bool,
}

/// Transforms one block of output channels, `G g G^T`: `[place][input][channels of a block]`.
struct Pack<'a> {
    kernels: &'a Kernels<'a>,
    first: usize,
    packed: *mut f32,
}

impl Kernel for Pack<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let vectors = if V::MANY_REGISTERS { 1 } else { 2 };
        let kernels = self.kernels;
        // SAFETY: `packed` has room for a block, and the channels are among the weights'.
        unsafe {
            let mut lanes = [[0.0f32; LANE]; 9];
            for input in 0..kernels.inputs {
                for vector in 0..vectors {
                    for lane in 0..V::LANES {
                        let output = self.first + vector * V::LANES + lane;
                        let from = input * kernels.from_input + output * kernels.from_output;
                        let kernel = &kernels.values[from..from + 9];
                        for (tap, value) in kernel.iter().enumerate() {
                            lanes[if kernels.turned { 8 - tap } else { tap }][lane] = *value;
                        }
                    }
                    let mut g = [V::splat(0.0); 9];
                    unroll!(16: TAP in 0..9 => { g[TAP] = V::load(lanes[TAP].as_ptr()); });
                    let down = [
                        spread([g[0], g[3], g[6]]),
                        spread([g[1], g[4], g[7]]),
                        spread([g[2], g[5], g[8]]),
                    ];
                    let apart = kernels.inputs * vectors * V::LANES;
                    let to = self
                        .packed
                        .wrapping_add((input * vectors + vector) * V::LANES);
                    unroll!(16: ROW in 0..4 => {
                        let across = spread([down[0][ROW], down[1][ROW], down[2][ROW]]);
                        unroll!(16: COLUMN in 0..4 => {
                            across[COLUMN].store(to.wrapping_add((ROW * 4 + COLUMN) * apart));
                        });
                    });
                }
            }
        }
    }
}

/// `y = x * w`, as [`super::conv_forward`].
pub(super) fn forward(ctx: &Context, x: &[f32], w: &[f32], y: &mut [f32], shape: ConvShape) {
    let kernels = Kernels {
        values: w,
        inputs: shape.input.channels,
        from_input: 9,
        from_output: 9 * shape.input.channels,
        turned: false,
    };
    convolve(ctx, &kernels, x, shape.input, y, shape.output(), false);
}

/// `dx = dy * w` transposed, as [`super::conv_input_gradient`].
pub(super) fn input_gradient(
    ctx: &Context,
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
    shape: ConvShape,
    accumulate: bool,
) {
    let kernels = Kernels {
        values: w,
        inputs: shape.outputs,
        from_input: 9 * shape.input.channels,
        from_output: 9,
        turned: true,
    };
    convolve(
        ctx,
        &kernels,
        dy,
        shape.output(),
        dx,
        shape.input,
        accumulate,
    );
}

fn convolve(
    ctx: &Context,
    kernels: &Kernels<'_>,
    from: &[f32],
    input: Feature,
    to: &mut [f32],
    output: Feature,
    accumulate: bool,
) {
    input.check("input", from);
    output.check("output", to);
    let width = block(ctx.instructions);
    let floats = PLACES * kernels.inputs * width;
    let blocks = output.channels / width;
    let mut packed = ctx.scratch(blocks * floats);
    let places = Shared::new(&mut packed);
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
    let to = Shared::new(to);
    ctx.threads.run(tasks, &|task| {
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

/// Some tiles of all images.
struct Pass<'a> {
    /// `[block of output channels][place][input][channels of a block]`
    packed: &'a [f32],
    from: &'a [f32],
    input: Feature,
    to: *mut f32,
    output: Feature,
    tiling: Tiling,
    tiles: (usize, usize),
    /// Room for the transformed patches, `[group of channels][place][tile][channel]`, then the products of a block of output
    /// channels, `[place][tile][channel]`.
    near: *mut f32,
    accumulate: bool,
}

impl Kernel for Pass<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        let inputs = self.input.channels;
        let width = if V::MANY_REGISTERS {
            V::LANES
        } else {
            2 * V::LANES
        };
        let products = self.near.wrapping_add(inputs / LANE * group(TILES));
        let mut first = self.tiles.0;
        while first < self.tiles.1 {
            let count = TILES.min(self.tiles.1 - first);
            let mut tiles = [Tile::default(); TILES];
            for (index, tile) in tiles.iter_mut().enumerate().take(count) {
                *tile = self.tiling.tile(first + index);
            }
            // SAFETY: features were checked when the pass was made, `near` has room for what is kept in it, and tiles are
            // this task's own.
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
                            self.announce::<V>(first + TILES + place);
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
    /// Hints at what the next tiles take.
    #[inline(always)]
    fn announce<V: Vector>(&self, tile: usize) {
        if tile >= self.tiles.1 {
            return;
        }
        let (tile, output) = (self.tiling.tile(tile), self.output);
        announce_patch::<V>(self.from.as_ptr(), self.input, tile);
        for row in 0..tile.height {
            let at = output.at(tile.image, tile.row + row, tile.column);
            for float in (0..tile.width * output.channels).step_by(LANE) {
                V::will_write(self.to.wrapping_add(at + float));
            }
        }
    }

    /// Sums over the input channels of `P` tiles from `tile` on, by `N` vectors of output channels.
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

    /// `A^T m A` of one tile and one vector of channels, into the output.
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
