//! Times this machine to estimate the duration of runs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::data::Batch;
use crate::engine::{self, Hyperparameters, Statistics};
use crate::network::{Family, Network, initialise};
use crate::plan::RunPlan;
use crate::random::{Purpose, Stream};
use crate::recipe::{Precision, Recipe};

use super::work;

/// Wall clock for all measurements together, without a first step each.
const BUDGET: Duration = Duration::from_millis(1500);

/// Blocks per stage of the timed network: deep enough that the stem hardly matters.
const BLOCKS: usize = 2;

/// What a run's speed depends on: image size, batch, micro-batch, precision.
type Key = (usize, usize, Option<usize>, Precision);

/// Seconds per multiply-add of a forward pass.
#[derive(Clone, Debug)]
pub struct Probe {
    speeds: BTreeMap<Key, Speed>,
}

fn key(recipe: &Recipe) -> Key {
    let Recipe {
        image_size,
        batch,
        micro_batch,
        precision,
        ..
    } = *recipe;
    (image_size, batch, micro_batch, precision)
}

#[derive(Clone, Copy, Debug)]
struct Speed {
    training: f64,
    evaluation: f64,
}

impl Probe {
    /// Times a few steps of a small network for each key of `runs`, in about two seconds.
    ///
    /// # Errors
    /// Errors of the engine.
    pub fn measure(runs: &[RunPlan], options: &engine::Options) -> anyhow::Result<Self> {
        let mut recipes: BTreeMap<Key, &Recipe> = BTreeMap::new();
        for run in runs {
            recipes.insert(key(&run.recipe), &run.recipe);
        }
        let share = BUDGET / recipes.len().max(1) as u32;
        let mut speeds = BTreeMap::new();
        for (of, recipe) in recipes {
            speeds.insert(of, time(recipe, options, share)?);
        }
        Ok(Self { speeds })
    }

    /// Estimated seconds for `run` after `done` iterations, with `test_images` per evaluation. Excludes loading, which
    /// runs in parallel. 0 for a run whose key was not measured.
    pub fn seconds(&self, run: &RunPlan, done: u64, test_images: usize) -> f64 {
        let left = work(run, done, test_images);
        self.speeds.get(&key(&run.recipe)).map_or(0.0, |speed| {
            speed.training * left.training + speed.evaluation * left.evaluation
        })
    }
}

/// The most images of a mini-batch of pictures that is timed: a larger one takes as long for each image.
const PICTURES: usize = 16;

fn time(recipe: &Recipe, options: &engine::Options, budget: Duration) -> anyhow::Result<Speed> {
    let classes = 10;
    let (network, images) = match recipe.crop {
        None => {
            let depth = 6 * BLOCKS + 2;
            let network = Network::cifar(Family::Resnet, depth, recipe.shortcut, classes)
                .ok_or_else(|| anyhow::anyhow!("no network of depth {depth}"))?;
            (network, recipe.batch)
        }
        // Other widths, other sizes, another stem.
        Some(_) => {
            let (network, _) = Network::parse("resnet-18", None, Some(224))?;
            (Network { classes, ..network }, recipe.batch.min(PICTURES))
        }
    };
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
        labels: (0..images).map(|at| (at % classes) as u16).collect(),
        size: recipe.image_size,
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
fn median(budget: Duration, mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
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
