//! Activations in memory: images, rows, pixels, channels innermost, with a halo of zeros around every image.

use super::Context;
use std::marker::PhantomData;

/// The shape of an activation, `[images][halo + height + halo][halo + width + halo][channels]`.
///
/// The halo is what a convolution's padding reads; its floats are zero in every activation and every gradient of one.
/// Every kernel that writes a whole feature writes its halo too, so that storage may hold anything before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    pub images: usize,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Pixels of zeros on each side: 1 for activations, 3 for the image before a 7x7 kernel.
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

    /// Pixels without the halo, of all images.
    pub fn pixels(&self) -> usize {
        self.images * self.height * self.width
    }

    /// Where the channels of a pixel begin.
    #[inline(always)]
    pub fn at(&self, image: usize, row: usize, column: usize) -> usize {
        image * self.image_storage()
            + (row + self.halo) * self.row_storage()
            + (column + self.halo) * self.channels
    }

    pub(super) fn check(&self, what: &str, data: &[f32]) {
        assert_eq!(data.len(), self.storage(), "floats of {what}, {self:?}");
    }
}

/// Copies `[images][height][width][channels]` without halo into a feature.
pub fn add_halo(ctx: &Context, pixels: &[f32], feature: Feature, into: &mut [f32]) {
    assert_eq!(pixels.len(), feature.pixels() * feature.channels);
    feature.check("into", into);
    let row = feature.width * feature.channels;
    let into = Shared::new(into);
    ctx.threads.run(feature.images, &|image| {
        zero_halo(feature, image, into);
        for y in 0..feature.height {
            let from = (image * feature.height + y) * row;
            // SAFETY: each task writes its own image.
            let to = unsafe { into.slice(feature.at(image, y, 0), row) };
            to.copy_from_slice(&pixels[from..from + row]);
        }
    });
}

/// Writes zeros around one image.
pub(super) fn zero_halo(feature: Feature, image: usize, data: Shared<'_>) {
    if feature.halo == 0 {
        return;
    }
    let row = feature.row_storage();
    let side = feature.halo * feature.channels;
    let start = image * feature.image_storage();
    let edge = feature.halo * row;
    // SAFETY: all within the image, which one task at a time writes.
    unsafe {
        data.slice(start, edge + side).fill(0.0);
        // The right side of a row and the left side of the next one touch.
        for y in 1..feature.height {
            data.slice(start + edge + y * row - side, 2 * side)
                .fill(0.0);
        }
        data.slice(start + edge + feature.height * row - side, side + edge)
            .fill(0.0);
    }
}

/// A mutable slice whose parts several tasks write.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a, T = f32> {
    start: *mut T,
    len: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: access goes through `slice` and `pointer`, whose callers promise disjoint parts.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(super) fn new(data: &'a mut [T]) -> Shared<'a, T> {
        Shared {
            start: data.as_mut_ptr(),
            len: data.len(),
            borrow: PhantomData,
        }
    }

    /// # Safety
    /// No other reference to these elements is alive.
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn slice(&self, from: usize, len: usize) -> &'a mut [T] {
        assert!(from + len <= self.len);
        // SAFETY: within the slice, and exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }

    /// The address of an element; what is done with it is the caller's promise.
    pub(super) fn pointer(&self, at: usize) -> *mut T {
        assert!(at <= self.len);
        // SAFETY: within the slice or one past its end.
        unsafe { self.start.add(at) }
    }
}
