//! Reads images from Parquet files of other programs: rows of an encoded image, in a column `img` or `image` that is bytes or
//! a structure with `bytes` and perhaps `path`, and a `label`, as Hugging Face's data sets have them: CIFAR-10 and ImageNet.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::columns::Layout;

/// The columns in which images, labels and the names of images may be.
const IMAGES: &[&str] = &["img", "image", "img.bytes", "image.bytes"];
const LABELS: &[&str] = &["label"];
const NAMES: &[&str] = &["img.path", "image.path"];
/// Their numbers.
const IMAGE: usize = 0;
const LABEL: usize = 1;
const NAME: usize = 2;
/// The most rows of a group, which is read at once.
const MOST_ROWS: usize = 1 << 20;

/// A row of such a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignImage {
    /// The image as it is encoded, such as a PNG.
    pub bytes: Vec<u8>,
    pub label: i64,
    /// The name that the image had as a file, if it has one and the file was opened with names.
    pub path: Option<String>,
}

/// A Parquet file of images, read by row group. Threads may read at the same time.
#[derive(Debug)]
pub struct ForeignImages {
    path: PathBuf,
    layout: Layout,
}

impl ForeignImages {
    /// Reads where the rows are. The names of images are left out.
    ///
    /// # Errors
    /// Without an exit code, if the file cannot be read, is damaged, or lacks a column.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &[])
    }

    /// As [`ForeignImages::open`], with the names of images where there are any.
    ///
    /// # Errors
    /// As [`ForeignImages::open`].
    pub fn open_named(path: &Path) -> Result<Self> {
        Self::open_with(path, &[NAMES])
    }

    fn open_with(path: &Path, optional: &[&[&str]]) -> Result<Self> {
        let mut file = File::open(path)?;
        Ok(Self {
            path: path.to_owned(),
            layout: Layout::read(&mut file, &[IMAGES, LABELS], optional)?,
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
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
    pub fn read(&self, group: usize, most: usize) -> Result<Vec<ForeignImage>> {
        let rows = self.layout.rows().nth(group).unwrap_or_default();
        if rows > MOST_ROWS {
            bail!("a row group has {rows} rows, more than the {MOST_ROWS} that are read at once");
        }
        let (layout, file) = (&self.layout, &mut File::open(&self.path)?);
        let mut left = most;
        let images = layout.bytes(file, (group, IMAGE), &mut left)?;
        let labels = layout.ints(file, (group, LABEL), &mut left)?;
        // Some writers leave names out, and nothing else is taken for one.
        let names = match layout.has_bytes(NAME) {
            true => layout.optional_bytes(file, (group, NAME), &mut left)?,
            false => vec![None; images.len()],
        };
        let name = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
        let rows = images.into_iter().zip(labels).zip(names);
        Ok(rows
            .map(|((bytes, label), path)| ForeignImage {
                bytes,
                label,
                path: path.and_then(name).filter(|name| !name.is_empty()),
            })
            .collect())
    }
}
