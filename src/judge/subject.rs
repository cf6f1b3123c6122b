//! What a verdict knows of a run, from its evidence.

use super::recipe_faults;
use super::run_evidence::RunEvidence;
use crate::manifest::{Experiment, Metric};
use crate::origin::Origin;
use crate::record::{Ending, Evaluation, Split, Statistics, curve};

/// What is known of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    pub network: String,
    pub seed: u64,
    pub origin: Origin,
    pub ending: Ending,
    /// The last iteration recorded.
    pub iteration: u64,
    /// At the last iteration, with population statistics, %.
    pub test_error: Option<f64>,
    /// The same with the moving average, %. Shown, not judged.
    pub moving_test_error: Option<f64>,
    /// Mean of the last 20 mini-batches, augmented, %: the paper's training curve.
    pub training_error: Option<f64>,
    /// Training images without augmentation after the last iteration, %.
    pub clean_training_error: Option<f64>,
    /// Mean over the 3x3 layers of their responses' standard deviation, where it was measured.
    pub response: Option<f64>,
    /// Iteration and value of the lowest test error with population statistics. Shown, never judged.
    pub best: Option<(u64, f64)>,
    /// The run's folder, relative to the results folder.
    pub folder: String,
    /// sha256 (hex) of everything that shapes the run's numbers.
    pub identity: String,
    /// The commit that made the run, with `-dirty` where the tree was; empty if unknown.
    pub commit: String,
    /// What it ran on: device, instruction set, precision, processor, GPU.
    pub machine: String,
    /// Where the records are not of the recipe, or were measured differently, a phrase each. A run with one is comparable
    /// with nothing.
    pub faults: Vec<String>,
    /// sha256 (hex) of network, recipe and measurement, the same for every seed.
    pub recipe: String,
}

impl Subject {
    /// The run's value of a metric: %, of responses a standard deviation.
    pub fn error(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::TestError => self.test_error,
            Metric::TrainingError => self.training_error,
            Metric::Response => self.response,
        }
    }

    /// What the evidence tells of a run.
    ///
    /// # Errors
    /// If the recipe cannot be JSON, which every recipe can.
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
        let machine: Vec<&str> = machine
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        Ok(Subject {
            network: plan.network.name.clone(),
            seed: plan.seed,
            origin: view.file.notes.data,
            ending: view.ending,
            iteration: view.iteration,
            test_error: at_the_end(Split::Test, Statistics::Population),
            moving_test_error: at_the_end(Split::Test, Statistics::Moving),
            // One point: the last.
            training_error: curve::training(&rows.iterations, experiment.training_window, u64::MAX)
                .last()
                .filter(|point| point.iteration == plan.recipe.iterations)
                .map(|point| point.error),
            clean_training_error: at_the_end(Split::Train, Statistics::Population),
            response: run.response(),
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
        .find(|row| {
            row.iteration == iteration && row.split == split && row.statistics == statistics
        })
        .map(|row| row.error)
}

/// The first of the lowest test errors with population statistics.
fn best(rows: &[Evaluation]) -> Option<(u64, f64)> {
    rows.iter()
        .filter(|row| row.split == Split::Test && row.statistics == Statistics::Population)
        .filter(|row| row.error.is_finite())
        .map(|row| (row.iteration, row.error))
        .min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
}
