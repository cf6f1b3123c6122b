//! Launches that bring photographs in: their crops go over as bytes, and are coloured and normalised on the GPU.

use super::arguments::{CROPS, PutCrops, Shape};
use super::gpu::{Gpu, Slot, check_feature};
use super::index::size;
use super::kernel;
use crate::data::{Crops, ImageSize, MeanImage};
use crate::engine::cpu::Feature;

/// Threads per block.
const THREADS: usize = 256;

/// A mean image in GPU memory, for crops of one size.
pub struct Mean<G: Gpu> {
    /// `[height][width][3]`
    mean: G::Numbers,
    inverse: [f32; 3],
    /// Of the crops.
    size: ImageSize,
}

impl<G: Gpu> Mean<G> {
    /// Copies a mean image to the GPU as it is subtracted from crops of this size.
    pub fn new(gpu: &G, mean: &MeanImage, size: ImageSize) -> Result<Self, G::Error> {
        Ok(Self {
            mean: gpu.upload(&mean.at(size))?,
            inverse: mean.inverse(),
            size,
        })
    }
}

/// Copies crops to the GPU, a byte per number, and colours and normalises them into a feature with a halo. Their shifts are
/// passed as arguments of the launch. May wait for earlier work.
pub fn put_crops<G: Gpu>(
    gpu: &G,
    mean: &Mean<G>,
    crops: &Crops,
    feature: Feature,
    into: &mut G::Numbers,
) -> Result<(), G::Error> {
    let shape = (feature.height, feature.width, feature.channels);
    assert_eq!(shape, (mean.size.height, mean.size.width, 3));
    assert_eq!(crops.shifts.len(), feature.images, "shifts");
    assert_eq!(crops.bytes.len(), 3 * feature.pixels(), "bytes");
    check_feature(gpu, "into", into, feature);
    let bytes = gpu.send(Slot::Pixels, &crops.bytes)?;
    for (part, shifts) in crops.shifts.chunks(CROPS).enumerate() {
        let mut table = [[0.0; 3]; CROPS];
        table[..shifts.len()].copy_from_slice(shifts);
        let arguments = PutCrops {
            bytes,
            mean: gpu.address(&mean.mean),
            feature: gpu.address(into),
            shape: Shape::new(feature),
            inverse: mean.inverse,
            first: size(part * CROPS),
            count: size(shifts.len()),
            shifts: table,
        };
        let floats = shifts.len() * feature.image_storage();
        let grid = [floats.div_ceil(THREADS), 1, 1];
        // SAFETY: lengths were checked; the slot holds the bytes until the launches in stream order are done.
        unsafe { gpu.launch(kernel::PUT_CROPS.of(gpu.precision()), grid, &arguments)? };
    }
    Ok(())
}
