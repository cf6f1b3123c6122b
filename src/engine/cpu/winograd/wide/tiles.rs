//! Tiles of 4x4 outputs, and the patches of 6x6 inputs around them.

use super::super::super::feature::Feature;

/// Pixels of a tile's side.
pub(super) const SIDE: usize = 4;

/// Pixels of a patch's side.
pub(super) const PATCH: usize = SIDE + 2;

/// The tiles of a feature, image by image and row by row. The last ones may overhang.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    pub feature: Feature,
    rows: usize,
    columns: usize,
}

/// The position of a tile.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    image: usize,
    row: usize,
    column: usize,
}

impl Tiling {
    pub(super) fn of(feature: Feature) -> Tiling {
        Tiling {
            feature,
            rows: feature.height.div_ceil(SIDE),
            columns: feature.width.div_ceil(SIDE),
        }
    }

    pub(super) fn of_an_image(&self) -> usize {
        self.rows * self.columns
    }

    pub(super) fn all(&self) -> usize {
        self.feature.images * self.of_an_image()
    }

    #[inline(always)]
    pub(super) fn tile(&self, index: usize) -> Tile {
        let (image, rest) = (index / self.of_an_image(), index % self.of_an_image());
        Tile {
            image,
            row: SIDE * (rest / self.columns),
            column: SIDE * (rest % self.columns),
        }
    }

    /// The chunks that tiles are processed in, as start and end: of about equal size, at most `most` tiles each.
    pub(super) fn chunks(&self, most: usize) -> impl Iterator<Item = (usize, usize)> {
        let all = self.all();
        let count = all.div_ceil(most.max(1)).max(1);
        (0..count).map(move |chunk| (all * chunk / count, all * (chunk + 1) / count))
    }
}

impl Tile {
    /// The rows and columns of the tile that lie within a feature.
    #[inline(always)]
    pub(super) fn inside(&self, feature: Feature) -> (usize, usize) {
        (
            SIDE.min(feature.height - self.row),
            SIDE.min(feature.width - self.column),
        )
    }

    /// The index of a pixel's first channel.
    #[inline(always)]
    pub(super) fn at(&self, feature: Feature, row: usize, column: usize) -> usize {
        feature.at(self.image, self.row + row, self.column + column)
    }

    /// The start of each row of the patch around the tile, and of each column within a row. What lies past the halo affects
    /// only overhanging outputs; the halo stands for it.
    #[inline(always)]
    pub(super) fn patch(&self, feature: Feature) -> ([usize; PATCH], [usize; PATCH]) {
        let corner = feature.at(self.image, 0, 0) - feature.row_storage() - feature.channels;
        let mut rows = [0; PATCH];
        let mut columns = [0; PATCH];
        for place in 0..PATCH {
            let row = (self.row + place).min(feature.height + 1);
            let column = (self.column + place).min(feature.width + 1);
            rows[place] = corner + row * feature.row_storage();
            columns[place] = column * feature.channels;
        }
        (rows, columns)
    }
}
