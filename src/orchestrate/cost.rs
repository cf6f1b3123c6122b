//! How much arithmetic a run is, counted before it is made.

use crate::plan::RunPlan;

/// What is left to do of a run, in multiply-adds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Work {
    /// Of the forward passes of the training steps; a step costs about three times its forward pass.
    pub training: f64,
    /// Of the forward passes of statistics, evaluations and clean pass.
    pub evaluation: f64,
}

impl Work {
    /// Both parts in units of a forward multiply-add.
    pub fn total(self) -> f64 {
        3.0 * self.training + self.evaluation
    }
}

/// The work that is left of `run` after `done` iterations, on a set of `test_images`.
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
    // What starts from another's weights is evaluated before the first update, clean pass and all.
    let begins = u64::from(run.start.is_some() && done == 0);
    evaluations += begins;
    // Test and clean images are looked at with both kinds of statistics.
    let each = recipe.evaluation.statistics_images + 2 * test_images;
    let clean = if left > 0 {
        2 * recipe.evaluation.clean_images * (1 + begins as usize)
    } else {
        0
    };
    Work {
        training: left as f64 * recipe.batch as f64 * an_image,
        evaluation: (evaluations as f64 * each as f64 + clean as f64) * an_image,
    }
}
