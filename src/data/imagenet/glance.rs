//! What a place holds, as far as that can be told without reading images.

use std::path::{Path, absolute};

use anyhow::Result;

use super::classes;
use super::collection::{PARTS, lacks};
use super::index::{self, Index};
use super::layout;
use crate::origin::Size;

/// A place, by its layout and its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// What kind of place the images are in.
    pub layout: &'static str,
    /// Classes and images that were found when they were last read; none if no index of them is kept.
    pub size: Option<Size>,
}

/// Looks at `dir`, and at the index of it that `cache` may keep.
///
/// # Errors
/// [`Exit::Data`](crate::exit::Exit::Data) if it has no known layout or lacks a part.
pub fn glance(dir: &Path, cache: &Path) -> Result<Glance> {
    let named = absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let source = dir.display().to_string();
    let layout = layout::locate(&named)?;
    layout.check_complete()?;
    for (place, part) in [&layout.train, &layout.test].into_iter().zip(PARTS) {
        if place.is_none() {
            return Err(lacks(part, &source));
        }
    }
    // One that cannot be used is made again when the images are opened, which says why.
    let known = index::load(&index::path(cache, &named)).ok().flatten();
    Ok(Glance {
        layout: layout.name(),
        size: match &known {
            Some(known) => size(known, &source)?,
            None => None,
        },
    })
}

/// What is in an index that has both parts.
fn size(index: &Index, source: &str) -> Result<Option<Size>> {
    let (Some(train), Some(test)) = (&index.train, &index.test) else {
        return Ok(None);
    };
    let classes = classes::join(
        train.groups.iter().map(String::as_str),
        test.groups.iter().map(String::as_str),
        source,
    )?;
    Ok(Some(Size {
        classes: classes.len(),
        training_images: train.images.len(),
        test_images: test.images.len(),
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::imagenet::{SYNTHETIC_SIZE, open, synthetic_pictures};

    #[test]
    fn numbers_are_those_of_the_last_reading() {
        let folder = tempfile::tempdir().unwrap();
        let images = synthetic_pictures(&folder.path().join("pictures")).unwrap();
        let cache = folder.path().join("cache");
        let before = glance(&images, &cache).unwrap();
        assert_eq!((before.layout, before.size), ("class folders", None));
        assert!(!cache.exists());
        open(&images, &cache, &mut |_| Ok(())).unwrap();
        let after = glance(&images, &cache).unwrap();
        assert_eq!(after.size, Some(SYNTHETIC_SIZE));
        fs::remove_dir_all(images.join("val")).unwrap();
        let error = glance(&images, &cache).unwrap_err().to_string();
        assert!(error.contains("no validation images"), "{error}");
    }
}
