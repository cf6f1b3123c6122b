//! Initial weights of a run: random, or constructed from a finished run.

use std::path::Path;

use crate::data::{self, RunImages};
use crate::engine::{self, Hyperparameters};
use crate::exit::Exit;
use crate::measure::responses;
use crate::network::{Network, initialise};
use crate::plan::RunPlan;
use crate::random::Purpose;
use crate::record::Split;
use crate::run;
use crate::train::{StageMoments, Stop, construct};
use crate::weights::Weights;

use super::responses::final_weights;

/// The weights at iteration 0. If the plan starts from another run, that run must be finished in `results_dir`.
///
/// # Errors
/// [`Exit::Missing`] if that run or its weights are missing; errors of the engine; the signal's exit code if `stop` is raised.
pub fn initial_weights(
    plan: &RunPlan,
    images: &RunImages,
    options: &engine::Options,
    results_dir: &Path,
    stop: &Stop,
) -> anyhow::Result<Weights> {
    let Some(identity) = &plan.start else {
        return Ok(initialise(
            &plan.network,
            &plan.recipe.initialisation,
            plan.seed,
        ));
    };
    let views = run::find(results_dir)?;
    let view = views
        .iter()
        .find(|view| view.ending.is_final() && view.plan().identity() == identity);
    let view = view.ok_or_else(|| {
        Exit::Missing.error(format!(
            "{} starts from the weights of {} with seed {}, which has no finished run in {}; train that first",
            plan.name(),
            plan.recipe.init.from.as_deref().unwrap_or("another run"),
            plan.seed,
            results_dir.display()
        ))
    })?;
    let start = view.plan();
    let weights = final_weights(view)?;
    let stages = stage_moments(start, &weights, images, options, stop)?;
    let epsilon = plan.recipe.batch_norm.epsilon as f32;
    construct(&start.network, &weights, &plan.network, &stages, epsilon)
}

/// Moments of each stage's output on training images, with mini-batch statistics as in training.
fn stage_moments(
    start: &RunPlan,
    weights: &Weights,
    images: &RunImages,
    options: &engine::Options,
    stop: &Stop,
) -> anyhow::Result<StageMoments> {
    let recipe = &start.recipe;
    let mut engine = engine::create_differentiable(
        &start.network,
        recipe.image_size,
        &Hyperparameters::from(recipe),
        &options.in_precision(recipe.precision),
    )?;
    engine.restore(weights)?;
    let count = recipe.evaluation.statistics_images;
    let sample = data::sample(
        images.len(Split::Train),
        count,
        start.seed,
        Purpose::Statistics,
    );
    let batches = sample
        .chunks(recipe.batch.max(1))
        .map(|chunk| match stop.requested() {
            Some(signal) => Err(signal.stopped_run()),
            None => images.batch(Split::Train, chunk, false),
        });
    let sums = responses::sums(&mut *engine, None, batches)?;
    Ok(last_of_stages(&start.network)
        .into_iter()
        .map(|place| sums[place].output.channels())
        .collect())
}

/// Indices of the stages' last convolutions in `Network::convolutions`, for networks without projections.
fn last_of_stages(network: &Network) -> Vec<usize> {
    let each = if network.bottleneck { 3 } else { 2 };
    let mut place = 0;
    network
        .blocks
        .iter()
        .map(|count| {
            place += each * count;
            place
        })
        .collect()
}
