//! Where dfdx's CUDA device keeps things: its storage, and the scratch memory, images and graphs of `cuda/`.

use std::sync::Arc;

use dfdx::prelude::{Cuda, CudaError, Storage};

use super::cpu::{CrossEntropy, Feature};
use super::cuda::{self, Gpu, Nvidia};
use super::residency::{Numbers, Residency};
use crate::data::{Crops, Drawn, ImageSize, MeanImage, Originals};

type Floats = Numbers<Cuda>;

// SAFETY: the only part of dfdx's device that is not `Send` is a stream handle. Driver handles may be used from any thread,
// and cudarc binds its context to the calling thread before each use.
unsafe impl Residency for Cuda {
    type Workers = Nvidia;
    type Labels = cuda::Labels;
    type Images = cuda::Images<Nvidia>;
    type Mean = cuda::Mean<Nvidia>;
    /// The number of entries in use.
    type Ledger = usize;
    type Recording = cuda::Graph;

    const NORMALISES: bool = true;
    const STEPS_IN_FLIGHT: usize = cuda::LEDGER;
    const SIDE_BY_SIDE: bool = true;

    fn upload(&self, values: &[f32]) -> Result<Floats, CudaError> {
        let mut storage = self.allocate(values.len())?;
        if !values.is_empty() {
            storage.device().htod_sync_copy_into(values, &mut storage)?;
        }
        Ok(storage)
    }

    fn download(&self, storage: &Floats) -> Result<Vec<f32>, CudaError> {
        let mut values = vec![0.0; Storage::<f32>::len(self, storage)];
        storage.device().dtoh_sync_copy_into(storage, &mut values)?;
        Ok(values)
    }

    fn download_many(&self, gpu: &Nvidia, many: &[&Floats]) -> Result<Vec<Vec<f32>>, CudaError> {
        Ok(cuda::download_many(gpu, many)?)
    }

    fn put_at(gpu: &Nvidia, from: &Floats, into: &mut Floats, at: usize) -> Result<(), CudaError> {
        Ok(cuda::put_at(gpu, from, into, at)?)
    }

    fn activation_floats(gpu: &Nvidia, shape: Feature) -> usize {
        gpu.floats(shape)
    }

    fn download_activation(
        &self,
        gpu: &Nvidia,
        storage: &Floats,
        shape: Feature,
    ) -> Result<Vec<f32>, CudaError> {
        Ok(cuda::download_feature(gpu, storage, shape)?)
    }

    fn put_images(
        gpu: &Nvidia,
        pixels: &[f32],
        shape: Feature,
        into: &mut Floats,
    ) -> Result<(), CudaError> {
        Ok(cuda::put_images(gpu, pixels, shape, into)?)
    }

    fn put_labels(gpu: &Nvidia, labels: &[u16]) -> Result<cuda::Labels, CudaError> {
        Ok(cuda::Labels::put(gpu, labels)?)
    }

    fn keep_images(
        gpu: &Nvidia,
        originals: &Arc<Originals>,
    ) -> Result<cuda::Images<Nvidia>, CudaError> {
        Ok(cuda::Images::new(gpu, originals)?)
    }

    fn draw_images(
        gpu: &Nvidia,
        images: &cuda::Images<Nvidia>,
        drawn: &Drawn,
        shape: Feature,
        into: &mut Floats,
    ) -> Result<cuda::Labels, CudaError> {
        Ok(cuda::draw_images(gpu, images, drawn, shape, into)?)
    }

    fn keep_mean(
        gpu: &Nvidia,
        mean: &MeanImage,
        size: ImageSize,
    ) -> Result<cuda::Mean<Nvidia>, CudaError> {
        Ok(cuda::Mean::new(gpu, mean, size)?)
    }

    fn put_crops(
        gpu: &Nvidia,
        mean: &cuda::Mean<Nvidia>,
        crops: &Crops,
        shape: Feature,
        into: &mut Floats,
    ) -> Result<(), CudaError> {
        Ok(cuda::put_crops(gpu, mean, crops, shape, into)?)
    }

    fn read_ledger(gpu: &Nvidia, ledger: &mut usize) -> Result<Vec<CrossEntropy>, CudaError> {
        Ok(cuda::read_ledger(gpu, std::mem::take(ledger))?)
    }

    fn set_aside(gpu: &Nvidia, aside: bool) {
        gpu.set_aside(aside);
    }

    fn join(gpu: &Nvidia) {
        gpu.join();
    }

    fn begin_recording(gpu: &Nvidia) -> bool {
        gpu.begin_recording()
    }

    fn end_recording(gpu: &Nvidia) -> Result<Option<cuda::Graph>, CudaError> {
        Ok(gpu.end_recording()?)
    }

    unsafe fn replay(gpu: &Nvidia, graph: &cuda::Graph) -> Result<bool, CudaError> {
        // SAFETY: by the caller's promise.
        Ok(unsafe { gpu.launch_graph(graph)? })
    }
}
