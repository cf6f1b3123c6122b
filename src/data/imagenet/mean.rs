//! The mean image, and a network's input: pixels less the mean image.

/// The mean of the training images' central crops, and what pixels less the mean are divided by.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanImage {
    /// Width and height.
    pub size: usize,
    /// `[size][size][3]`, from 0 to 255.
    pub mean: Vec<f32>,
    pub divisor: [f32; 3],
}

impl MeanImage {
    /// The mean of each channel over the whole image.
    pub fn channels(&self) -> [f32; 3] {
        let (pixels, _) = self.mean.as_chunks::<3>();
        let mut sums = [0.0; 3];
        for pixel in pixels {
            for (sum, &level) in sums.iter_mut().zip(pixel) {
                *sum += f64::from(level);
            }
        }
        sums.map(|sum| (sum / pixels.len().max(1) as f64) as f32)
    }
}

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

/// Writes `(byte + shift - mean) / divisor`, in this order and with the reciprocal of the divisor, for each byte of a square
/// image. An image of another size than the mean image can only use its mean over all places.
///
/// # Panics
/// If `bytes` and `into` differ in length.
pub fn inputs(bytes: &[u8], mean: &MeanImage, shift: [f32; 3], into: &mut [f32]) {
    assert_eq!(bytes.len(), into.len(), "bytes and inputs of an image");
    let inverse = mean.divisor.map(|divisor| 1.0 / divisor);
    let (bytes, _) = bytes.as_chunks::<3>();
    let (into, _) = into.as_chunks_mut::<3>();
    let input = |pixel: &[u8; 3], mean: &[f32; 3]| {
        [0, 1, 2].map(|channel| {
            (f32::from(pixel[channel]) + shift[channel] - mean[channel]) * inverse[channel]
        })
    };
    if bytes.len() == mean.size * mean.size {
        let (means, _) = mean.mean.as_chunks::<3>();
        for ((input_pixel, pixel), mean) in into.iter_mut().zip(bytes).zip(means) {
            *input_pixel = input(pixel, mean);
        }
    } else {
        let mean = mean.channels();
        for (input_pixel, pixel) in into.iter_mut().zip(bytes) {
            *input_pixel = input(pixel, &mean);
        }
    }
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

    #[test]
    fn inputs_are_pixels_less_the_mean_image() {
        let mean = MeanImage {
            size: 2,
            mean: (0..12).map(|place| place as f32).collect(),
            divisor: [2.0, 4.0, 8.0],
        };
        let mut into = [0.0; 12];
        inputs(&IMAGES[0], &mean, [0.5, 0.0, -1.0], &mut into);
        assert_eq!(into[..3], [0.25, 2.25, 2.125]);
        assert_eq!(into[9..], [40.75, 22.5, 12.25]);
        // The mean image's channels are 4.5, 5.5 and 6.5.
        let mut into = [0.0; 3];
        inputs(&[10, 20, 30], &mean, [0.0; 3], &mut into);
        assert_eq!(into, [2.75, 3.625, 2.9375]);
    }
}
