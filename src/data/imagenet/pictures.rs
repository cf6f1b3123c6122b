//! Mini-batches of photographs: read, decoded, framed and, unless the device does it, normalised on all cores. Which thread does
//! what changes nothing.

use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use anyhow::Result;

use super::budget;
use super::collection::Collection;
use super::decode::{self, Picture, cannot_decode, decode_into, weight};
use super::decoding::{Decoding, Stopwatch};
use super::resize::{Scratch, frame};
use super::split::Split;
use super::views::{Draw, Framing, View, draw, draw_for_statistics};
use crate::data::crops::Crops;
use crate::data::image_size::ImageSize;
use crate::data::loader::panic_text;
use crate::data::mean_image::{MeanImage, inputs};
use crate::data::minibatch::Batch;
use crate::data::order::Spot;
use crate::exit::Exit;
use crate::record;

/// The most memory that a thread keeps for its next picture: one of 1.4 million pixels.
const KEPT: usize = 4 << 20;

/// Seconds that each part of the preparation took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Phases {
    pub read: f64,
    /// Entropy decoding, the inverse DCT and the conversion to RGB: the decoder does them together; [`Pictures::decoding`] estimates
    /// their shares.
    pub decode: f64,
    /// Scaling, cropping and mirroring, which is one step.
    pub resize: f64,
    /// Colour and normalisation.
    pub rest: f64,
}

/// A collection as a recipe sees it.
#[derive(Clone, Debug)]
pub struct Pictures {
    collection: Arc<Collection>,
    framing: Framing,
    test_side: u32,
    mean: Arc<MeanImage>,
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
            mean: Arc::new(mean),
            threads: threads.max(1),
        }
    }

    /// The number of images of a split.
    pub fn len(&self, split: record::Split) -> usize {
        self.split(split).len()
    }

    /// Bytes of a mini-batch of so many training images, which a device normalises or not.
    pub(super) fn batch_bytes(&self, images: usize, on_device: bool) -> usize {
        let each = match on_device {
            true => size_of::<u8>(),
            false => size_of::<f32>(),
        };
        3 * self.framing.size * self.framing.size * each * images
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.collection.classes.len()
    }

    /// The classes of images.
    pub fn labels(&self, split: record::Split, indices: &[u32]) -> Vec<u16> {
        let images = self.split(split);
        let labels = indices.iter().map(|&index| images.label(index as usize));
        labels.collect()
    }

    /// The size of each image, as it is stored.
    ///
    /// # Errors
    /// [`Exit::Data`] for the first image that cannot be read, or does not tell its size and cannot be decoded, by name.
    pub fn sizes(&self, split: record::Split, indices: &[u32]) -> Result<Vec<ImageSize>> {
        let images = self.split(split);
        let mut sizes = vec![ImageSize::default(); indices.len()];
        let share = indices.len().div_ceil(self.threads).max(1);
        let shares = indices.chunks(share).zip(sizes.chunks_mut(share));
        thread::scope(|scope| {
            let threads = shares.map(|(indices, sizes)| {
                scope.spawn(move || {
                    let mut desk = Desk::default();
                    for (&index, size) in indices.iter().zip(sizes) {
                        *size = desk.size(images, index)?;
                    }
                    Ok(())
                })
            });
            join(threads.collect())
        })?;
        Ok(sizes)
    }

    /// Of a training image's crop.
    fn size(&self) -> ImageSize {
        ImageSize::square(self.framing.size)
    }

    fn split(&self, split: record::Split) -> &Split {
        match split {
            record::Split::Train => &self.collection.train,
            record::Split::Test => &self.collection.test,
        }
    }

    /// Fills `batch` with augmented training images: with pixels, or with crops that are left to be normalised `on_device`.
    ///
    /// # Errors
    /// [`Exit::Data`] for the first image that cannot be read or decoded, by name.
    pub fn training(
        &self,
        seed: u64,
        spots: &[Spot],
        on_device: bool,
        batch: &mut Batch,
    ) -> Result<()> {
        let draws: Vec<Draw> = spots.iter().map(|spot| self.draw(seed, spot)).collect();
        self.fill(record::Split::Train, &draws, self.size(), on_device, batch)
    }

    /// Fills `batch` with training images behind the population statistics, as [`Pictures::training`] does: centre crops, or if
    /// they are `augmented`, what is drawn for them.
    ///
    /// # Errors
    /// As [`Pictures::training`].
    pub fn for_statistics(
        &self,
        augmented: bool,
        seed: u64,
        indices: &[u32],
        on_device: bool,
        batch: &mut Batch,
    ) -> Result<()> {
        if !augmented {
            return self.plain(record::Split::Train, indices, on_device, batch);
        }
        let draws: Vec<Draw> = indices
            .iter()
            .map(|&index| draw_for_statistics(&self.framing, seed, index))
            .collect();
        self.fill(record::Split::Train, &draws, self.size(), on_device, batch)
    }

    fn draw(&self, seed: u64, spot: &Spot) -> Draw {
        draw(&self.framing, seed, spot.pass, spot.position, spot.index)
    }

    /// Prepares augmented training images one by one on the calling thread, and times the parts of it.
    ///
    /// # Errors
    /// As [`Pictures::training`].
    pub fn phases(&self, seed: u64, spots: &[Spot]) -> Result<Phases> {
        let (images, size) = (&self.collection.train, self.size());
        let mut desk = Desk::default();
        let mut pixels = vec![0.0; 3 * size.pixels()];
        let mut phases = Phases::default();
        for spot in spots {
            let draw = self.draw(seed, spot);
            let start = Instant::now();
            desk.read(images, draw.index)?;
            let read = Instant::now();
            desk.decode(images, draw.index)?;
            let decoded = Instant::now();
            let crop = desk.frame(&draw, size);
            let framed = Instant::now();
            inputs(crop, size, &self.mean, draw.shift, &mut pixels);
            phases.rest += framed.elapsed().as_secs_f64();
            phases.read += (read - start).as_secs_f64();
            phases.decode += (decoded - read).as_secs_f64();
            phases.resize += (framed - decoded).as_secs_f64();
        }
        Ok(phases)
    }

    /// Decodes training images on the calling thread to see where the time of that goes.
    ///
    /// # Errors
    /// [`Exit::Data`] for an image that cannot be read, by name.
    pub fn decoding(&self, spots: &[Spot]) -> Result<Option<Decoding>> {
        let images = &self.collection.train;
        let (mut bytes, mut stopwatch) = (Vec::new(), Stopwatch::default());
        for spot in spots {
            images.read(spot.index as usize, &mut bytes)?;
            stopwatch.add(&bytes);
        }
        Ok(stopwatch.shares())
    }

    /// Fills `batch` with centre crops, as [`Pictures::training`] does.
    ///
    /// # Errors
    /// As [`Pictures::training`].
    pub fn plain(
        &self,
        split: record::Split,
        indices: &[u32],
        on_device: bool,
        batch: &mut Batch,
    ) -> Result<()> {
        let view = View::centre(self.test_side, self.size());
        self.view(split, indices, view, on_device, batch)
    }

    /// Fills `batch` with a view of each image, as [`Pictures::training`] does.
    ///
    /// # Errors
    /// As [`Pictures::training`].
    ///
    /// # Panics
    /// If an image is smaller than the view; none is smaller than its own [`View::whole`].
    pub fn view(
        &self,
        split: record::Split,
        indices: &[u32],
        view: View,
        on_device: bool,
        batch: &mut Batch,
    ) -> Result<()> {
        let draws: Vec<Draw> = indices.iter().map(|&index| view.draw(index)).collect();
        self.fill(split, &draws, view.size, on_device, batch)
    }

    /// Fills a batch for each of `views`, which is one of a range of the images, with the crops that [`Pictures::view`] leaves to
    /// be normalised, but decodes each image once for all of them.
    ///
    /// # Errors
    /// As [`Pictures::training`].
    ///
    /// # Panics
    /// As [`Pictures::view`], and if there are fewer images than in a range.
    pub fn views(
        &self,
        split: record::Split,
        indices: &[u32],
        views: &[(Range<usize>, View)],
        batches: &mut Vec<Batch>,
    ) -> Result<()> {
        let images = self.split(split);
        batches.resize_with(views.len(), Batch::default);
        // The crops of each image.
        let mut crops: Vec<Vec<Crop<'_>>> = Vec::new();
        crops.resize_with(indices.len(), Vec::new);
        for (batch, (range, view)) in batches.iter_mut().zip(views) {
            let shown = &indices[range.clone()];
            let draws: Vec<Draw> = shown.iter().map(|&index| view.draw(index)).collect();
            let bytes = self.begin_crops(images, &draws, view.size, batch);
            let bytes = bytes.chunks_exact_mut(3 * view.size.pixels());
            let places = crops[range.clone()].iter_mut();
            for ((crops, draw), bytes) in places.zip(draws).zip(bytes) {
                let size = view.size;
                crops.push(Crop { draw, size, bytes });
            }
        }
        let share = indices.len().div_ceil(self.threads).max(1);
        let shares = indices.chunks(share).zip(crops.chunks_mut(share));
        thread::scope(|scope| {
            let threads = shares.map(|(indices, crops)| {
                scope.spawn(move || {
                    let mut desk = Desk::default();
                    for (&index, crops) in indices.iter().zip(crops) {
                        desk.crops(images, index, crops)?;
                    }
                    Ok(())
                })
            });
            join(threads.collect())
        })
    }

    /// The shorter side of pictures that are tested at one size.
    pub fn test_side(&self) -> u32 {
        self.test_side
    }

    fn fill(
        &self,
        split: record::Split,
        draws: &[Draw],
        size: ImageSize,
        on_device: bool,
        batch: &mut Batch,
    ) -> Result<()> {
        let images = self.split(split);
        if on_device {
            let bytes = self.begin_crops(images, draws, size, batch);
            return self.each(images, draws, size, bytes, |crop, _, into| {
                into.copy_from_slice(crop);
            });
        }
        begin(images, draws, size, batch);
        batch.crops = None;
        let pixels = &mut batch.pixels;
        pixels.resize(3 * size.pixels() * draws.len(), 0.0);
        self.each(images, draws, size, pixels, |crop, draw, into| {
            inputs(crop, size, &self.mean, draw.shift, into);
        })
    }

    /// Makes room in a batch for crops that are left to be normalised, and gives the place of their bytes.
    fn begin_crops<'b>(
        &self,
        images: &Split,
        draws: &[Draw],
        size: ImageSize,
        batch: &'b mut Batch,
    ) -> &'b mut [u8] {
        begin(images, draws, size, batch);
        batch.pixels.clear();
        let reused = batch.crops.take();
        let (mut bytes, mut shifts) =
            reused.map_or_else(Default::default, |crops| (crops.bytes, crops.shifts));
        bytes.resize(3 * size.pixels() * draws.len(), 0);
        shifts.clear();
        shifts.extend(draws.iter().map(|draw| draw.shift));
        let mean = Arc::clone(&self.mean);
        let crops = batch.crops.insert(Crops {
            bytes,
            shifts,
            mean,
        });
        &mut crops.bytes
    }

    /// Has all threads crop images, and `write` each crop to its place in `into`, a value for each of its bytes.
    fn each<T: Send>(
        &self,
        images: &Split,
        draws: &[Draw],
        size: ImageSize,
        into: &mut [T],
        write: impl Fn(&[u8], &Draw, &mut [T]) + Sync,
    ) -> Result<()> {
        let values = 3 * size.pixels();
        let share = draws.len().div_ceil(self.threads).max(1);
        let shares = draws.chunks(share).zip(into.chunks_mut(share * values));
        let write = &write;
        thread::scope(|scope| {
            let threads = shares.map(|(draws, into)| {
                scope.spawn(move || {
                    let mut desk = Desk::default();
                    for (draw, into) in draws.iter().zip(into.chunks_exact_mut(values)) {
                        write(desk.crop(images, draw, size)?, draw, into);
                    }
                    Ok(())
                })
            });
            join(threads.collect())
        })
    }
}

/// Size and labels of a batch.
fn begin(images: &Split, draws: &[Draw], size: ImageSize, batch: &mut Batch) {
    batch.size = size;
    batch.drawn = None;
    batch.labels.clear();
    batch
        .labels
        .extend(draws.iter().map(|draw| images.label(draw.index as usize)));
}

/// Waits for all threads. The error is that of the first that failed, in their order.
fn join(threads: Vec<ScopedJoinHandle<'_, Result<()>>>) -> Result<()> {
    let ended: Vec<Result<()>> = threads
        .into_iter()
        .map(|thread| {
            thread.join().unwrap_or_else(|panic| {
                Err(Exit::Internal.error(format!(
                    "a decoding thread failed: {}; please report this",
                    panic_text(panic.as_ref())
                )))
            })
        })
        .collect();
    ended.into_iter().collect()
}

/// A crop to make, and where its bytes go.
struct Crop<'a> {
    draw: Draw,
    size: ImageSize,
    bytes: &'a mut [u8],
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
    /// The crop of an image, `[height][width][3]`.
    pub(super) fn crop(&mut self, images: &Split, draw: &Draw, size: ImageSize) -> Result<&[u8]> {
        self.read(images, draw.index)?;
        let share = budget::DECODED.take(weight(&self.bytes));
        self.decode(images, draw.index)?;
        self.frame(draw, size);
        self.forget_large();
        drop(share);
        Ok(&self.crop)
    }

    /// Decodes an image once for several crops.
    fn crops(&mut self, images: &Split, index: u32, crops: &mut [Crop<'_>]) -> Result<()> {
        self.read(images, index)?;
        let share = budget::DECODED.take(weight(&self.bytes));
        self.decode(images, index)?;
        for Crop { draw, size, bytes } in crops {
            frame(&self.picture, draw, *size, &mut self.scratch, bytes);
        }
        self.forget_large();
        drop(share);
        Ok(())
    }

    /// The size of an image, which most files tell before they are decoded.
    fn size(&mut self, images: &Split, index: u32) -> Result<ImageSize> {
        self.read(images, index)?;
        let size = match decode::size(&self.bytes) {
            Some(size) => size,
            None => {
                let _share = budget::DECODED.take(weight(&self.bytes));
                self.decode(images, index)?;
                self.picture.size()
            }
        };
        self.forget_large();
        Ok(size)
    }

    /// Gives back the memory of a picture that is far larger than most.
    fn forget_large(&mut self) {
        for memory in [&mut self.bytes, &mut self.picture.pixels] {
            if memory.capacity() > KEPT {
                *memory = Vec::new();
            }
        }
    }

    fn read(&mut self, images: &Split, index: u32) -> Result<()> {
        images.read(index as usize, &mut self.bytes)
    }

    fn decode(&mut self, images: &Split, index: u32) -> Result<()> {
        decode_into(&self.bytes, &mut self.picture)
            .map_err(|why| cannot_decode(&images.name(index as usize), &why))
    }

    fn frame(&mut self, draw: &Draw, size: ImageSize) -> &[u8] {
        self.crop.resize(3 * size.pixels(), 0);
        frame(&self.picture, draw, size, &mut self.scratch, &mut self.crop);
        &self.crop
    }
}
