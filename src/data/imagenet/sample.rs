//! Some training images as files of their own, which other programs can read too, wherever they came from; or photographs made
//! for it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::collection::Collection;
use super::photographs;
use super::workers;
use crate::data::progress::{Progress, Report};
use crate::data::temporary;
use crate::exit::Exit;
use crate::temporaries::{self, Held};

/// What the folder is called, but for what makes its name unique.
const NAME: &str = "refig-pictures";

/// Classes of photographs that are made.
const CLASSES: usize = 10;

/// A folder of training images, which is removed with this value.
#[derive(Debug)]
pub struct Sample {
    root: PathBuf,
    /// The number of images.
    pub count: usize,
    /// Dropped after the folder is removed.
    _held: Held,
}

impl Sample {
    /// Copies `count` training images, or all if there are fewer, into a new folder in `place`. They are a random choice,
    /// because a collection is sorted by digest.
    ///
    /// # Errors
    /// [`Exit::Data`] if an image cannot be read, [`Exit::Storage`] if one cannot be written; that of `progress`.
    pub fn copy(
        collection: &Collection,
        count: usize,
        place: &Path,
        progress: &mut Report,
    ) -> Result<Self> {
        let images = &collection.train;
        let sample = Self::new(place, count.min(images.len()))?;
        let mut bytes = Vec::new();
        for index in 0..sample.count {
            progress(Progress::Waiting)?;
            images.read(index, &mut bytes)?;
            sample.write(index, images.label(index).into(), &bytes)?;
        }
        Ok(sample)
    }

    /// Makes `count` photographs of ImageNet's mean size, a few of them large, in a new folder in `place`.
    ///
    /// # Errors
    /// [`Exit::Storage`] if one cannot be written; that of `progress`.
    pub fn photographs(count: usize, place: &Path, progress: &mut Report) -> Result<Self> {
        let sample = Self::new(place, count)?;
        let make =
            |index: usize| sample.write(index, index % CLASSES, &photographs::photograph(index)?);
        let wait = |_| progress(Progress::Waiting);
        workers::each(workers::cores(), count, make, wait)?;
        Ok(sample)
    }

    /// What [`Sample::photographs`] makes, in words.
    pub fn description(count: usize) -> String {
        photographs::description(count)
    }

    fn new(place: &Path, count: usize) -> Result<Self> {
        let root = temporary::folder_beside(&place.join(NAME));
        let root = root.map_err(|error| unwritable(place, &error))?;
        Ok(Self {
            _held: temporaries::hold(&root),
            root,
            count,
        })
    }

    /// Writes image number `index`.
    fn write(&self, index: usize, class: usize, bytes: &[u8]) -> Result<()> {
        // Numbers in place of the classes' names, which may be anything.
        let class = format!("{class:05}");
        // A collection must have a validation image.
        let parts: &[&str] = match index {
            0 => &["train", "val"],
            _ => &["train"],
        };
        for part in parts {
            let folder = self.images().join(part).join(&class);
            fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
            let path = folder.join(format!("{index}.JPEG"));
            fs::write(&path, bytes).map_err(|error| unwritable(&path, &error))?;
        }
        Ok(())
    }

    /// The folder with `train` and `val`.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// The folder that is removed.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

fn unwritable(path: &Path, error: &io::Error) -> anyhow::Error {
    Exit::Storage.error(format!(
        "cannot write {}: {error}; name another folder for temporary files with TMPDIR",
        path.display()
    ))
}

impl Drop for Sample {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.root).ok();
    }
}
