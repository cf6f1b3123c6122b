//! The mean image, and a network's input: pixels less the mean image.

use std::borrow::Cow;

use multiversion::multiversion;

use super::image_size::ImageSize;

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

    /// What is subtracted from an image of this size, `[height][width][3]`. One of another size than the mean image can only
    /// use its mean over all places.
    pub fn at(&self, size: ImageSize) -> Cow<'_, [f32]> {
        match size == ImageSize::square(self.size) {
            true => Cow::Borrowed(self.mean.as_slice()),
            false => Cow::Owned(self.channels().repeat(size.pixels())),
        }
    }

    /// The multiplier of each channel: the rounded reciprocal of its divisor, the same on every device.
    pub fn inverse(&self) -> [f32; 3] {
        self.divisor.map(|divisor| 1.0 / divisor)
    }
}

/// Writes `(byte + shift - mean) / divisor`, in this order and with the reciprocal of the divisor, for each byte of an image of
/// this size. What it subtracts is [`MeanImage::at`].
///
/// # Panics
/// If `bytes` or `into` are not as many as the image has.
#[multiversion(targets = "simd")]
pub fn inputs(bytes: &[u8], size: ImageSize, mean: &MeanImage, shift: [f32; 3], into: &mut [f32]) {
    assert_eq!(bytes.len(), 3 * size.pixels(), "bytes of an image");
    assert_eq!(bytes.len(), into.len(), "bytes and inputs of an image");
    let inverse = mean.inverse();
    let (bytes, _) = bytes.as_chunks::<3>();
    let (into, _) = into.as_chunks_mut::<3>();
    let input = |pixel: &[u8; 3], mean: &[f32; 3]| {
        [0, 1, 2].map(|channel| {
            (f32::from(pixel[channel]) + shift[channel] - mean[channel]) * inverse[channel]
        })
    };
    if size == ImageSize::square(mean.size) {
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

    const IMAGE: [u8; 12] = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110];

    #[test]
    fn inputs_are_pixels_less_the_mean_image() {
        let mean = MeanImage {
            size: 2,
            mean: (0..12).map(|place| place as f32).collect(),
            divisor: [2.0, 4.0, 8.0],
        };
        let mut into = [0.0; 12];
        let square = ImageSize::square;
        inputs(&IMAGE, square(2), &mean, [0.5, 0.0, -1.0], &mut into);
        assert_eq!(into[..3], [0.25, 2.25, 2.125]);
        assert_eq!(into[9..], [40.75, 22.5, 12.25]);
        // The mean image's channels are 4.5, 5.5 and 6.5.
        let mut into = [0.0; 3];
        inputs(&[10, 20, 30], square(1), &mean, [0.0; 3], &mut into);
        assert_eq!(into, [2.75, 3.625, 2.9375]);
        assert_eq!(*mean.at(square(2)), mean.mean);
        assert_eq!(*mean.at(square(1)), [4.5, 5.5, 6.5]);
        // As many pixels as the mean image has, at other places.
        let wide = ImageSize {
            height: 1,
            width: 4,
        };
        let mut into = [0.0; 12];
        inputs(&IMAGE, wide, &mean, [0.0; 3], &mut into);
        assert_eq!(into[..3], [-2.25, 1.125, 1.6875]);
        assert_eq!(*mean.at(wide), [4.5f32, 5.5, 6.5].repeat(4));
    }
}
