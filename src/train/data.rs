//! The images that a run trains and evaluates on.

use crate::data::Batch;
use crate::origin::DataName;
use crate::record::Split;

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

/// Normalised, unaugmented images of a split by their indices. Made on a thread of their own, ahead of the engine.
pub type ImagesAt<'a> = dyn Fn(Split, &[u32]) -> anyhow::Result<Batch> + Sync + 'a;

/// Normalised training images behind the population statistics by their indices. Made like [`ImagesAt`].
pub type StatisticsAt<'a> = dyn Fn(&[u32]) -> anyhow::Result<Batch> + Sync + 'a;

/// The test images that a data set has, or those that are held out in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Required {
    pub of: DataName,
    pub images: usize,
}

/// The images of one run.
pub struct TrainingData<'a> {
    /// Augmented mini-batches, starting with that of iteration `LoopState::iteration + 1`.
    pub batches: &'a mut dyn MiniBatches,
    /// The number of training images.
    pub training_images: usize,
    /// The number of test images, or of those held out in their place.
    pub test_images: usize,
    /// The required test images, if known.
    pub required: Option<Required>,
    /// Makes a batch of normalised, unaugmented images from their indices.
    pub batch: &'a ImagesAt<'a>,
    /// Makes a batch of the images over which the population statistics are pooled.
    pub statistics_batch: &'a StatisticsAt<'a>,
    /// Training images over which the population statistics are pooled, the same at every evaluation.
    pub statistics: Vec<u32>,
    /// Training images of the clean pass after the last iteration; empty for none.
    pub clean: Vec<u32>,
}
