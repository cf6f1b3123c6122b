//! Launches that bring mini-batches in: from a set in the GPU's memory by the loader's decisions, or as the host has them.

use super::arguments::{self, DRAWN, Drawing, DrawnImage, PutImages, Shape, size};
use super::classifier::Labels;
use super::gpu::{Gpu, Slot, check_feature};
use crate::data::{Drawn, Originals};
use crate::engine::cpu::Feature;
use crate::manifest::PaddingValue;

/// Threads of a block.
const THREADS: usize = 256;

/// A set of images in the GPU's memory, as its files have it, and what normalises it.
pub struct Images<G: Gpu> {
    /// `[images][3][size][size]`
    bytes: G::Bytes,
    classes: G::Bytes,
    /// `[size][size][3]`
    mean: G::Numbers,
    inverse: [f32; 3],
    count: usize,
    size: usize,
}

impl<G: Gpu> Images<G> {
    /// Copies a set to the GPU: 3 bytes a pixel.
    pub fn new(gpu: &G, originals: &Originals) -> Result<Self, G::Error> {
        let (images, normaliser) = (originals.images(), originals.normaliser());
        assert_eq!(
            images.pixels.len(),
            3 * images.size * images.size * images.len(),
            "bytes of {} images of {} pixels",
            images.len(),
            images.size
        );
        Ok(Self {
            bytes: gpu.keep(&images.pixels)?,
            classes: gpu.keep(&images.labels)?,
            mean: gpu.upload(normaliser.mean())?,
            inverse: normaliser.inverse(),
            count: images.len(),
            size: images.size,
        })
    }
}

/// Crops, mirrors and normalises the images of `drawn` into a feature with a halo, and writes their classes. The decisions
/// travel as arguments of the launch, which no launch waits for.
///
/// # Panics
/// If a decision is about an image that is not in the set.
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
                "image {} of {}",
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
            classes: gpu.bytes_address(&images.classes),
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
        // SAFETY: lengths and indices were checked; a decision that leads out of its image reads nothing.
        unsafe { gpu.launch(arguments::DRAW_IMAGES.of(gpu.precision()), grid, &arguments)? };
    }
    Ok(labels)
}

/// `[images][height][width][channels]` from the host's memory into a feature with a halo. May wait for the work before.
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
    unsafe { gpu.launch(arguments::PUT_IMAGES.of(gpu.precision()), grid, &arguments) }
}
