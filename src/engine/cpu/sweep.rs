//! Sweeps over pixels, which make up convolutions: a block of output channels of up to sixteen pixels stays in registers
//! while one run of input floats after another is multiplied in.

use super::context::Context;
use super::feature::{Feature, zero_halo};
use super::shared_slice::SharedSlice;
use super::vector::{Kernel, Vector, dispatch, unroll};
use crate::processor::Instructions;

/// Distance in floats from which on sixteen pixels evict each other from the L1 cache, because they share few of its sets.
const FAR: usize = 256;

/// Floats of each pixel that are copied side by side before use, if pixels are that far apart.
const CHUNK: usize = 32;

/// Fewest tasks per thread; more tasks mean less waiting for the last one.
const TASKS: usize = 8;

/// Contiguous input floats that an output pixel reads.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// Relative to the first float that the pixel reads.
    pub offset: usize,
    pub length: usize,
}

/// A dense pass that computes `rows x columns` pixels of every image.
pub(super) struct Sweep {
    pub runs: Vec<Run>,
    /// Kernel positions (row by row) that the runs are multiplied with, one for each input pixel.
    pub taps: Vec<usize>,
    pub rows: usize,
    pub columns: usize,
    /// Floats from the start of an image to the first float that its first pixel reads.
    pub from: usize,
    /// Distance in floats between what neighbouring rows read.
    pub from_row: usize,
    pub from_column: usize,
    /// The same for what it writes.
    pub to: usize,
    pub to_row: usize,
    pub to_column: usize,
}

/// Weights in memory, seen from a sweep: it reads inputs and computes outputs.
pub(super) struct Weights<'a> {
    pub values: &'a [f32],
    pub inputs: usize,
    /// Floats between input channels.
    pub from_input: usize,
    pub outputs: usize,
    pub from_output: usize,
}

impl Weights<'_> {
    /// Size in floats of a sweep's packed weights.
    fn packed(&self, width: usize, taps: &[usize]) -> usize {
        self.outputs.div_ceil(width) * taps.len() * self.inputs * width
    }

    /// Packs a block of output channels: `[floats of all runs][channels of a block]`, with zeros after the last channel.
    fn pack(&self, width: usize, taps: &[usize], first: usize, packed: &mut [f32]) {
        let lanes = (self.outputs - first).min(width);
        if lanes < width {
            packed.fill(0.0);
        }
        for input in 0..self.inputs {
            for (place, tap) in taps.iter().enumerate() {
                let from = input * self.from_input + first * self.from_output + tap;
                let row = &mut packed[(place * self.inputs + input) * width..][..lanes];
                let values = self.values[from..].iter().step_by(self.from_output);
                for (place, value) in row.iter_mut().zip(values) {
                    *place = *value;
                }
            }
        }
    }
}

/// Runs sweeps over every image of `from`, of shape `input`, into `to`, of shape `output`.
pub(super) fn run_sweeps(
    ctx: &Context,
    sweeps: &[Sweep],
    weights: &Weights<'_>,
    from: &[f32],
    input: Feature,
    to: &mut [f32],
    output: Feature,
    accumulate: bool,
) {
    output.check("output", to);
    let width = ctx.instructions.block();
    let blocks = weights.outputs.div_ceil(width);
    let starts: Vec<usize> = sweeps
        .iter()
        .scan(0, |end, sweep| {
            let start = *end;
            *end += weights.packed(width, &sweep.taps);
            Some(start)
        })
        .collect();
    let floats = sweeps
        .iter()
        .map(|sweep| weights.packed(width, &sweep.taps))
        .sum();
    let mut packed = ctx.scratch(floats);
    let places = SharedSlice::new(&mut packed);
    ctx.threads.run(sweeps.len() * blocks, &|task| {
        let (sweep, block) = (task / blocks, task % blocks);
        let taps = &sweeps[sweep].taps;
        let len = taps.len() * weights.inputs * width;
        // SAFETY: each task packs a different block.
        let into = unsafe { places.slice(starts[sweep] + block * len, len) };
        weights.pack(width, taps, block * width, into);
    });
    let packed = &packed[..floats];
    let to = SharedSlice::new(to);
    // Enough tasks for all threads even with few images; a pixel's arithmetic does not depend on the partition.
    let parts = (TASKS * ctx.threads.count()).div_ceil(output.images.max(1));
    let band = match ctx.instructions {
        Instructions::Avx512 => 4,
        Instructions::Avx2 | Instructions::Portable => 6,
    };
    ctx.pass(output.images * parts, &|task| {
        let (image, part) = (task / parts, task % parts);
        if part == 0 && !accumulate {
            zero_halo(output, image, to);
        }
        for (sweep, &start) in sweeps.iter().zip(&starts) {
            let step = sweep.rows.div_ceil(parts).next_multiple_of(band);
            let first = (part * step).min(sweep.rows);
            let last = (first + step).min(sweep.rows);
            if first == last {
                continue;
            }
            dispatch(
                ctx.instructions,
                &SweepKernel {
                    sweep,
                    packed: &packed[start..],
                    from: &from[image * input.image_storage()..],
                    to: to.pointer(image * output.image_storage()),
                    channels: output.channels,
                    rows: (first, last),
                    accumulate,
                },
            );
        }
    });
}

/// Some rows of one image.
struct SweepKernel<'a> {
    sweep: &'a Sweep,
    /// `[block of output channels][floats of all runs][channels of a block]`
    packed: &'a [f32],
    from: &'a [f32],
    to: *mut f32,
    channels: usize,
    rows: (usize, usize),
    accumulate: bool,
}

impl Kernel for SweepKernel<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        // SAFETY: the lengths of both features were checked, and sweeps stay within images and their halos.
        unsafe {
            // With a distance known at compile time, one register addresses all pixels.
            match self.sweep.from_column {
                3 => self.blocks::<V, 3>(),
                6 => self.blocks::<V, 6>(),
                32 => self.blocks::<V, 32>(),
                64 => self.blocks::<V, 64>(),
                128 => self.blocks::<V, 128>(),
                FAR..
                    if self
                        .sweep
                        .runs
                        .iter()
                        .all(|run| run.length.is_multiple_of(CHUNK)) =>
                {
                    self.blocks::<V, FAR>()
                }
                _ => self.blocks::<V, 0>(),
            }
        }
    }
}

impl SweepKernel<'_> {
    #[inline(always)]
    unsafe fn blocks<V: Vector, const STEP: usize>(&self) {
        let width = V::BLOCK;
        let depth: usize = self.sweep.runs.iter().map(|run| run.length).sum();
        let mut first = 0;
        while first < self.channels {
            let weights = self.packed[first * depth..].as_ptr();
            // SAFETY: as in `run`.
            unsafe {
                if V::MANY_REGISTERS {
                    self.tiles_of_sixteen::<V, STEP>(weights, first);
                } else {
                    self.tiles_of_six::<V, STEP>(weights, first);
                }
            }
            first += width;
        }
    }

    /// For 32 registers: up to sixteen pixels of one vector each, in one, two or four rows depending on the width. Fewer
    /// than four would leave the multipliers waiting for sums.
    #[inline(always)]
    unsafe fn tiles_of_sixteen<V: Vector, const STEP: usize>(
        &self,
        weights: *const f32,
        first: usize,
    ) {
        let columns = self.sweep.columns;
        let fourteen = !columns.is_multiple_of(16) && columns.is_multiple_of(14);
        let (mut row, last) = self.rows;
        unsafe {
            while row < last {
                let left = last - row;
                if columns == 8 && left >= 2 {
                    self.tile::<V, 1, 2, 8, STEP>(weights, first, row, 0);
                    row += 2;
                    continue;
                }
                if columns == 7 && left >= 2 {
                    self.tile::<V, 1, 2, 7, STEP>(weights, first, row, 0);
                    row += 2;
                    continue;
                }
                if columns == 4 && left >= 4 {
                    self.tile::<V, 1, 4, 4, STEP>(weights, first, row, 0);
                    row += 4;
                    continue;
                }
                let mut column = 0;
                if fourteen {
                    while column < columns {
                        self.tile::<V, 1, 1, 14, STEP>(weights, first, row, column);
                        column += 14;
                    }
                }
                while column + 16 <= columns {
                    self.tile::<V, 1, 1, 16, STEP>(weights, first, row, column);
                    column += 16;
                }
                if column + 8 <= columns {
                    self.tile::<V, 1, 1, 8, 0>(weights, first, row, column);
                    column += 8;
                }
                if column + 7 == columns {
                    self.tile::<V, 1, 1, 7, 0>(weights, first, row, column);
                    column += 7;
                }
                if column + 4 <= columns {
                    self.tile::<V, 1, 1, 4, 0>(weights, first, row, column);
                    column += 4;
                }
                while column < columns {
                    self.tile::<V, 1, 1, 1, 0>(weights, first, row, column);
                    column += 1;
                }
                row += 1;
            }
        }
    }

    /// For 16 registers: six pixels of two vectors each. The rest of a row is processed for two, three or six rows at once.
    #[inline(always)]
    unsafe fn tiles_of_six<V: Vector, const STEP: usize>(&self, weights: *const f32, first: usize) {
        let columns = self.sweep.columns;
        let whole = columns - columns % 6;
        let (mut row, last) = self.rows;
        unsafe {
            while row < last {
                let rows = match (columns - whole, last - row) {
                    (1, 6..) => 6,
                    (_, 3..) => 3,
                    (_, left) => left,
                };
                for row in row..row + rows {
                    let mut column = 0;
                    while column < whole {
                        self.tile::<V, 2, 1, 6, STEP>(weights, first, row, column);
                        column += 6;
                    }
                }
                let mut column = whole;
                if rows < 3 && column + 4 <= columns {
                    for row in row..row + rows {
                        self.tile::<V, 2, 1, 4, 0>(weights, first, row, column);
                    }
                    column += 4;
                }
                while column + 2 <= columns {
                    match rows {
                        3 => self.tile::<V, 2, 3, 2, STEP>(weights, first, row, column),
                        2 => self.tile::<V, 2, 2, 2, 0>(weights, first, row, column),
                        _ => self.tile::<V, 2, 1, 2, 0>(weights, first, row, column),
                    }
                    column += 2;
                }
                if column < columns {
                    match rows {
                        6 => self.tile::<V, 2, 6, 1, 0>(weights, first, row, column),
                        _ => {
                            for row in row..row + rows {
                                self.tile::<V, 2, 1, 1, 0>(weights, first, row, column);
                            }
                        }
                    }
                }
                row += rows;
            }
        }
    }

    /// `R` rows of `P` pixels by `N` vectors of output channels, starting at channel `first`.
    #[inline(always)]
    unsafe fn tile<V: Vector, const N: usize, const R: usize, const P: usize, const STEP: usize>(
        &self,
        weights: *const f32,
        first: usize,
        row: usize,
        column: usize,
    ) {
        let sweep = self.sweep;
        let step = if STEP > 0 && STEP < FAR {
            STEP
        } else {
            sweep.from_column
        };
        let across = |pixel: usize, step: usize| pixel.wrapping_mul(step);
        unsafe {
            let from = self
                .from
                .as_ptr()
                .wrapping_add(sweep.from + row * sweep.from_row + column * sweep.from_column);
            let down = sweep.from_row;
            // [row][pixel][vector], of which R * P * N are used.
            let mut sum = [V::splat(0.0); 32];
            let mut weights = weights;
            for run in &sweep.runs {
                let mut at = from.wrapping_add(run.offset);
                if STEP == FAR {
                    let mut near = [0.0f32; 16 * CHUNK];
                    for _ in 0..run.length / CHUNK {
                        unroll!(16: PIXEL in 0..R * P => {
                            let place = at.wrapping_add(across(PIXEL / P, down)).wrapping_add(across(PIXEL % P, step));
                            for v in 0..CHUNK / V::LANES {
                                let to = near.as_mut_ptr().wrapping_add(PIXEL * CHUNK + v * V::LANES);
                                V::load(place.wrapping_add(v * V::LANES)).store(to);
                            }
                        });
                        let mut place = near.as_ptr();
                        for _ in 0..CHUNK {
                            let mut w = [V::splat(0.0); 2];
                            unroll!(2: VEC in 0..N => {
                                w[VEC] = V::load(weights.wrapping_add(VEC * V::LANES));
                            });
                            unroll!(16: PIXEL in 0..R * P => {
                                let x = V::broadcast(place.wrapping_add(PIXEL * CHUNK));
                                unroll!(2: VEC in 0..N => {
                                    sum[PIXEL * N + VEC] = x.mul_add(w[VEC], sum[PIXEL * N + VEC]);
                                });
                            });
                            place = place.wrapping_add(1);
                            weights = weights.wrapping_add(N * V::LANES);
                        }
                        at = at.wrapping_add(CHUNK);
                    }
                    continue;
                }
                for _ in 0..run.length {
                    let mut w = [V::splat(0.0); 2];
                    unroll!(2: VEC in 0..N => {
                        w[VEC] = V::load(weights.wrapping_add(VEC * V::LANES));
                    });
                    unroll!(16: PIXEL in 0..R * P => {
                        let place = at.wrapping_add(across(PIXEL / P, down)).wrapping_add(across(PIXEL % P, step));
                        let x = V::broadcast(place);
                        unroll!(2: VEC in 0..N => {
                            sum[PIXEL * N + VEC] = x.mul_add(w[VEC], sum[PIXEL * N + VEC]);
                        });
                    });
                    at = at.wrapping_add(1);
                    weights = weights.wrapping_add(N * V::LANES);
                }
            }
            let to = self
                .to
                .wrapping_add(sweep.to + row * sweep.to_row + column * sweep.to_column + first);
            unroll!(16: PIXEL in 0..R * P => {
                let to = to
                    .wrapping_add(across(PIXEL / P, sweep.to_row))
                    .wrapping_add(across(PIXEL % P, sweep.to_column));
                unroll!(2: VEC in 0..N => {
                    let skip = VEC * V::LANES;
                    if first + skip < self.channels {
                        let count = (self.channels - first - skip).min(V::LANES);
                        let to = to.wrapping_add(skip);
                        let mut value = sum[PIXEL * N + VEC];
                        if count == V::LANES {
                            if self.accumulate {
                                value = value.add(V::load(to));
                            }
                            value.store(to);
                        } else {
                            if self.accumulate {
                                value = value.add(V::load_part(to, count));
                            }
                            value.store_part(to, count);
                        }
                    }
                });
            });
        }
    }
}
