//! The pixels of a strided feature, in order.

use super::super::feature::Feature;
use super::super::product::LANE;
use super::super::vector::Vector;

/// Every `stride`-th pixel of a feature.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    feature: Feature,
    stride: usize,
    rows: usize,
    columns: usize,
}

impl Grid {
    pub(super) fn of(feature: Feature, stride: usize) -> Grid {
        Grid {
            feature,
            stride,
            rows: feature.height.div_ceil(stride),
            columns: feature.width.div_ceil(stride),
        }
    }

    /// Pixels of all images.
    pub(super) fn pixels(&self) -> usize {
        self.feature.images * self.of_an_image()
    }

    pub(super) fn of_an_image(&self) -> usize {
        self.rows * self.columns
    }

    /// The index of a pixel's first channel.
    #[inline(always)]
    pub(super) fn at(&self, pixel: usize) -> usize {
        let (image, rest) = (pixel / self.of_an_image(), pixel % self.of_an_image());
        let (row, column) = (rest / self.columns, rest % self.columns);
        self.feature
            .at(image, self.stride * row, self.stride * column)
    }

    /// Copies channels of some pixels to `to`, `[group of channels][pixel][channel]` with groups of `group` channels,
    /// `apart` floats between groups.
    ///
    /// # Safety
    /// As for [`Vector`]; `from` must hold the feature, `to` must have room, and `group` must be a multiple of a vector.
    #[inline(always)]
    pub(super) unsafe fn gather<V: Vector>(
        &self,
        from: *const f32,
        pixels: (usize, usize),
        channels: (usize, usize),
        group: usize,
        to: *mut f32,
        apart: usize,
    ) {
        debug_assert!(group.is_multiple_of(LANE) || group.is_multiple_of(V::LANES));
        for pixel in pixels.0..pixels.1 {
            let from = from.wrapping_add(self.at(pixel));
            let mut to = to.wrapping_add((pixel - pixels.0) * group);
            let mut channel = channels.0;
            while channel < channels.1 {
                let mut lane = 0;
                while lane < group {
                    // SAFETY: as above.
                    unsafe {
                        V::load(from.wrapping_add(channel + lane)).store(to.wrapping_add(lane));
                    }
                    lane += V::LANES;
                }
                channel += group;
                to = to.wrapping_add(apart);
            }
        }
    }
}
