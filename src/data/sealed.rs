//! Files in the cache folder that save reading images again. Each begins with a magic number, whose last byte is the version of
//! its format, ends with the sha256 of what comes before, and is replaced whole.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::progress::{Progress, Report};
use super::temporary;

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

/// What was read from `path`, or nothing where that cannot be used: what is done again because of it may take hours, so it is said.
///
/// # Errors
/// That of `progress`.
pub(super) fn usable<T: Default>(
    read: io::Result<Option<T>>,
    path: &Path,
    again: &str,
    progress: &mut Report,
) -> Result<T> {
    let error = match read {
        Ok(kept) => return Ok(kept.unwrap_or_default()),
        Err(error) => error,
    };
    progress(Progress::Note(format!(
        "{again}, because {} cannot be used: {error}",
        path.display()
    )))?;
    Ok(T::default())
}

/// Writes `bytes`, which begin with a magic number, in place of an older file. After a crash there is either; of several that
/// write at a time, one.
pub(super) fn write(path: &Path, mut bytes: Vec<u8>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let seal = Sha256::digest(&bytes);
    bytes.extend_from_slice(&seal);
    temporary::replace(path, &bytes)
}

/// Removes what killed processes left of their writing. Another that is writing now loses its file, too.
pub(super) fn tidy(path: &Path) {
    for old in temporary::leftovers(path) {
        fs::remove_file(old).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: &Magic = b"refig-sealed--\0\x01";

    #[test]
    fn only_tidying_takes_what_another_is_writing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let (_, others) = temporary::file_beside(&path).unwrap();
        write(&path, [&MAGIC[..], b"rest"].concat()).unwrap();
        assert!(others.exists());
        assert_eq!(read(&path, MAGIC, 1 << 10).unwrap().unwrap(), b"rest");
        tidy(&path);
        assert!(!others.exists() && path.exists());
    }

    #[test]
    fn a_file_of_the_text_format_is_an_error_until_it_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let text = format!("refig mean image 1\n{}rest", "0".repeat(64));
        fs::write(&path, text).unwrap();
        assert!(read(&path, MAGIC, 1 << 10).is_err());
        write(&path, MAGIC.to_vec()).unwrap();
        assert_eq!(read(&path, MAGIC, 1 << 10).unwrap().unwrap(), b"");
    }
}
