//! Convolution, forward and input gradient, as sweeps over the pixels (`sweep.rs`).

use super::context::Context;
use super::conv_shape::ConvShape;
use super::pointwise;
use super::sweep::{Run, Sweep, Weights, run_sweeps};
use super::winograd;

/// `y = x * w`. `x` is `shape.input`, `y` is `shape.output()`, `w` is `[outputs][inputs][kernel][kernel]`.
pub fn conv_forward(ctx: &Context, x: &[f32], w: &[f32], y: &mut [f32], shape: ConvShape) {
    shape.check();
    shape.input.check("x", x);
    let (input, output) = (shape.input, shape.output());
    let (k, cin) = (shape.kernel, input.channels);
    assert_eq!(w.len(), shape.weights());
    if winograd::serves(shape) {
        return winograd::forward(ctx, x, w, y, shape);
    }
    if pointwise::serves(shape) {
        return pointwise::forward(ctx, x, w, y, shape);
    }
    let corner = (input.halo - shape.padding()) * (input.row_storage() + cin);
    let runs = (0..k)
        .map(|ky| Run {
            offset: ky * input.row_storage(),
            length: k * cin,
        })
        .collect();
    let weights = Weights {
        values: w,
        inputs: cin,
        from_input: k * k,
        outputs: shape.outputs,
        from_output: cin * k * k,
    };
    let sweep = Sweep {
        runs,
        taps: (0..k * k).collect(),
        rows: output.height,
        columns: output.width,
        from: corner,
        from_row: shape.stride * input.row_storage(),
        from_column: shape.stride * cin,
        to: output.at(0, 0, 0),
        to_row: output.row_storage(),
        to_column: output.channels,
    };
    run_sweeps(ctx, &[sweep], &weights, x, input, y, output, false);
}

/// The gradient of the input, for kernels up to 3: `dx = dy * w` transposed, or `dx += ...` with `accumulate`, for which
/// the halo of `dx` must be zero.
///
/// A strided convolution is split into one dense sweep for each parity of the input's rows and columns, so that nothing is
/// multiplied by the zeros between the outputs.
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
    assert!(shape.kernel <= 3, "unsupported input gradient: {shape:?}");
    if winograd::serves(shape) {
        return winograd::input_gradient(ctx, dy, w, dx, shape, accumulate);
    }
    if pointwise::serves(shape) {
        return pointwise::input_gradient(ctx, dy, w, dx, shape, accumulate);
    }
    let (k, s, cin, pad) = (shape.kernel, shape.stride, input.channels, shape.padding());
    let mut sweeps = Vec::new();
    for py in 0..s.min(input.height) {
        for px in 0..s.min(input.width) {
            // Output positions that read an input position, as (kernel position, offset from input position / stride), in
            // order of increasing offset.
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
            let taps: Vec<usize> = down
                .iter()
                .flat_map(|&(ky, _)| across.iter().map(move |&(kx, _)| ky * k + kx))
                .collect();
            if taps.is_empty() && accumulate {
                continue;
            }
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
                taps,
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
    let weights = Weights {
        values: w,
        inputs: shape.outputs,
        from_input: cin * k * k,
        outputs: cin,
        from_output: k * k,
    };
    run_sweeps(ctx, &sweeps, &weights, dy, output, dx, input, accumulate);
}
