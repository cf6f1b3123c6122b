//! The images that a run trains and evaluates on.

use crate::data::{Batch, ImageSet};

/// An endless source of mini-batches.
pub trait MiniBatches {
    /// The next mini-batch.
    ///
    /// # Errors
    /// If it cannot be prepared; the loop returns that error.
    fn next(&mut self) -> anyhow::Result<Batch>;
    /// Takes back a used mini-batch so that its memory can be reused.
    fn recycle(&mut self, _batch: Batch) {}
}

/// The images of one run.
pub struct TrainingData<'a> {
    /// Augmented mini-batches, starting with that of iteration `LoopState::iteration + 1`.
    pub batches: &'a mut dyn MiniBatches,
    pub train: &'a ImageSet,
    /// The test set, or the images held out in its place.
    pub test: &'a ImageSet,
    /// The required number of test images, if known.
    pub test_images: Option<usize>,
    /// Makes a batch of normalised, unaugmented images from their indices.
    pub batch: &'a dyn Fn(&ImageSet, &[u32]) -> Batch,
    /// Training images over which the population statistics are pooled, the same at every evaluation.
    pub statistics: Vec<u32>,
    /// Training images of the clean pass after the last iteration; empty for none.
    pub clean: Vec<u32>,
}
