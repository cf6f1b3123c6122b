//! Throughput of the CPU's kernels on the shapes of ResNet-20 at batch 128, with the measured peak beside it.
//! `cargo bench --bench kernels --profile dev -- [THREADS] [avx512|avx2|portable]`

use refig::engine::cpu::*;
use std::time::Instant;

/// The best of several rounds, in milliseconds.
fn best(mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..15 {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    best
}

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let threads = words.iter().find_map(|word| word.parse().ok()).unwrap_or(2);
    let set = words.iter().find_map(|word| Instructions::parse(word));
    let ctx = Context::new(threads, set.unwrap_or_else(Instructions::detect));
    let peak = measured_peak(&ctx);
    println!(
        "{} threads, {}: peak {peak:.0} GFLOP/s",
        ctx.threads().count(),
        ctx.instructions().name()
    );
    let images = 128;
    let mut total = [0.0f64; 4];
    println!(
        "convolution           times   forward      input gradient   weight gradient  ms (share of the peak)"
    );
    for (side, inputs, outputs, kernel, stride, times) in [
        (32, 3, 16, 3, 1, 1),
        (32, 16, 16, 3, 1, 6),
        (32, 16, 32, 3, 2, 1),
        (16, 32, 32, 3, 1, 5),
        (16, 32, 64, 3, 2, 1),
        (8, 64, 64, 3, 1, 5),
        (32, 16, 32, 1, 2, 0),
    ] {
        let shape = ConvShape {
            input: Feature::new(images, side, side, inputs),
            outputs,
            kernel,
            stride,
        };
        let x = vec![0.5f32; shape.input.storage()];
        let w = vec![0.25f32; shape.weights()];
        let mut y = vec![0.0f32; shape.output().storage()];
        let mut dx = vec![0.0f32; shape.input.storage()];
        let mut dw = vec![0.0f32; shape.weights()];
        let forward = best(|| conv_forward(&ctx, &x, &w, &mut y, shape));
        let input = best(|| conv_input_gradient(&ctx, &y, &w, &mut dx, shape, true));
        let weight = best(|| conv_weight_gradient(&ctx, &x, &y, &mut dw, shape));
        let gflop = 2.0 * (shape.output().pixels() * shape.weights()) as f64 / 1e9;
        let share = |ms: f64| gflop / ms * 1e3 / peak * 100.0;
        println!(
            "{side:>2}x{side:<2} {inputs:>2}->{outputs:<2} {kernel}x{kernel}/{stride}  {times:>4}   {forward:>6.2} ({:>3.0} %)   {input:>6.2} ({:>3.0} %)   {weight:>6.2} ({:>3.0} %)",
            share(forward),
            share(input),
            share(weight)
        );
        let times = f64::from(times);
        total[0] += times * forward;
        if inputs > 3 {
            total[1] += times * input;
        }
        total[2] += times * weight;
    }
    println!("batch norm             times  forward  with shortcut  backward  with shortcut  ms");
    for (side, channels, times) in [(32, 16, 7), (16, 32, 6), (8, 64, 6)] {
        let feature = Feature::new(images, side, side, channels);
        let shape = NormShape {
            feature,
            group: 0,
            epsilon: 1e-5,
        };
        let x: Vec<f32> = (0..feature.storage()).map(|i| (i % 17) as f32).collect();
        let extra = vec![0.5f32; feature.storage()];
        let mut y = vec![0.0f32; feature.storage()];
        let mut dy = vec![0.5f32; feature.storage()];
        let mut dx = vec![0.0f32; feature.storage()];
        let (scale, shift) = (vec![1.0f32; channels], vec![0.0f32; channels]);
        let (mut mean, mut variance) = (shift.clone(), shift.clone());
        let (mut dscale, mut dshift) = (shift.clone(), shift.clone());
        let [plain, added] = [Shortcut::None, Shortcut::Identity(&extra)].map(|s| {
            best(|| {
                norm_forward(
                    &ctx,
                    shape,
                    &x,
                    &scale,
                    &shift,
                    s,
                    true,
                    &mut y,
                    &mut mean,
                    &mut variance,
                )
            })
        });
        let back = best(|| {
            norm_backward(
                &ctx,
                shape,
                &x,
                &scale,
                &shift,
                &mean,
                &variance,
                Mask::Recomputed,
                &mut dy,
                None,
                &mut dscale,
                &mut dshift,
            )
        });
        let back_added = best(|| {
            norm_backward(
                &ctx,
                shape,
                &x,
                &scale,
                &shift,
                &mean,
                &variance,
                Mask::Output(&y),
                &mut dy,
                Some(&mut dx),
                &mut dscale,
                &mut dshift,
            )
        });
        println!(
            "{side:>2}x{side:<2} {channels:>2}               {times:>4}  {plain:>6.2}   {added:>6.2}        {back:>6.2}     {back_added:>6.2}"
        );
        total[3] += f64::from(times) / 2.0 * (plain + added + back + back_added);
    }
    println!(
        "ResNet-20 step: forward {:.1}, input gradient {:.1}, weight gradient {:.1}, batch norm {:.1}, together {:.1} ms",
        total[0],
        total[1],
        total[2],
        total[3],
        total.iter().sum::<f64>()
    );
}
