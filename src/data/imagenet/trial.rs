//! Training images that are prepared only to see how long that takes, for the estimate of a plan.

use std::sync::Arc;
use std::thread;

use anyhow::Result;

use super::collection::Collection;
use super::decode::{Picture, cannot_decode, decode_into};
use super::mean_file::{channel_mean, no_crop};
use super::photographs::photograph;
use super::pictures::Pictures;
use super::resize::{Scratch, frame};
use super::views::{Framing, draw};
use crate::data::image_size::ImageSize;
use crate::data::mean_image::{MeanImage, inputs};
use crate::data::minibatch::Batch;
use crate::data::order::Spot;
use crate::exit::Exit;
use crate::recipe::Recipe;

/// Images that each thread prepares in a round.
const EACH: usize = 4;
/// Photographs that are made where there are no images.
const MADE: usize = 2;

/// Rounds of images, each of as many for every thread.
pub struct Trial {
    source: Source,
    threads: usize,
    on_device: bool,
    /// Images prepared so far: each round takes others.
    position: u64,
}

enum Source {
    Found {
        pictures: Pictures,
        batch: Box<Batch>,
        images: u64,
    },
    /// Files in memory.
    Made {
        files: Vec<Vec<u8>>,
        framing: Framing,
        mean: MeanImage,
    },
}

impl Trial {
    /// Images of `collection`, or photographs of ImageNet's mean size where there is none, as `recipe` sees them. `threads` work
    /// at a time; normalisation is left out if it is done `on_device`.
    ///
    /// # Errors
    /// [`Exit::Usage`] for a recipe without a crop; those of the encoder.
    pub fn new(
        collection: Option<&Arc<Collection>>,
        recipe: &Recipe,
        threads: usize,
        on_device: bool,
    ) -> Result<Self> {
        let crop = recipe.crop.as_ref().ok_or_else(no_crop)?;
        let (size, threads) = (recipe.image_size, threads.max(1));
        let framing = Framing::new(crop, size, recipe.augmentation.flip);
        // Any mean takes as long to subtract.
        let mean = channel_mean(size);
        let source = match collection {
            Some(collection) => Source::Found {
                images: collection.train.len().max(1) as u64,
                pictures: Pictures::new(
                    Arc::clone(collection),
                    framing,
                    crop.test_side,
                    mean,
                    threads,
                ),
                batch: Box::default(),
            },
            None => Source::Made {
                files: (0..MADE).map(photograph).collect::<Result<_>>()?,
                framing,
                mean,
            },
        };
        Ok(Self {
            source,
            threads,
            on_device,
            position: 0,
        })
    }

    /// The images of a round.
    pub fn images(&self) -> usize {
        EACH * self.threads
    }

    /// Prepares the next images.
    ///
    /// # Errors
    /// [`Exit::Data`] for an image that cannot be read or decoded, by name.
    pub fn round(&mut self) -> Result<()> {
        let positions = self.position..self.position + self.images() as u64;
        self.position = positions.end;
        match &mut self.source {
            Source::Found {
                pictures,
                batch,
                images,
            } => {
                // Collections are sorted by digest: the first images are a random choice.
                let spots: Vec<Spot> = positions
                    .map(|position| Spot {
                        pass: 0,
                        position,
                        index: (position % *images) as u32,
                    })
                    .collect();
                pictures.training(0, &spots, self.on_device, batch)
            }
            Source::Made {
                files,
                framing,
                mean,
            } => {
                let mean = (!self.on_device).then_some(&*mean);
                let positions: Vec<u64> = positions.collect();
                let shares = positions.chunks(EACH);
                let (files, framing) = (&*files, &*framing);
                let ended: Vec<Result<()>> = thread::scope(|scope| {
                    let threads: Vec<_> = shares
                        .map(|share| scope.spawn(move || made(files, share, framing, mean)))
                        .collect();
                    let ends = threads.into_iter().map(|thread| {
                        thread.join().unwrap_or_else(|_| {
                            Err(Exit::Internal
                                .error("a decoding thread failed; please report this"))
                        })
                    });
                    ends.collect()
                });
                ended.into_iter().collect()
            }
        }
    }
}

/// Prepares files in memory in turn, one for each position.
fn made(
    files: &[Vec<u8>],
    positions: &[u64],
    framing: &Framing,
    mean: Option<&MeanImage>,
) -> Result<()> {
    let size = ImageSize::square(framing.size);
    let (mut picture, mut scratch) = (Picture::default(), Scratch::default());
    let mut crop = vec![0; 3 * size.pixels()];
    let mut pixels = vec![0.0; crop.len()];
    for (file, &position) in files.iter().cycle().zip(positions) {
        decode_into(file, &mut picture)
            .map_err(|why| cannot_decode("a photograph that was made", &why))?;
        let draw = draw(framing, 0, 0, position, 0);
        frame(&picture, &draw, size, &mut scratch, &mut crop);
        if let Some(mean) = mean {
            inputs(&crop, size, mean, draw.shift, &mut pixels);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Crop;

    #[test]
    fn photographs_are_made_where_there_are_no_images() {
        let recipe = Recipe {
            image_size: 64,
            crop: Some(Crop::default()),
            ..Recipe::default()
        };
        for on_device in [false, true] {
            let mut trial = Trial::new(None, &recipe, 2, on_device).unwrap();
            assert_eq!(trial.images(), 2 * EACH);
            trial.round().unwrap();
            trial.round().unwrap();
            assert_eq!(trial.position, 4 * EACH as u64);
        }
        assert!(Trial::new(None, &Recipe::default(), 1, false).is_err());
    }
}
