//! Reads CIFAR-10's binary layout from a folder or from the official archive.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::archive;
use super::images::Dataset;
use super::layout::{
    ARCHIVE_NAME, BATCH_BYTES, Batches, CLASSES, FOLDER, REMEDY, TEST_FILE, TRAINING_FILES,
    append_batch, check_length, files,
};
use super::records;
use crate::exit::Exit;

/// Loads a data set in CIFAR-10's layout from `path`: a folder with the six batches, a folder that holds
/// `cifar-10-batches-bin` or the official archive, or a `.tar.gz`. The images may be others than CIFAR-10's, see
/// [`Dataset::origin`].
///
/// # Errors
/// [`Exit::Data`] if nothing is found, a batch is missing, truncated or oversized, a label is above 9, or the archive is
/// damaged.
pub fn load(path: &Path) -> Result<Dataset> {
    let batches = match locate(path)? {
        Place::Folder(folder) => read_folder(&folder)?,
        Place::Archive(file) => archive::read(&file)?,
    };
    let Batches { train, test } = batches;
    let train_images = records::into_images(&train);
    drop(train);
    let test_images = records::into_images(&test);
    Ok(Dataset {
        origin: records::origin(&train_images, &test_images),
        classes: usize::from(CLASSES),
        train: Arc::new(train_images),
        test: Arc::new(test_images),
        source: path.display().to_string(),
    })
}

/// Where the batches are.
pub(super) enum Place {
    Folder(PathBuf),
    Archive(PathBuf),
}

/// Finds the batches at or below `path`.
pub(super) fn locate(path: &Path) -> Result<Place> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        Exit::Data.error(format!(
            "no data at {}: {error}; name a folder with CIFAR-10's six .bin batches or its .tar.gz with --data-dir or CIFAR10_DIR",
            path.display()
        ))
    })?;
    if metadata.is_file() {
        return Ok(Place::Archive(path.to_path_buf()));
    }
    let nested = path.join(FOLDER);
    for folder in [path, &nested] {
        if files().any(|name| folder.join(name).exists()) {
            return Ok(Place::Folder(folder.to_path_buf()));
        }
    }
    let archive = path.join(ARCHIVE_NAME);
    if archive.is_file() {
        return Ok(Place::Archive(archive));
    }
    let python = path.join("data_batch_1").exists() || path.join("cifar-10-batches-py").exists();
    let found = if python {
        "the Python version of CIFAR-10; the binary version is needed"
    } else {
        "none of CIFAR-10's batches (data_batch_1.bin ... test_batch.bin)"
    };
    Err(Exit::Data.error(format!("{} holds {found}: {REMEDY}", path.display())))
}

fn read_folder(folder: &Path) -> Result<Batches> {
    // Report missing files before anything wrong with the others.
    let missing: Vec<&str> = files().filter(|name| !folder.join(name).exists()).collect();
    if !missing.is_empty() {
        return Err(Exit::Data.error(format!(
            "{} lacks {} of CIFAR-10's six batches: {REMEDY}",
            folder.display(),
            missing.join(", ")
        )));
    }
    let mut batches = Batches {
        train: Vec::with_capacity(TRAINING_FILES.len() * BATCH_BYTES),
        test: Vec::with_capacity(BATCH_BYTES),
    };
    for name in TRAINING_FILES {
        append_file(&folder.join(name), &mut batches.train)?;
    }
    append_file(&folder.join(TEST_FILE), &mut batches.test)?;
    Ok(batches)
}

fn append_file(path: &Path, records: &mut Vec<u8>) -> Result<()> {
    let unreadable = |error: std::io::Error| {
        Exit::Data.error(format!("cannot read {}: {error}; {REMEDY}", path.display()))
    };
    let file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    check_length(&path.display().to_string(), bytes)?;
    append_batch(&path.display().to_string(), file, records)
}
