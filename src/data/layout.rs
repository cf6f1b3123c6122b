//! CIFAR-10's binary layout: the names and sizes of the six batch files, and how one of them is read and validated.

use std::cmp::Ordering;
use std::io::Read;

use anyhow::Result;

use super::records::RECORD_BYTES;
use crate::exit::Exit;

/// Records in each of the six files.
pub const RECORDS_PER_BATCH: usize = 10_000;
/// Bytes in each of the six files.
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
/// The folder that the official archive unpacks to; the cache uses the same name.
pub const FOLDER: &str = "cifar-10-batches-bin";
/// File name of the official archive.
pub(super) const ARCHIVE_NAME: &str = "cifar-10-binary.tar.gz";
/// Number of classes; labels are below it.
pub(super) const CLASSES: u8 = 10;

/// How to replace missing or damaged files.
pub(super) const REMEDY: &str =
    "fetch it again with `refig data fetch cifar10`, or name another place with --data-dir";

/// The concatenated, validated records of both sets.
#[derive(Default)]
pub(super) struct Batches {
    pub train: Vec<u8>,
    pub test: Vec<u8>,
}

/// All six file names, training files first.
pub(super) fn files() -> impl Iterator<Item = &'static str> {
    TRAINING_FILES.into_iter().chain([TEST_FILE])
}

/// Reads one batch to its end, validates its length and labels, and appends its records.
pub(super) fn append_batch(name: &str, reader: impl Read, records: &mut Vec<u8>) -> Result<()> {
    let start = records.len();
    // One extra byte is enough to detect an oversized batch.
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
            "record {record} of {name} has label {}, but CIFAR-10's labels are 0 to 9: not a CIFAR-10 batch, or damaged; {REMEDY}",
            records[start + record * RECORD_BYTES]
        )));
    }
    Ok(())
}

/// Rejects a batch that does not hold exactly 10,000 records.
pub(super) fn check_length(name: &str, bytes: u64) -> Result<()> {
    let expected = BATCH_BYTES as u64;
    let what = match bytes.cmp(&expected) {
        Ordering::Equal => return Ok(()),
        Ordering::Less => format!("is truncated: {bytes} bytes"),
        Ordering::Greater => format!("is oversized: {bytes} bytes or more"),
    };
    Err(Exit::Data.error(format!(
        "{name} {what} instead of {expected} ({RECORDS_PER_BATCH} records of {RECORD_BYTES}): {REMEDY}"
    )))
}
