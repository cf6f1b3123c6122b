//! Measures and records layer responses of finished runs.

use std::path::Path;

use crate::data::{self, DataSet, RunImages};
use crate::engine::{self, Hyperparameters};
use crate::exit::Exit;
use crate::manifest::{ResponseImages, ResponseStatistics, Responses};
use crate::measure::responses::{self, engine_statistics};
use crate::plan::RunPlan;
use crate::processor::Processor;
use crate::random::Purpose;
use crate::record::{Ending, Split};
use crate::run::{LayerResponse, ResponseRecord, RunView};
use crate::train::Stop;
use crate::weights::Weights;

/// Fixed, so that all networks and seeds get the same images.
const IMAGES_SEED: u64 = 0;

/// Measures the finished `runs` that have not been measured in this way, and records the responses in their folders.
/// Calls `tell` before each.
///
/// # Errors
/// [`Exit::Missing`] for a run without weights, with the command to retrain it; errors of files and engine; the signal's
/// exit code if `stop` is raised.
pub fn measure_responses(
    runs: &[RunPlan],
    dataset: &DataSet,
    how: &Responses,
    results_dir: &Path,
    threads: usize,
    stop: &Stop,
    tell: &mut dyn FnMut(&str),
) -> anyhow::Result<()> {
    for plan in runs {
        let view = RunView::look(&results_dir.join(plan.folder()))?
            .filter(|view| view.plan().same_run(plan) && view.ending == Ending::Finished);
        let Some(view) = view else { continue };
        if let Some(mut record) = ResponseRecord::load(&view.folder, how, plan.identity())? {
            if record.format != ResponseRecord::FORMAT {
                // Of an earlier version, without its digest.
                record.format = ResponseRecord::FORMAT;
                record.save(&view.folder)?;
            }
            continue;
        }
        tell(&format!("measuring the responses of {}", plan.name()));
        // The images of figures that show responses are in memory.
        let mut quiet = |_| Ok(());
        let images = dataset.for_recipe(&plan.recipe, Path::new(""), threads, &mut quiet)?;
        measure(&view, &images, how, threads, stop)?.save(&view.folder)?;
    }
    Ok(())
}

/// The final weights of a finished run.
///
/// # Errors
/// [`Exit::Missing`] if they are missing, with the command to retrain the run.
pub(super) fn final_weights(view: &RunView) -> anyhow::Result<Weights> {
    let plan = view.plan();
    match view.load_weights()? {
        Some(weights) => Ok(weights),
        None => Err(Exit::Missing.error(format!(
            "{}: final weights are missing; retrain with `refig reproduce EXPERIMENT --profile {} --networks {} --seeds {} \
             --fresh`",
            view.folder.display(),
            plan.profile,
            plan.network.name,
            plan.seed
        ))),
    }
}

fn measure(
    view: &RunView,
    images: &RunImages,
    how: &Responses,
    threads: usize,
    stop: &Stop,
) -> anyhow::Result<ResponseRecord> {
    let plan = view.plan();
    let recipe = &plan.recipe;
    let weights = final_weights(view)?;
    // Measured on the CPU, whatever device trained the weights.
    let options = engine::Options {
        device: engine::Device::Cpu,
        threads,
        instructions: match plan.processor {
            Processor::Cpu(set) => Some(set),
            Processor::Cuda => None,
        },
        ..engine::Options::default()
    };
    let mut engine = engine::create_differentiable(
        &plan.network,
        recipe.image_size,
        &Hyperparameters::from(recipe),
        &options,
    )?;
    engine.restore(&weights)?;
    let check_stop = || -> anyhow::Result<()> {
        match stop.requested() {
            Some(signal) => Err(signal.stopped_run()),
            None => Ok(()),
        }
    };
    let size = recipe.evaluation.statistics_batch.max(1);
    if how.statistics == ResponseStatistics::Population {
        let count = recipe.evaluation.statistics_images;
        let sample = data::sample(
            images.len(Split::Train),
            count,
            plan.seed,
            Purpose::Statistics,
        );
        engine.begin_population()?;
        for chunk in sample.chunks(size) {
            check_stop()?;
            engine.add_population(&images.statistics_batch(recipe, plan.seed, chunk, false)?)?;
        }
        engine.finish_population(recipe.evaluation.pooling)?;
    }
    let split = match how.images {
        ResponseImages::Training => Split::Train,
        ResponseImages::Test => Split::Test,
    };
    let sample = data::sample(
        images.len(split),
        how.count,
        IMAGES_SEED,
        Purpose::CleanPass,
    );
    let batches = sample
        .chunks(size)
        .map(|chunk| -> anyhow::Result<data::Batch> {
            check_stop()?;
            images.batch(split, chunk, false)
        });
    let sums = responses::sums(&mut *engine, engine_statistics(how.statistics), batches)?;
    let layers = responses::layers(&plan.network, &sums, how.pooling)?;
    Ok(ResponseRecord {
        format: ResponseRecord::FORMAT,
        run: plan.identity().into(),
        network: plan.network.name.clone(),
        seed: plan.seed,
        data: view.file.notes.data,
        device: format!(
            "{} {}",
            plan.processor.device(),
            plan.processor.instructions()
        )
        .trim()
        .into(),
        images: sample.len(),
        how: how.clone(),
        layer: layers
            .into_iter()
            .map(|layer| LayerResponse {
                name: layer.name,
                deviation: layer.deviation,
                mean: layer.mean,
            })
            .collect(),
    })
}
