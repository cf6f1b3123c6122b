//! Where dfdx's CPU keeps things: the slices of its storage, the host's images, no recordings.

use std::convert::Infallible;
use std::sync::Arc;

use dfdx::prelude::{Cpu, CpuError};

use super::cpu::{self, Context, CrossEntropy, Feature};
use super::residency::{Numbers, Residency};
use crate::data::{Crops, Drawn, ImageSize, MeanImage, Originals};

type Floats = Numbers<Cpu>;

// SAFETY: dfdx's CPU device and the kernels' threads are `Send`.
unsafe impl Residency for Cpu {
    type Workers = Context;
    type Labels = Arc<[u16]>;
    /// The host's own: the loader's threads prepare pixels ahead of time, which is faster than drawing them within a step.
    type Images = Arc<Originals>;
    /// The crops' own.
    type Mean = ();
    type Ledger = Vec<CrossEntropy>;
    /// Nothing is recorded: launching a kernel costs nothing.
    type Recording = Infallible;

    const NORMALISES: bool = false;
    const STEPS_IN_FLIGHT: usize = 1;
    const SIDE_BY_SIDE: bool = false;

    fn upload(&self, values: &[f32]) -> Result<Floats, CpuError> {
        let mut storage = self.allocate(0)?;
        *storage = values.to_vec();
        Ok(storage)
    }

    fn download(&self, storage: &Floats) -> Result<Vec<f32>, CpuError> {
        Ok(storage.to_vec())
    }

    fn put_at(_: &Context, from: &Floats, into: &mut Floats, at: usize) -> Result<(), CpuError> {
        into[at..at + from.len()].copy_from_slice(from);
        Ok(())
    }

    fn put_images(
        workers: &Context,
        pixels: &[f32],
        shape: Feature,
        into: &mut Floats,
    ) -> Result<(), CpuError> {
        cpu::add_halo(workers, pixels, shape, into);
        Ok(())
    }

    fn put_labels(_: &Context, labels: &[u16]) -> Result<Arc<[u16]>, CpuError> {
        Ok(labels.into())
    }

    fn keep_images(_: &Context, originals: &Arc<Originals>) -> Result<Arc<Originals>, CpuError> {
        Ok(Arc::clone(originals))
    }

    fn draw_images(
        workers: &Context,
        images: &Arc<Originals>,
        drawn: &Drawn,
        shape: Feature,
        into: &mut Floats,
    ) -> Result<Arc<[u16]>, CpuError> {
        cpu::add_halo(workers, &drawn.pixels(), shape, into);
        let labels = &images.images().labels;
        let indices = drawn
            .decisions
            .iter()
            .map(|decision| decision.index as usize);
        Ok(indices.map(|index| labels[index]).collect())
    }

    fn keep_mean(_: &Context, _: &MeanImage, _: ImageSize) -> Result<(), CpuError> {
        Ok(())
    }

    fn put_crops(
        workers: &Context,
        _: &(),
        crops: &Crops,
        shape: Feature,
        into: &mut Floats,
    ) -> Result<(), CpuError> {
        let size = ImageSize {
            height: shape.height,
            width: shape.width,
        };
        cpu::add_halo(workers, &crops.pixels(size), shape, into);
        Ok(())
    }

    fn read_ledger(
        _: &Context,
        ledger: &mut Vec<CrossEntropy>,
    ) -> Result<Vec<CrossEntropy>, CpuError> {
        Ok(std::mem::take(ledger))
    }

    fn end_recording(_: &Context) -> Result<Option<Infallible>, CpuError> {
        Ok(None)
    }

    unsafe fn replay(_: &Context, recording: &Infallible) -> Result<bool, CpuError> {
        match *recording {}
    }
}
