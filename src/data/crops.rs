//! A mini-batch of photographs as bytes, for a device that normalises; and the same pixels made on the CPU.

use std::ops::Range;
use std::sync::Arc;

use super::image_size::ImageSize;
use super::mean_image::{MeanImage, inputs};

/// Crops, scaled and mirrored, whose colours are still to be shifted and from which the mean image is still to be
/// subtracted: a quarter of the bytes of their pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Crops {
    /// `[images][height][width][3]`
    pub bytes: Vec<u8>,
    /// Grey levels that are added to red, green and blue of each image.
    pub shifts: Vec<[f32; 3]>,
    pub mean: Arc<MeanImage>,
}

impl Crops {
    /// The normalised pixels of crops of this size, made on the CPU: `[images][height][width][3]`.
    pub fn pixels(&self, size: ImageSize) -> Vec<f32> {
        let mut pixels = vec![0.0; self.bytes.len()];
        let each = (3 * size.pixels()).max(1);
        let crops = self.bytes.chunks_exact(each);
        for ((into, crop), &shift) in pixels.chunks_exact_mut(each).zip(crops).zip(&self.shifts) {
            inputs(crop, size, &self.mean, shift, into);
        }
        pixels
    }

    /// The crops of a range of images.
    ///
    /// # Panics
    /// If there are fewer images.
    pub(super) fn part(&self, images: Range<usize>) -> Self {
        let each = self.image_bytes();
        Self {
            bytes: self.bytes[images.start * each..images.end * each].to_vec(),
            shifts: self.shifts[images].to_vec(),
            mean: Arc::clone(&self.mean),
        }
    }

    /// Bytes of one image; 1 if there is none.
    fn image_bytes(&self) -> usize {
        (self.bytes.len() / self.shifts.len().max(1)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: ImageSize = ImageSize::square(2);

    /// Three crops of 2x2 pixels.
    fn crops(mean_size: usize) -> Crops {
        Crops {
            bytes: (0..36).map(|at| (at * 71 % 256) as u8).collect(),
            shifts: vec![[0.0; 3], [1.25, -7.5, 0.1], [-20.0, 3.3, 9.7]],
            mean: Arc::new(MeanImage {
                size: mean_size,
                mean: (0..3 * mean_size * mean_size)
                    .map(|at| 100.0 + 0.37 * at as f32)
                    .collect(),
                divisor: [64.0, 58.395, 57.12],
            }),
        }
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    /// The same arithmetic, number by number, as a device does it: with the mean image of the crops' size.
    #[test]
    fn every_pixel_is_shifted_then_centred_then_scaled() {
        for mean_size in [2, 3] {
            let crops = crops(mean_size);
            let (mean, inverse) = (crops.mean.at(SIZE), crops.mean.inverse());
            let expected: Vec<f32> = crops
                .bytes
                .iter()
                .enumerate()
                .map(|(at, &byte)| {
                    let shifted = f32::from(byte) + crops.shifts[at / 12][at % 3];
                    (shifted - mean[at % 12]) * inverse[at % 3]
                })
                .collect();
            assert_eq!(bits(&crops.pixels(SIZE)), bits(&expected), "{mean_size}");
        }
    }

    #[test]
    fn a_part_has_the_pixels_of_its_images() {
        let crops = crops(2);
        assert_eq!(crops.part(0..3), crops);
        let part = crops.part(1..3);
        assert_eq!(part.shifts, crops.shifts[1..]);
        assert_eq!(bits(&part.pixels(SIZE)), bits(&crops.pixels(SIZE)[12..]));
        assert!(crops.part(2..2).pixels(SIZE).is_empty());
    }
}
