//! A run's summary, from its evidence.

use std::collections::BTreeMap;

use super::recipe_faults;
use super::run_evidence::RunEvidence;
use crate::manifest::{DataName, Experiment, Metric};
use crate::origin::Origin;
use crate::record::{Ending, Evaluation, Split, Statistics, Views, curve};

/// A run's summary.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    pub network: String,
    pub seed: u64,
    pub origin: Origin,
    /// Identifies the images: sha256 (hex) over the digests of both sets.
    pub data_digest: String,
    /// What was done to the images before anything saw them, to follow their name; may be empty.
    pub treated: String,
    pub ending: Ending,
    /// The last iteration recorded.
    pub iteration: u64,
    /// At the last iteration, with population statistics, %.
    pub test_error: Option<f64>,
    /// The same with moving-average statistics, %. Shown, not judged.
    pub moving_test_error: Option<f64>,
    /// Mean over the last augmented mini-batches, as many as `training_window` says, %.
    pub training_error: Option<f64>,
    /// On training images without augmentation after the last iteration, %.
    pub clean_training_error: Option<f64>,
    /// Standard deviation of responses, mean over the 3x3 layers, if measured.
    pub response: Option<f64>,
    /// Top-5 errors, and errors with other views than the centre, at the last iteration, %.
    pub others: BTreeMap<Metric, f64>,
    /// Iteration and value of the lowest test error with population statistics. Shown, never judged.
    pub best: Option<(u64, f64)>,
    /// The run's folder, relative to the results folder.
    pub folder: String,
    /// sha256 (hex) of everything that affects the run's numbers.
    pub identity: String,
    /// The commit that made the run, with `-dirty` if the tree was dirty; empty if unknown.
    pub commit: String,
    /// Device, instruction set, precision, CPU and GPU.
    pub machine: String,
    /// Deviations of the records or the evaluation from the recipe, a phrase each. A run with any is no evidence.
    pub faults: Vec<String>,
    /// sha256 (hex) of network, recipe and evaluation, the same for every seed.
    pub recipe: String,
}

impl Subject {
    /// The run's value of a metric: an error in %, or a standard deviation for responses.
    pub fn error(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::TestError => self.test_error,
            Metric::TrainingError => self.training_error,
            Metric::Response => self.response,
            Metric::MultiplyAdds => None,
            further => self.others.get(&further).copied(),
        }
    }

    /// Summarises a run.
    ///
    /// # Errors
    /// If the recipe cannot be serialised, which is a bug.
    pub fn of(run: &RunEvidence, experiment: &Experiment) -> anyhow::Result<Self> {
        let (view, rows) = (&run.view, &run.rows);
        let plan = view.plan();
        let mut faults = recipe_faults::faults(&plan.recipe, &rows.iterations);
        if let Some(entry) = experiment.network(&plan.network.name) {
            let (ours, asked) = (&plan.recipe.evaluation, &entry.recipe.evaluation);
            faults.extend(recipe_faults::measured_differently(ours, asked));
        }
        let at_the_end = |split, statistics| {
            error_at(&rows.evaluations, plan.recipe.iterations, split, statistics)
        };
        let start = &view.file.start;
        let dirty = if start.dirty { "-dirty" } else { "" };
        let machine = [
            plan.processor.device(),
            plan.processor.instructions(),
            plan.recipe.precision.name(),
            start.cpu.as_str(),
            start.gpu.as_str(),
        ];
        let machine: Vec<String> = machine
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .chain(view.file.moves())
            .collect();
        Ok(Subject {
            network: plan.network.name.clone(),
            seed: plan.seed,
            origin: view.file.notes.data,
            data_digest: plan.data_digest.clone(),
            treated: view.file.notes.treated(),
            ending: view.ending,
            iteration: view.iteration,
            test_error: at_the_end(Split::Test, Statistics::Population),
            moving_test_error: at_the_end(Split::Test, Statistics::Moving),
            // Only the last point.
            training_error: curve::training(&rows.iterations, experiment.training_window, u64::MAX)
                .last()
                .filter(|point| point.iteration == plan.recipe.iterations)
                .map(|point| point.error),
            clean_training_error: at_the_end(Split::Train, Statistics::Population),
            response: run.response(),
            others: others(&rows.evaluations, plan.recipe.iterations, experiment),
            best: best(&rows.evaluations),
            folder: plan.folder(),
            identity: plan.identity().into(),
            commit: match start.commit.get(..12).unwrap_or(&start.commit) {
                "" => String::new(),
                commit => format!("{commit}{dirty}"),
            },
            machine: machine.join(", "),
            faults,
            recipe: plan.recipe_digest()?,
        })
    }
}

/// The error of the evaluation at exactly this iteration.
fn error_at(
    rows: &[Evaluation],
    iteration: u64,
    split: Split,
    statistics: Statistics,
) -> Option<f64> {
    rows.iter()
        .rev()
        .find(|row| row.iteration == iteration && row.is_of(split, statistics))
        .map(|row| row.error)
}

/// The further errors at exactly this iteration: those that the experiment is about, and all on ImageNet.
fn others(rows: &[Evaluation], iteration: u64, experiment: &Experiment) -> BTreeMap<Metric, f64> {
    let wanted =
        |metric: &Metric| experiment.data == DataName::Imagenet || experiment.judges(*metric);
    let found = |metric: Metric| {
        let (views, top5) = match metric {
            Metric::Top5Error => (Views::Centre, true),
            Metric::TenCropError => (Views::TenCrop, false),
            Metric::TenCropTop5 => (Views::TenCrop, true),
            Metric::MultiScaleError => (Views::MultiScale, false),
            Metric::MultiScaleTop5 => (Views::MultiScale, true),
            _ => return None,
        };
        let what = (iteration, Split::Test, Statistics::Population, views);
        let mut rows = rows.iter().rev();
        let row = rows.find(|row| (row.iteration, row.split, row.statistics, row.views) == what)?;
        Some((metric, if top5 { row.top5_error } else { row.error }))
    };
    let further = Metric::FURTHER.into_iter().filter(wanted);
    further.filter_map(found).collect()
}

/// The first iteration with the lowest test error by population statistics, and that error.
fn best(rows: &[Evaluation]) -> Option<(u64, f64)> {
    rows.iter()
        .filter(|row| row.is_of(Split::Test, Statistics::Population))
        .filter(|row| row.error.is_finite())
        .map(|row| (row.iteration, row.error))
        .min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
}
