//! Measures the time of a training step and its share of the processor's peak.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{median, proc_kilobytes};
use crate::counted::counted;
use crate::data::{Batch, ImageSet, ImageSize, Normaliser, Originals};
use crate::engine::cpu::{Context, peak_sample};
use crate::engine::{self, Device, Engine, Hyperparameters, Options};
use crate::exit::Exit;
use crate::network::{Convolution, Join, Network, Role, Stem};
use crate::random::{Purpose, Stream};
use crate::recipe::{DecayOn, MomentumForm};
use crate::weights::{Tensor, Weights};

/// Steps before the first measured one, which start threads and touch memory.
const WARM_UP: usize = 2;

/// Training steps on random images: forward, backward and update, without a loader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    pub network: String,
    pub image_size: usize,
    pub batch: usize,
    pub steps: usize,
    pub threads: usize,
    /// `cpu`, or the GPU's name.
    pub device: String,
    /// The instruction set of a CPU, or the precision on a GPU.
    pub instructions: String,
    pub median_ms: f64,
    pub min_ms: f64,
    pub images_per_second: f64,
    /// GFLOP/s at the median time, counting direct convolutions.
    pub gflops: f64,
    /// Share of the peak that these threads reach with operands in registers, measured between the steps; the median over
    /// the steps. `None` if the peak was not measured, and on a GPU.
    pub peak_share: Option<f64>,
    /// Peak resident memory of this process; `None` if the system does not tell, and on a GPU.
    pub peak_memory_mb: Option<f64>,
}

/// Floating-point operations of one training step with direct convolutions; a multiply-add counts as two. Counts the forward
/// pass and the gradients of weights and inputs, except that of the images.
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

/// Weights that keep activations in range: normal with deviation `sqrt(2 / fan-in)`; scales and variances are 1.
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
        size: ImageSize::square(image_size),
        ..Batch::default()
    }
}

/// Like [`random_batch`], for an engine that normalises: random bytes, scaled to a deviation of about 1.
fn random_originals(batch: usize, image_size: usize, classes: usize) -> Result<Batch> {
    let mut stream = Stream::new(0, Purpose::Synthetic, 0, 0);
    let bytes = batch * image_size * image_size * 3;
    let images = ImageSet {
        size: image_size,
        pixels: (0..bytes).map(|_| stream.below(256) as u8).collect(),
        labels: (0..batch)
            .map(|_| stream.below(classes as u64) as u16)
            .collect(),
        digest: String::new(),
    };
    let normaliser = Normaliser::from_channels(image_size, [127.5; 3], [74.0; 3])?;
    let all: Vec<u32> = (0..batch as u32).collect();
    Ok(Arc::new(Originals::new(Arc::new(images), normaliser)?).batch(&all))
}

/// A warmed-up engine with weights and random images, for repeated timing.
pub struct StepBench {
    engine: Box<dyn Engine>,
    images: Batch,
    network: Network,
    options: Options,
    /// For sampling the processor's peak between steps; `None` on a GPU.
    processor: Option<Context>,
}

impl StepBench {
    /// With batch norm over groups of `group` images, or over whole mini-batches with 0.
    ///
    /// # Errors
    /// [`Exit::Usage`] for 0 images and groups that do not divide them, [`Exit::Device`] if the instruction set is not available.
    pub fn new(
        network: &Network,
        batch: usize,
        image_size: usize,
        group: usize,
        options: &Options,
    ) -> Result<Self> {
        if batch == 0 || image_size == 0 {
            return Err(Exit::Usage.error(format!(
                "a batch of {} of {image_size}x{image_size} leaves nothing to measure; each must be at least 1",
                counted(batch, "image")
            )));
        }
        if group > 0 && !batch.is_multiple_of(group) {
            return Err(Exit::Usage.error(format!(
                "groups of {group} do not divide a batch of {}; use a divisor of it",
                counted(batch, "image")
            )));
        }
        let hyper = Hyperparameters {
            momentum: 0.9,
            momentum_form: MomentumForm::Caffe,
            weight_decay: 1e-4,
            weight_decay_on: DecayOn::All,
            norm_momentum: 0.1,
            norm_epsilon: 1e-5,
            norm_group: group,
            micro_batch: 0,
        };
        let mut engine = engine::create(network, image_size, &hyper, options)?;
        engine.restore(&weights(network))?;
        let images = match engine.normalises() {
            true => random_originals(batch, image_size, network.classes)?,
            false => random_batch(batch, image_size, network.classes),
        };
        let mut bench = Self {
            engine,
            images,
            network: network.clone(),
            options: *options,
            processor: match options.device {
                Device::Cpu => Some(options.context()?),
                Device::Cuda(_) => None,
            },
        };
        for _ in 0..WARM_UP {
            bench.seconds()?;
        }
        Ok(bench)
    }

    /// Takes one step on the random images and returns its seconds.
    pub fn seconds(&mut self) -> Result<f64> {
        let start = Instant::now();
        self.engine.step(&self.images, 0.01)?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Whether the engine normalises and takes decisions.
    pub fn normalises(&self) -> bool {
        self.engine.normalises()
    }

    /// Takes one step on a loader's mini-batch.
    pub fn step(&mut self, batch: &Batch) -> Result<()> {
        self.engine.step(batch, 0.01)?;
        Ok(())
    }

    /// Times `steps` steps. The processor's peak is sampled before and after each, so that a share compares measurements
    /// less than half a second apart.
    ///
    /// # Errors
    /// [`Exit::Usage`] for 0 steps.
    pub fn report(&mut self, steps: usize) -> Result<StepReport> {
        if steps == 0 {
            return Err(Exit::Usage.error("0 steps leave nothing to measure; must be at least 1"));
        }
        let (batch, image_size) = (self.images.labels.len(), self.images.size.height);
        let operations = operations(&self.network, image_size, batch) / 1e9;
        let processor = self.processor.take();
        let measured = match &processor {
            None => self.bunches(steps).map(|times| (times, Vec::new())),
            Some(processor) => self.beside_the_peak(processor, steps, operations),
        };
        self.processor = processor;
        let (times, shares) = measured?;
        let seconds = median(&times);
        Ok(StepReport {
            network: self.network.name.clone(),
            image_size,
            batch,
            steps,
            threads: self.options.thread_count(),
            device: device_name(self.options.device),
            instructions: match self.options.device {
                Device::Cpu => self.options.instruction_set()?.name().into(),
                Device::Cuda(_) => {
                    let how = match self.engine.repeats() {
                        true => "one graph per step",
                        false => "kernel by kernel",
                    };
                    format!("{}, {how}", self.options.precision.name())
                }
            },
            median_ms: seconds * 1e3,
            min_ms: times.iter().copied().fold(f64::INFINITY, f64::min) * 1e3,
            images_per_second: batch as f64 / seconds,
            gflops: operations / seconds,
            peak_share: (!shares.is_empty()).then(|| median(&shares)),
            peak_memory_mb: match self.options.device {
                Device::Cpu => peak_memory_mb(),
                Device::Cuda(_) => None,
            },
        })
    }

    /// Seconds of each step, and the share of the processor's peak it reached.
    fn beside_the_peak(
        &mut self,
        processor: &Context,
        steps: usize,
        operations: f64,
    ) -> Result<(Vec<f64>, Vec<f64>)> {
        let (mut times, mut shares) = (Vec::new(), Vec::new());
        let mut before = peak_sample(processor);
        for _ in 0..steps {
            let seconds = self.seconds()?;
            let after = peak_sample(processor);
            times.push(seconds);
            shares.push(operations / seconds / ((before + after) / 2.0));
            before = after;
        }
        Ok((times, shares))
    }

    /// Seconds per step for each bunch that the engine queues before its losses are read.
    fn bunches(&mut self, steps: usize) -> Result<Vec<f64>> {
        let (mut times, mut left) = (Vec::new(), steps);
        while left > 0 {
            let count = self.engine.steps_in_flight().clamp(1, left);
            let start = Instant::now();
            for _ in 0..count {
                self.engine.begin_step(&self.images, 0.01)?;
            }
            self.engine.finish_steps()?;
            times.push(start.elapsed().as_secs_f64() / count as f64);
            left -= count;
        }
        Ok(times)
    }
}

/// `cpu`, or the GPU's name.
pub fn device_name(device: Device) -> String {
    let name = |number| {
        let cards = engine::cards().ok()?;
        cards.into_iter().find(|card| card.number == number)
    };
    match device {
        Device::Cpu => device.to_string(),
        Device::Cuda(number) => name(number).map_or(device.to_string(), |card| card.name),
    }
}

/// Peak resident memory of this process in MB of 2^20 bytes; `None` if the system does not tell.
pub fn peak_memory_mb() -> Option<f64> {
    Some(proc_kilobytes("/proc/self/status", "VmHWM")? as f64 / 1024.0)
}

/// Forgets the peak so far, where the system can: Linux.
pub(super) fn forget_peak_memory() {
    // Elsewhere there is no such file, and the peak is that of the whole process.
    std::fs::write("/proc/self/clear_refs", "5").ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Family, Shortcut};

    #[test]
    fn a_step_of_resnet_20_is_31_gflop() {
        let network = Network::cifar(Family::Resnet, 20, Shortcut::A, 10).unwrap();
        // Three times 40.55 M multiply-adds per image, minus the gradient of the images.
        let step = operations(&network, 32, 128) / 1e9;
        assert!((step - 31.03).abs() < 0.05, "{step}");
    }

    #[test]
    fn a_step_report_has_plausible_values() {
        let network = Network::cifar(Family::Resnet, 8, Shortcut::A, 10).unwrap();
        let mut bench = StepBench::new(&network, 4, 8, 0, &Options::default()).unwrap();
        let report = bench.report(3).unwrap();
        assert!(report.min_ms > 0.0 && report.min_ms <= report.median_ms);
        assert!(
            report
                .peak_share
                .is_some_and(|share| share > 0.0 && share < 1.0)
        );
        assert!(report.steps == 3 && report.median_ms.is_finite());
        assert!(bench.report(0).is_err());
    }

    #[test]
    fn batch_norm_is_over_the_groups_that_are_asked_for() {
        let network = Network::cifar(Family::Resnet, 8, Shortcut::A, 10).unwrap();
        let loss = |group| {
            let mut bench = StepBench::new(&network, 4, 8, group, &Options::default()).unwrap();
            bench.engine.step(&bench.images, 0.01).unwrap().loss
        };
        assert_eq!(loss(0), loss(4));
        assert_ne!(loss(0), loss(2));
    }
}
