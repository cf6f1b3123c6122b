//! Counts a run's arithmetic, and the pictures that it decodes, in advance.

use crate::data::ImageSize;
use crate::data::imagenet::View;
use crate::plan::RunPlan;
use crate::recipe::FinalViews;

/// How much wider a whole picture is than a square as high: ImageNet's mean picture has 500 x 375 pixels.
const LONGER: f64 = 4.0 / 3.0;

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

/// What pictures add to the remaining work of a run. Nothing for images in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PictureWork {
    /// Multiply-adds of the statistics of the final test with several views, and of the test itself.
    pub statistics: f64,
    pub views: f64,
    /// Pictures to prepare for mini-batches.
    pub training: f64,
    /// Pictures to prepare for evaluations and those statistics.
    pub evaluation: f64,
    /// Pictures to prepare for the final test. All views of a kind are made from one decoding; that each is scaled by itself is
    /// not counted.
    pub viewed: f64,
}

/// What is left of a run.
struct Left {
    iterations: f64,
    evaluations: f64,
    clean_passes: f64,
}

fn left(run: &RunPlan, done: u64) -> Left {
    let recipe = &run.recipe;
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
    Left {
        iterations: left as f64,
        evaluations: evaluations as f64,
        clean_passes: (1 + begins) as f64,
    }
}

/// The remaining work of the unfinished `run` after `done` iterations, with `test_images` per evaluation. That of the final test
/// is in [`picture_work`].
pub fn work(run: &RunPlan, done: u64, test_images: usize) -> Work {
    let recipe = &run.recipe;
    let an_image = run.network.multiply_adds(recipe.image_size) as f64;
    let left = left(run, done);
    // Test and clean images are evaluated with both kinds of statistics.
    let each = recipe.evaluation.statistics_images + 2 * test_images;
    let clean = 2.0 * recipe.evaluation.clean_images as f64 * left.clean_passes;
    Work {
        training: left.iterations * recipe.batch as f64 * an_image,
        evaluation: (left.evaluations * each as f64 + clean) * an_image,
    }
}

/// What pictures add to [`work`].
pub fn picture_work(run: &RunPlan, done: u64, test_images: usize) -> PictureWork {
    let recipe = &run.recipe;
    let Some(crop) = &recipe.crop else {
        return PictureWork::default();
    };
    let (evaluation, left) = (&recipe.evaluation, left(run, done));
    let test = test_images as f64;
    let statistics = evaluation.statistics_images as f64;
    let an_image = |side: usize| run.network.multiply_adds(side) as f64;
    // Both kinds of statistics see the same images.
    let mut evaluated =
        left.evaluations * (statistics + test) + left.clean_passes * evaluation.clean_images as f64;
    let (mut gathered, mut views) = (0.0, 0.0);
    if !evaluation.final_views.is_empty() {
        // They are gathered once more.
        evaluated += statistics;
        gathered += statistics * an_image(recipe.image_size);
    }
    for kind in &evaluation.final_views {
        match kind {
            FinalViews::TenCrop => {
                let size = ImageSize::square(recipe.image_size);
                let crops = View::ten_crops(crop.test_side, size).len() as f64;
                views += crops * test * an_image(recipe.image_size);
            }
            FinalViews::MultiScale => {
                for &side in &evaluation.scales {
                    views += test * an_image(side as usize) * LONGER;
                }
            }
        }
    }
    PictureWork {
        statistics: gathered,
        views,
        training: left.iterations * recipe.batch as f64,
        evaluation: evaluated,
        viewed: test * evaluation.final_views.len() as f64,
    }
}
