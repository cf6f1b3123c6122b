//! CIFAR-10's binary layout: six batches of 10,000 records, in a folder or in the official archive.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::records::{self, RECORD_BYTES};
use super::{Dataset, FOLDER, archive};
use crate::exit::Exit;

/// Records in each of the six files.
pub const RECORDS_PER_BATCH: usize = 10_000;
/// Bytes of each of the six files.
pub const BATCH_BYTES: usize = RECORDS_PER_BATCH * RECORD_BYTES;
/// The files of the training set.
pub const TRAINING_FILES: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
/// The file of the test set.
pub const TEST_FILE: &str = "test_batch.bin";
/// The name that the official archive has.
pub(super) const ARCHIVE_NAME: &str = "cifar-10-binary.tar.gz";
/// Classes, and one more than the highest label.
const CLASSES: u8 = 10;

/// What to do about files that are not as they should be.
const REMEDY: &str =
    "fetch it again with `refig data fetch cifar10`, or name another place with --data-dir";

/// Every file of the data set, training files first.
pub(super) fn files() -> impl Iterator<Item = &'static str> {
    TRAINING_FILES.into_iter().chain([TEST_FILE])
}

/// Reads CIFAR-10's layout from `path`: a folder with the six batches, a folder with them in `cifar-10-batches-bin`
/// or with the official archive in it, or a `.tar.gz`. The images are CIFAR-10 or other ones, see [`Dataset::origin`].
///
/// # Errors
/// When nothing is there, a batch is missing, truncated or oversized, a label is above 9, or the archive is damaged.
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

/// The records of both sets, checked.
#[derive(Default)]
pub(super) struct Batches {
    pub train: Vec<u8>,
    pub test: Vec<u8>,
}

/// Where the batches lie.
pub(super) enum Place {
    Folder(PathBuf),
    Archive(PathBuf),
}

/// Finds the batches at or below `path`.
pub(super) fn locate(path: &Path) -> Result<Place> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        Exit::Data.error(format!(
            "no data at {}: {error}; name a folder with the six .bin batches of CIFAR-10 or its .tar.gz with --data-dir or CIFAR10_DIR",
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
    // Missing files first: their names matter more than what is wrong with the others.
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

/// Reads one batch to its end, checks its length and its labels, and appends its records.
pub(super) fn append_batch(name: &str, reader: impl Read, records: &mut Vec<u8>) -> Result<()> {
    let start = records.len();
    // One byte more than allowed tells an oversized batch without reading all of it.
    reader
        .take(BATCH_BYTES as u64 + 1)
        .read_to_end(records)
        .map_err(|error| Exit::Data.error(format!("cannot read {name}: {error}; {REMEDY}")))?;
    check_length(name, (records.len() - start) as u64)?;
    let wrong = records[start..]
        .chunks_exact(RECORD_BYTES)
        .position(|record| record[0] >= CLASSES);
    if let Some(record) = wrong {
        return Err(Exit::Data.error(format!(
            "record {record} of {name} has label {}, CIFAR-10's labels are 0 to 9: this is no batch of CIFAR-10 or it is damaged; {REMEDY}",
            records[start + record * RECORD_BYTES]
        )));
    }
    Ok(())
}

/// Refuses a batch that does not hold exactly 10,000 records.
pub(super) fn check_length(name: &str, bytes: u64) -> Result<()> {
    let expected = BATCH_BYTES as u64;
    let what = match bytes.cmp(&expected) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less => format!("is truncated: {bytes} bytes"),
        std::cmp::Ordering::Greater => format!("is oversized: {bytes} bytes or more"),
    };
    Err(Exit::Data.error(format!(
        "{name} {what} instead of {expected} ({RECORDS_PER_BATCH} records of {RECORD_BYTES}): {REMEDY}"
    )))
}
