//! Tiles of 4x4 outputs, and the patches of 6x6 inputs around them.

use super::super::super::feature::Feature;
use super::super::tiling::{self, Tile};

/// Pixels of a tile's side.
pub(super) const SIDE: usize = 4;

/// Pixels of a patch's side.
pub(super) const PATCH: usize = SIDE + 2;

/// The tiles of a feature.
pub(super) type Tiling = tiling::Tiling<SIDE>;

/// The chunks that tiles are processed in, as start and end: of about equal size, at most `most` tiles each.
pub(super) fn chunks(all: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = all.div_ceil(most.max(1)).max(1);
    (0..count).map(move |chunk| (all * chunk / count, all * (chunk + 1) / count))
}

/// The start of each row of the patch around the tile, and of each column within a row. What lies past the halo affects
/// only overhanging outputs; the halo stands for it.
#[inline(always)]
pub(super) fn patch(tile: Tile, feature: Feature) -> ([usize; PATCH], [usize; PATCH]) {
    let corner = feature.at(tile.image, 0, 0) - feature.row_storage() - feature.channels;
    let mut rows = [0; PATCH];
    let mut columns = [0; PATCH];
    for place in 0..PATCH {
        let row = (tile.row + place).min(feature.height + 1);
        let column = (tile.column + place).min(feature.width + 1);
        rows[place] = corner + row * feature.row_storage();
        columns[place] = column * feature.channels;
    }
    (rows, columns)
}
