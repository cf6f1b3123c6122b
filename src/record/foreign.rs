//! Reads images from Parquet files of other programs: rows of an encoded image, in a column `img` or `image` that is bytes or
//! a structure with `bytes`, and a `label`, as Hugging Face's data sets have them.

use std::fs::File;
use std::path::Path;

use anyhow::Result;

use super::columns::Layout;

/// The columns in which images and labels may be.
const IMAGES: &[&str] = &["img", "image", "img.bytes", "image.bytes"];
const LABELS: &[&str] = &["label"];
/// Their numbers.
const IMAGE: usize = 0;
const LABEL: usize = 1;

/// A row of such a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignImage {
    /// The image as it is encoded, such as a PNG.
    pub bytes: Vec<u8>,
    pub label: i64,
}

/// A Parquet file of images, read by row group.
pub struct ForeignImages {
    file: File,
    layout: Layout,
}

impl ForeignImages {
    /// Reads where the rows are.
    ///
    /// # Errors
    /// Without an exit code, if the file cannot be read, is damaged, or lacks a column.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path)?;
        let layout = Layout::read(&mut file, &[IMAGES, LABELS], &[])?;
        Ok(Self { file, layout })
    }

    /// The number of images.
    pub fn rows(&self) -> usize {
        self.layout.rows().sum()
    }

    /// The number of row groups.
    pub fn groups(&self) -> usize {
        self.layout.groups()
    }

    /// The rows of a group, if they take at most `most` bytes.
    ///
    /// # Errors
    /// Without an exit code, if the file cannot be read, is damaged, or lacks a value or the group.
    pub fn read(&mut self, group: usize, most: usize) -> Result<Vec<ForeignImage>> {
        let (layout, file) = (&self.layout, &mut self.file);
        let mut left = most;
        let images = layout.bytes(file, (group, IMAGE), &mut left)?;
        let labels = layout.ints(file, (group, LABEL), &mut left)?;
        let rows = images.into_iter().zip(labels);
        Ok(rows
            .map(|(bytes, label)| ForeignImage { bytes, label })
            .collect())
    }
}
