//! Pixels to network inputs: a mean is subtracted, and the scale is set.

use anyhow::Result;

use super::ImageSet;
use crate::exit::Exit;
use crate::manifest::Normalisation;

/// What pixels less their mean are divided by with [`Normalisation::PerPixelMean`]. The deviation of CIFAR-10's pixels
/// from the mean image is 63.5 (61.3 averaged to 16x16), so that inputs have about unit variance, which He
/// initialisation assumes. The paper names no scale.
pub const PIXEL_SCALE: f32 = 64.0;

/// `(pixel - mean) / deviation`, with a mean for each pixel and a deviation for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Normaliser {
    size: usize,
    /// `[size][size][3]`, on the scale 0..255.
    mean: Vec<f32>,
    /// What each channel is divided by, on the scale 0..255.
    deviation: [f32; 3],
}

impl Normaliser {
    /// Fitted to (training) images. Sums are exact, so that the result does not depend on their order.
    pub fn fit(images: &ImageSet, normalisation: Normalisation) -> Self {
        let plane = images.size * images.size;
        let count = images.len().max(1) as f64;
        match normalisation {
            Normalisation::PerPixelMean => {
                let mut sums = vec![0u32; 3 * plane];
                let mut totals = vec![0u64; 3 * plane];
                // 32-bit sums are twice as fast and cannot overflow within 16 million images.
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
                    // A channel without any spread is only shifted.
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

    /// From known values on the scale 0..255: `mean` is `[size][size][3]`.
    ///
    /// # Errors
    /// When there is another number of means, or a deviation is not above 0.
    pub fn new(size: usize, mean: Vec<f32>, deviation: [f32; 3]) -> Result<Self> {
        if mean.len() != size * size * 3 {
            return Err(Exit::Data.error(format!(
                "a normalisation has {} means, images of {size} pixels need {}",
                mean.len(),
                size * size * 3
            )));
        }
        if !deviation
            .iter()
            .all(|value| value.is_finite() && *value > 0.0)
        {
            return Err(Exit::Data.error(format!(
                "a normalisation divides by {deviation:?}: each has to be above 0"
            )));
        }
        Ok(Self {
            size,
            mean,
            deviation,
        })
    }

    /// From a mean and a deviation of each channel on the scale 0..255.
    ///
    /// # Errors
    /// When a deviation is not above 0.
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

    /// What each channel is multiplied by: the rounded inverse of its deviation. Every device multiplies by this one.
    pub fn inverse(&self) -> [f32; 3] {
        self.deviation.map(|deviation| 1.0 / deviation)
    }

    /// What each channel is divided by, on the scale 0..255.
    pub fn deviation(&self) -> [f32; 3] {
        self.deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> ImageSet {
        // Two images of 2x2; the value tells image, channel and pixel.
        let pixels = (0..24).map(|at| (at * 7 % 50) as u8).collect();
        ImageSet {
            size: 2,
            pixels,
            labels: vec![0, 1],
            digest: String::new(),
        }
    }

    #[test]
    fn the_mean_image_is_that_of_each_pixel_and_channel() {
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
    fn channels_have_their_mean_and_deviation() {
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
    fn values_that_do_not_fit_are_refused() {
        assert!(Normaliser::new(4, vec![0.0; 5], [1.0; 3]).is_err());
        assert!(Normaliser::from_channels(4, [0.0; 3], [1.0, 0.0, 1.0]).is_err());
        assert!(Normaliser::from_channels(4, [0.0; 3], [1.0, f32::NAN, 1.0]).is_err());
    }
}
