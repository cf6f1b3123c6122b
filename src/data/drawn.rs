//! Mini-batches as decisions alone, for devices that hold the images themselves.

use std::fmt;
use std::sync::Arc;

use anyhow::Result;

use super::{Batch, Decision, ImageSet, Normaliser, augment};
use crate::exit::Exit;
use crate::manifest::{Augmentation, PaddingValue};

/// Images as they came, and what normalises them: what decisions are applied to, on whichever device.
pub struct Originals {
    images: Arc<ImageSet>,
    normaliser: Normaliser,
}

/// A mini-batch that is still to be cropped, mirrored and normalised.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub from: Arc<Originals>,
    /// Pixels around each image, see [`Augmentation::pad`].
    pub pad: usize,
    pub padding_value: PaddingValue,
    /// One an image, each of an image of `from`.
    pub decisions: Vec<Decision>,
}

impl Originals {
    /// # Errors
    /// When the normalisation is for images of another size.
    pub fn new(images: Arc<ImageSet>, normaliser: Normaliser) -> Result<Self> {
        if normaliser.size() != images.size {
            return Err(Exit::Internal.error(format!(
                "a normalisation for {} pixels was given for images of {}",
                normaliser.size(),
                images.size
            )));
        }
        Ok(Self { images, normaliser })
    }

    pub fn images(&self) -> &ImageSet {
        &self.images
    }

    pub fn normaliser(&self) -> &Normaliser {
        &self.normaliser
    }

    /// The images at `indices` as [`batch`](super::batch) gives them, left to the device.
    ///
    /// # Panics
    /// If an index is not in the set.
    pub fn batch(self: &Arc<Self>, indices: &[u32]) -> Batch {
        let (plain, decisions) = augment::untouched(indices);
        let mut batch = Batch::default();
        self.fill(&plain, &decisions, &mut batch);
        batch
    }

    /// Fills `batch` with decisions in the place of pixels, keeping its memory.
    ///
    /// # Panics
    /// If an index is not in the set.
    pub(super) fn fill(
        self: &Arc<Self>,
        augmentation: &Augmentation,
        decisions: &[Decision],
        batch: &mut Batch,
    ) {
        batch.size = self.images.size;
        batch.pixels.clear();
        augment::labels(&self.images, decisions, &mut batch.labels);
        let mut kept = batch
            .drawn
            .take()
            .map_or_else(Vec::new, |drawn| drawn.decisions);
        kept.clear();
        kept.extend_from_slice(decisions);
        batch.drawn = Some(Drawn {
            from: Arc::clone(self),
            pad: augmentation.pad,
            padding_value: augmentation.padding_value,
            decisions: kept,
        });
    }
}

impl Drawn {
    /// The pixels, made here: `[images][size][size][3]`.
    pub fn pixels(&self) -> Vec<f32> {
        let augmentation = Augmentation {
            pad: self.pad,
            padding_value: self.padding_value,
            ..Augmentation::default()
        };
        let mut batch = Batch::default();
        let (images, normaliser) = (&self.from.images, &self.from.normaliser);
        augment::apply(
            images,
            normaliser,
            &augmentation,
            &self.decisions,
            &mut batch,
        );
        batch.pixels
    }
}

/// Of the same images, not of equal ones.
impl PartialEq for Drawn {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.from, &other.from)
            && (self.pad, self.padding_value) == (other.pad, other.padding_value)
            && self.decisions == other.decisions
    }
}

impl fmt::Debug for Originals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, size) = (self.images.len(), self.images.size);
        write!(f, "{count} images of {size}x{size}")
    }
}
