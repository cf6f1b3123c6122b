//! Augmentation in two steps: draw decisions from a random stream, then apply them to pixels.

use super::image_size::ImageSize;
use super::images::ImageSet;
use super::minibatch::{Batch, Decision};
use super::normalise::Normaliser;
use crate::random::{Purpose, Stream};
use crate::recipe::{Augmentation, PaddingValue};

/// Draws the crop and flip of image `index` at `position` of pass `pass` (section 4.2). The result depends only on the
/// arguments.
pub fn decide(
    augmentation: &Augmentation,
    seed: u64,
    pass: u64,
    position: u64,
    index: u32,
) -> Decision {
    drawn_from(
        &mut Stream::new(seed, Purpose::Augment, pass, position),
        augmentation,
        index,
    )
}

/// As [`decide`], for an image behind the population statistics: the same at every evaluation of a run.
pub(super) fn decide_for_statistics(
    augmentation: &Augmentation,
    seed: u64,
    index: u32,
) -> Decision {
    drawn_from(
        &mut Stream::new(seed, Purpose::StatisticsAugment, 0, index.into()),
        augmentation,
        index,
    )
}

fn drawn_from(stream: &mut Stream, augmentation: &Augmentation, index: u32) -> Decision {
    let offsets = 2 * augmentation.pad as u64 + 1;
    Decision {
        index,
        top: stream.below(offsets) as u8,
        left: stream.below(offsets) as u8,
        flip: augmentation.flip && stream.below(2) == 1,
    }
}

/// The images at `indices`, normalised but not augmented.
///
/// # Panics
/// If the normaliser is for another image size, or an index is out of range.
pub fn batch(images: &ImageSet, normaliser: &Normaliser, indices: &[u32]) -> Batch {
    let (plain, decisions) = unaugmented(indices);
    let mut batch = Batch::default();
    apply(images, normaliser, &plain, &decisions, &mut batch);
    batch
}

/// Decisions that leave the images at `indices` neither padded nor flipped.
pub(super) fn unaugmented(indices: &[u32]) -> (Augmentation, Vec<Decision>) {
    let decisions = indices.iter().map(|&index| Decision {
        index,
        top: 0,
        left: 0,
        flip: false,
    });
    let plain = Augmentation {
        pad: 0,
        flip: false,
        ..Augmentation::default()
    };
    (plain, decisions.collect())
}

/// Fills `batch` with the augmented images, reusing its memory.
///
/// With [`PaddingValue::Zero`] an image is normalised, padded with zeros, cropped and flipped; with
/// [`PaddingValue::Black`] it is padded with black, cropped, flipped and then normalised, so that the mean image aligns
/// with the crop.
///
/// # Panics
/// If the normaliser is for another image size, or an index is out of range.
pub fn apply(
    images: &ImageSet,
    normaliser: &Normaliser,
    augmentation: &Augmentation,
    decisions: &[Decision],
    batch: &mut Batch,
) {
    let size = images.size;
    assert_eq!(
        size,
        normaliser.size(),
        "normaliser and images differ in size"
    );
    batch.size = ImageSize::square(size);
    (batch.drawn, batch.crops) = (None, None);
    labels(images, decisions, &mut batch.labels);
    batch.pixels.resize(decisions.len() * size * size * 3, 0.0);
    let inverse = normaliser.inverse();
    let (mean, _) = normaliser.mean().as_chunks::<3>();
    let (pixels, _) = batch.pixels.as_chunks_mut::<3>();
    for (output, decision) in pixels.chunks_exact_mut(size * size).zip(decisions) {
        let image = images.image(decision.index as usize);
        for (y, row) in output.chunks_exact_mut(size).enumerate() {
            // The image's row, or `None` if this row of the crop is padding.
            let source = (y + usize::from(decision.top))
                .checked_sub(augmentation.pad)
                .filter(|&row| row < size);
            let crop = Crop {
                size,
                pad: augmentation.pad,
                left: usize::from(decision.left),
                flip: decision.flip,
            };
            let planes = source.map(|source| {
                [0, 1, 2].map(|channel| &image[channel * size * size + source * size..][..size])
            });
            match augmentation.padding_value {
                PaddingValue::Zero => {
                    let mean = source.map_or(&mean[..0], |source| &mean[source * size..][..size]);
                    zero_padded(row, planes, mean, inverse, &crop);
                }
                PaddingValue::Black => {
                    black_padded(row, planes, &mean[y * size..][..size], inverse, &crop)
                }
            }
        }
    }
}

/// Fills `labels` with the labels of the images in `decisions`.
pub(super) fn labels(images: &ImageSet, decisions: &[Decision], labels: &mut Vec<u16>) {
    labels.clear();
    labels.extend(
        decisions
            .iter()
            .map(|decision| images.labels[decision.index as usize]),
    );
}

/// The columns of a crop.
struct Crop {
    size: usize,
    pad: usize,
    left: usize,
    flip: bool,
}

impl Crop {
    /// The columns `from..to` of the crop that are not padding, and the image column at `from`.
    fn inside(&self) -> (usize, usize, usize) {
        let from = self.pad.saturating_sub(self.left).min(self.size);
        let to = (self.size + self.pad)
            .saturating_sub(self.left)
            .min(self.size)
            .max(from);
        // A crop may lie entirely in the padding.
        let start = (from + self.left).saturating_sub(self.pad).min(self.size);
        (from, to, start)
    }
}

/// Writes one row: normalised pixels, and zeros in the padding. `mean` is the mean image's row at the image row.
fn zero_padded(
    row: &mut [[f32; 3]],
    planes: Option<[&[u8]; 3]>,
    mean: &[[f32; 3]],
    inverse: [f32; 3],
    crop: &Crop,
) {
    let Some(planes) = planes else {
        row.fill([0.0; 3]);
        return;
    };
    let (from, to, start) = crop.inside();
    let count = to - from;
    let planes = planes.map(|plane| &plane[start..][..count]);
    let mean = &mean[start..][..count];
    // The first column after flipping.
    let from = if crop.flip { crop.size - to } else { from };
    row[..from].fill([0.0; 3]);
    row[from + count..].fill([0.0; 3]);
    let row = &mut row[from..][..count];
    if crop.flip {
        write(row.iter_mut().rev(), planes, mean.iter(), inverse);
    } else {
        write(row.iter_mut(), planes, mean.iter(), inverse);
    }
}

/// Writes one row with black padding, all of it normalised. `mean` is the mean image's row at the crop row.
fn black_padded(
    row: &mut [[f32; 3]],
    planes: Option<[&[u8]; 3]>,
    mean: &[[f32; 3]],
    inverse: [f32; 3],
    crop: &Crop,
) {
    for (pixel, mean) in row.iter_mut().zip(mean) {
        *pixel = [0, 1, 2].map(|channel| (0.0 - mean[channel]) * inverse[channel]);
    }
    let Some(planes) = planes else { return };
    let (from, to, start) = crop.inside();
    let count = to - from;
    let planes = planes.map(|plane| &plane[start..][..count]);
    let from = if crop.flip { crop.size - to } else { from };
    let (row, mean) = (&mut row[from..][..count], &mean[from..][..count]);
    if crop.flip {
        write(row.iter_mut().rev(), planes, mean.iter().rev(), inverse);
    } else {
        write(row.iter_mut(), planes, mean.iter(), inverse);
    }
}

/// Interleaves three planes into normalised pixels.
#[inline(always)]
fn write<'a>(
    pixels: impl Iterator<Item = &'a mut [f32; 3]>,
    planes: [&[u8]; 3],
    mean: impl Iterator<Item = &'a [f32; 3]>,
    inverse: [f32; 3],
) {
    let [red, green, blue] = planes;
    for ((((pixel, mean), &red), &green), &blue) in pixels.zip(mean).zip(red).zip(green).zip(blue) {
        *pixel = [
            (f32::from(red) - mean[0]) * inverse[0],
            (f32::from(green) - mean[1]) * inverse[1],
            (f32::from(blue) - mean[2]) * inverse[2],
        ];
    }
}
