//! Mini-batches of photographs: read, decoded, framed and normalised on all cores. Which thread does what changes nothing.

use std::sync::Arc;
use std::thread;

use anyhow::Result;

use super::collection::{Collection, Split};
use super::decode::{Picture, decode_into};
use super::mean::{MeanImage, inputs};
use super::resize::{Scratch, frame};
use super::views::{Draw, Framing, Views, draw};
use crate::data::minibatch::Batch;
use crate::data::order::Spot;
use crate::exit::Exit;
use crate::record;

/// A collection as a recipe sees it.
#[derive(Clone, Debug)]
pub struct Pictures {
    collection: Arc<Collection>,
    framing: Framing,
    test_side: u32,
    mean: MeanImage,
    threads: usize,
}

impl Pictures {
    /// `threads` decode at a time, which changes no results.
    pub fn new(
        collection: Arc<Collection>,
        framing: Framing,
        test_side: u32,
        mean: MeanImage,
        threads: usize,
    ) -> Self {
        Self {
            collection,
            framing,
            test_side,
            mean,
            threads: threads.max(1),
        }
    }

    /// The number of images of a split.
    pub fn len(&self, split: record::Split) -> usize {
        self.split(split).len()
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.collection.classes.len()
    }

    fn split(&self, split: record::Split) -> &Split {
        match split {
            record::Split::Train => &self.collection.train,
            record::Split::Test => &self.collection.test,
        }
    }

    /// Fills `batch` with augmented training images.
    ///
    /// # Errors
    /// [`Exit::Data`] for the first image that cannot be read or decoded, by name.
    pub fn training(&self, seed: u64, spots: &[Spot], batch: &mut Batch) -> Result<()> {
        let draws: Vec<Draw> = spots
            .iter()
            .map(|spot| draw(&self.framing, seed, spot.pass, spot.position, spot.index))
            .collect();
        self.fill(record::Split::Train, &draws, self.framing.size, batch)
    }

    /// Fills `batch` with centre crops.
    ///
    /// # Errors
    /// As [`Pictures::training`].
    pub fn plain(&self, split: record::Split, indices: &[u32], batch: &mut Batch) -> Result<()> {
        self.view(split, indices, (Views::Centre, self.test_side, 0), batch)
    }

    /// Fills `batch` with view number `number` of each image, of pictures whose shorter side is `side`.
    ///
    /// # Errors
    /// As [`Pictures::training`].
    ///
    /// # Panics
    /// If there is no such view.
    pub fn view(
        &self,
        split: record::Split,
        indices: &[u32],
        (views, side, number): (Views, u32, usize),
        batch: &mut Batch,
    ) -> Result<()> {
        let draws: Vec<Draw> = indices
            .iter()
            .map(|&index| views.draws(side, index)[number])
            .collect();
        self.fill(split, &draws, views.size(self.framing.size, side), batch)
    }

    /// The shorter side of pictures that are tested at one size.
    pub fn test_side(&self) -> u32 {
        self.test_side
    }

    fn fill(
        &self,
        split: record::Split,
        draws: &[Draw],
        size: usize,
        batch: &mut Batch,
    ) -> Result<()> {
        let images = self.split(split);
        batch.size = size;
        batch.drawn = None;
        batch.labels.clear();
        batch
            .labels
            .extend(draws.iter().map(|draw| images.label(draw.index as usize)));
        let values = 3 * size * size;
        batch.pixels.resize(draws.len() * values, 0.0);
        let share = draws.len().div_ceil(self.threads).max(1);
        let shares = draws
            .chunks(share)
            .zip(batch.pixels.chunks_mut(share * values));
        let mean = &self.mean;
        let ended: Vec<Result<()>> = thread::scope(|scope| {
            let threads: Vec<_> = shares
                .map(|(draws, pixels)| {
                    scope.spawn(move || {
                        let mut desk = Desk::default();
                        let each = draws.iter().zip(pixels.chunks_exact_mut(values));
                        for (draw, pixels) in each {
                            desk.prepare(images, draw, size, mean, pixels)?;
                        }
                        Ok(())
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| {
                    thread.join().unwrap_or_else(|_| {
                        Err(Exit::Internal.error("a decoding thread failed; please report this"))
                    })
                })
                .collect()
        });
        ended.into_iter().collect()
    }
}

/// One thread's memory, to use again.
#[derive(Default)]
pub(super) struct Desk {
    bytes: Vec<u8>,
    picture: Picture,
    scratch: Scratch,
    crop: Vec<u8>,
}

impl Desk {
    fn prepare(
        &mut self,
        images: &Split,
        draw: &Draw,
        size: usize,
        mean: &MeanImage,
        into: &mut [f32],
    ) -> Result<()> {
        let crop = self.crop(images, draw, size)?;
        inputs(crop, mean, draw.shift, into);
        Ok(())
    }

    /// The crop of an image, `[size][size][3]`.
    pub(super) fn crop(&mut self, images: &Split, draw: &Draw, size: usize) -> Result<&[u8]> {
        let index = draw.index as usize;
        images.read(index, &mut self.bytes)?;
        decode_into(&self.bytes, false, &mut self.picture).map_err(|why| {
            Exit::Data.error(format!(
                "cannot decode {}: {why}; get the image again, or remove it from the set",
                images.name(index)
            ))
        })?;
        self.crop.resize(3 * size * size, 0);
        frame(&self.picture, draw, size, &mut self.scratch, &mut self.crop);
        Ok(&self.crop)
    }
}
