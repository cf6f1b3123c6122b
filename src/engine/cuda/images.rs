//! Launches that bring mini-batches in: drawn from a set in GPU memory by the loader's decisions, or copied from the host.

use super::arguments::{DRAWN, Drawing, DrawnImage, PutImages, Shape};
use super::gpu::{Gpu, Slot, check_feature};
use super::index::size;
use super::kernel;
use super::labels::Labels;
use crate::data::{Drawn, Originals};
use crate::engine::cpu::Feature;
use crate::recipe::PaddingValue;

/// Threads per block.
const THREADS: usize = 256;

/// A set of images in GPU memory, as bytes, and its normalisation.
pub struct Images<G: Gpu> {
    /// `[images][3][size][size]`
    bytes: G::Bytes,
    /// A number each.
    classes: G::Numbers,
    /// `[size][size][3]`
    mean: G::Numbers,
    inverse: [f32; 3],
    count: usize,
    size: usize,
}

impl<G: Gpu> Images<G> {
    /// Copies a set to the GPU, 3 bytes per pixel.
    pub fn new(gpu: &G, originals: &Originals) -> Result<Self, G::Error> {
        let (images, normaliser) = (originals.images(), originals.normaliser());
        assert_eq!(
            images.pixels.len(),
            3 * images.size * images.size * images.len(),
            "bytes of {} images of {} pixels",
            images.len(),
            images.size
        );
        let classes: Vec<f32> = images.labels.iter().copied().map(f32::from).collect();
        Ok(Self {
            bytes: gpu.keep(&images.pixels)?,
            classes: gpu.upload(&classes)?,
            mean: gpu.upload(normaliser.mean())?,
            inverse: normaliser.inverse(),
            count: images.len(),
            size: images.size,
        })
    }
}

/// Crops, flips and normalises the images of `drawn` into a feature with a halo, and writes their classes. The decisions
/// are passed as arguments of the launch, so nothing is waited for.
///
/// # Panics
/// If a decision names an image that is not in the set.
pub fn draw_images<G: Gpu>(
    gpu: &G,
    images: &Images<G>,
    drawn: &Drawn,
    feature: Feature,
    into: &mut G::Numbers,
) -> Result<Labels, G::Error> {
    let decisions = &drawn.decisions;
    let shape = (feature.images, feature.height, feature.width);
    assert_eq!(
        (shape, feature.channels),
        ((decisions.len(), images.size, images.size), 3)
    );
    check_feature(gpu, "into", into, feature);
    let labels = Labels {
        images: decisions.len(),
    };
    let to = labels.address(gpu)?;
    for (part, decisions) in decisions.chunks(DRAWN).enumerate() {
        let mut table = [DrawnImage::default(); DRAWN];
        for (place, decision) in table.iter_mut().zip(decisions) {
            assert!(
                (decision.index as usize) < images.count,
                "image {} of a set of {}",
                decision.index,
                images.count
            );
            *place = DrawnImage {
                index: decision.index,
                top: decision.top,
                left: decision.left,
                flip: decision.flip.into(),
                unused: 0,
            };
        }
        let arguments = Drawing {
            bytes: gpu.bytes_address(&images.bytes),
            classes: gpu.address(&images.classes),
            mean: gpu.address(&images.mean),
            feature: gpu.address(into),
            labels: to,
            shape: Shape::new(feature),
            inverse: images.inverse,
            pad: size(drawn.pad),
            black: (drawn.padding_value == PaddingValue::Black).into(),
            first: size(part * DRAWN),
            count: size(decisions.len()),
            drawn: table,
        };
        let floats = decisions.len() * feature.image_storage();
        let grid = [floats.div_ceil(THREADS), 1, 1];
        // SAFETY: lengths and indices were checked; pixels outside an image are not read.
        unsafe { gpu.launch(kernel::DRAW_IMAGES.of(gpu.precision()), grid, &arguments)? };
    }
    Ok(labels)
}

/// Copies pixels, `[images][height][width][channels]`, from the host into a feature with a halo. May wait for earlier work.
pub fn put_images<G: Gpu>(
    gpu: &G,
    pixels: &[f32],
    feature: Feature,
    into: &mut G::Numbers,
) -> Result<(), G::Error> {
    assert_eq!(pixels.len(), feature.pixels() * feature.channels);
    check_feature(gpu, "into", into, feature);
    let arguments = PutImages {
        pixels: gpu.send(Slot::Pixels, pixels)?,
        feature: gpu.address(into),
        shape: Shape::new(feature),
    };
    let grid = [feature.storage().div_ceil(THREADS), 1, 1];
    // SAFETY: lengths were checked.
    unsafe { gpu.launch(kernel::PUT_IMAGES.of(gpu.precision()), grid, &arguments) }
}
