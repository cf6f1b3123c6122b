//! Tiles of 2x2 outputs, and the patches of 4x4 inputs around them.

use super::super::feature::Feature;
use super::super::vector::{Vector, unroll, will_read};
use super::tiling::Tile;

/// Products of a tile, one for each place of a patch of 4x4 inputs.
pub(super) const PLACES: usize = 16;

/// Channels that are adjacent in transformed patches. The number of channels is a multiple of it.
pub(super) const LANE: usize = 16;

/// The tiles of a feature. If a side is odd, the last one overhangs by a pixel.
pub(super) type Tiling = super::tiling::Tiling<2>;

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

/// Loads four vectors: at `from`, at distances of `step` and `2 * step` floats, and at a distance of `last`.
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

/// Floats of a group of channels of the transformed patches of `tiles` tiles, `[place][tile][channel]`.
pub(super) const fn group(tiles: usize) -> usize {
    PLACES * tiles * LANE
}

/// Transforms the 4x4 patch around a tile, `B^T d B`, for all channels of `x`. In each group of channels the result goes to
/// the tile's place among `T`.
///
/// # Safety
/// `x` must hold `feature`, with a halo of at least 1; `to` must have room; the CPU must have the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn transform_patch<V: Vector, const T: usize>(
    x: *const f32,
    feature: Feature,
    tile: Tile,
    to: *mut f32,
) {
    let (row, column) = (feature.row_storage(), feature.channels);
    let corner = feature.at(tile.image, tile.row, tile.column) - row - column;
    // Pixels past the halo affect only overhanging outputs, so any finite values will do.
    let (last_row, last_column) = (row * (1 + tile.height), column * (1 + tile.width));
    let mut channel = 0;
    while channel < feature.channels {
        // SAFETY: all sixteen pixels are in the feature or its halo.
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

/// Prefetches the pixels of a tile's patch that its neighbours above and to the left do not read, so that loading them
/// overlaps with products.
#[inline(always)]
pub(super) fn prefetch_patch(x: *const f32, feature: Feature, tile: Tile) {
    let corner = feature.at(tile.image, tile.row, tile.column) + feature.channels;
    for row in 1..3 {
        for float in (0..2 * feature.channels).step_by(LANE) {
            will_read(x.wrapping_add(corner + row * feature.row_storage() + float));
        }
    }
}

/// Calls `visit` with the start of every cache line of some channels of a tile's pixels.
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
