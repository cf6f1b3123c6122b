//! Turns pixels into network inputs: subtracts a mean and sets the scale.

use anyhow::Result;

use super::images::ImageSet;
use crate::exit::Exit;
use crate::recipe::Normalisation;

/// The divisor of mean-subtracted pixels with [`Normalisation::PerPixelMean`]. The standard deviation of CIFAR-10's
/// pixels around the mean image is 63.5 (61.3 at 16x16), so inputs have about unit variance, as He initialisation
/// assumes. The paper does not give a scale.
pub const PIXEL_SCALE: f32 = 64.0;

/// `(pixel - mean) / deviation`, with a mean per pixel and channel and a deviation per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Normaliser {
    size: usize,
    /// `[size][size][3]`, on the scale 0..255.
    mean: Vec<f32>,
    /// The divisor of each channel, on the scale 0..255.
    deviation: [f32; 3],
}

impl Normaliser {
    /// Fits to (training) images. Sums are exact, so the result does not depend on the order of the images.
    pub fn fit(images: &ImageSet, normalisation: Normalisation) -> Self {
        let plane = images.size * images.size;
        let count = images.len().max(1) as f64;
        match normalisation {
            Normalisation::PerPixelMean => {
                let mut sums = vec![0u32; 3 * plane];
                let mut totals = vec![0u64; 3 * plane];
                // 32-bit sums are twice as fast and do not overflow below 16 million images.
                for group in images.pixels.chunks(3 * plane * (1 << 16)) {
                    sums.fill(0);
                    for image in group.chunks_exact(3 * plane) {
                        for (sum, &value) in sums.iter_mut().zip(image) {
                            *sum += u32::from(value);
                        }
                    }
                    for (total, &sum) in totals.iter_mut().zip(&sums) {
                        *total += u64::from(sum);
                    }
                }
                let mean = (0..3 * plane)
                    .map(|at| (totals[at % 3 * plane + at / 3] as f64 / count) as f32)
                    .collect();
                Self {
                    size: images.size,
                    mean,
                    deviation: [PIXEL_SCALE; 3],
                }
            }
            Normalisation::ChannelMeanStd => {
                let mut sums = [0u64; 3];
                let mut squares = [0u64; 3];
                for (at, values) in images.pixels.chunks_exact(plane.max(1)).enumerate() {
                    for &value in values {
                        sums[at % 3] += u64::from(value);
                        squares[at % 3] += u64::from(value) * u64::from(value);
                    }
                }
                let count = count * plane as f64;
                let mean = sums.map(|sum| sum as f64 / count);
                let deviation = std::array::from_fn(|channel| {
                    let variance = squares[channel] as f64 / count - mean[channel] * mean[channel];
                    // A constant channel is only shifted.
                    if variance > 0.0 {
                        variance.sqrt() as f32
                    } else {
                        1.0
                    }
                });
                Self {
                    size: images.size,
                    mean: mean.map(|mean| mean as f32).repeat(plane),
                    deviation,
                }
            }
        }
    }

    /// From known values on the scale 0..255; `mean` is `[size][size][3]`.
    ///
    /// # Errors
    /// [`Exit::Data`] if the number of means is wrong, or a deviation is not above 0.
    pub fn new(size: usize, mean: Vec<f32>, deviation: [f32; 3]) -> Result<Self> {
        if mean.len() != size * size * 3 {
            return Err(Exit::Data.error(format!(
                "a normalisation has {} means, but images of {size}x{size} need {}",
                mean.len(),
                size * size * 3
            )));
        }
        if !deviation
            .iter()
            .all(|value| value.is_finite() && *value > 0.0)
        {
            return Err(Exit::Data.error(format!(
                "a normalisation divides by {deviation:?}: each must be above 0"
            )));
        }
        Ok(Self {
            size,
            mean,
            deviation,
        })
    }

    /// From a mean and a deviation per channel, on the scale 0..255.
    ///
    /// # Errors
    /// [`Exit::Data`] if a deviation is not above 0.
    pub fn from_channels(size: usize, mean: [f32; 3], deviation: [f32; 3]) -> Result<Self> {
        Self::new(size, mean.repeat(size * size), deviation)
    }

    /// Side of the images in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// `[size][size][3]`, on the scale 0..255.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// The multiplier of each channel: the rounded inverse of its deviation, the same on every device.
    pub fn inverse(&self) -> [f32; 3] {
        self.deviation.map(|deviation| 1.0 / deviation)
    }

    /// The divisor of each channel, on the scale 0..255.
    pub fn deviation(&self) -> [f32; 3] {
        self.deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> ImageSet {
        // Two 2x2 images; each value identifies image, channel and pixel.
        let pixels = (0..24).map(|at| (at * 7 % 50) as u8).collect();
        ImageSet {
            size: 2,
            pixels,
            labels: vec![0, 1],
            digest: String::new(),
        }
    }

    #[test]
    fn the_mean_image_is_per_pixel_and_channel() {
        let images = set();
        let fitted = Normaliser::fit(&images, Normalisation::PerPixelMean);
        for pixel in 0..4 {
            for channel in 0..3 {
                let at = channel * 4 + pixel;
                let mean = (f32::from(images.pixels[at]) + f32::from(images.pixels[12 + at])) / 2.0;
                assert_eq!(fitted.mean()[pixel * 3 + channel], mean);
            }
        }
        assert_eq!(fitted.deviation(), [PIXEL_SCALE; 3]);
    }

    #[test]
    fn channel_means_and_deviations_are_those_of_the_images() {
        let images = set();
        let fitted = Normaliser::fit(&images, Normalisation::ChannelMeanStd);
        for channel in 0..3 {
            let values: Vec<f64> = [0, 12]
                .iter()
                .flat_map(|start| &images.pixels[start + channel * 4..][..4])
                .map(|&value| f64::from(value))
                .collect();
            let mean = values.iter().sum::<f64>() / 8.0;
            let variance = values
                .iter()
                .map(|value| (value - mean).powi(2))
                .sum::<f64>()
                / 8.0;
            for pixel in 0..4 {
                assert!((f64::from(fitted.mean()[pixel * 3 + channel]) - mean).abs() < 1e-5);
            }
            assert!((f64::from(fitted.deviation()[channel]) - variance.sqrt()).abs() < 1e-5);
        }
    }

    #[test]
    fn invalid_values_are_rejected() {
        assert!(Normaliser::new(4, vec![0.0; 5], [1.0; 3]).is_err());
        assert!(Normaliser::from_channels(4, [0.0; 3], [1.0, 0.0, 1.0]).is_err());
        assert!(Normaliser::from_channels(4, [0.0; 3], [1.0, f32::NAN, 1.0]).is_err());
    }
}
