//! Trains runs one by one, resuming from and recording to their directories.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::data::{self, Batch, Dataset, ImageSet, Loader, Normaliser, Originals};
use crate::engine::{self, Device, Hyperparameters};
use crate::origin::Origin;
use crate::plan::RunPlan;
use crate::processor::Processor;
use crate::random::Purpose;
use crate::recipe::{Recipe, TrainingSplit};
use crate::record::Ending;
use crate::run::{Notes, Resume, RunDirectory};
use crate::train::{Keeper, LoopState, MiniBatches, Stop, Training, TrainingData};
use crate::weights::Weights;

use super::start::initial_weights;
use super::{RunsObserver, Start, work};

/// Options for training that do not affect results.
#[derive(Clone, Debug)]
pub struct Options {
    pub results_dir: PathBuf,
    /// Restart partial and finished runs.
    pub fresh: bool,
    /// The experiment's name, for the run's notes.
    pub experiment: String,
    /// Changes to the recipe on the command line, as given, for the run's notes.
    pub overrides: Vec<String>,
    /// The driver's number of the GPU for runs on `cuda`.
    pub gpu: usize,
    /// Engine threads; 0 for one per core.
    pub threads: usize,
    /// Bytes of activations that a step may keep, as [`engine::Options::keep`].
    pub keep: Option<usize>,
    /// Threads that prepare mini-batches ahead; 0 prepares them between steps.
    pub workers: usize,
    /// Wall clock between checkpoints outside evaluations.
    pub keep_every: Duration,
}

impl Keeper for RunDirectory {
    fn keep(&mut self, state: &Weights, at: &LoopState) -> anyhow::Result<()> {
        self.checkpoint(at.iteration, state, &at.to_json()?)
    }
}

impl MiniBatches for Loader {
    fn next(&mut self) -> anyhow::Result<Batch> {
        Loader::next(self)
    }

    fn recycle(&mut self, batch: Batch) {
        Loader::recycle(self, batch);
    }
}

/// One run and how it ended.
#[derive(Clone, Debug)]
pub struct RunResult {
    pub run: RunPlan,
    pub ending: Ending,
    /// Whether it was trained now; otherwise it was already done.
    pub trained: bool,
}

/// Trains `runs` in order on `dataset`: skips finished ones, resumes partial ones, starts the others. Returns early if
/// `stop` is raised; the current run is then the last result, [`Ending::Partial`].
///
/// # Errors
/// Errors of the run's directory, the data and the engine, with the run's name.
pub fn run_all(
    runs: &[RunPlan],
    dataset: Dataset,
    options: &Options,
    stop: &Stop,
    observer: &mut dyn RunsObserver,
) -> anyhow::Result<Vec<RunResult>> {
    let images = Images::new(dataset, runs)?;
    let costs: Vec<f64> = runs
        .iter()
        .map(|run| work(run, 0, images.of(&run.recipe).1.len()).total())
        .collect();
    observer.planned(&costs);
    let mut results = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        if stop.requested().is_some() {
            break;
        }
        let result = run_one(run, place, &images, options, stop, observer)
            .with_context(|| format!("run {}", run.folder()))?;
        results.push(result);
    }
    Ok(results)
}

/// The images for all runs, shared by size and split. The originals are dropped if no run needs them.
struct Images {
    sets: BTreeMap<(usize, bool), (Arc<ImageSet>, Arc<ImageSet>)>,
    origin: Origin,
    /// Digests of the training and test records.
    digests: (String, String),
}

impl Images {
    fn new(dataset: Dataset, runs: &[RunPlan]) -> anyhow::Result<Self> {
        let mut sets = BTreeMap::new();
        for run in runs {
            let key = Self::key(&run.recipe);
            if let Entry::Vacant(place) = sets.entry(key) {
                place.insert(dataset.for_recipe(&run.recipe)?);
            }
        }
        Ok(Self {
            sets,
            origin: dataset.origin,
            digests: (dataset.train.digest.clone(), dataset.test.digest.clone()),
        })
    }

    fn key(recipe: &Recipe) -> (usize, bool) {
        (recipe.image_size, recipe.split == TrainingSplit::HoldOut)
    }

    /// Training and test images for the recipe of one of the runs.
    fn of(&self, recipe: &Recipe) -> &(Arc<ImageSet>, Arc<ImageSet>) {
        &self.sets[&Self::key(recipe)]
    }

    /// The required number of test images, where it is known.
    fn test_images(&self, recipe: &Recipe) -> Option<usize> {
        match (self.origin, recipe.split) {
            (Origin::Cifar10, TrainingSplit::All) => Some(10_000),
            (Origin::Cifar10, TrainingSplit::HoldOut) => Some(5_000),
            (Origin::Imagenet, TrainingSplit::All) => Some(50_000),
            _ => None,
        }
    }
}

/// Engine options for a run; device and instruction set are given by the run.
fn engine_options(run: &RunPlan, options: &Options) -> engine::Options {
    let (device, instructions) = match run.processor {
        Processor::Cpu(set) => (Device::Cpu, Some(set)),
        Processor::Cuda => (Device::Cuda(options.gpu), None),
    };
    engine::Options {
        device,
        threads: options.threads,
        instructions,
        precision: run.recipe.precision,
        keep: options.keep,
    }
}

fn run_one(
    run: &RunPlan,
    place: usize,
    images: &Images,
    options: &Options,
    stop: &Stop,
    observer: &mut dyn RunsObserver,
) -> anyhow::Result<RunResult> {
    let recipe = &run.recipe;
    let engine_options = engine_options(run, options);
    let notes = Notes {
        data: images.origin,
        train_digest: images.digests.0.clone(),
        test_digest: images.digests.1.clone(),
        official: matches!(images.origin, Origin::Cifar10 | Origin::Imagenet),
        experiment: options.experiment.clone(),
        overrides: options.overrides.clone(),
        threads: engine_options.thread_count(),
        size: None,
    };
    let mut directory = RunDirectory::open(&options.results_dir, run, &notes, options.fresh)?;
    let resume = directory.resume()?;
    for warning in directory.warnings() {
        observer.warn(warning);
    }
    let (weights, from) = match resume {
        Resume::Done(ending) => {
            observer.skip(run, place);
            return Ok(RunResult {
                run: run.clone(),
                ending,
                trained: false,
            });
        }
        Resume::At(checkpoint) => {
            let state = LoopState::from_json(&checkpoint.loop_state)?;
            (checkpoint.state, state)
        }
        Resume::New => (
            initial_weights(
                run,
                &images.of(recipe).0,
                &engine_options,
                &options.results_dir,
                stop,
            )?,
            LoopState::default(),
        ),
    };
    let start = match from.iteration {
        0 => Start::New,
        iteration => Start::At(iteration),
    };
    observer.begin(run, place, start);

    let mut engine = engine::create(
        &run.network,
        recipe.image_size,
        &Hyperparameters::from(recipe),
        &engine_options,
    )?;
    engine.restore(&weights)?;
    drop(weights);

    let (train, test) = images.of(recipe);
    let normaliser = Normaliser::fit(train, recipe.normalisation);
    // The loader's threads prepare pixels, or only draw augmentations if the engine holds the images.
    let originals =
        |set: &Arc<ImageSet>| Originals::new(set.clone(), normaliser.clone()).map(Arc::new);
    let (on_train, on_test) = (originals(train)?, originals(test)?);
    let keeps_images = engine.keeps_images();
    let mut batches = match keeps_images {
        true => Loader::drawing(on_train.clone(), recipe, run.seed, from.iteration)?,
        false => Loader::new(
            train.clone(),
            normaliser.clone(),
            recipe,
            run.seed,
            from.iteration,
            options.workers,
        )?,
    };
    let batch = |set: &ImageSet, indices: &[u32]| match keeps_images {
        false => data::batch(set, &normaliser, indices),
        true if std::ptr::eq(set, on_train.images()) => on_train.batch(indices),
        true => on_test.batch(indices),
    };
    let sample = |count, purpose| data::sample(train.len(), count, run.seed, purpose);
    let ending = Training {
        engine: engine.as_mut(),
        data: TrainingData {
            batches: &mut batches,
            train,
            test,
            test_images: images.test_images(recipe),
            batch: &batch,
            statistics: sample(recipe.evaluation.statistics_images, Purpose::Statistics),
            clean: sample(recipe.evaluation.clean_images, Purpose::CleanPass),
        },
        recipe,
        keeper: &mut directory,
        observer: &mut *observer,
        stop,
        keep_every: options.keep_every,
    }
    .run(from)?;
    if ending.is_final() {
        directory.finish(ending, &engine.state(false)?)?;
    }
    observer.end(run, place, ending);
    Ok(RunResult {
        run: run.clone(),
        ending,
        trained: true,
    })
}
