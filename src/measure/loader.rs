//! Measures what loading adds to a training step when mini-batches are prepared on another thread.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use super::median;
use super::step::StepBench;
use crate::counted::counted;
use crate::data::{self, ImageSet, Loader, Normaliser, Originals, SYNTHETIC_SEED};
use crate::exit::Exit;
use crate::recipe::Recipe;

/// Mini-batches for timing the loader alone.
const BATCHES: usize = 20;

/// The cost of loading, on the synthetic set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoaderReport {
    /// Milliseconds to prepare one mini-batch.
    pub batch_ms: f64,
    /// The time of steps fed by a loader on another thread divided by that of steps on a fixed batch: the median over
    /// pairs. `None` if only the loader was measured.
    pub step_ratio: Option<f64>,
}

/// The loader of a recipe, as `reproduce` uses it.
pub struct LoaderBench {
    images: Arc<ImageSet>,
    normaliser: Normaliser,
    recipe: Recipe,
}

impl LoaderBench {
    /// `None` if the synthetic set cannot be downscaled to `image_size`.
    ///
    /// # Errors
    /// Those of [`Dataset::for_recipe`](data::Dataset::for_recipe).
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

    /// The same mini-batches as decisions only, for a device that holds the images.
    fn drawing(&self) -> Result<Loader> {
        let originals = Originals::new(Arc::clone(&self.images), self.normaliser.clone())?;
        Loader::drawing(Arc::new(originals), &self.recipe, 0, 0)
    }

    /// Times the loader alone, on the calling thread.
    ///
    /// # Errors
    /// Those of the loader.
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

    /// Times `steps` steps without and with a loader, `pairs` times.
    ///
    /// # Errors
    /// [`Exit::Usage`] for 0 pairs or steps; those of the loader and the engine.
    pub fn beside(
        &self,
        bench: &mut StepBench,
        pairs: usize,
        steps: usize,
    ) -> Result<LoaderReport> {
        if pairs == 0 || steps == 0 {
            return Err(Exit::Usage.error(format!(
                "{} of {} leave nothing to measure; each must be at least 1",
                counted(pairs, "pair"),
                counted(steps, "step")
            )));
        }
        let mut ratios = Vec::new();
        for _ in 0..pairs {
            let mut without = 0.0;
            for _ in 0..steps {
                without += bench.seconds()?;
            }
            let mut loader = match bench.normalises() {
                true => self.drawing()?,
                false => self.loader(1)?,
            };
            // From the second mini-batch on, preparing and using them balance.
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
