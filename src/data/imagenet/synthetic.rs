//! Photographs that nobody took: the built-in synthetic images, enlarged and written as JPEGs in class folders, so that the whole
//! way from a file to a network's input runs where there is no ImageNet.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jpeg_encoder::{ColorType, Encoder};

use crate::data::images::ImageSet;
use crate::data::synthetic::{SYNTHETIC_SEED, synthetic};
use crate::data::temporary;
use crate::exit::Exit;
use crate::origin::Size;
use crate::temporaries;

/// Training and validation images of each class.
const EACH: [(&str, usize); 2] = [("train", 60), ("val", 12)];
/// Pixels for each of the original's, so that pictures of 32x32 become large enough to be scaled and cropped.
const ENLARGED: usize = 4;
/// Names of the classes: ImageNet's synsets of Imagenette.
const SYNSETS: [&str; 10] = [
    "n01440764",
    "n02102040",
    "n02979186",
    "n03000684",
    "n03028079",
    "n03394916",
    "n03417042",
    "n03425413",
    "n03445777",
    "n03888257",
];
/// Classes and images.
pub(crate) const SYNTHETIC_SIZE: Size = Size {
    classes: SYNSETS.len(),
    training_images: SYNSETS.len() * EACH[0].1,
    test_images: SYNSETS.len() * EACH[1].1,
};
const QUALITY: u8 = 90;
/// Where they are kept; another name with every change of what is written.
const FOLDER: &str = "synthetic-pictures-1";

/// Whether the pictures are in the cache folder.
pub(in crate::data) fn has_synthetic_pictures(cache: &Path) -> bool {
    cache.join(FOLDER).is_dir()
}

/// The folder with the pictures in the cache folder, written if it is not there.
///
/// # Errors
/// [`Exit::Storage`] if it cannot be written.
pub(in crate::data) fn synthetic_pictures(cache: &Path) -> Result<PathBuf> {
    let folder = cache.join(FOLDER);
    if !folder.is_dir() {
        let written = write(&folder);
        // Another process may have been faster, with the same files.
        if !folder.is_dir() {
            written?;
        }
    }
    // What killed processes left. One that is still writing finds that these are there.
    for old in temporary::leftovers(&folder) {
        fs::remove_dir_all(old).ok();
    }
    Ok(folder)
}

/// Writes the pictures into a folder that is renamed when it is complete.
fn write(folder: &Path) -> Result<()> {
    let made = folder.parent().map_or(Ok(()), fs::create_dir_all);
    let fresh = made
        .and_then(|()| temporary::folder_beside(folder))
        .map_err(|error| unwritable(folder, &error))?;
    let _held = temporaries::hold(&fresh);
    let written = fill(&fresh).and_then(|()| {
        temporaries::rename(&fresh, folder).map_err(|error| unwritable(folder, &error))
    });
    if written.is_err() {
        fs::remove_dir_all(&fresh).ok();
    }
    written
}

fn fill(fresh: &Path) -> Result<()> {
    let images = synthetic(SYNTHETIC_SEED);
    for ((split, each), images) in EACH.into_iter().zip([&images.train, &images.test]) {
        let mut written = [0; SYNSETS.len()];
        for index in 0..images.len() {
            let label = usize::from(images.labels[index]);
            if written[label] == each {
                continue;
            }
            written[label] += 1;
            let class = fresh.join(split).join(SYNSETS[label]);
            fs::create_dir_all(&class).map_err(|error| unwritable(&class, &error))?;
            let path = class.join(format!("{}_{index}.JPEG", SYNSETS[label]));
            temporary::write_new(&path, &jpeg(images, index)?)
                .map_err(|error| unwritable(&path, &error))?;
        }
    }
    Ok(())
}

fn unwritable(path: &Path, error: &io::Error) -> anyhow::Error {
    Exit::Storage.error(format!(
        "cannot write {}: {error}; make room, check its permissions, or move the cache with REFIG_CACHE",
        path.display()
    ))
}

/// An image as a JPEG of 128 pixels in height, and a little more in width for some.
fn jpeg(images: &ImageSet, index: usize) -> Result<Vec<u8>> {
    let side = images.size;
    let image = images.image(index);
    let height = side * ENLARGED;
    let width = height + index % 3 * 16;
    let mut pixels = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            let at = y / ENLARGED * side + x * side / width;
            pixels.extend([0, 1, 2].map(|channel| image[channel * side * side + at]));
        }
    }
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, QUALITY)
        .encode(&pixels, width as u16, height as u16, ColorType::Rgb)
        .context("cannot encode a synthetic picture")?;
    Ok(bytes)
}
