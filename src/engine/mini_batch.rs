//! Mini-batches on their way to the device: passed as pixels, or as decisions about images that the device keeps.

use std::sync::Arc;

use crate::data::{Batch, Originals};

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

/// The image sets in a device's memory, the most recently added last.
pub struct ImageCache<D: Residency>(Vec<(Arc<Originals>, D::Images)>);

impl<D: Residency> Default for ImageCache<D> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<D: Residency> ImageCache<D> {
    /// Writes the images of a mini-batch, whose shape was checked, and returns its classes. If the device keeps the image
    /// set, only the decisions are transferred.
    pub fn place(
        &mut self,
        session: &Arc<Session<D>>,
        batch: &Batch,
        shape: Feature,
        into: &mut Numbers<D>,
    ) -> Result<D::Labels, D::Err> {
        let workers = &session.workers;
        match &batch.drawn {
            None => {
                D::put_images(workers, &batch.pixels, shape, into)?;
                D::put_labels(workers, &batch.labels)
            }
            Some(drawn) => {
                let images = self.images(workers, &drawn.from)?;
                D::draw_images(workers, images, drawn, shape, into)
            }
        }
    }

    /// The device's copy of a set, made if there is none.
    fn images(&mut self, workers: &D::Workers, set: &Arc<Originals>) -> Result<&D::Images, D::Err> {
        let place = match self.0.iter().position(|(kept, _)| Arc::ptr_eq(kept, set)) {
            Some(place) => place,
            None => {
                if self.0.len() == SETS {
                    self.0.remove(0);
                }
                self.0
                    .push((Arc::clone(set), D::keep_images(workers, set)?));
                self.0.len() - 1
            }
        };
        Ok(&self.0[place].1)
    }
}
