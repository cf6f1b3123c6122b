//! Tiles of outputs, whose sides are known when compiling.

use super::super::feature::Feature;

/// The tiles of `SIDE` times `SIDE` pixels of a feature, image by image and row by row. The last ones may overhang.
#[derive(Clone, Copy)]
pub(super) struct Tiling<const SIDE: usize> {
    pub feature: Feature,
    rows: usize,
    columns: usize,
}

/// The position of a tile.
#[derive(Clone, Copy, Default)]
pub(super) struct Tile {
    pub image: usize,
    pub row: usize,
    pub column: usize,
    /// Rows within the feature, at least 1.
    pub height: usize,
    /// Columns within the feature, at least 1.
    pub width: usize,
}

impl<const SIDE: usize> Tiling<SIDE> {
    pub(super) fn of(feature: Feature) -> Self {
        Self {
            feature,
            rows: feature.height.div_ceil(SIDE),
            columns: feature.width.div_ceil(SIDE),
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
        let (row, column) = (SIDE * (rest / self.columns), SIDE * (rest % self.columns));
        Tile {
            image,
            row,
            column,
            height: (self.feature.height - row).min(SIDE),
            width: (self.feature.width - column).min(SIDE),
        }
    }
}
