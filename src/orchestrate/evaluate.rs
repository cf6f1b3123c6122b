//! Evaluates weights as the training does, so that the final weights of a run give the errors that it recorded.

use std::path::Path;

use anyhow::Result;

use crate::counted::counted;
use crate::data::{self, DataSet, RunImages};
use crate::engine::{self, Hyperparameters};
use crate::exit::Exit;
use crate::network::Network;
use crate::random::Purpose;
use crate::recipe::{FinalViews, Recipe};
use crate::record::{Evaluation, Split, Statistics};
use crate::train::{self, EvaluationData, Signal, Stop, check_test_images};
use crate::weights::Weights;

use super::tallies::Tallies;
use super::views::{Viewed, several_views};

/// Weights, and how to evaluate them.
pub struct Subject<'a> {
    pub weights: &'a Weights,
    pub network: &'a Network,
    /// Image size, split, normalisation, batch normalisation and population statistics.
    pub recipe: &'a Recipe,
    /// The run's seed, which draws the training images behind the population statistics, and how they are augmented.
    pub seed: u64,
    /// The kinds of statistics to evaluate with.
    pub statistics: &'a [Statistics],
    /// Of pictures, several views to evaluate too, with the first kind of statistics.
    pub views: &'a [FinalViews],
}

/// Evaluates weights on the test images: a row for each kind of statistics, then one for each of the several views.
///
/// # Errors
/// [`Exit::Usage`] if the weights are not the network's, or the data has more classes; errors of the engine and the data;
/// the signal's exit code if `stop` is raised.
pub fn evaluate(
    subject: &Subject<'_>,
    dataset: &DataSet,
    options: &engine::Options,
    cache: &Path,
    stop: &Stop,
) -> Result<Vec<Evaluation>> {
    let (network, recipe) = (subject.network, subject.recipe);
    network.check_tensors(&subject.weights.tensors)?;
    if network.classes < dataset.classes() {
        return Err(Exit::Usage.error(format!(
            "{} tells {} apart, but the images have {}",
            network.name,
            counted(network.classes, "class"),
            dataset.classes()
        )));
    }
    let mut stoppable = |_| match stop.requested() {
        Some(signal) => Err(signal.stopped()),
        None => Ok(()),
    };
    let threads = options.thread_count();
    let set = dataset.for_recipe(recipe, cache, threads, &mut stoppable)?;
    check_test_images(set.len(Split::Test), None)?;
    let mut engine = engine::create(
        network,
        recipe.image_size,
        &Hyperparameters::from(recipe),
        options,
    )?;
    engine.restore(subject.weights)?;
    let batch = |split: Split, indices: &[u32]| set.batch(split, indices, false);
    let statistics_batch =
        |indices: &[u32]| set.statistics_batch(recipe, subject.seed, indices, false);
    let count = recipe.evaluation.statistics_images;
    let sample = data::sample(
        set.len(Split::Train),
        count,
        subject.seed,
        Purpose::Statistics,
    );
    let images = EvaluationData {
        test_images: set.len(Split::Test),
        batch: &batch,
        statistics_batch: &statistics_batch,
        sample: &sample,
        clean: &[],
        statistics: subject.statistics,
    };
    let rows = train::evaluate(
        engine.as_mut(),
        &images,
        &recipe.evaluation,
        0,
        stop,
        &mut (),
    )?;
    let stopped = || {
        let exit = stop.requested().map_or(Exit::Interrupted, Signal::exit);
        exit.error("stopped before the last image")
    };
    let mut rows = rows.ok_or_else(stopped)?;
    if let (RunImages::Pictures(pictures), Some(&statistics)) = (&set, subject.statistics.first()) {
        let viewed = Viewed {
            network,
            recipe,
            seed: subject.seed,
            views: subject.views,
            statistics,
            iteration: 0,
        };
        let engine = engine.as_mut();
        let tallies = &mut Tallies::unkept();
        let more = several_views(engine, pictures, &viewed, tallies, stop, &mut ())?;
        rows.extend(more.ok_or_else(stopped)?);
    }
    Ok(rows)
}
