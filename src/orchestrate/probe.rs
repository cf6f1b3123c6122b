//! Times this machine to estimate the duration of runs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::data::{Batch, ImageSize};
use crate::engine::{self, Device, Hyperparameters, Statistics};
use crate::network::{Family, Network, Stem, initialise};
use crate::plan::RunPlan;
use crate::random::{Purpose, Stream};
use crate::recipe::Precision;

use super::{picture_work, work};

/// Wall clock for all measurements together, without a first step each.
const BUDGET: Duration = Duration::from_millis(1200);

/// Blocks per stage of the timed network: deep enough that the stem hardly matters.
const BLOCKS: usize = 2;

/// What the speed of a run, in multiply-adds, depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    image_size: usize,
    batch: usize,
    micro_batch: Option<usize>,
    precision: Precision,
    /// Stem and blocks: 1x1 convolutions and normalisation are slower for the same multiply-adds.
    small_stem: bool,
    bottleneck: bool,
    base_width: usize,
}

/// Seconds per multiply-add of a forward pass.
#[derive(Clone, Debug)]
pub struct Probe {
    speeds: BTreeMap<Key, Speed>,
}

fn key(run: &RunPlan) -> Key {
    let (network, recipe) = (&run.network, &run.recipe);
    Key {
        image_size: recipe.image_size,
        batch: recipe.batch,
        micro_batch: recipe.micro_batch,
        precision: recipe.precision,
        small_stem: network.stem == Stem::Cifar,
        bottleneck: network.bottleneck,
        base_width: network.base_width,
    }
}

/// A small network of a run's kind of blocks.
fn small(run: &RunPlan) -> Network {
    Network {
        family: Family::Resnet,
        blocks: vec![BLOCKS; run.network.blocks.len()],
        classes: CLASSES,
        ..run.network.clone()
    }
}

/// The seconds that the rest of a run computes, without its loading.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Computation {
    pub training: f64,
    /// That of evaluations, and of the statistics of the final test with several views.
    pub evaluation: f64,
    /// That of the final test with several views.
    pub views: f64,
}

#[derive(Clone, Copy, Debug)]
struct Speed {
    training: f64,
    evaluation: f64,
}

impl Probe {
    /// Times a few steps of a small network for each kind of `runs`, in about two seconds.
    ///
    /// # Errors
    /// Errors of the engine.
    pub fn measure(runs: &[&RunPlan], options: &engine::Options) -> anyhow::Result<Self> {
        let mut kinds: BTreeMap<Key, &RunPlan> = BTreeMap::new();
        for run in runs {
            kinds.entry(key(run)).or_insert(run);
        }
        let share = BUDGET / kinds.len().max(1) as u32;
        let mut speeds = BTreeMap::new();
        for (of, run) in kinds {
            speeds.insert(of, time(run, options, share)?);
        }
        Ok(Self { speeds })
    }

    /// Estimated computation of `run` after `done` iterations, with `test_images` per evaluation. None for a run of a kind
    /// that was not measured.
    pub fn computation(&self, run: &RunPlan, done: u64, test_images: usize) -> Computation {
        let left = work(run, done, test_images);
        let pictures = picture_work(run, done, test_images);
        let speed = self.speeds.get(&key(run));
        speed.map_or_else(Computation::default, |speed| Computation {
            training: speed.training * left.training,
            evaluation: speed.evaluation * (left.evaluation + pictures.statistics),
            views: speed.evaluation * pictures.views,
        })
    }
}

/// Classes of the timed network.
const CLASSES: usize = 10;

/// The most multiply-adds of a forward pass that is timed, for each thread and of a GPU: a larger mini-batch takes as long for
/// each image.
const THREAD_WORK: u64 = 8_000_000_000;
const GPU_WORK: u64 = 200_000_000_000;
/// The fewest images of a mini-batch, unless the recipe has fewer.
const FEWEST: usize = 4;

/// The images of a mini-batch that is timed.
fn images(run: &RunPlan, network: &Network, options: &engine::Options) -> usize {
    let recipe = &run.recipe;
    let most = match options.device {
        Device::Cpu => THREAD_WORK * options.thread_count() as u64,
        Device::Cuda(_) => GPU_WORK,
    };
    let fit = (most / network.multiply_adds(recipe.image_size).max(1)) as usize;
    match fit.max(FEWEST) {
        fit if fit < recipe.batch => fit.min(recipe.micro_batch.unwrap_or(fit)),
        _ => recipe.batch,
    }
}

fn time(run: &RunPlan, options: &engine::Options, budget: Duration) -> anyhow::Result<Speed> {
    let (recipe, network) = (&run.recipe, small(run));
    let images = images(run, &network, options);
    let mut engine = engine::create(
        &network,
        recipe.image_size,
        &Hyperparameters {
            // The mini-batch that is timed may be smaller than a group.
            norm_group: if images < recipe.batch {
                0
            } else {
                recipe.batch_norm.group
            },
            micro_batch: if images < recipe.batch {
                0
            } else {
                recipe.micro_batch.unwrap_or(0)
            },
            ..Hyperparameters::from(recipe)
        },
        &options.in_precision(recipe.precision),
    )?;
    engine.restore(&initialise(&network, &recipe.initialisation, 0))?;
    let mut stream = Stream::new(0, Purpose::Synthetic, 0, 0);
    let values = images * recipe.image_size * recipe.image_size * 3;
    let batch = Batch {
        pixels: (0..values)
            .map(|_| 2.0 * stream.uniform() as f32 - 1.0)
            .collect(),
        labels: (0..images).map(|at| (at % CLASSES) as u16).collect(),
        size: ImageSize::square(recipe.image_size),
        ..Batch::default()
    };
    let work = images as f64 * network.multiply_adds(recipe.image_size) as f64;
    let training = median(budget * 3 / 4, || engine.step(&batch, 0.0).map(drop))?;
    let evaluation = median(budget / 4, || {
        engine.evaluate(&batch, Statistics::Moving).map(drop)
    })?;
    Ok(Speed {
        training: training / work,
        evaluation: evaluation / work,
    })
}

/// The median seconds of a call, over as many as fit into `budget` after a warm-up call (2 to 30).
pub(super) fn median(
    budget: Duration,
    mut call: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    call()?;
    let started = Instant::now();
    let mut seconds = Vec::new();
    while seconds.len() < 2 || (seconds.len() < 30 && started.elapsed() < budget) {
        let call_started = Instant::now();
        call()?;
        seconds.push(call_started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Experiment;
    use crate::processor::Processor;
    use std::path::Path;

    #[test]
    fn bottlenecks_are_timed_by_bottlenecks() {
        let table3 = Experiment::load(Path::new("experiments/table3.toml"), "paper", &[]).unwrap();
        let run = |name: &str| {
            let entry = table3.network(name).unwrap();
            RunPlan::new(entry, 1, "paper", "", Processor::Cuda).unwrap()
        };
        let (plain, basic) = (run("plain-34"), run("resnet-34"));
        let (bottleneck, deeper) = (run("resnet-50"), run("resnet-152"));
        assert_eq!(key(&plain), key(&basic));
        assert_eq!(key(&bottleneck), key(&deeper));
        assert_ne!(key(&basic), key(&bottleneck));
        for (run, expected) in [(&plain, false), (&basic, false), (&deeper, true)] {
            let network = small(run);
            assert_eq!(network.bottleneck, expected);
            assert_eq!(network.blocks, [BLOCKS; 4]);
            assert_eq!((network.stem, network.classes), (Stem::Imagenet, CLASSES));
        }
        // What was not measured takes no time, rather than another network's.
        let speed = Speed {
            training: 3.0,
            evaluation: 1.0,
        };
        let probe = Probe {
            speeds: BTreeMap::from([(key(&deeper), speed)]),
        };
        assert_eq!(probe.computation(&basic, 0, 50_000), Computation::default());
        let found = probe.computation(&bottleneck, 0, 50_000);
        let (left, pictures) = (
            work(&bottleneck, 0, 50_000),
            picture_work(&bottleneck, 0, 50_000),
        );
        assert_eq!(found.training, 3.0 * left.training);
        assert_eq!(found.evaluation, left.evaluation + pictures.statistics);
        assert!(pictures.statistics > 0.0 && found.views == pictures.views);
    }

    #[test]
    fn a_timed_mini_batch_is_small_enough() {
        let images = |name: &str, network: &str, options: &engine::Options| {
            let path = format!("experiments/{name}.toml");
            let experiment = Experiment::load(Path::new(&path), "paper", &[]).unwrap();
            let entry = experiment.network(network).unwrap();
            let run = RunPlan::new(entry, 1, "paper", "", Processor::Cuda).unwrap();
            images(&run, &small(&run), options)
        };
        let two = engine::Options {
            threads: 2,
            ..engine::Options::default()
        };
        assert_eq!(images("fig6", "resnet-110", &two), 128);
        assert!((4..=16).contains(&images("fig4", "resnet-34", &two)));
        let gpu = engine::Options {
            device: Device::Cuda(0),
            ..two
        };
        assert!((64..256).contains(&images("fig4", "resnet-34", &gpu)));
    }
}
