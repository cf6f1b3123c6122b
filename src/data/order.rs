//! Chooses the images of each mini-batch as a function of seed and iteration, so there is no state to save.

use anyhow::Result;

use super::augment;
use super::minibatch::Decision;
use crate::counted::counted;
use crate::exit::Exit;
use crate::random::{Purpose, Stream};
use crate::recipe::{Augmentation, PartialBatch, Recipe};

/// An image of a mini-batch: where it stands in which pass over the images, which determines its augmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    pub pass: u64,
    pub position: u64,
    /// The image's index in the set.
    pub index: u32,
}

/// The mini-batches of a run. Every pass over the images is reshuffled.
#[derive(Clone, Debug)]
pub struct Order {
    images: usize,
    batch: usize,
    partial: PartialBatch,
    augmentation: Augmentation,
    seed: u64,
    /// The last pass used and its order.
    shuffled: Option<(u64, Vec<u32>)>,
}

impl Order {
    /// # Errors
    /// [`Exit::Usage`] if there are no images, the batch size is 0, a pass that drops partial mini-batches holds no whole
    /// one, or the padding is above 127 pixels.
    pub fn new(images: usize, recipe: &Recipe, seed: u64) -> Result<Self> {
        if images == 0 || recipe.batch == 0 {
            return Err(Exit::Usage.error(format!(
                "mini-batches of {} from {}: both must be above 0",
                recipe.batch,
                counted(images, "image")
            )));
        }
        if recipe.partial_batch == PartialBatch::Drop && recipe.batch > images {
            return Err(Exit::Usage.error(format!(
                "partial_batch = \"drop\" leaves no mini-batch of {} from {}: choose a smaller batch or \"wrap\"",
                recipe.batch,
                counted(images, "image")
            )));
        }
        if recipe.augmentation.pad > 127 {
            return Err(Exit::Usage.error(format!(
                "augmentation.pad = {} is above the maximum of 127",
                recipe.augmentation.pad
            )));
        }
        Ok(Self {
            images,
            batch: recipe.batch,
            partial: recipe.partial_batch,
            augmentation: recipe.augmentation.clone(),
            seed,
            shuffled: None,
        })
    }

    /// The most images of a mini-batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Fills `decisions` with the mini-batch that follows `iteration` updates (0 for the first one).
    pub fn decisions(&mut self, iteration: u64, decisions: &mut Vec<Decision>) {
        let mut spots = Vec::new();
        self.spots(iteration, &mut spots);
        decisions.clear();
        decisions.extend(spots.iter().map(|spot| {
            augment::decide(
                &self.augmentation,
                self.seed,
                spot.pass,
                spot.position,
                spot.index,
            )
        }));
    }

    /// Fills `spots` with the images of the mini-batch that follows `iteration` updates.
    pub fn spots(&mut self, iteration: u64, spots: &mut Vec<Spot>) {
        spots.clear();
        let (images, batch) = (self.images as u64, self.batch as u64);
        match self.partial {
            PartialBatch::Wrap => {
                for at in iteration * batch..(iteration + 1) * batch {
                    let spot = self.spot(at / images, at % images);
                    spots.push(spot);
                }
            }
            PartialBatch::Drop | PartialBatch::Short => {
                let batches = match self.partial {
                    PartialBatch::Drop => images / batch,
                    _ => images.div_ceil(batch),
                };
                let start = iteration % batches * batch;
                for position in start..(start + batch).min(images) {
                    let spot = self.spot(iteration / batches, position);
                    spots.push(spot);
                }
            }
        }
    }

    fn spot(&mut self, pass: u64, position: u64) -> Spot {
        if self
            .shuffled
            .as_ref()
            .is_none_or(|(known, _)| *known != pass)
        {
            let mut stream = Stream::new(self.seed, Purpose::Shuffle, pass, 0);
            self.shuffled = Some((pass, stream.permutation(self.images as u32)));
        }
        let index = self
            .shuffled
            .as_ref()
            .map_or(0, |(_, order)| order[position as usize]);
        Spot {
            pass,
            position,
            index,
        }
    }
}
