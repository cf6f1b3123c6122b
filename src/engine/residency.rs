//! Where a device keeps numbers, labels, images, losses and recorded work, and how they get in and out.

use std::sync::Arc;

use dfdx::prelude::{Device, Storage};

use super::cpu::{CrossEntropy, Feature};
use crate::data::{Crops, Drawn, ImageSize, MeanImage, Originals};

/// A device's storage, counted in 32-bit floats.
pub type Numbers<D> = <D as Storage<f32>>::Vec;

/// How a device stores the contents of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A feature up to mean pooling, or its gradient: in the device's format for activations, which may have fewer bits.
    Activation,
    /// Parameters, statistics, and everything from mean pooling on: 32-bit floats.
    Floats,
}

/// The memory side of a dfdx device. Methods that write a feature overwrite all of it, its halo with zeros, so that storage
/// may hold anything before.
///
/// # Safety
/// A device and its workers may be moved to another thread, together with everything that shares them: nothing in them may
/// be tied to the thread that created it.
pub unsafe trait Residency: Device<f32> {
    /// What does the work: threads and an instruction set on the CPU, the kernels on a GPU.
    type Workers: 'static;
    /// The classes of the latest mini-batch, where the device reads them.
    type Labels: Clone + 'static;
    /// A set of images kept by the device.
    type Images: 'static;
    /// The mean image that is subtracted from crops, kept by the device.
    type Mean: 'static;
    /// Sums of losses that have not been read yet, at most `STEPS_IN_FLIGHT`.
    type Ledger: Default + 'static;
    /// Recorded work that can be replayed.
    type Recording: 'static;

    /// Whether mini-batches are better drawn from kept images, or passed as crops, than passed as pixels.
    const NORMALISES: bool;
    /// How many steps to begin before their losses are read.
    const STEPS_IN_FLIGHT: usize;
    /// Whether work aside is done at the same time as other work.
    const SIDE_BY_SIDE: bool;

    fn allocate(&self, len: usize) -> Result<Numbers<Self>, Self::Err> {
        Storage::<f32>::try_alloc_len(self, len)
    }

    fn upload(&self, values: &[f32]) -> Result<Numbers<Self>, Self::Err>;

    fn download(&self, storage: &Numbers<Self>) -> Result<Vec<f32>, Self::Err>;

    /// Downloads many storages at once; an asynchronous device is waited for only once.
    fn download_many(
        &self,
        _: &Self::Workers,
        many: &[&Numbers<Self>],
    ) -> Result<Vec<Vec<f32>>, Self::Err> {
        many.iter().map(|storage| self.download(storage)).collect()
    }

    /// Copies all of `from` to the place `at` of `into`. Does not wait for the device.
    fn put_at(
        workers: &Self::Workers,
        from: &Numbers<Self>,
        into: &mut Numbers<Self>,
        at: usize,
    ) -> Result<(), Self::Err>;

    /// Floats of storage that an activation takes.
    fn activation_floats(_: &Self::Workers, shape: Feature) -> usize {
        shape.storage()
    }

    /// Downloads an activation, halo included.
    fn download_activation(
        &self,
        _: &Self::Workers,
        storage: &Numbers<Self>,
        _: Feature,
    ) -> Result<Vec<f32>, Self::Err> {
        self.download(storage)
    }

    /// Writes pixels, `[images][height][width][channels]` without a halo, into a feature.
    fn put_images(
        workers: &Self::Workers,
        pixels: &[f32],
        shape: Feature,
        into: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    fn put_labels(workers: &Self::Workers, labels: &[u16]) -> Result<Self::Labels, Self::Err>;

    fn keep_images(
        workers: &Self::Workers,
        originals: &Arc<Originals>,
    ) -> Result<Self::Images, Self::Err>;

    /// Writes the pixels of `drawn`, bit for bit those of [`Drawn::pixels`], into a feature and returns their classes. Does
    /// not wait for the device.
    fn draw_images(
        workers: &Self::Workers,
        images: &Self::Images,
        drawn: &Drawn,
        shape: Feature,
        into: &mut Numbers<Self>,
    ) -> Result<Self::Labels, Self::Err>;

    /// Keeps the mean image for crops of this size.
    fn keep_mean(
        workers: &Self::Workers,
        mean: &MeanImage,
        size: ImageSize,
    ) -> Result<Self::Mean, Self::Err>;

    /// Writes the pixels of `crops`, whose mean image is `mean`, bit for bit those of [`Crops::pixels`], into a feature.
    fn put_crops(
        workers: &Self::Workers,
        mean: &Self::Mean,
        crops: &Crops,
        shape: Feature,
        into: &mut Numbers<Self>,
    ) -> Result<(), Self::Err>;

    /// Empties a ledger. Waits for its entries.
    fn read_ledger(
        workers: &Self::Workers,
        ledger: &mut Self::Ledger,
    ) -> Result<Vec<CrossEntropy>, Self::Err>;

    /// Whether the work that follows is aside: a recording may replay it at the same time as the work after it, up to the next
    /// `join`. It may only use storage that the other work does not write, and scratch memory that the other does not use.
    fn set_aside(_: &Self::Workers, _aside: bool) {}

    /// What follows depends on the work aside, too.
    fn join(_: &Self::Workers) {}

    /// Starts recording the work that the device is given, besides doing it. Returns false if the device does not record.
    fn begin_recording(_: &Self::Workers) -> bool {
        false
    }

    /// Stops recording; `None` if the recorded work cannot be replayed.
    fn end_recording(workers: &Self::Workers) -> Result<Option<Self::Recording>, Self::Err>;

    /// Replays recorded work as one piece. Returns false, having done nothing, if scratch memory that the work uses has
    /// been reallocated since.
    ///
    /// # Safety
    /// All storage that the work used must still be allocated.
    unsafe fn replay(
        workers: &Self::Workers,
        recording: &Self::Recording,
    ) -> Result<bool, Self::Err>;
}
