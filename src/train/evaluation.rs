//! Evaluation: estimates batch-norm statistics on training images, then measures loss and error on the test images and,
//! after the last iteration, on training images without augmentation (the clean pass).

use crate::counted::counted;
use crate::engine::{self, Engine, Tally};
use crate::exit::Exit;
use crate::recipe::EvaluationRecipe;
use crate::record::{Evaluation, Split, Statistics, Views};

use super::ahead::ahead;
use super::data::{ImagesAt, Required, StatisticsAt, TrainingData};
use super::observer::{Observer, Phase};
use super::stop::Stop;

/// Images per forward pass of an evaluation. It only affects the rounding of the summed loss.
pub const EVALUATION_BATCH: usize = 128;

/// Both kinds of statistics, in the order of a run's records.
pub const BOTH_STATISTICS: &[Statistics] = &[Statistics::Population, Statistics::Moving];

/// What an evaluation needs.
pub struct EvaluationData<'a> {
    /// The number of test images, or of those held out in their place.
    pub test_images: usize,
    /// Makes a batch of normalised, unaugmented images from their indices.
    pub batch: &'a ImagesAt<'a>,
    /// Makes a batch of the images over which the population statistics are pooled.
    pub statistics_batch: &'a StatisticsAt<'a>,
    /// Training images over which the population statistics are pooled.
    pub sample: &'a [u32],
    /// Training images of the clean pass; empty for none.
    pub clean: &'a [u32],
    /// The kinds of statistics to evaluate with.
    pub statistics: &'a [Statistics],
}

impl<'a> EvaluationData<'a> {
    /// An evaluation during training; only some have a clean pass.
    pub fn of(data: &'a TrainingData<'_>, clean: bool) -> Self {
        Self {
            test_images: data.test_images,
            batch: data.batch,
            statistics_batch: data.statistics_batch,
            sample: &data.statistics,
            clean: if clean { &data.clean } else { &[] },
            statistics: BOTH_STATISTICS,
        }
    }
}

/// Evaluates after `iteration` updates: estimates the population statistics, then evaluates the test images and the
/// training images of the clean pass, each with the given kinds of statistics. Weights and moving averages do not change.
/// Returns all rows, or `None` if a stop was requested before the end.
///
/// # Errors
/// Those of the engine, and [`Exit::Internal`] if its image count is wrong.
pub fn evaluate(
    engine: &mut dyn Engine,
    data: &EvaluationData,
    recipe: &EvaluationRecipe,
    iteration: u64,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> anyhow::Result<Option<Vec<Evaluation>>> {
    if data.statistics.contains(&Statistics::Population)
        && !estimate_statistics(engine, data, recipe, stop, observer)?
    {
        return Ok(None);
    }
    let test: Vec<u32> = (0..data.test_images as u32).collect();
    let mut passes = vec![(Split::Test, Phase::Test, test.as_slice())];
    if !data.clean.is_empty() {
        passes.push((Split::Train, Phase::Clean, data.clean));
    }
    let mut rows = Vec::new();
    for (split, phase, indices) in passes {
        let mut tallies = vec![Tally::default(); data.statistics.len()];
        let mut done = 0;
        let total = indices.len() as u64;
        let chunks = indices.chunks(EVALUATION_BATCH);
        let make = |chunk: &[u32]| (data.batch)(split, chunk);
        let ended = ahead(chunks.clone(), &make, |next| {
            for chunk in chunks {
                if stop.requested().is_some() {
                    return Ok(false);
                }
                observer.phase(phase, done, total);
                let batch = next()?;
                for (tally, &statistics) in tallies.iter_mut().zip(data.statistics) {
                    *tally += engine.evaluate(&batch, of_engine(statistics))?;
                }
                done += chunk.len() as u64;
            }
            Ok(true)
        })?;
        if !ended {
            return Ok(None);
        }
        observer.phase(phase, total, total);
        for (&statistics, tally) in data.statistics.iter().zip(tallies) {
            if tally.images != total {
                return Err(Exit::Internal.error(format!(
                    "the evaluation at iteration {iteration} counted {} images instead of {total}; please report this",
                    tally.images
                )));
            }
            let share = |count: u64| 100.0 * count as f64 / tally.images as f64;
            rows.push(Evaluation {
                iteration,
                split,
                statistics,
                views: Views::Centre,
                images: tally.images,
                loss: tally.loss / tally.images as f64,
                error: share(tally.wrong),
                top5_error: share(tally.wrong_top5),
            });
        }
    }
    Ok(Some(rows))
}

fn of_engine(statistics: Statistics) -> engine::Statistics {
    match statistics {
        Statistics::Population => engine::Statistics::Population,
        Statistics::Moving => engine::Statistics::Moving,
    }
}

/// Estimates the population statistics over `data.sample` in batches of `statistics_batch`. Returns false if stopped.
///
/// # Errors
/// Those of the engine and the data.
pub fn estimate_statistics(
    engine: &mut dyn Engine,
    data: &EvaluationData,
    recipe: &EvaluationRecipe,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> anyhow::Result<bool> {
    engine.begin_population()?;
    let total = data.sample.len() as u64;
    let mut done = 0;
    let chunks = data.sample.chunks(recipe.statistics_batch.max(1));
    let ended = ahead(chunks.clone(), data.statistics_batch, |next| {
        for chunk in chunks {
            if stop.requested().is_some() {
                return Ok(false);
            }
            observer.phase(Phase::Statistics, done, total);
            engine.add_population(&next()?)?;
            done += chunk.len() as u64;
        }
        Ok(true)
    })?;
    if !ended {
        return Ok(false);
    }
    observer.phase(Phase::Statistics, done, total);
    engine.finish_population(recipe.pooling)?;
    Ok(true)
}

/// Checks the number of test images.
///
/// # Errors
/// [`Exit::Data`] if there are none, or not as many as `required`.
pub fn check_test_images(images: usize, required: Option<Required>) -> anyhow::Result<()> {
    match required {
        Some(required) if images != required.images => Err(Exit::Data.error(format!(
            "the test set has {} instead of {}; run `refig data verify {}`",
            counted(images, "image"),
            required.images,
            required.of.kind().name()
        ))),
        _ if images == 0 => {
            Err(Exit::Data.error("the test set is empty; name another one with --data-dir"))
        }
        _ => Ok(()),
    }
}
