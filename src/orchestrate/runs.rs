//! Trains runs one by one, resuming from and recording to their directories.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use crate::data::{self, Batch, Batches, DataSet, HELD_OUT, Progress, RunImages};
use crate::engine::{self, Device, Hyperparameters};
use crate::origin::{Origin, Size};
use crate::plan::RunPlan;
use crate::processor::Processor;
use crate::random::Purpose;
use crate::recipe::{Crop, Normalisation, Recipe, TrainingSplit};
use crate::record::{Ending, Recorder, Split};
use crate::run::disk::Disk;
use crate::run::{Locking, Notes, Resume, RunDirectory, Watching};
use crate::train::{Keeper, LoopState, MiniBatches, Phase, Required, Stop, Training, TrainingData};
use crate::weights::Weights;

use super::start::initial_weights;
use super::tallies::Tallies;
use super::views::{Viewed, final_views};
use super::{RunsObserver, Start, work};

/// Options for training that do not affect results.
#[derive(Clone, Debug)]
pub struct Options {
    pub results_dir: PathBuf,
    /// Restart partial and finished runs.
    pub fresh: bool,
    /// Take runs over from processes on other hosts that give no sign of life.
    pub take_over: bool,
    /// The experiment's name, for the run's notes.
    pub experiment: String,
    /// Changes to the recipe on the command line, as given, for the run's notes.
    pub overrides: Vec<String>,
    /// The driver's number of the GPU for runs on `cuda`.
    pub gpu: usize,
    /// Where runs begun on any kind of processor are resumed; none: each where it was begun.
    pub moved_to: Option<Processor>,
    /// Engine threads; 0 for one per core.
    pub threads: usize,
    /// Bytes of activations that a step may keep, as [`engine::Options::keep`].
    pub keep: Option<usize>,
    /// Threads that prepare mini-batches ahead; 0 prepares them between steps.
    pub workers: usize,
    /// Wall clock between checkpoints outside evaluations, and in the final test with several views.
    pub keep_every: Duration,
    /// Where the mean image of pictures is kept.
    pub cache: PathBuf,
}

impl Options {
    /// Where a run is trained from now on.
    fn processor_of(&self, run: &RunPlan) -> Processor {
        self.moved_to.unwrap_or(run.processor)
    }
}

impl Keeper for RunDirectory {
    fn keep(&mut self, state: &Weights, at: &LoopState) -> anyhow::Result<()> {
        self.checkpoint(at.iteration, state, &at.to_json()?)
    }
}

impl MiniBatches for Batches {
    fn next(&mut self) -> anyhow::Result<Batch> {
        Batches::next(self)
    }

    fn recycle(&mut self, batch: Batch) {
        Batches::recycle(self, batch);
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
    dataset: impl Into<DataSet>,
    options: &Options,
    stop: &Stop,
    observer: &mut dyn RunsObserver,
) -> anyhow::Result<Vec<RunResult>> {
    let images = Images::new(dataset.into(), runs, options, stop, observer)?;
    let costs: Vec<f64> = runs
        .iter()
        .map(|run| work(run, 0, images.of(&run.recipe).len(Split::Test)).total())
        .collect();
    observer.planned(&costs);
    let mut results = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        if stop.requested().is_some() {
            break;
        }
        stop.attend(true);
        let result = run_one(run, place, &images, options, stop, observer)
            .with_context(|| format!("run {}", run.folder()));
        stop.attend(false);
        results.push(result?);
    }
    Ok(results)
}

/// The images for all runs, shared by recipes that see them alike. The originals are dropped if no run needs them.
struct Images {
    sets: Vec<(Sight, RunImages)>,
    origin: Origin,
    /// Digests of the training and test records.
    digests: (String, String),
    /// Of pictures, whose number is not known in advance.
    size: Option<Size>,
    /// How many pictures were left out.
    unreadable: Option<usize>,
    /// The shorter side that pictures were shrunk to.
    shrunk: Option<u32>,
}

/// What of a recipe decides how it sees the images.
#[derive(Clone, PartialEq)]
struct Sight {
    image_size: usize,
    split: TrainingSplit,
    normalisation: Normalisation,
    flip: bool,
    crop: Option<Crop>,
}

impl Sight {
    fn of(recipe: &Recipe) -> Self {
        Self {
            image_size: recipe.image_size,
            split: recipe.split,
            normalisation: recipe.normalisation,
            flip: recipe.augmentation.flip,
            crop: recipe.crop.clone(),
        }
    }
}

impl Images {
    fn new(
        dataset: DataSet,
        runs: &[RunPlan],
        options: &Options,
        stop: &Stop,
        observer: &mut dyn RunsObserver,
    ) -> anyhow::Result<Self> {
        let threads = match options.threads {
            0 => engine::Options::default().thread_count(),
            threads => threads,
        };
        let mut progress = |progress: Progress| match (stop.requested(), progress) {
            (Some(signal), _) => Err(signal.stopped()),
            (None, Progress::Note(text)) => {
                observer.tell(&text);
                Ok(())
            }
            (None, Progress::Mean { done, total }) => {
                observer.phase(Phase::Mean, done, total);
                Ok(())
            }
            (None, _) => Ok(()),
        };
        let mut sets: Vec<(Sight, RunImages)> = Vec::new();
        for run in runs {
            let sight = Sight::of(&run.recipe);
            if sets.iter().all(|(known, _)| *known != sight) {
                let images =
                    dataset.for_recipe(&run.recipe, &options.cache, threads, &mut progress)?;
                sets.push((sight, images));
            }
        }
        Ok(Self {
            sets,
            origin: dataset.origin(),
            digests: dataset.digests(),
            size: match &dataset {
                DataSet::Memory(_) => None,
                DataSet::Pictures { .. } => Some(dataset.size()),
            },
            unreadable: Some(dataset.unreadable()).filter(|&count| count > 0),
            shrunk: dataset.shrunk(),
        })
    }

    /// The images for the recipe of one of the runs.
    fn of(&self, recipe: &Recipe) -> &RunImages {
        let sight = Sight::of(recipe);
        let found = self.sets.iter().find(|(known, _)| *known == sight);
        // Every run's was added.
        &found.unwrap_or(&self.sets[0]).1
    }

    /// The required test images, where they are known.
    fn required(&self, recipe: &Recipe) -> Option<Required> {
        let of = self.origin.whole()?;
        let size = of.size();
        let images = match recipe.split {
            TrainingSplit::All => size.test_images,
            TrainingSplit::HoldOut => size.training_images / HELD_OUT,
        };
        Some(Required { of, images })
    }
}

/// Engine options for a run; device and instruction set are given by the run, unless it moves.
fn engine_options(run: &RunPlan, options: &Options) -> engine::Options {
    let (device, instructions) = match options.processor_of(run) {
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
        official: images.origin.whole().is_some(),
        experiment: options.experiment.clone(),
        overrides: options.overrides.clone(),
        threads: engine_options.thread_count(),
        size: images.size,
        unreadable: images.unreadable,
        shrunk: images.shrunk,
    };
    let locking = Locking {
        take_over: options.take_over,
        ..Locking::default()
    };
    let (disk, results, fresh) = (Disk::default(), &options.results_dir, options.fresh);
    let mut watcher = |watching: Watching<'_>| match (stop.requested(), watching) {
        (Some(signal), _) => Err(signal.stopped()),
        (None, Watching::Begins(what)) => {
            observer.tell(what);
            Ok(())
        }
        (None, Watching::GoesOn) => Ok(()),
    };
    let (how, on) = ((disk, &locking), options.processor_of(run));
    let mut directory =
        RunDirectory::open_as(how, results, (run, on), &notes, fresh, &mut watcher)?;
    let resume = directory.resume()?;
    for warning in directory.warnings() {
        observer.warn(warning);
    }
    let (weights, from) = match resume {
        Resume::Done(ending) => {
            observer.skip(run, place, ending);
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
                images.of(recipe),
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

    let set = images.of(recipe);
    // The loader's threads prepare pixels, or leave at least their normalisation to the device.
    let on_device = engine.normalises();
    let (seed, workers) = (run.seed, options.workers);
    let mut batches = set.batches(recipe, seed, from.iteration, workers, on_device)?;
    let batch = |split: Split, indices: &[u32]| set.batch(split, indices, on_device);
    let statistics_batch =
        |indices: &[u32]| set.statistics_batch(recipe, run.seed, indices, on_device);
    let training_images = set.len(Split::Train);
    let sample = |count, purpose| data::sample(training_images, count, run.seed, purpose);
    let ending = Training {
        engine: engine.as_mut(),
        data: TrainingData {
            batches: &mut batches,
            training_images,
            test_images: set.len(Split::Test),
            required: images.required(recipe),
            batch: &batch,
            statistics_batch: &statistics_batch,
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
    // Frees the mini-batches that wait.
    drop(batches);
    let mut ending = ending;
    if let (Ending::Finished, RunImages::Pictures(pictures)) = (ending, set) {
        let engine = engine.as_mut();
        let mut tallies = Tallies::of(&directory, options.keep_every);
        let viewed = Viewed::from(run);
        match final_views(engine, pictures, &viewed, &mut tallies, stop, observer)? {
            Some(rows) => {
                for row in rows {
                    directory.evaluation(row)?;
                }
            }
            // The state before this was saved; the same command goes on from here.
            None => {
                tallies.keep()?;
                ending = Ending::Partial;
            }
        }
    }
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
