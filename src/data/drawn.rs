//! Mini-batches as decisions only, for devices that hold the images; and the same pixels made on the CPU.

use std::sync::Arc;

use super::augment;
use super::image_size::ImageSize;
use super::minibatch::{Batch, Decision, Drawn, Originals};
use crate::recipe::Augmentation;

impl Originals {
    /// The unaugmented images at `indices`, as in [`batch`](super::batch), with the pixels left to the device.
    ///
    /// # Panics
    /// If an index is out of range.
    pub fn batch(self: &Arc<Self>, indices: &[u32]) -> Batch {
        let (plain, decisions) = augment::unaugmented(indices);
        let mut batch = Batch::default();
        self.fill(&plain, &decisions, &mut batch);
        batch
    }

    /// Fills `batch` with decisions instead of pixels, reusing its memory.
    ///
    /// # Panics
    /// If an index is out of range.
    pub(super) fn fill(
        self: &Arc<Self>,
        augmentation: &Augmentation,
        decisions: &[Decision],
        batch: &mut Batch,
    ) {
        batch.size = ImageSize::square(self.images().size);
        batch.pixels.clear();
        batch.crops = None;
        augment::labels(self.images(), decisions, &mut batch.labels);
        let mut reused = batch
            .drawn
            .take()
            .map_or_else(Vec::new, |drawn| drawn.decisions);
        reused.clear();
        reused.extend_from_slice(decisions);
        batch.drawn = Some(Drawn {
            from: Arc::clone(self),
            pad: augmentation.pad,
            padding_value: augmentation.padding_value,
            decisions: reused,
        });
    }
}

impl Drawn {
    /// The pixels, made on the CPU: `[images][size][size][3]`.
    pub fn pixels(&self) -> Vec<f32> {
        let augmentation = Augmentation {
            pad: self.pad,
            padding_value: self.padding_value,
            ..Augmentation::default()
        };
        let mut batch = Batch::default();
        augment::apply(
            self.from.images(),
            self.from.normaliser(),
            &augmentation,
            &self.decisions,
            &mut batch,
        );
        batch.pixels
    }
}
