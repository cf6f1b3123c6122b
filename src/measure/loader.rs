//! What a loader costs a training step: mini-batches prepared on another thread while the step computes.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use super::median;
use super::step::StepBench;
use crate::data::{self, ImageSet, Loader, Normaliser, Originals, SYNTHETIC_SEED};
use crate::exit::Exit;
use crate::manifest::Recipe;

/// Mini-batches over which the loader alone is timed.
const BATCHES: usize = 20;

/// The loader alone and beside the step, on the synthetic set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoaderReport {
    /// Milliseconds of work for one mini-batch.
    pub batch_ms: f64,
    /// A step fed by a loader on one more thread over a step on images at hand: the median over pairs of runs. `None` where
    /// only the loader was measured.
    pub step_ratio: Option<f64>,
}

/// The loader of a recipe as `reproduce` uses it.
pub struct LoaderBench {
    images: Arc<ImageSet>,
    normaliser: Normaliser,
    recipe: Recipe,
}

impl LoaderBench {
    /// `None` for images that the synthetic set cannot be averaged down to.
    ///
    /// # Errors
    /// When the set cannot be made.
    pub fn new(batch: usize, image_size: usize) -> Result<Option<Self>> {
        if image_size > 32 || !32usize.is_multiple_of(image_size) {
            return Ok(None);
        }
        let recipe = Recipe {
            batch,
            image_size,
            ..Recipe::default()
        };
        let (train, _) = data::synthetic(SYNTHETIC_SEED).for_recipe(&recipe)?;
        Ok(Some(Self {
            normaliser: Normaliser::fit(&train, recipe.normalisation),
            images: train,
            recipe,
        }))
    }

    fn loader(&self, workers: usize) -> Result<Loader> {
        let (images, normaliser) = (Arc::clone(&self.images), self.normaliser.clone());
        Loader::new(images, normaliser, &self.recipe, 0, 0, workers)
    }

    /// The same mini-batches as decisions, for a device that keeps the images.
    fn drawing(&self) -> Result<Loader> {
        let originals = Originals::new(Arc::clone(&self.images), self.normaliser.clone())?;
        Loader::drawing(Arc::new(originals), &self.recipe, 0, 0)
    }

    /// Times the loader on the calling thread.
    ///
    /// # Errors
    /// When a mini-batch cannot be made.
    pub fn alone(&self) -> Result<LoaderReport> {
        let mut loader = self.loader(0)?;
        let start = Instant::now();
        for _ in 0..BATCHES {
            let batch = loader.next()?;
            loader.recycle(batch);
        }
        Ok(LoaderReport {
            batch_ms: start.elapsed().as_secs_f64() * 1e3 / BATCHES as f64,
            step_ratio: None,
        })
    }

    /// Times runs of `steps` steps with and without a loader in turn, `pairs` times.
    ///
    /// # Errors
    /// [`Exit::Usage`] for no pairs or steps; when a step or a mini-batch fails.
    pub fn beside(
        &self,
        bench: &mut StepBench,
        pairs: usize,
        steps: usize,
    ) -> Result<LoaderReport> {
        if pairs == 0 || steps == 0 {
            return Err(Exit::Usage.error(format!(
                "{pairs} pairs of {steps} steps leave nothing to measure; each is at least 1"
            )));
        }
        let mut ratios = Vec::new();
        for _ in 0..pairs {
            let mut without = 0.0;
            for _ in 0..steps {
                without += bench.seconds()?;
            }
            let mut loader = match bench.keeps_images() {
                true => self.drawing()?,
                false => self.loader(1)?,
            };
            // From the second mini-batch on as many are made as are used.
            let batch = loader.next()?;
            loader.recycle(batch);
            let start = Instant::now();
            for _ in 0..steps {
                let batch = loader.next()?;
                bench.step(&batch)?;
                loader.recycle(batch);
            }
            ratios.push(start.elapsed().as_secs_f64() / without);
        }
        Ok(LoaderReport {
            step_ratio: Some(median(&ratios)),
            ..self.alone()?
        })
    }
}
