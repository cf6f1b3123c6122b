//! Counts a run's arithmetic in advance.

use crate::plan::RunPlan;

/// The remaining work of a run, in multiply-adds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Forward passes of training steps; a step costs about three times its forward pass.
    pub training: f64,
    /// Forward passes of statistics, evaluations and clean passes.
    pub evaluation: f64,
}

impl Work {
    /// The total in forward multiply-adds.
    pub fn total(self) -> f64 {
        3.0 * self.training + self.evaluation
    }
}

/// The remaining work of the unfinished `run` after `done` iterations, with `test_images` per evaluation.
pub fn work(run: &RunPlan, done: u64, test_images: usize) -> Work {
    let recipe = &run.recipe;
    let an_image = run.network.multiply_adds(recipe.image_size) as f64;
    let left = recipe.iterations.saturating_sub(done);
    let interval = recipe.evaluation.interval;
    let upto = |iteration: u64| iteration.checked_div(interval).unwrap_or(0);
    let mut evaluations = upto(recipe.iterations) - upto(recipe.iterations.min(done));
    if left > 0 && (interval == 0 || !recipe.iterations.is_multiple_of(interval)) {
        evaluations += 1;
    }
    // A run that is not done after its last iteration was stopped in its last evaluation.
    let pending = left == 0;
    evaluations += u64::from(pending);
    // Runs that start from another run's weights are also evaluated before the first update, with a clean pass.
    let begins = u64::from(run.start.is_some() && done == 0);
    evaluations += begins;
    // Test and clean images are evaluated with both kinds of statistics.
    let each = recipe.evaluation.statistics_images + 2 * test_images;
    let clean = 2 * recipe.evaluation.clean_images * (1 + begins as usize);
    Work {
        training: left as f64 * recipe.batch as f64 * an_image,
        evaluation: (evaluations as f64 * each as f64 + clean as f64) * an_image,
    }
}
