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

    /// Writes the indices of the first channels of pixels from `first` on.
    #[inline(always)]
    pub(super) fn places(&self, first: usize, to: &mut [usize]) {
        let (mut image, rest) = (first / self.of_an_image(), first % self.of_an_image());
        let (mut row, mut column) = (rest / self.columns, rest % self.columns);
        for to in to {
            let (row_of, column_of) = (self.stride * row, self.stride * column);
            *to = self.feature.at(image, row_of, column_of);
            column += 1;
            if column == self.columns {
                (row, column) = (row + 1, 0);
                if row == self.rows {
                    (image, row) = (image + 1, 0);
                }
            }
        }
    }
}

/// Copies channels of the pixels that begin at `places` to `to`, `[group of channels][pixel][channel]` with groups of `group`
/// channels, `apart` floats between groups.
///
/// # Safety
/// As for [`Vector`]; `from` must hold the feature, `to` must have room, and `group` must be a multiple of a vector.
#[inline(always)]
pub(super) unsafe fn gather<V: Vector>(
    from: *const f32,
    places: &[usize],
    channels: (usize, usize),
    group: usize,
    to: *mut f32,
    apart: usize,
) {
    debug_assert!(group.is_multiple_of(LANE) || group.is_multiple_of(V::LANES));
    for (pixel, &place) in places.iter().enumerate() {
        let from = from.wrapping_add(place);
        let mut to = to.wrapping_add(pixel * group);
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
