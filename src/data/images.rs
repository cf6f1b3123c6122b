//! Image sets and data sets: splits, downscaling and random samples.

use std::sync::Arc;

use anyhow::Result;

use crate::digest::sha256;
use crate::exit::Exit;
use crate::origin::Origin;
use crate::random::{Purpose, Stream};
use crate::recipe::{Recipe, TrainingSplit};

/// Fixed, so that every run holds out the same images whatever its seed.
const SPLIT_SEED: u64 = 0;

/// The split `45k/5k` holds out one in so many training images.
pub const HELD_OUT: usize = 10;

/// Images and their classes, sorted by the sha256 of their records.
#[derive(Clone, Debug)]
pub struct ImageSet {
    /// Side in pixels. Images are square with three channels.
    pub size: usize,
    /// `[images][3][size][size]`, as in the files (red, green, blue planes).
    pub pixels: Vec<u8>,
    pub labels: Vec<u16>,
    /// sha256 (hex) over the sorted digests of the records, so independent of the order of the files.
    /// Subsets and downscaled sets keep the digest of the records they were made from.
    pub digest: String,
}

/// A training set and a test set.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub origin: Origin,
    pub classes: usize,
    pub train: Arc<ImageSet>,
    pub test: Arc<ImageSet>,
    /// Where the images were found; for the synthetic set, its name and seed.
    pub source: String,
}

impl ImageSet {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Image `index`, `[3][size][size]`.
    pub fn image(&self, index: usize) -> &[u8] {
        let values = 3 * self.size * self.size;
        &self.pixels[index * values..][..values]
    }

    /// Downscales to `size` x `size` pixels. Each pixel is the rounded mean of the square it covers.
    ///
    /// # Errors
    /// [`Exit::Usage`] if `size` is 0 or does not divide the current size.
    pub fn resized(&self, size: usize) -> Result<Self> {
        if size == 0 || !self.size.is_multiple_of(size) {
            return Err(Exit::Usage.error(format!(
                "cannot downscale images of {0}x{0} to {size}x{size}: image_size must divide {0}",
                self.size
            )));
        }
        let factor = self.size / size;
        let area = (factor * factor) as u32;
        let mut pixels = Vec::with_capacity(self.len() * 3 * size * size);
        let mut sums = vec![0u32; size];
        for plane_rows in self.pixels.chunks_exact(factor * self.size) {
            sums.fill(0);
            for row in plane_rows.chunks_exact(self.size) {
                for (sum, square) in sums.iter_mut().zip(row.chunks_exact(factor)) {
                    *sum += square.iter().map(|&value| u32::from(value)).sum::<u32>();
                }
            }
            pixels.extend(sums.iter().map(|&sum| ((sum + area / 2) / area) as u8));
        }
        Ok(Self {
            size,
            pixels,
            labels: self.labels.clone(),
            digest: self.digest.clone(),
        })
    }

    /// The images at `indices`, in that order.
    fn part(&self, indices: &[u32]) -> Self {
        let mut pixels = Vec::with_capacity(indices.len() * 3 * self.size * self.size);
        for &index in indices {
            pixels.extend_from_slice(self.image(index as usize));
        }
        Self {
            size: self.size,
            pixels,
            labels: indices
                .iter()
                .map(|&index| self.labels[index as usize])
                .collect(),
            digest: self.digest.clone(),
        }
    }
}

/// The digest of a data set, from the digests of its training and test images.
pub(super) fn set_digest(train: &str, test: &str) -> String {
    sha256(format!("{train}\n{test}\n").as_bytes())
}

impl Dataset {
    /// Identifies a run's data: sha256 (hex) over the digests of both sets.
    pub fn digest(&self) -> String {
        set_digest(&self.train.digest, &self.test.digest)
    }

    /// The training and test images that `recipe` asks for: split (with `45k/5k`, a tenth of the training images replaces
    /// the test set) and downscaled to its image size. Unmodified sets are shared, not copied.
    ///
    /// # Errors
    /// [`Exit::Usage`] if the recipe's image size does not divide that of the data.
    pub fn for_recipe(&self, recipe: &Recipe) -> Result<(Arc<ImageSet>, Arc<ImageSet>)> {
        let (train, test) = match recipe.split {
            TrainingSplit::All => (self.train.clone(), self.test.clone()),
            TrainingSplit::HoldOut => {
                let images = self.train.len();
                let mut order =
                    Stream::new(SPLIT_SEED, Purpose::Split, 0, 0).permutation(images as u32);
                let (held_out, kept) = order.split_at_mut(images / HELD_OUT);
                // Restore the order of the full set.
                held_out.sort_unstable();
                kept.sort_unstable();
                (
                    Arc::new(self.train.part(kept)),
                    Arc::new(self.train.part(held_out)),
                )
            }
        };
        if recipe.image_size == train.size {
            return Ok((train, test));
        }
        Ok((
            Arc::new(train.resized(recipe.image_size)?),
            Arc::new(test.resized(recipe.image_size)?),
        ))
    }
}

/// Samples `count` of `images` indices without replacement, in random order; all of them if `count >= images`.
/// A smaller sample is a prefix of a larger one.
pub fn sample(images: usize, count: usize, seed: u64, purpose: Purpose) -> Vec<u32> {
    let mut order = Stream::new(seed, purpose, 0, 0).permutation(images as u32);
    order.truncate(count);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(images: usize, size: usize) -> ImageSet {
        let mut stream = Stream::new(1, Purpose::Synthetic, 0, 0);
        ImageSet {
            size,
            pixels: (0..images * 3 * size * size)
                .map(|_| stream.below(256) as u8)
                .collect(),
            labels: (0..images).map(|image| (image % 10) as u16).collect(),
            digest: "d".into(),
        }
    }

    #[test]
    fn downscaling_takes_the_rounded_mean_of_each_square() {
        let large = set(3, 8);
        let small = large.resized(4).unwrap();
        for image in 0..3 {
            for channel in 0..3 {
                for y in 0..4 {
                    for x in 0..4 {
                        let mean = [(0, 0), (0, 1), (1, 0), (1, 1)]
                            .iter()
                            .map(|(dy, dx)| {
                                f64::from(
                                    large.image(image)
                                        [channel * 64 + (2 * y + dy) * 8 + 2 * x + dx],
                                )
                            })
                            .sum::<f64>()
                            / 4.0;
                        let found = f64::from(small.image(image)[channel * 16 + y * 4 + x]);
                        assert_eq!(found, (mean + 0.5).floor());
                    }
                }
            }
        }
        assert_eq!(small.labels, large.labels);
        assert!(large.resized(3).is_err());
        assert!(large.resized(0).is_err());
    }

    #[test]
    fn a_split_holds_out_a_tenth_and_loses_no_image() {
        let mut train = set(200, 2);
        for image in 0..200 {
            train.pixels[image * 12] = image as u8;
        }
        let data = Dataset {
            origin: Origin::Other,
            classes: 10,
            train: Arc::new(train),
            test: Arc::new(set(5, 2)),
            source: String::new(),
        };
        let recipe = Recipe {
            split: TrainingSplit::HoldOut,
            image_size: 2,
            ..Recipe::default()
        };
        let (train, test) = data.for_recipe(&recipe).unwrap();
        assert_eq!((train.len(), test.len()), (180, 20));
        let mut seen: Vec<u8> = train
            .pixels
            .chunks_exact(12)
            .chain(test.pixels.chunks_exact(12))
            .map(|image| image[0])
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..200).collect::<Vec<u8>>());
        let whole = Recipe {
            image_size: 2,
            ..Recipe::default()
        };
        let (train, test) = data.for_recipe(&whole).unwrap();
        assert!(Arc::ptr_eq(&train, &data.train) && Arc::ptr_eq(&test, &data.test));
    }

    #[test]
    fn a_sample_repeats_no_image_and_is_a_prefix_of_larger_ones() {
        let few = sample(100, 30, 4, Purpose::Statistics);
        assert_eq!(few[..], sample(100, 60, 4, Purpose::Statistics)[..30]);
        let mut all = sample(100, 1000, 4, Purpose::Statistics);
        assert_ne!(few[..], sample(100, 30, 5, Purpose::Statistics)[..]);
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<u32>>());
    }
}
