//! Batch-norm statistics estimated on training images, then loss and error on the test images and, at the end, on
//! training images without augmentation (the clean pass).

use crate::data::ImageSet;
use crate::engine::{self, Engine, Tally};
use crate::exit::Exit;
use crate::manifest::EvaluationRecipe;
use crate::record::{Evaluation, Split, Statistics};

use super::{Observer, Stop, TrainingData};

/// Images in each forward pass of an evaluation. Every image is judged by itself, so this shapes no result but the last
/// bits of the summed loss.
pub const EVALUATION_BATCH: usize = 128;

/// What an evaluation is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Batch-norm statistics are gathered on training images.
    Statistics,
    /// The test images are looked at.
    Test,
    /// Training images are looked at, after the last iteration.
    Clean,
}

/// Evaluates after `iteration` updates: estimates the population statistics, looks at every test image and, with
/// `clean`, at the training images of the clean pass, each with both kinds of statistics. Neither weights nor moving
/// averages change. Returns all the rows together, or `None` if a stop was asked for before the end.
///
/// # Errors
/// Those of the engine, and [`Exit::Internal`] if it looked at another number of images than it was given.
pub fn evaluate(
    engine: &mut dyn Engine,
    data: &TrainingData,
    recipe: &EvaluationRecipe,
    (iteration, clean): (u64, bool),
    stop: &Stop,
    observer: &mut dyn Observer,
) -> anyhow::Result<Option<Vec<Evaluation>>> {
    if !gather_statistics(engine, data, recipe, stop, observer)? {
        return Ok(None);
    }
    let test: Vec<u32> = (0..data.test.labels.len() as u32).collect();
    let mut passes = vec![(Split::Test, Phase::Test, data.test, &test)];
    if clean && !data.clean.is_empty() {
        passes.push((Split::Train, Phase::Clean, data.train, &data.clean));
    }
    let mut rows = Vec::new();
    for (split, phase, images, indices) in passes {
        let mut population = Tally::default();
        let mut moving = Tally::default();
        let total = indices.len() as u64;
        for chunk in indices.chunks(EVALUATION_BATCH) {
            if stop.requested().is_some() {
                return Ok(None);
            }
            observer.phase(phase, population.images, total);
            let batch = (data.batch)(images, chunk);
            add(
                &mut population,
                engine.evaluate(&batch, engine::Statistics::Population)?,
            );
            add(
                &mut moving,
                engine.evaluate(&batch, engine::Statistics::Moving)?,
            );
        }
        observer.phase(phase, total, total);
        for (statistics, tally) in [
            (Statistics::Population, population),
            (Statistics::Moving, moving),
        ] {
            if tally.images != total {
                return Err(Exit::Internal.error(format!(
                    "the evaluation at iteration {iteration} looked at {} images of {total}; please report this",
                    tally.images
                )));
            }
            let share = |count: u64| 100.0 * count as f64 / tally.images as f64;
            rows.push(Evaluation {
                iteration,
                split,
                statistics,
                images: tally.images,
                loss: tally.loss / tally.images as f64,
                error: share(tally.wrong),
                top5_error: share(tally.wrong_top5),
            });
        }
    }
    Ok(Some(rows))
}

/// Estimates the population statistics over `data.statistics` in batches of `statistics_batch`. False if stopped.
fn gather_statistics(
    engine: &mut dyn Engine,
    data: &TrainingData,
    recipe: &EvaluationRecipe,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> anyhow::Result<bool> {
    engine.begin_population()?;
    let total = data.statistics.len() as u64;
    let mut done = 0;
    for chunk in data.statistics.chunks(recipe.statistics_batch.max(1)) {
        if stop.requested().is_some() {
            return Ok(false);
        }
        observer.phase(Phase::Statistics, done, total);
        let batch = (data.batch)(data.train, chunk);
        engine.add_population(&batch)?;
        done += chunk.len() as u64;
    }
    observer.phase(Phase::Statistics, done, total);
    engine.finish_population(recipe.pooling)?;
    Ok(true)
}

fn add(sum: &mut Tally, batch: Tally) {
    sum.images += batch.images;
    sum.loss += batch.loss;
    sum.wrong += batch.wrong;
    sum.wrong_top5 += batch.wrong_top5;
}

/// Refuses a set that an evaluation cannot be made of.
///
/// # Errors
/// [`Exit::Data`] where there is no test image, or another number than `expected`.
pub fn check_test_images(test: &ImageSet, expected: Option<usize>) -> anyhow::Result<()> {
    let images = test.labels.len();
    match expected {
        Some(expected) if images != expected => Err(Exit::Data.error(format!(
            "the test set has {images} images instead of {expected}; run `refig data verify cifar10`"
        ))),
        _ if images == 0 => {
            Err(Exit::Data.error("the test set is empty; name another one with --data-dir"))
        }
        _ => Ok(()),
    }
}
