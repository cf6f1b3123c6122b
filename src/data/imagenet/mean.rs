//! Sums of pixels, of which the mean image is made.

use crate::data::mean_image::MeanImage;

/// Sums of pixels over images. Integers, so that the mean does not depend on the order of the images or on who added them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PixelSums {
    pub images: u64,
    /// One a byte of an image; empty before the first.
    pub sums: Vec<u64>,
}

impl PixelSums {
    /// Adds an image, `[size][size][3]`.
    ///
    /// # Panics
    /// If it differs in size from those before it.
    pub fn add(&mut self, image: &[u8]) {
        self.reserve(image.len());
        self.images += 1;
        for (sum, &level) in self.sums.iter_mut().zip(image) {
            *sum += u64::from(level);
        }
    }

    /// Adds the images of other sums.
    ///
    /// # Panics
    /// If they differ in size.
    pub fn merge(&mut self, other: &Self) {
        if other.images == 0 {
            return;
        }
        self.reserve(other.sums.len());
        self.images += other.images;
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            *sum += other;
        }
    }

    fn reserve(&mut self, length: usize) {
        if self.images == 0 {
            self.sums = vec![0; length];
        }
        assert_eq!(self.sums.len(), length, "images of different sizes");
    }

    /// The mean image.
    pub fn mean(&self, divisor: [f32; 3]) -> MeanImage {
        let images = self.images.max(1) as f64;
        MeanImage {
            size: side(self.sums.len()),
            mean: self
                .sums
                .iter()
                .map(|&sum| (sum as f64 / images) as f32)
                .collect(),
            divisor,
        }
    }
}

/// The width and height of a square image of `length` bytes.
fn side(length: usize) -> usize {
    (length / 3).isqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGES: [[u8; 12]; 3] = [
        [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110],
        [255; 12],
        [3, 5, 7, 9, 0, 0, 0, 0, 0, 0, 0, 4],
    ];

    #[test]
    fn the_mean_does_not_depend_on_who_added_what() {
        let mut together = PixelSums::default();
        for image in &IMAGES {
            together.add(image);
        }
        let (mut one, mut other) = (PixelSums::default(), PixelSums::default());
        other.add(&IMAGES[2]);
        other.add(&IMAGES[0]);
        one.merge(&PixelSums::default());
        one.merge(&other);
        one.add(&IMAGES[1]);
        assert_eq!(one, together);
        let mean = one.mean([2.0; 3]);
        assert_eq!((mean.size, mean.mean[0], mean.mean[11]), (2, 86.0, 123.0));
    }
}
