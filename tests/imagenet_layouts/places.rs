//! A folder for layouts, and what is read from one.

use std::path::{Path, PathBuf};

use refig::data::Progress;
use refig::data::imagenet::{Collection, Split, open};
use refig::exit::Exit;
use tempfile::TempDir;

pub fn load(place: &Path, cache: &Path) -> (Collection, Vec<String>) {
    let mut notes = Vec::new();
    let mut show = |progress| {
        if let Progress::Note(note) = progress {
            notes.push(note);
        }
        Ok(())
    };
    let collection = open(place, cache, &mut show).unwrap();
    (collection, notes)
}

pub fn refused(place: &Path) -> String {
    let cache = tempfile::tempdir().unwrap();
    let error = open(place, cache.path(), &mut |_| Ok(())).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Data, "{error:#}");
    format!("{error:#}")
}

/// Labels and bytes in their order.
pub fn contents(split: &Split) -> Vec<(u16, Vec<u8>)> {
    let images = (0..split.len()).map(|index| {
        let mut bytes = vec![9; 3];
        split.read(index, &mut bytes).unwrap();
        (split.label(index), bytes)
    });
    images.collect()
}

pub struct Places {
    folder: TempDir,
}

impl Places {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
