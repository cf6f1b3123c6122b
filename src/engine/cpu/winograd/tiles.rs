//! Tiles of 2x2 outputs, and the patches of 4x4 inputs around them.

use std::cell::RefCell;

use super::super::Aligned;
use super::super::feature::Feature;
use super::super::vector::{Vector, unroll, will_read};
use super::{LANE, PLACES};

thread_local! {
    /// What a task keeps near while it works: transformed patches and products. Kept by the thread, so that it stays in its
    /// cache from task to task.
    static NEAR: RefCell<Aligned> = RefCell::new(Aligned::zeros(0));
}

/// Calls with at least `len` floats of any content that are this thread's own.
pub(super) fn with_near(len: usize, body: impl FnOnce(&mut [f32])) {
    NEAR.with_borrow_mut(|near| {
        if near.len() < len {
            *near = Aligned::zeros(len);
        }
        body(&mut near[..len]);
    });
}

/// The tiles of a feature, image by image and row by row. Where a side is odd, the last tile hangs over by a pixel.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    feature: Feature,
    rows: usize,
    columns: usize,
}

/// Where a tile lies.
#[derive(Clone, Copy, Default)]
pub(super) struct Tile {
    pub image: usize,
    pub row: usize,
    pub column: usize,
    /// Rows and columns within the feature, 1 or 2.
    pub height: usize,
    pub width: usize,
}

impl Tiling {
    pub(super) fn of(feature: Feature) -> Tiling {
        Tiling {
            feature,
            rows: feature.height.div_ceil(2),
            columns: feature.width.div_ceil(2),
        }
    }

    #[inline(always)]
    pub(super) fn of_an_image(&self) -> usize {
        self.rows * self.columns
    }

    pub(super) fn all(&self) -> usize {
        self.feature.images * self.of_an_image()
    }

    #[inline(always)]
    pub(super) fn tile(&self, index: usize) -> Tile {
        let (image, rest) = (index / self.of_an_image(), index % self.of_an_image());
        let (row, column) = (2 * (rest / self.columns), 2 * (rest % self.columns));
        Tile {
            image,
            row,
            column,
            height: (self.feature.height - row).min(2),
            width: (self.feature.width - column).min(2),
        }
    }
}

/// `B^T d` along four values.
#[inline(always)]
unsafe fn patch<V: Vector>(d: [V; 4]) -> [V; 4] {
    unsafe {
        [
            d[0].sub(d[2]),
            d[1].add(d[2]),
            d[2].sub(d[1]),
            d[1].sub(d[3]),
        ]
    }
}

/// Four vectors, of which the second is `step` floats behind the first, the third as many more, the fourth `last`.
#[inline(always)]
pub(super) unsafe fn four<V: Vector>(from: *const f32, step: usize, last: usize) -> [V; 4] {
    unsafe {
        [
            V::load(from),
            V::load(from.wrapping_add(step)),
            V::load(from.wrapping_add(2 * step)),
            V::load(from.wrapping_add(last)),
        ]
    }
}

/// Floats of the transformed patches of one group of channels of `tiles` tiles, `[place][tile][channel]`.
pub(super) const fn group(tiles: usize) -> usize {
    PLACES * tiles * LANE
}

/// Transforms the 4x4 patch around a tile, `B^T d B`, of all channels of `x`, into the tile's place among `T` of each group.
///
/// # Safety
/// `x` holds `feature`, whose halo is at least 1; `to` has room; the processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn transform_patch<V: Vector, const T: usize>(
    x: *const f32,
    feature: Feature,
    tile: Tile,
    to: *mut f32,
) {
    let (row, column) = (feature.row_storage(), feature.channels);
    let corner = feature.at(tile.image, tile.row, tile.column) - row - column;
    // What would lie past the halo counts in outputs only that hang over: anything finite will do.
    let (last_row, last_column) = (row * (1 + tile.height), column * (1 + tile.width));
    let mut channel = 0;
    while channel < feature.channels {
        // SAFETY: all sixteen pixels lie in the feature or its halo.
        unsafe {
            let x = x.wrapping_add(corner + channel);
            let rows: [[V; 4]; 4] = [
                patch(four(x, column, last_column)),
                patch(four(x.wrapping_add(row), column, last_column)),
                patch(four(x.wrapping_add(2 * row), column, last_column)),
                patch(four(x.wrapping_add(last_row), column, last_column)),
            ];
            let to = to.wrapping_add(channel / LANE * group(T) + channel % LANE);
            unroll!(4: PLACE in 0..4 => {
                let down = patch([rows[0][PLACE], rows[1][PLACE], rows[2][PLACE], rows[3][PLACE]]);
                down[0].store(to.wrapping_add(PLACE * T * LANE));
                down[1].store(to.wrapping_add((4 + PLACE) * T * LANE));
                down[2].store(to.wrapping_add((8 + PLACE) * T * LANE));
                down[3].store(to.wrapping_add((12 + PLACE) * T * LANE));
            });
        }
        channel += V::LANES;
    }
}

/// Hints at the pixels of a tile's patch that its neighbours above and to the left do not touch: memory would be waited for
/// between the products, not under them.
#[inline(always)]
pub(super) fn announce_patch(x: *const f32, feature: Feature, tile: Tile) {
    let corner = feature.at(tile.image, tile.row, tile.column) + feature.channels;
    for row in 1..3 {
        for float in (0..2 * feature.channels).step_by(LANE) {
            will_read(x.wrapping_add(corner + row * feature.row_storage() + float));
        }
    }
}

/// Calls with the beginning of every cache line of some channels of a tile's pixels.
#[inline(always)]
pub(super) fn each_line(
    feature: Feature,
    tile: Tile,
    channels: (usize, usize),
    mut visit: impl FnMut(usize),
) {
    for row in tile.row..tile.row + tile.height {
        for column in tile.column..tile.column + tile.width {
            let pixel = feature.at(tile.image, row, column);
            for channel in (channels.0..channels.1).step_by(LANE) {
                visit(pixel + channel);
            }
        }
    }
}
