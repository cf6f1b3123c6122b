//! The six batch files of CIFAR-10, binary and Python's: their names and sizes, and how one of them is read and validated.

use std::cmp::Ordering;
use std::io::{ErrorKind, Read};

use anyhow::Result;

use super::python;
use super::records::RECORD_BYTES;
use crate::counted::counted;
use crate::exit::Exit;

/// Records in each of the six files.
pub const RECORDS_PER_BATCH: usize = 10_000;
/// Bytes in each of the six files.
pub const BATCH_BYTES: usize = RECORDS_PER_BATCH * RECORD_BYTES;
/// Bytes in all six files.
pub(super) const ALL_BYTES: usize = (TRAINING_FILES.len() + 1) * BATCH_BYTES;
/// Bytes read at a time. Between two reads the work can be stopped.
const CHUNK: usize = 1 << 20;
/// The most bytes of a pickled batch. The official ones have 31,035,704 or less.
const MOST_PICKLE: usize = 40 << 20;
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
/// Number of classes; labels are below it.
pub(super) const CLASSES: u8 = 10;

/// How to replace missing or damaged files.
pub(super) const REMEDY: &str =
    "fetch it again with `refig data fetch cifar10`, or name another place with --data-dir";

/// Hears how many bytes of the batches have been read. Returning an error stops the work.
pub(super) type Tick<'a> = dyn FnMut(u64) -> Result<()> + 'a;
/// Takes one validated batch with its number, the test batch last.
pub(super) type Take<'a> = dyn FnMut(usize, &[u8]) -> Result<()> + 'a;

/// How the batch files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Binary,
    /// Pickles.
    Python,
}

impl Format {
    pub const ALL: [Format; 2] = [Format::Binary, Format::Python];

    /// All six file names, training files first.
    pub fn files(self) -> impl Iterator<Item = &'static str> {
        let names = TRAINING_FILES.into_iter().chain([TEST_FILE]);
        names.map(move |name| match self {
            Format::Binary => name,
            Format::Python => name.trim_end_matches(".bin"),
        })
    }

    /// The folder that the archive unpacks to.
    pub fn folder(self) -> &'static str {
        match self {
            Format::Binary => FOLDER,
            Format::Python => "cifar-10-batches-py",
        }
    }

    /// File name of the official archive.
    pub fn archive(self) -> &'static str {
        match self {
            Format::Binary => "cifar-10-binary.tar.gz",
            Format::Python => "cifar-10-python.tar.gz",
        }
    }

    /// Rejects a file whose length, if known, is not that of a batch.
    pub fn check_length(self, name: &str, bytes: u64) -> Result<()> {
        match self {
            Format::Binary => check_length(name, bytes),
            Format::Python if bytes <= MOST_PICKLE as u64 => Ok(()),
            Format::Python => Err(Exit::Data.error(format!(
                "{name} is oversized: {bytes} bytes or more instead of about 31 MB: {REMEDY}"
            ))),
        }
    }

    /// Reads one batch to its end into `batch`, as records, and validates it.
    pub fn read(
        self,
        name: &str,
        reader: &mut dyn Read,
        batch: &mut Vec<u8>,
        tick: &mut Tick,
    ) -> Result<()> {
        match self {
            Format::Binary => {
                read_to_end(name, reader, BATCH_BYTES, batch, tick)?;
                check_length(name, batch.len() as u64)?;
            }
            Format::Python => {
                let mut pickled = Vec::new();
                read_to_end(name, reader, MOST_PICKLE, &mut pickled, &mut |bytes| {
                    tick(bytes.min(BATCH_BYTES as u64))
                })?;
                self.check_length(name, pickled.len() as u64)?;
                *batch = python::records(&pickled).map_err(|fault| {
                    Exit::Data.error(format!(
                        "{name} is not a batch of CIFAR-10's Python version, or damaged: {fault:#}; {REMEDY}"
                    ))
                })?;
                let images = batch.len() / RECORD_BYTES;
                if images != RECORDS_PER_BATCH {
                    return Err(Exit::Data.error(format!(
                        "{name} holds {} instead of {RECORDS_PER_BATCH}: {REMEDY}",
                        counted(images, "image")
                    )));
                }
            }
        }
        check_labels(name, batch)
    }
}

/// Reads to the end, or a little more than `most` bytes, which is enough to tell that there are too many.
fn read_to_end(
    name: &str,
    reader: &mut dyn Read,
    most: usize,
    bytes: &mut Vec<u8>,
    tick: &mut Tick,
) -> Result<()> {
    bytes.clear();
    let mut chunk = vec![0u8; CHUNK];
    while bytes.len() <= most {
        match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Exit::Data.error(format!("cannot read {name}: {error}; {REMEDY}")));
            }
        }
        tick(bytes.len() as u64)?;
    }
    Ok(())
}

/// Rejects labels of other data sets.
pub(super) fn check_labels(name: &str, records: &[u8]) -> Result<()> {
    let wrong = records
        .chunks_exact(RECORD_BYTES)
        .position(|record| record[0] >= CLASSES);
    match wrong {
        None => Ok(()),
        Some(record) => Err(Exit::Data.error(format!(
            "record {record} of {name} has label {}, but CIFAR-10's labels are 0 to 9: not a CIFAR-10 batch, or damaged; {REMEDY}",
            records[record * RECORD_BYTES]
        ))),
    }
}

/// Rejects a batch that does not hold exactly 10,000 records.
fn check_length(name: &str, bytes: u64) -> Result<()> {
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
