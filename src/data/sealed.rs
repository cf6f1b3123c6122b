//! Files in the cache folder that save reading images again. Each begins with a magic number, whose last byte is the version of
//! its format, ends with the sha256 of what comes before, and is replaced whole.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::temporary;
use crate::temporaries;

pub(super) type Magic = [u8; 16];

/// Bytes of the sha256.
const SEAL: usize = 32;

/// Reads what is between the magic number and the sha256, from a file of at most `most` bytes. None if there is no file.
///
/// # Errors
/// Of the system, or if the file is damaged or has another version.
pub(super) fn read(path: &Path, magic: &Magic, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    let Some(length) = bytes.len().checked_sub(SEAL) else {
        return Err(io::Error::other("it is truncated"));
    };
    let (body, seal) = bytes.split_at(length);
    if !body.starts_with(magic) {
        return Err(io::Error::other("it has the format of another version"));
    }
    if Sha256::digest(body)[..] != *seal {
        return Err(io::Error::other("its digest is wrong"));
    }
    bytes.truncate(length);
    bytes.drain(..magic.len());
    Ok(Some(bytes))
}

/// Writes `bytes`, which begin with a magic number, in place of an older file. After a crash there is either.
pub(super) fn write(path: &Path, mut bytes: Vec<u8>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // Those of killed processes. Another that is writing now only loses its file.
    for old in temporary::leftovers(path) {
        fs::remove_file(old).ok();
    }
    let seal = Sha256::digest(&bytes);
    bytes.extend_from_slice(&seal);
    let (mut file, own) = temporary::file_beside(path)?;
    let _held = temporaries::hold(&own);
    let written = file
        .write_all(&bytes)
        .and_then(|()| temporary::sync(&file))
        .and_then(|()| fs::rename(&own, path));
    if written.is_err() {
        fs::remove_file(&own).ok();
    }
    written
}
