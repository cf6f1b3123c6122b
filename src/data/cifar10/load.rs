//! Finds CIFAR-10 in a place, whatever its layout: binary or Python batches, Parquet files, or an archive.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::archive;
use super::layout::{
    ALL_BYTES, BATCH_BYTES, CLASSES, FOLDER, Format, REMEDY, TRAINING_FILES, Take, Tick,
};
use super::order::{self, Key};
use super::records::{self, RECORD_BYTES, Sorted};
use super::shards::Shards;
use crate::address::without_credentials;
use crate::data::images::Dataset;
use crate::data::progress::{Progress, Report};
use crate::exit::Exit;

/// Loads a data set in one of CIFAR-10's layouts from `path`: a folder with the six batches or with Hugging Face's Parquet
/// files, a folder that holds `cifar-10-batches-bin`, `cifar-10-batches-py`, `plain_text` or an official archive, a `.tar.gz`,
/// or one of the Parquet files. The images may be others than CIFAR-10's, see [`Dataset::origin`].
///
/// # Errors
/// [`Exit::Data`] if nothing is found, a batch is missing, truncated or oversized, a label is above 9, or a file is damaged.
pub fn load(path: &Path) -> Result<Dataset> {
    load_with(path, &mut |_| Ok(()))
}

/// How the digests of images are found.
#[derive(Clone, Copy, Debug)]
pub(in crate::data) enum Digests<'a> {
    /// From every byte.
    Computed,
    /// From this cache folder, if the files have not changed since they were put there.
    Known(&'a Path),
    /// The same, and put there otherwise.
    Kept(&'a Path),
}

/// [`load`], which `progress` can stop.
pub(in crate::data) fn load_with(path: &Path, progress: &mut Report) -> Result<Dataset> {
    load_by(path, Digests::Computed, progress)
}

/// [`load_with`], with digests that may be known.
pub(in crate::data) fn load_by(
    path: &Path,
    digests: Digests<'_>,
    progress: &mut Report,
) -> Result<Dataset> {
    let place = locate(path)?;
    let (cache, keep) = match digests {
        Digests::Computed => (None, false),
        Digests::Known(cache) => (Some(cache), false),
        Digests::Kept(cache) => (Some(cache), true),
    };
    // The state in which the files are before they are read.
    let state = || cache.zip(Key::of(&place.files()));
    let before = state();
    let mut records = vec![0u8; ALL_BYTES];
    let mut wait = |_: u64| progress(Progress::Waiting);
    read(&place, &mut wait, &mut |number, batch| {
        records[number * BATCH_BYTES..][..BATCH_BYTES].copy_from_slice(batch);
        Ok(())
    })?;
    let (train, test) = records.split_at(TRAINING_FILES.len() * BATCH_BYTES);
    // Whoever replaces a file while it is read is not to be remembered.
    let after = before.filter(|before| state().as_ref() == Some(before));
    let known = after
        .as_ref()
        .and_then(|(cache, key)| order::load(cache, key));
    let counts = |sets: &[Sorted; 2]| {
        let counts = [train, test].map(|records| records.len() / RECORD_BYTES);
        [sets[0].order.len(), sets[1].order.len()] == counts
    };
    let [train, test] = match known.filter(counts) {
        Some([first, second]) => [first.images(train), second.images(test)],
        None => {
            let first = Sorted::of(train);
            wait(0)?;
            let second = Sorted::of(test);
            if let Some((cache, key)) = after.filter(|_| keep) {
                order::save(cache, &key, [&first, &second]);
            }
            [first.images(train), second.images(test)]
        }
    };
    Ok(Dataset {
        origin: records::origin(&train, &test),
        classes: usize::from(CLASSES),
        train: Arc::new(train),
        test: Arc::new(test),
        source: path.display().to_string(),
    })
}

/// Where the images are, and in which layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Batches(Format, PathBuf),
    Shards(Shards),
    Archive(PathBuf),
}

impl Place {
    /// The files that hold the images.
    fn files(&self) -> Vec<PathBuf> {
        match self {
            Place::Batches(format, folder) => {
                format.files().map(|name| folder.join(name)).collect()
            }
            Place::Shards(shards) => shards.files().cloned().collect(),
            Place::Archive(file) => vec![file.clone()],
        }
    }
}

/// Finds the images at or below `path`. A place with several layouts is read in the first of them, for all hold the same.
pub(super) fn locate(path: &Path) -> Result<Place> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        Exit::Data.error(format!(
            "no data at {}: {error}; name a folder with CIFAR-10's six batches or Parquet files, or its .tar.gz, with --data-dir or CIFAR10_DIR",
            without_credentials(&path.display().to_string())
        ))
    })?;
    if metadata.is_file() {
        let shards = path.parent().filter(|_| is_parquet(path));
        return Ok(match shards.and_then(Shards::find) {
            Some(shards) => Place::Shards(shards),
            None => Place::Archive(path.to_path_buf()),
        });
    }
    for format in Format::ALL {
        for folder in [path.to_path_buf(), path.join(format.folder())] {
            if format.files().any(|name| folder.join(name).exists()) {
                return Ok(Place::Batches(format, folder));
            }
        }
    }
    for folder in [path, &path.join("plain_text")] {
        if let Some(shards) = Shards::find(folder) {
            return Ok(Place::Shards(shards));
        }
    }
    for format in Format::ALL {
        let archive = path.join(format.archive());
        if archive.is_file() {
            return Ok(Place::Archive(archive));
        }
    }
    Err(Exit::Data.error(format!(
        "{} holds none of CIFAR-10's batches (data_batch_1.bin ... test_batch.bin, or the same without .bin), Parquet files (train-*.parquet, test-*.parquet) or archives: {REMEDY}",
        path.display()
    )))
}

/// Where CIFAR-10 is in the cache, if it need not be downloaded or unpacked first. Reads no images.
pub(in crate::data) fn cached(cache: &Path) -> Option<PathBuf> {
    let installed = cache.join(FOLDER);
    if installed.exists() {
        return Some(installed);
    }
    match locate(cache) {
        Ok(Place::Batches(..) | Place::Shards(_)) => Some(cache.to_path_buf()),
        Ok(Place::Archive(_)) | Err(_) => None,
    }
}

/// Whether a file begins as Parquet does.
fn is_parquet(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && &magic == b"PAR1"
}

/// Hands each of the six batches to `take`, as validated records.
pub(super) fn read(place: &Place, tick: &mut Tick, take: &mut Take) -> Result<()> {
    match place {
        Place::Batches(format, folder) => read_folder(*format, folder, tick, take),
        Place::Shards(shards) => shards.read(tick, take),
        Place::Archive(file) => archive::read(file, tick, take),
    }
}

fn read_folder(format: Format, folder: &Path, tick: &mut Tick, take: &mut Take) -> Result<()> {
    // Report missing files before anything wrong with the others.
    let files = format.files();
    let missing: Vec<&str> = files.filter(|name| !folder.join(name).exists()).collect();
    if !missing.is_empty() {
        return Err(Exit::Data.error(format!(
            "{} lacks {} of CIFAR-10's six batches: {REMEDY}",
            folder.display(),
            missing.join(", ")
        )));
    }
    let mut batch = Vec::with_capacity(BATCH_BYTES);
    for (number, name) in format.files().enumerate() {
        let path = folder.join(name);
        let shown = path.display().to_string();
        let unreadable = |error: std::io::Error| {
            Exit::Data.error(format!("cannot read {shown}: {error}; {REMEDY}"))
        };
        let mut file = File::open(&path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        format.check_length(&shown, bytes)?;
        let done = (number * BATCH_BYTES) as u64;
        format.read(&shown, &mut file, &mut batch, &mut |bytes| {
            tick(done + bytes)
        })?;
        take(number, &batch)?;
    }
    Ok(())
}
