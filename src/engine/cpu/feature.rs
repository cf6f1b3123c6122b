//! Activations in memory: images, rows, pixels, channels innermost, with a halo of zeros around every image.

use super::context::Context;
use super::shared_slice::SharedSlice;

/// The shape of an activation, `[images][halo + height + halo][halo + width + halo][channels]`.
///
/// A convolution's padding reads the halo, which is zero in every activation and every gradient of one. Kernels that write
/// a whole feature write its halo too, so that storage may hold anything before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    pub images: usize,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Pixels of zeros on each side: 1 for activations, 3 for the input of a 7x7 convolution.
    pub halo: usize,
}

impl Feature {
    /// An activation with the usual halo of one pixel.
    pub fn new(images: usize, height: usize, width: usize, channels: usize) -> Feature {
        Feature {
            images,
            height,
            width,
            channels,
            halo: 1,
        }
    }

    /// Floats of the whole feature, halo included.
    pub fn storage(&self) -> usize {
        self.images * self.image_storage()
    }

    /// Floats of one image, halo included.
    #[inline(always)]
    pub fn image_storage(&self) -> usize {
        (self.height + 2 * self.halo) * self.row_storage()
    }

    /// Floats of one row, halo included.
    #[inline(always)]
    pub fn row_storage(&self) -> usize {
        (self.width + 2 * self.halo) * self.channels
    }

    /// Pixels of all images, without the halo.
    pub fn pixels(&self) -> usize {
        self.images * self.height * self.width
    }

    /// The index of a pixel's first channel.
    #[inline(always)]
    pub fn at(&self, image: usize, row: usize, column: usize) -> usize {
        image * self.image_storage()
            + (row + self.halo) * self.row_storage()
            + (column + self.halo) * self.channels
    }

    pub(super) fn check(&self, what: &str, data: &[f32]) {
        assert_eq!(data.len(), self.storage(), "floats of {what}: {self:?}");
    }
}

/// Copies pixels, `[images][height][width][channels]` without a halo, into a feature.
pub fn add_halo(ctx: &Context, pixels: &[f32], feature: Feature, into: &mut [f32]) {
    assert_eq!(pixels.len(), feature.pixels() * feature.channels);
    feature.check("into", into);
    let row = feature.width * feature.channels;
    let into = SharedSlice::new(into);
    ctx.threads.run(feature.images, &|image| {
        zero_halo(feature, image, into);
        for y in 0..feature.height {
            let from = (image * feature.height + y) * row;
            // SAFETY: each task writes a different image.
            let to = unsafe { into.slice(feature.at(image, y, 0), row) };
            to.copy_from_slice(&pixels[from..from + row]);
        }
    });
}

/// Zeroes one image's halo.
pub(super) fn zero_halo(feature: Feature, image: usize, data: SharedSlice<'_>) {
    if feature.halo == 0 {
        return;
    }
    let row = feature.row_storage();
    let side = feature.halo * feature.channels;
    let start = image * feature.image_storage();
    let edge = feature.halo * row;
    // SAFETY: all within the image, which only one task writes.
    unsafe {
        data.slice(start, edge + side).fill(0.0);
        // The right side of a row and the left side of the next are adjacent.
        for y in 1..feature.height {
            data.slice(start + edge + y * row - side, 2 * side)
                .fill(0.0);
        }
        data.slice(start + edge + feature.height * row - side, side + edge)
            .fill(0.0);
    }
}
