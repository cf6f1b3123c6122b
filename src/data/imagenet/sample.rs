//! Some training images as files of their own, which other programs can read too, wherever they came from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::collection::Collection;
use crate::data::progress::{Progress, Report};
use crate::data::temporary;
use crate::exit::Exit;

/// What the folder is called, but for what makes its name unique.
const NAME: &str = "refig-pictures";

/// A folder of copied training images, which is removed with this value.
#[derive(Debug)]
pub struct Sample {
    root: PathBuf,
    /// The number of images.
    pub count: usize,
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
        let unwritable = |path: &Path, error: io::Error| {
            Exit::Storage.error(format!(
                "cannot write {}: {error}; name another folder for temporary files with TMPDIR",
                path.display()
            ))
        };
        let images = &collection.train;
        let sample = Self {
            root: temporary::folder_beside(&place.join(NAME))
                .map_err(|error| unwritable(place, error))?,
            count: count.min(images.len()),
        };
        let mut bytes = Vec::new();
        for index in 0..sample.count {
            progress(Progress::Waiting)?;
            images.read(index, &mut bytes)?;
            // Numbers in place of the classes' names, which may be anything.
            let class = format!("{:05}", images.label(index));
            // A collection must have a validation image.
            let parts: &[&str] = match index {
                0 => &["train", "val"],
                _ => &["train"],
            };
            for part in parts {
                let folder = sample.images().join(part).join(&class);
                fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, error))?;
                let path = folder.join(format!("{index}.JPEG"));
                fs::write(&path, &bytes).map_err(|error| unwritable(&path, error))?;
            }
        }
        Ok(sample)
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

impl Drop for Sample {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.root).ok();
    }
}
