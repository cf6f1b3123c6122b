//! Mini-batches on their way to the device: passed as pixels, as decisions about images that the device keeps, or as crops from
//! which it subtracts a mean image that it keeps.

use std::sync::Arc;

use crate::data::{Batch, ImageSize, MeanImage, Originals};

use super::activation::Activation;
use super::cpu::Feature;
use super::residency::{Numbers, Residency};
use super::session::Session;

/// A mini-batch on the device.
pub struct MiniBatch<D: Residency> {
    pub images: Activation<D>,
    pub labels: D::Labels,
}

/// Image sets kept at a time: one to train on and one to test with.
const SETS: usize = 2;

/// What a device keeps in its memory for mini-batches.
pub struct ImageCache<D: Residency> {
    /// Image sets, the most recently added last.
    sets: Vec<(Arc<Originals>, D::Images)>,
    /// The latest mean image, and the size of the crops that it is for.
    mean: Option<(Arc<MeanImage>, ImageSize, D::Mean)>,
}

impl<D: Residency> Default for ImageCache<D> {
    fn default() -> Self {
        Self {
            sets: Vec::new(),
            mean: None,
        }
    }
}

impl<D: Residency> ImageCache<D> {
    /// Writes the images of a mini-batch, whose shape was checked, and returns its classes. If the device keeps the image
    /// set, only the decisions are transferred; of crops, their bytes.
    pub fn place(
        &mut self,
        session: &Arc<Session<D>>,
        batch: &Batch,
        shape: Feature,
        into: &mut Numbers<D>,
    ) -> Result<D::Labels, D::Err> {
        let workers = &session.workers;
        match (&batch.drawn, &batch.crops) {
            (None, None) => {
                D::put_images(workers, &batch.pixels, shape, into)?;
                D::put_labels(workers, &batch.labels)
            }
            (None, Some(crops)) => {
                let mean = self.mean(workers, &crops.mean, batch.size)?;
                D::put_crops(workers, mean, crops, shape, into)?;
                D::put_labels(workers, &batch.labels)
            }
            (Some(drawn), _) => {
                let images = self.images(workers, &drawn.from)?;
                D::draw_images(workers, images, drawn, shape, into)
            }
        }
    }

    /// The device's copy of a set, made if there is none.
    fn images(&mut self, workers: &D::Workers, set: &Arc<Originals>) -> Result<&D::Images, D::Err> {
        let sets = &mut self.sets;
        let place = match sets.iter().position(|(kept, _)| Arc::ptr_eq(kept, set)) {
            Some(place) => place,
            None => {
                if sets.len() == SETS {
                    sets.remove(0);
                }
                sets.push((Arc::clone(set), D::keep_images(workers, set)?));
                sets.len() - 1
            }
        };
        Ok(&sets[place].1)
    }

    /// The device's copy of a mean image for crops of this size, made if there is none.
    fn mean(
        &mut self,
        workers: &D::Workers,
        mean: &Arc<MeanImage>,
        size: ImageSize,
    ) -> Result<&D::Mean, D::Err> {
        let kept = match self.mean.take() {
            Some(kept) if Arc::ptr_eq(&kept.0, mean) && kept.1 == size => kept,
            _ => (Arc::clone(mean), size, D::keep_mean(workers, mean, size)?),
        };
        Ok(&self.mean.insert(kept).2)
    }
}
