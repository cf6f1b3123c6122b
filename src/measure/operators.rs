//! Measures the throughput of each distinct convolution of a network, forward and backward, as a share of the processor's
//! peak.

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use super::{median, percent};
use crate::counted::counted;
use crate::engine::Options;
use crate::engine::cpu::{
    Context, ConvShape, Feature, conv_forward, conv_input_gradient, conv_weight_gradient,
    peak_sample,
};
use crate::exit::Exit;
use crate::network::{Convolution, Join, Network, Stem};
use crate::random::{Purpose, Stream};

/// Seconds per round: long compared with the clock resolution and thread start-up.
const ROUND: f64 = 0.01;

/// One operator on one shape.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pass {
    /// Median over the rounds.
    pub ms: f64,
    /// GFLOP/s of a direct convolution; a multiply-add counts as two.
    pub gflops: f64,
    /// Share of the processor's peak, measured just before and after; the median over the rounds.
    pub peak_share: f64,
}

/// A distinct convolution.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShapeRow {
    /// Channels, height, width.
    pub input: [usize; 3],
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Number of occurrences in the network.
    pub times: usize,
    pub forward: Pass,
    /// `None` for the first layer, because the gradient of the images is not needed.
    pub input_gradient: Option<Pass>,
    pub weight_gradient: Pass,
}

/// All distinct convolutions of a network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OperatorReport {
    pub network: String,
    pub image_size: usize,
    pub batch: usize,
    pub threads: usize,
    pub instructions: String,
    /// Median of the samples of the peak, GFLOP/s.
    pub peak_gflops: f64,
    pub rows: Vec<ShapeRow>,
    /// Total time of the convolutions in one training step.
    pub step_ms: f64,
    /// Their share of the processor's peak.
    pub step_share: f64,
}

/// Distinct convolutions in the order of the forward pass, with their input size and number of occurrences.
fn shapes(network: &Network, image_size: usize) -> Vec<(Convolution, usize, usize)> {
    let mut found: Vec<(Convolution, usize, usize)> = Vec::new();
    let mut add = |conv: &Convolution, side: usize| {
        let same = |other: &Convolution| {
            (other.kernel, other.stride, other.inputs, other.outputs)
                == (conv.kernel, conv.stride, conv.inputs, conv.outputs)
        };
        match found
            .iter_mut()
            .find(|(other, at, _)| same(other) && *at == side)
        {
            Some((_, _, times)) => *times += 1,
            None => found.push((conv.clone(), side, 1)),
        }
    };
    let stem = network.stem_convolution();
    add(&stem, image_size);
    let mut side = image_size.div_ceil(stem.stride);
    if network.stem == Stem::Imagenet {
        side = side.div_ceil(2);
    }
    for block in network.blocks() {
        let input = side;
        for conv in &block.convolutions {
            add(conv, side);
            side = side.div_ceil(conv.stride);
        }
        if let Join::Projection(conv) = &block.join {
            add(conv, input);
        }
    }
    found
}

/// Random values in -1..1, with a halo of zeros.
fn noise(feature: Feature, place: u64) -> Vec<f32> {
    let mut stream = Stream::new(0, Purpose::Synthetic, place, 0);
    let mut data = vec![0.0; feature.storage()];
    for image in 0..feature.images {
        for row in 0..feature.height {
            let at = feature.at(image, row, 0);
            for value in &mut data[at..at + feature.width * feature.channels] {
                *value = (2.0 * stream.uniform() - 1.0) as f32;
            }
        }
    }
    data
}

/// The rounds of one operator.
#[derive(Default)]
struct Rounds {
    repeats: usize,
    seconds: Vec<f64>,
    shares: Vec<f64>,
}

impl Rounds {
    /// Times one round between two samples of the peak, and returns the second.
    fn add(&mut self, context: &Context, gflop: f64, before: f64, mut work: impl FnMut()) -> f64 {
        if self.repeats == 0 {
            let start = Instant::now();
            work();
            let once = start.elapsed().as_secs_f64().max(1e-7);
            self.repeats = (ROUND / once).ceil().clamp(1.0, 1e6) as usize;
        }
        let start = Instant::now();
        for _ in 0..self.repeats {
            work();
        }
        let seconds = start.elapsed().as_secs_f64() / self.repeats as f64;
        let after = peak_sample(context);
        self.seconds.push(seconds);
        self.shares.push(gflop / seconds / ((before + after) / 2.0));
        after
    }

    fn pass(&self, gflop: f64) -> Pass {
        let seconds = median(&self.seconds);
        Pass {
            ms: seconds * 1e3,
            gflops: gflop / seconds,
            peak_share: median(&self.shares),
        }
    }
}

/// Times every distinct convolution of `network`, `rounds` times each.
///
/// # Errors
/// [`Exit::Usage`] for 0 images or rounds, [`Exit::Device`] if the instruction set is not available.
pub fn measure(
    network: &Network,
    batch: usize,
    image_size: usize,
    rounds: usize,
    options: &Options,
) -> Result<OperatorReport> {
    if batch == 0 || image_size == 0 || rounds == 0 {
        return Err(Exit::Usage.error(format!(
            "a batch of {} of {image_size}x{image_size} and {} leave nothing to measure; each must be at least 1",
            counted(batch, "image"),
            counted(rounds, "round")
        )));
    }
    let context = options.context()?;
    let mut peaks = vec![peak_sample(&context)];
    let mut rows = Vec::new();
    for (index, (conv, side, times)) in shapes(network, image_size).into_iter().enumerate() {
        let shape = ConvShape {
            input: Feature {
                halo: (conv.kernel / 2).max(1),
                ..Feature::new(batch, side, side, conv.inputs)
            },
            outputs: conv.outputs,
            kernel: conv.kernel,
            stride: conv.stride,
        };
        let (x, dy) = (noise(shape.input, 1), noise(shape.output(), 2));
        let mut stream = Stream::new(0, Purpose::Synthetic, 3, 0);
        let w: Vec<f32> = (0..shape.weights())
            .map(|_| (2.0 * stream.uniform() - 1.0) as f32)
            .collect();
        let mut y = vec![0.0; shape.output().storage()];
        let mut dx = vec![0.0; shape.input.storage()];
        let mut dw = vec![0.0; shape.weights()];
        let gflop = 2.0 * (shape.output().pixels() * shape.weights()) as f64 / 1e9;
        let mut passes = [(); 3].map(|()| Rounds::default());
        let mut peak = peak_sample(&context);
        for _ in 0..rounds {
            let [forward, input, weight] = &mut passes;
            peak = forward.add(&context, gflop, peak, || {
                conv_forward(&context, &x, &w, &mut y, shape);
            });
            if index > 0 {
                peak = input.add(&context, gflop, peak, || {
                    conv_input_gradient(&context, &dy, &w, &mut dx, shape, false);
                });
            }
            peak = weight.add(&context, gflop, peak, || {
                conv_weight_gradient(&context, &x, &dy, &mut dw, shape);
            });
            peaks.push(peak);
        }
        let [forward, input, weight] = &passes;
        rows.push(ShapeRow {
            input: [conv.inputs, side, side],
            outputs: conv.outputs,
            kernel: conv.kernel,
            stride: conv.stride,
            times,
            forward: forward.pass(gflop),
            input_gradient: (index > 0).then(|| input.pass(gflop)),
            weight_gradient: weight.pass(gflop),
        });
    }
    let passes = || {
        rows.iter().flat_map(|row| {
            let all = [
                Some(&row.forward),
                row.input_gradient.as_ref(),
                Some(&row.weight_gradient),
            ];
            let times = row.times as f64;
            all.into_iter().flatten().map(move |pass| (times, pass))
        })
    };
    let step_ms: f64 = passes().map(|(times, pass)| times * pass.ms).sum();
    // The time of the same arithmetic at the peak measured for each pass.
    let at_peak: f64 = passes()
        .map(|(times, pass)| times * pass.ms * pass.peak_share)
        .sum();
    Ok(OperatorReport {
        network: network.name.clone(),
        image_size,
        batch,
        threads: options.thread_count(),
        instructions: options.instruction_set()?.name().into(),
        peak_gflops: median(&peaks),
        step_share: at_peak / step_ms,
        step_ms,
        rows,
    })
}

impl OperatorReport {
    /// A human-readable table.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} at {}x{}, batch {}, {}, {}: peak {:.0} GFLOP/s\n\n  {:<13} {:>7}  {:<6} {:>5}   {:<25} {:<25} {:<25}\n  {:37}   {:>8} {:>7} {:>6}   {:>8} {:>7} {:>6}   {:>8} {:>7} {:>6}\n",
            self.network,
            self.image_size,
            self.image_size,
            self.batch,
            counted(self.threads, "thread"),
            self.instructions,
            self.peak_gflops,
            "input",
            "outputs",
            "kernel",
            "times",
            "forward",
            "input gradient",
            "weight gradient",
            "",
            "ms",
            "GFLOP/s",
            "peak",
            "ms",
            "GFLOP/s",
            "peak",
            "ms",
            "GFLOP/s",
            "peak",
        );
        let cell = |pass: Option<&Pass>| match pass {
            None => format!("{:>8} {:>7} {:>6}", "-", "", ""),
            Some(pass) => format!(
                "{:>8.2} {:>7.0} {:>6}",
                pass.ms,
                pass.gflops,
                percent(pass.peak_share)
            ),
        };
        for row in &self.rows {
            let [channels, height, width] = row.input;
            text += &format!(
                "  {:<13} {:>7}  {:<6} {:>5}   {}   {}   {}\n",
                format!("{channels}x{height}x{width}"),
                row.outputs,
                format!("{0}x{0}/{1}", row.kernel, row.stride),
                row.times,
                cell(Some(&row.forward)),
                cell(row.input_gradient.as_ref()),
                cell(Some(&row.weight_gradient)),
            );
        }
        text + &format!(
            "\n  all convolutions of a step: {:.1} ms, {} of the peak\n",
            self.step_ms,
            percent(self.step_share)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Family, Shortcut};

    #[test]
    fn shapes_of_resnet_20_and_50_are_distinct_and_counted() {
        let network = Network::cifar(Family::Resnet, 20, Shortcut::A, 10).unwrap();
        let found = shapes(&network, 32);
        let counts: Vec<_> = found
            .iter()
            .map(|(conv, side, times)| (*side, conv.inputs, conv.stride, *times))
            .collect();
        assert_eq!(
            counts,
            [
                (32, 3, 1, 1),
                (32, 16, 1, 6),
                (32, 16, 2, 1),
                (16, 32, 1, 5),
                (16, 32, 2, 1),
                (8, 64, 1, 5)
            ]
        );
        let (network, size) = Network::parse("resnet-50", None, None).unwrap();
        let found = shapes(&network, size);
        assert_eq!(found.iter().map(|(_, _, times)| times).sum::<usize>(), 53);
        let find = |side, inputs, outputs, kernel| {
            found
                .iter()
                .find(|(conv, at, _)| {
                    (*at, conv.inputs, conv.outputs, conv.kernel) == (side, inputs, outputs, kernel)
                })
                .map(|(_, _, times)| *times)
        };
        assert_eq!(find(224, 3, 64, 7), Some(1));
        assert_eq!(find(56, 64, 64, 3), Some(3));
        assert_eq!(find(7, 512, 512, 3), Some(3));
        assert_eq!(find(14, 1024, 2048, 1), Some(1));
    }

    #[test]
    fn every_pass_is_measured_except_the_gradient_of_the_images() {
        let network = Network::cifar(Family::Resnet, 8, Shortcut::B, 10).unwrap();
        let report = measure(&network, 2, 8, 1, &Options::default()).unwrap();
        assert_eq!(report.rows.len(), 8);
        for (index, row) in report.rows.iter().enumerate() {
            assert_eq!(row.input_gradient.is_none(), index == 0);
            for pass in [&row.forward, &row.weight_gradient] {
                assert!(pass.ms > 0.0 && pass.peak_share > 0.0);
            }
        }
        assert!(report.step_ms > 0.0 && report.step_share > 0.0);
        assert!(report.text().contains("3x8x8"), "{}", report.text());
        assert!(measure(&network, 2, 8, 0, &Options::default()).is_err());
    }
}
