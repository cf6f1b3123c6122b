//! A mini-batch: normalised pixels, or what a device makes them from: decisions about images that it holds, or crops as bytes.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;

use super::crops::Crops;
use super::image_size::ImageSize;
use super::images::ImageSet;
use super::normalise::Normaliser;
use crate::exit::Exit;
use crate::recipe::PaddingValue;

/// The augmentation of one image in a mini-batch. With a padding of 4, `(4, 4, false)` leaves the image unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Index of the image.
    pub index: u32,
    /// Offset of the crop in the padded image, 0..=2*pad.
    pub top: u8,
    pub left: u8,
    pub flip: bool,
}

/// A mini-batch: normalised pixels, or decisions or crops that a device turns into pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// `[images][height][width][3]`; empty if `drawn` or `crops` is set.
    pub pixels: Vec<f32>,
    pub labels: Vec<u16>,
    /// Of every image.
    pub size: ImageSize,
    pub drawn: Option<Drawn>,
    /// Never together with `drawn`.
    pub crops: Option<Crops>,
}

/// Unmodified images and their normaliser, to which decisions are applied on whichever device.
pub struct Originals {
    images: Arc<ImageSet>,
    normaliser: Normaliser,
}

/// A mini-batch that is still to be cropped, flipped and normalised.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub from: Arc<Originals>,
    /// Pixels added on each side, see [`Augmentation::pad`](crate::recipe::Augmentation::pad).
    pub pad: usize,
    pub padding_value: PaddingValue,
    /// One per image; indices are into `from`.
    pub decisions: Vec<Decision>,
}

impl Batch {
    /// The images of a range as a mini-batch of their own.
    ///
    /// # Panics
    /// If there are fewer images.
    pub fn part(&self, images: Range<usize>) -> Self {
        let floats = 3 * self.size.pixels();
        let pixels = match (&self.drawn, &self.crops) {
            (None, None) => self.pixels[images.start * floats..images.end * floats].to_vec(),
            _ => Vec::new(),
        };
        let drawn = self.drawn.as_ref().map(|drawn| Drawn {
            from: Arc::clone(&drawn.from),
            pad: drawn.pad,
            padding_value: drawn.padding_value,
            decisions: drawn.decisions[images.clone()].to_vec(),
        });
        let crops = self.crops.as_ref();
        let crops = crops.map(|crops| crops.part(images.clone()));
        Self {
            pixels,
            labels: self.labels[images].to_vec(),
            size: self.size,
            drawn,
            crops,
        }
    }
}

impl Originals {
    /// # Errors
    /// [`Exit::Internal`] if the normaliser is for another image size.
    pub fn new(images: Arc<ImageSet>, normaliser: Normaliser) -> Result<Self> {
        if normaliser.size() != images.size {
            return Err(Exit::Internal.error(format!(
                "a normaliser for images of {0}x{0} was given images of {1}x{1}",
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
}

impl fmt::Debug for Originals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, size) = (self.images.len(), self.images.size);
        write!(f, "{count} images of {size}x{size}")
    }
}

/// Compares the originals by identity, not by content.
impl PartialEq for Drawn {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.from, &other.from)
            && (self.pad, self.padding_value) == (other.pad, other.padding_value)
            && self.decisions == other.decisions
    }
}
