//! CIFAR-10's binary layout: the names and sizes of the six batch files, and how one of them is read and validated.

use std::cmp::Ordering;
use std::io::{ErrorKind, Read};

use anyhow::Result;

use super::records::RECORD_BYTES;
use crate::exit::Exit;

/// Records in each of the six files.
pub const RECORDS_PER_BATCH: usize = 10_000;
/// Bytes in each of the six files.
pub const BATCH_BYTES: usize = RECORDS_PER_BATCH * RECORD_BYTES;
/// Bytes in all six files.
pub(super) const ALL_BYTES: usize = (TRAINING_FILES.len() + 1) * BATCH_BYTES;
/// Bytes read at a time. Between two reads the work can be stopped.
const CHUNK: usize = 1 << 20;
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

/// Hears how many bytes of the batches have been read. Returning an error stops the work.
pub(super) type Tick<'a> = dyn FnMut(u64) -> Result<()> + 'a;
/// Takes one validated batch with its number, the test batch last.
pub(super) type Take<'a> = dyn FnMut(usize, &[u8]) -> Result<()> + 'a;

/// All six file names, training files first.
pub(super) fn files() -> impl Iterator<Item = &'static str> {
    TRAINING_FILES.into_iter().chain([TEST_FILE])
}

/// Reads one batch to its end into `batch` and validates its length and labels.
pub(super) fn read_batch(
    name: &str,
    reader: &mut dyn Read,
    batch: &mut Vec<u8>,
    tick: &mut Tick,
) -> Result<()> {
    batch.clear();
    let mut chunk = vec![0u8; CHUNK];
    // More than a batch is enough to detect an oversized one.
    while batch.len() <= BATCH_BYTES {
        match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => batch.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Exit::Data.error(format!("cannot read {name}: {error}; {REMEDY}")));
            }
        }
        tick(batch.len() as u64)?;
    }
    check_length(name, batch.len() as u64)?;
    let wrong = batch
        .chunks_exact(RECORD_BYTES)
        .position(|record| record[0] >= CLASSES);
    if let Some(record) = wrong {
        return Err(Exit::Data.error(format!(
            "record {record} of {name} has label {}, but CIFAR-10's labels are 0 to 9: not a CIFAR-10 batch, or damaged; {REMEDY}",
            batch[record * RECORD_BYTES]
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
