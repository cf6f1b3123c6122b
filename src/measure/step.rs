//! The time of a training step, beside what the processor could do.

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use crate::data::Batch;
use crate::engine::{self, Engine, Hyperparameters, Options};
use crate::exit::Exit;
use crate::manifest::{DecayOn, MomentumForm};
use crate::network::{Convolution, Join, Network, Role, Stem};
use crate::random::{Purpose, Stream};
use crate::weights::{Tensor, Weights};

/// Steps before the first measured one: memory is touched, threads are started.
const WARM_UP: usize = 2;

/// Training steps on random images: forward, backward and update, without a loader.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepReport {
    pub network: String,
    pub image_size: usize,
    pub batch: usize,
    pub steps: usize,
    pub threads: usize,
    pub instructions: String,
    pub median_ms: f64,
    pub min_ms: f64,
    pub images_per_second: f64,
    /// Of the arithmetic that a step needs when done directly, over the median time.
    pub gflops: f64,
    /// `gflops` over what these threads reach with operands in registers, measured in the same sitting.
    pub peak_share: f64,
    /// Most resident memory of this process up to now; `None` where the system does not tell.
    pub peak_memory_mb: Option<f64>,
}

/// Floating-point operations (a multiply-add counts two) of one training step, done directly: the forward pass, and the same
/// for the gradients of weights and of inputs, but not for the gradient of the images.
pub fn operations(network: &Network, image_size: usize, batch: usize) -> f64 {
    let mut side = image_size;
    let stem = network.stem_convolution();
    let multiply_adds = |conv: &Convolution, side: usize, times: usize| {
        let out = side.div_ceil(conv.stride);
        let weights = conv.kernel * conv.kernel * conv.inputs * conv.outputs;
        ((out * out * weights * times) as f64, out)
    };
    let (mut sum, out) = multiply_adds(&stem, side, 2);
    side = match network.stem {
        Stem::Cifar => out,
        Stem::Imagenet => out.div_ceil(2),
    };
    for block in network.blocks() {
        let input = side;
        for conv in &block.convolutions {
            let (operations, out) = multiply_adds(conv, side, 3);
            sum += operations;
            side = out;
        }
        if let Join::Projection(conv) = &block.join {
            sum += multiply_adds(conv, input, 3).0;
        }
    }
    sum += (network.features() * network.classes * 3) as f64;
    2.0 * sum * batch as f64
}

/// Weights that keep activations in range: normal with deviation `sqrt(2 / fan-in)`, scale and variance 1.
fn weights(network: &Network) -> Weights {
    let mut weights = Weights::default();
    for (index, parameter) in network.parameters().into_iter().enumerate() {
        let len: usize = parameter.shape.iter().product();
        let mut stream = Stream::new(0, Purpose::Initialise, 0, index as u64);
        let mut normal = |deviation: f64| {
            (0..len)
                .map(|_| (deviation * stream.normal()) as f32)
                .collect()
        };
        let data: Vec<f32> = match parameter.role {
            Role::ConvolutionWeight | Role::ClassifierWeight => {
                normal((2.0 / (len / parameter.shape[0]) as f64).sqrt())
            }
            Role::Scale | Role::RunningVariance => vec![1.0; len],
            Role::Shift | Role::RunningMean | Role::ClassifierBias => vec![0.0; len],
        };
        let shape = parameter.shape;
        weights
            .tensors
            .insert(parameter.name, Tensor { shape, data });
    }
    weights
}

fn random_batch(batch: usize, image_size: usize, classes: usize) -> Batch {
    let mut stream = Stream::new(0, Purpose::Synthetic, 0, 0);
    let numbers = batch * image_size * image_size * 3;
    Batch {
        pixels: (0..numbers).map(|_| stream.normal() as f32).collect(),
        labels: (0..batch)
            .map(|_| stream.below(classes as u64) as u16)
            .collect(),
        size: image_size,
    }
}

/// Times `steps` training steps of `network` on random images.
///
/// # Errors
/// [`Exit::Usage`] for no images or no steps, [`Exit::Device`] for an instruction set that is not there.
pub fn measure(
    network: &Network,
    batch: usize,
    image_size: usize,
    steps: usize,
    options: &Options,
) -> Result<StepReport> {
    if batch == 0 || image_size == 0 || steps == 0 {
        return Err(Exit::Usage.error(format!(
            "a batch of {batch} images of {image_size}x{image_size} and {steps} steps leave nothing to measure; each is at least 1"
        )));
    }
    let mut times = time(network, batch, image_size, steps, options)?;
    let peak_memory_mb = peak_memory_mb();
    times.sort_by(f64::total_cmp);
    let median = match times.len() % 2 {
        1 => times[steps / 2],
        _ => (times[steps / 2 - 1] + times[steps / 2]) / 2.0,
    };
    let gflops = operations(network, image_size, batch) / median / 1e9;
    Ok(StepReport {
        network: network.name.clone(),
        image_size,
        batch,
        steps,
        threads: options.thread_count(),
        instructions: options.instruction_set()?.name().into(),
        median_ms: median * 1e3,
        min_ms: times[0] * 1e3,
        images_per_second: batch as f64 / median,
        gflops,
        peak_share: gflops / engine::measured_peak(options)?,
        peak_memory_mb,
    })
}

/// Seconds of each step.
fn time(
    network: &Network,
    batch: usize,
    image_size: usize,
    steps: usize,
    options: &Options,
) -> Result<Vec<f64>> {
    let hyper = Hyperparameters {
        momentum: 0.9,
        momentum_form: MomentumForm::Caffe,
        weight_decay: 1e-4,
        weight_decay_on: DecayOn::All,
        norm_momentum: 0.1,
        norm_epsilon: 1e-5,
        norm_group: 0,
    };
    let mut engine: Box<dyn Engine> = engine::create(network, image_size, &hyper, options)?;
    engine.restore(&weights(network))?;
    let images = random_batch(batch, image_size, network.classes);
    let mut times = Vec::with_capacity(steps);
    for step in 0..WARM_UP + steps {
        let start = Instant::now();
        engine.step(&images, 0.01)?;
        if step >= WARM_UP {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(times)
}

/// Most resident memory that this process has had, in MB of 2^20 bytes; `None` where the system does not tell.
pub fn peak_memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Family, Shortcut};

    #[test]
    fn a_step_of_resnet_20_is_31_gflop() {
        let network = Network::cifar(Family::Resnet, 20, Shortcut::A, 10).unwrap();
        // Three times 40.55 M multiply-adds an image, less the gradient of the images.
        let step = operations(&network, 32, 128) / 1e9;
        assert!((step - 31.03).abs() < 0.05, "{step}");
    }

    #[test]
    fn a_measured_step_takes_time_and_reports_it() {
        let network = Network::cifar(Family::Resnet, 8, Shortcut::A, 10).unwrap();
        let report = measure(&network, 4, 8, 3, &Options::default()).unwrap();
        assert!(report.min_ms > 0.0 && report.min_ms <= report.median_ms);
        assert!(report.peak_share > 0.0 && report.peak_share < 1.0);
        assert!(measure(&network, 4, 8, 0, &Options::default()).is_err());
    }
}
