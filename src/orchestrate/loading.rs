//! Times how long this machine takes to prepare pictures, which may take longer than to learn from them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::data::imagenet::Trial;
use crate::data::{self, Prospect};
use crate::engine::{self, Device};
use crate::plan::RunPlan;
use crate::recipe::{Normalisation, Recipe};

use super::picture_work;
use super::probe::{Computation, median};

/// Wall clock for all measurements together, without a first round each.
const BUDGET: Duration = Duration::from_millis(600);

/// What the time of a picture depends on: the crop, and the shorter sides that pictures are scaled to.
type Key = (usize, [u32; 2]);

/// Seconds for each picture.
#[derive(Clone, Debug)]
pub struct Loading {
    each: BTreeMap<Key, f64>,
    /// Whether pictures are prepared on the cores that train.
    shared: bool,
    test_images: usize,
    /// Seconds for the mean images that are not kept yet.
    pub mean_images: f64,
}

fn key(recipe: &Recipe) -> Option<Key> {
    let crop = recipe.crop.as_ref()?;
    Some((recipe.image_size, crop.shorter_side))
}

impl Loading {
    /// Prepares some training images for each way in which `runs` see them, in less than a second; where there are none,
    /// photographs that are made for it. Images in memory take next to nothing.
    ///
    /// # Errors
    /// Errors of the data.
    pub fn measure(
        runs: &[&RunPlan],
        options: &engine::Options,
        data: &Prospect,
    ) -> anyhow::Result<Self> {
        let mut recipes: BTreeMap<Key, &Recipe> = BTreeMap::new();
        for run in runs {
            if let Some(of) = key(&run.recipe) {
                recipes.entry(of).or_insert(&run.recipe);
            }
        }
        let on_device = options.device != Device::Cpu;
        let threads = options.thread_count();
        let share = BUDGET / recipes.len().max(1) as u32;
        let mut each = BTreeMap::new();
        for (of, recipe) in recipes {
            let mut trial = Trial::new(data.pictures.as_ref(), recipe, threads, on_device)?;
            let images = trial.images() as f64;
            each.insert(of, median(share, || trial.round())? / images);
        }
        let mut loading = Self {
            each,
            shared: !on_device,
            test_images: data.test_images,
            mean_images: 0.0,
        };
        loading.mean_images = loading.of_mean_images(runs, data);
        Ok(loading)
    }

    /// Seconds to decode all training images once for each mean image that is not kept, with the threads that were timed.
    fn of_mean_images(&self, runs: &[&RunPlan], data: &Prospect) -> f64 {
        let cache = data::cache_folder();
        let mut known = BTreeSet::new();
        let mut seconds = 0.0;
        for run in runs {
            let recipe = &run.recipe;
            if let Some(crop) = &recipe.crop
                && recipe.normalisation == Normalisation::PerPixelMean
                && known.insert((crop.test_side, recipe.image_size))
            {
                let left = data.mean_left(crop.test_side, recipe.image_size, &cache);
                seconds += left as f64 * self.of_picture(recipe);
            }
        }
        seconds
    }

    fn of_picture(&self, recipe: &Recipe) -> f64 {
        let each = key(recipe).and_then(|of| self.each.get(&of));
        each.copied().unwrap_or(0.0)
    }

    /// Estimated seconds for what is left of `run` after `done` iterations, which takes this computation.
    pub fn seconds(&self, run: &RunPlan, done: u64, computation: Computation) -> f64 {
        let left = picture_work(run, done, self.test_images);
        let each = self.of_picture(&run.recipe);
        let together = |computed: f64, pictures: f64| match self.shared {
            true => computed + each * pictures,
            // The next batches are prepared while the device computes.
            false => computed.max(each * pictures),
        };
        together(computation.training, left.training)
            + together(computation.evaluation, left.evaluation)
            // Several views are prepared and computed in turn.
            + computation.views
            + each * left.viewed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Experiment;
    use crate::processor::Processor;
    use std::path::Path;

    #[test]
    fn cores_are_shared_and_a_gpu_waits_for_the_slower() {
        let fig4 = Experiment::load(Path::new("experiments/fig4.toml"), "paper", &[]).unwrap();
        let run = RunPlan::new(&fig4.networks[0], 1, "paper", "", Processor::Cuda).unwrap();
        let left = picture_work(&run, 0, 50_000);
        let of = key(&run.recipe).unwrap();
        let seconds = |shared, (training, evaluation), each| {
            let loading = Loading {
                each: BTreeMap::from([(of, each)]),
                shared,
                test_images: 50_000,
                mean_images: 0.0,
            };
            let computation = Computation {
                training,
                evaluation,
                views: 5.0,
            };
            loading.seconds(&run, 0, computation)
        };
        // A second for all mini-batches, and what evaluations prepare. Several views are made in turn on any device.
        let each = 1.0 / left.training;
        let (prepared, viewed) = (left.evaluation * each, 5.0 + left.viewed * each);
        assert!(prepared > 0.0 && prepared < 7.0 && left.viewed > 0.0);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(
            seconds(true, (3.0, 7.0), each),
            11.0 + prepared + viewed
        ));
        assert!(near(seconds(false, (3.0, 7.0), each), 10.0 + viewed));
        assert!(near(seconds(false, (0.5, 7.0), each), 8.0 + viewed));
        assert!(near(
            seconds(false, (3.0, 0.0), each),
            3.0 + prepared + viewed
        ));
        assert!(near(seconds(true, (3.0, 7.0), 0.0), 15.0));
    }
}
