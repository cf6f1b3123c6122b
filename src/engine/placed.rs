//! Mini-batches on their way to a device: given as pixels, or as decisions over images that the device keeps.

use std::sync::Arc;

use crate::data::{Batch, Originals};

use super::cpu::Feature;
use super::operators::{Numbers, Operators};
use super::storage::Session;

/// Sets of images kept at a time: one to train on and one to test with.
const SETS: usize = 2;

/// The sets of images that lie in a device's memory, the one that came last at the end.
pub struct Kept<D: Operators>(Vec<(Arc<Originals>, D::Images)>);

impl<D: Operators> Default for Kept<D> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<D: Operators> Kept<D> {
    /// Places a mini-batch whose shape was checked, and its classes. Of a set that is kept only the decisions go to the device.
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
                let images = self.of(workers, &drawn.from)?;
                D::draw_images(workers, images, drawn, shape, into)
            }
        }
    }

    /// The device's copy of a set, made where there is none.
    fn of(&mut self, workers: &D::Workers, set: &Arc<Originals>) -> Result<&D::Images, D::Err> {
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
