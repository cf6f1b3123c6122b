//! Reads CIFAR-10's binary layout from a folder or from the official archive.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::archive;
use super::images::Dataset;
use super::layout::{
    self, ALL_BYTES, ARCHIVE_NAME, BATCH_BYTES, CLASSES, FOLDER, REMEDY, TRAINING_FILES, Take,
    Tick, files,
};
use super::progress::{Progress, Report};
use super::records;
use crate::address::without_credentials;
use crate::exit::Exit;

/// Loads a data set in CIFAR-10's layout from `path`: a folder with the six batches, a folder that holds
/// `cifar-10-batches-bin` or the official archive, or a `.tar.gz`. The images may be others than CIFAR-10's, see
/// [`Dataset::origin`].
///
/// # Errors
/// [`Exit::Data`] if nothing is found, a batch is missing, truncated or oversized, a label is above 9, or the archive is
/// damaged.
pub fn load(path: &Path) -> Result<Dataset> {
    load_with(path, &mut |_| Ok(()))
}

/// [`load`], which `progress` can stop.
pub(super) fn load_with(path: &Path, progress: &mut Report) -> Result<Dataset> {
    let place = locate(path)?;
    let mut records = vec![0u8; ALL_BYTES];
    let mut wait = |_: u64| progress(Progress::Waiting);
    read(&place, &mut wait, &mut |number, batch| {
        records[number * BATCH_BYTES..][..BATCH_BYTES].copy_from_slice(batch);
        Ok(())
    })?;
    let (train, test) = records.split_at(TRAINING_FILES.len() * BATCH_BYTES);
    let train = records::into_images(train);
    wait(0)?;
    let test = records::into_images(test);
    Ok(Dataset {
        origin: records::origin(&train, &test),
        classes: usize::from(CLASSES),
        train: Arc::new(train),
        test: Arc::new(test),
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
            without_credentials(&path.display().to_string())
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

/// Hands each of the six batches to `take`, validated.
pub(super) fn read(place: &Place, tick: &mut Tick, take: &mut Take) -> Result<()> {
    match place {
        Place::Folder(folder) => read_folder(folder, tick, take),
        Place::Archive(file) => archive::read(file, tick, take),
    }
}

fn read_folder(folder: &Path, tick: &mut Tick, take: &mut Take) -> Result<()> {
    // Report missing files before anything wrong with the others.
    let missing: Vec<&str> = files().filter(|name| !folder.join(name).exists()).collect();
    if !missing.is_empty() {
        return Err(Exit::Data.error(format!(
            "{} lacks {} of CIFAR-10's six batches: {REMEDY}",
            folder.display(),
            missing.join(", ")
        )));
    }
    let mut batch = Vec::with_capacity(BATCH_BYTES);
    for (number, name) in files().enumerate() {
        let path = folder.join(name);
        let shown = path.display().to_string();
        let unreadable = |error: std::io::Error| {
            Exit::Data.error(format!("cannot read {shown}: {error}; {REMEDY}"))
        };
        let mut file = File::open(&path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        layout::check_length(&shown, bytes)?;
        let done = (number * BATCH_BYTES) as u64;
        layout::read_batch(&shown, &mut file, &mut batch, &mut |bytes| {
            tick(done + bytes)
        })?;
        take(number, &batch)?;
    }
    Ok(())
}
