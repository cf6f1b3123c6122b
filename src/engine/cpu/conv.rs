//! Direct convolution, forward and backward to its input. Both are sweeps over pixels: a block of output channels and up to
//! sixteen pixels stay in registers while one run of input floats after the other is multiplied in.

use super::feature::{Feature, Shared, zero_halo};
use super::vector::{Kernel, Vector, dispatch, unroll};
use super::{Aligned, Context, Instructions};

/// A convolution of square kernels with padding `kernel / 2` and no bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Its halo is at least `kernel / 2`.
    pub input: Feature,
    /// Output channels.
    pub outputs: usize,
    /// Side of the kernel, odd.
    pub kernel: usize,
    pub stride: usize,
}

impl ConvShape {
    /// The output, with a halo of one pixel.
    pub fn output(&self) -> Feature {
        let side = |length: usize| (length + 2 * self.padding() - self.kernel) / self.stride + 1;
        Feature::new(
            self.input.images,
            side(self.input.height),
            side(self.input.width),
            self.outputs,
        )
    }

    pub fn padding(&self) -> usize {
        self.kernel / 2
    }

    /// Floats of the weights, `[outputs][inputs][kernel][kernel]`.
    pub fn weights(&self) -> usize {
        self.outputs * self.input.channels * self.kernel * self.kernel
    }

    pub(super) fn check(&self) {
        assert!(self.kernel % 2 == 1, "a kernel of even side, {self:?}");
        assert!(
            self.input.halo >= self.padding(),
            "a halo below the padding, {self:?}"
        );
    }
}

/// `y = x * w`. `x` is `shape.input`, `y` is `shape.output()`, `w` is `[outputs][inputs][kernel][kernel]`.
pub fn conv_forward(ctx: &Context, x: &[f32], w: &[f32], y: &mut [f32], shape: ConvShape) {
    shape.check();
    shape.input.check("x", x);
    let (input, output) = (shape.input, shape.output());
    let (k, cin) = (shape.kernel, input.channels);
    assert_eq!(w.len(), shape.weights());
    let taps: Vec<(usize, usize)> = (0..k * k).map(|tap| (tap / k, tap % k)).collect();
    let corner = (input.halo - shape.padding()) * (input.row_storage() + cin);
    let runs = (0..k)
        .map(|ky| Run {
            offset: ky * input.row_storage(),
            length: k * cin,
        })
        .collect();
    let sweep = Sweep {
        runs,
        packed: pack(
            ctx.instructions,
            &taps,
            cin,
            shape.outputs,
            |ky, kx, ci, co| w[((co * cin + ci) * k + ky) * k + kx],
        ),
        rows: output.height,
        columns: output.width,
        from: corner,
        from_row: shape.stride * input.row_storage(),
        from_column: shape.stride * cin,
        to: output.at(0, 0, 0),
        to_row: output.row_storage(),
        to_column: output.channels,
    };
    run_sweeps(ctx, &[sweep], x, input, y, output, false);
}

/// The gradient of the input: `dx = dy * w` transposed, or `dx += ...` with `accumulate` (the halo of `dx` is zero then).
/// Kernels up to 3.
///
/// A stride is taken apart into one dense sweep for each parity of the input's rows and columns: no multiplication by the
/// zeros between the outputs.
pub fn conv_input_gradient(
    ctx: &Context,
    dy: &[f32],
    w: &[f32],
    dx: &mut [f32],
    shape: ConvShape,
    accumulate: bool,
) {
    shape.check();
    let (input, output) = (shape.input, shape.output());
    output.check("dy", dy);
    assert_eq!(w.len(), shape.weights());
    assert!(shape.kernel <= 3, "no input gradient for {shape:?}");
    let (k, s, cin, pad) = (shape.kernel, shape.stride, input.channels, shape.padding());
    let mut sweeps = Vec::new();
    for py in 0..s.min(input.height) {
        for px in 0..s.min(input.width) {
            // Output positions that read an input position, as (kernel position, offset from input position / stride),
            // by increasing offset.
            let reach = |parity: usize| -> Vec<(usize, isize)> {
                (0..k)
                    .rev()
                    .filter(|tap| (parity + pad + s - tap % s).is_multiple_of(s))
                    .map(|tap| {
                        (
                            tap,
                            (parity as isize + pad as isize - tap as isize) / s as isize,
                        )
                    })
                    .collect()
            };
            let (down, across) = (reach(py), reach(px));
            let taps: Vec<(usize, usize)> = down
                .iter()
                .flat_map(|&(ky, _)| across.iter().map(move |&(kx, _)| (ky, kx)))
                .collect();
            let first = |reach: &[(usize, isize)]| reach.first().map_or(0, |&(_, offset)| offset);
            let runs = down
                .iter()
                .filter(|_| !across.is_empty())
                .map(|&(_, offset)| Run {
                    offset: (offset - first(&down)) as usize * output.row_storage(),
                    length: across.len() * shape.outputs,
                })
                .collect();
            let halo = output.halo as isize;
            let corner = |reach: &[(usize, isize)]| (halo + first(reach)) as usize;
            sweeps.push(Sweep {
                runs,
                packed: pack(
                    ctx.instructions,
                    &taps,
                    shape.outputs,
                    cin,
                    |ky, kx, co, ci| w[((co * cin + ci) * k + ky) * k + kx],
                ),
                rows: (input.height - py).div_ceil(s),
                columns: (input.width - px).div_ceil(s),
                from: corner(&down) * output.row_storage() + corner(&across) * output.channels,
                from_row: output.row_storage(),
                from_column: output.channels,
                to: input.at(0, py, px),
                to_row: s * input.row_storage(),
                to_column: s * cin,
            });
        }
    }
    run_sweeps(ctx, &sweeps, dy, output, dx, input, accumulate);
}

/// Contiguous input floats that one output pixel reads.
#[derive(Clone, Copy)]
struct Run {
    /// From the first float that the pixel reads.
    offset: usize,
    length: usize,
}

/// A dense pass that makes `rows x columns` pixels of every image.
struct Sweep {
    runs: Vec<Run>,
    /// `[block of output channels][floats of all runs][channels of a block]`, zeros past the last channel.
    packed: Aligned,
    rows: usize,
    columns: usize,
    /// Floats from the start of an image to what its first pixel reads, between rows, between columns.
    from: usize,
    from_row: usize,
    from_column: usize,
    /// The same where it writes.
    to: usize,
    to_row: usize,
    to_column: usize,
}

/// Output channels that are in registers together.
fn block(instructions: Instructions) -> usize {
    match instructions {
        Instructions::Avx512 | Instructions::Avx2 => 16,
        Instructions::Portable => 8,
    }
}

/// Weights in the order in which a sweep reads them.
fn pack(
    instructions: Instructions,
    taps: &[(usize, usize)],
    inputs: usize,
    outputs: usize,
    weight: impl Fn(usize, usize, usize, usize) -> f32,
) -> Aligned {
    let width = block(instructions);
    let mut packed = Aligned::zeros(outputs.div_ceil(width) * taps.len() * inputs * width);
    let mut rows = packed.chunks_exact_mut(width);
    for first in (0..outputs).step_by(width) {
        for &(ky, kx) in taps {
            for (input, row) in (0..inputs).zip(&mut rows) {
                for (output, place) in (first..outputs).zip(row) {
                    *place = weight(ky, kx, input, output);
                }
            }
        }
    }
    packed
}

fn run_sweeps(
    ctx: &Context,
    sweeps: &[Sweep],
    from: &[f32],
    input: Feature,
    to: &mut [f32],
    output: Feature,
    accumulate: bool,
) {
    output.check("output", to);
    let to = Shared::new(to);
    // Enough tasks for many threads at a small batch; a pixel's arithmetic does not depend on the partition.
    let parts = 64usize.div_ceil(output.images.max(1));
    ctx.threads.run(output.images * parts, &|task| {
        let (image, part) = (task / parts, task % parts);
        if part == 0 && !accumulate {
            zero_halo(output, image, to);
        }
        for sweep in sweeps {
            let step = sweep.rows.div_ceil(parts).next_multiple_of(4);
            let first = (part * step).min(sweep.rows);
            let last = (first + step).min(sweep.rows);
            if first == last {
                continue;
            }
            dispatch(
                ctx.instructions,
                &SweepKernel {
                    sweep,
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
    from: &'a [f32],
    to: *mut f32,
    channels: usize,
    rows: (usize, usize),
    accumulate: bool,
}

impl Kernel for SweepKernel<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        // SAFETY: the lengths of both features were checked, and the sweeps stay within halo and image.
        unsafe {
            // A distance known when compiling lets one register address every pixel.
            match self.sweep.from_column {
                3 => self.blocks::<V, 3>(),
                16 => self.blocks::<V, 16>(),
                32 => self.blocks::<V, 32>(),
                64 => self.blocks::<V, 64>(),
                _ => self.blocks::<V, 0>(),
            }
        }
    }
}

impl SweepKernel<'_> {
    #[inline(always)]
    unsafe fn blocks<V: Vector, const STEP: usize>(&self) {
        let width = if V::MANY_REGISTERS {
            V::LANES
        } else {
            2 * V::LANES
        };
        let depth: usize = self.sweep.runs.iter().map(|run| run.length).sum();
        let mut first = 0;
        while first < self.channels {
            let weights = self.sweep.packed[first * depth..].as_ptr();
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

    /// 32 registers: sixteen pixels of one vector each, in one, two or four rows as the width has it.
    #[inline(always)]
    unsafe fn tiles_of_sixteen<V: Vector, const STEP: usize>(
        &self,
        weights: *const f32,
        first: usize,
    ) {
        let columns = self.sweep.columns;
        let (mut row, last) = self.rows;
        unsafe {
            while row < last {
                let left = last - row;
                let mut column = 0;
                while column + 16 <= columns {
                    self.tile::<V, 1, 1, 16, STEP>(weights, first, row, column);
                    column += 16;
                }
                let mut taken = 1;
                if column == 0 && columns == 8 && left >= 2 {
                    self.tile::<V, 1, 2, 8, STEP>(weights, first, row, 0);
                    (column, taken) = (8, 2);
                } else if column == 0 && columns == 4 && left >= 4 {
                    self.tile::<V, 1, 4, 4, STEP>(weights, first, row, 0);
                    (column, taken) = (4, 4);
                }
                if column + 8 <= columns {
                    self.tile::<V, 1, 1, 8, 0>(weights, first, row, column);
                    column += 8;
                }
                if column + 4 <= columns {
                    self.tile::<V, 1, 1, 4, 0>(weights, first, row, column);
                    column += 4;
                }
                while column < columns {
                    self.tile::<V, 1, 1, 1, 0>(weights, first, row, column);
                    column += 1;
                }
                row += taken;
            }
        }
    }

    /// 16 registers: six pixels of two vectors each. What six leave of a row is taken two pixels wide from three rows at once.
    #[inline(always)]
    unsafe fn tiles_of_six<V: Vector, const STEP: usize>(&self, weights: *const f32, first: usize) {
        let columns = self.sweep.columns;
        let (mut row, last) = self.rows;
        unsafe {
            while row < last {
                let rows = if last - row >= 3 { 3 } else { 1 };
                for row in row..row + rows {
                    let mut column = 0;
                    while column + 6 <= columns {
                        self.tile::<V, 2, 1, 6, STEP>(weights, first, row, column);
                        column += 6;
                    }
                }
                let mut column = columns - columns % 6;
                while column + 2 <= columns {
                    if rows == 3 {
                        self.tile::<V, 2, 3, 2, STEP>(weights, first, row, column);
                    } else {
                        self.tile::<V, 2, 1, 2, 0>(weights, first, row, column);
                    }
                    column += 2;
                }
                if column < columns {
                    for row in row..row + rows {
                        self.tile::<V, 2, 1, 1, 0>(weights, first, row, column);
                    }
                }
                row += rows;
            }
        }
    }

    /// `R` rows of `P` pixels by `N` vectors of output channels, beginning at channel `first`.
    #[inline(always)]
    unsafe fn tile<V: Vector, const N: usize, const R: usize, const P: usize, const STEP: usize>(
        &self,
        weights: *const f32,
        first: usize,
        row: usize,
        column: usize,
    ) {
        let sweep = self.sweep;
        let step = if STEP > 0 { STEP } else { sweep.from_column };
        let across = |pixel: usize, step: usize| pixel.wrapping_mul(step);
        unsafe {
            let from = self
                .from
                .as_ptr()
                .wrapping_add(sweep.from + row * sweep.from_row + column * sweep.from_column);
            let down = sweep.from_row;
            // [row][pixel][vector], as many as are used.
            let mut sum = [V::splat(0.0); 32];
            let mut weights = weights;
            for run in &sweep.runs {
                let mut at = from.wrapping_add(run.offset);
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
