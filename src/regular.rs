//! Reads regular files only: a pipe in place of a file would be waited for, and a device has no end.

use std::fs::{self, File};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Bytes of the largest file that is read whole: far above the weights of any network here.
const MOST_BYTES: u64 = 8 << 30;

/// Reads a file whole, through links.
///
/// # Errors
/// If it cannot be read, is no regular file, or is absurdly large.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a text file whole.
///
/// # Errors
/// As [`read`], or if it is not UTF-8.
pub fn read_to_string(path: &Path) -> Result<String> {
    let utf8 = |_| Error::new(ErrorKind::InvalidData, "it is not UTF-8 text");
    String::from_utf8(read(path)?).map_err(utf8)
}

/// Opens a regular file.
///
/// # Errors
/// As [`read`].
pub fn open(path: &Path) -> Result<File> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(Error::other("it is not a regular file"));
    }
    if metadata.len() > MOST_BYTES {
        return Err(Error::other(format!("it has {} bytes", metadata.len())));
    }
    File::open(path)
}
