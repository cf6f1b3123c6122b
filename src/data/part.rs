//! The file that a download is written to. While it grows it has a name of its own, so that two processes cannot damage
//! each other's; what came before a download ended early is parked as `<target>.part`, where the next one resumes it.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use md5::{Digest, Md5};

use super::error::storage_error;
use super::temporary;
use crate::digest::hex;

/// A download under way. Dropping it parks what has come.
pub(super) struct Part {
    file: File,
    path: PathBuf,
    parked: PathBuf,
    /// Whether there is nothing to park.
    gone: bool,
}

/// Where the beginning of `target` waits for the next download.
pub(super) fn parked(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

impl Part {
    /// Resumes what is parked for `target`, or begins an empty file.
    pub fn open(target: &Path) -> Result<Self> {
        let storage = |error: io::Error| storage_error(target, &error);
        let (mut file, path) = temporary::file_beside(target).map_err(storage)?;
        let parked = parked(target);
        // Only one process can claim it by renaming.
        if std::fs::rename(&parked, &path).is_ok() {
            file = match open_regular(&path) {
                Ok(Some(found)) => found,
                _ => {
                    std::fs::remove_file(&path).map_err(storage)?;
                    temporary::create_new(&path).map_err(storage)?
                }
            };
        }
        Ok(Self {
            file,
            path,
            parked,
            gone: false,
        })
    }

    /// The number of bytes that have come.
    pub fn bytes(&self) -> Result<u64> {
        let metadata = self.file.metadata();
        metadata
            .map(|metadata| metadata.len())
            .map_err(|error| storage_error(&self.path, &error))
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.seek(SeekFrom::End(0));
        let written = written.and_then(|_| self.file.write_all(bytes));
        written.map_err(|error| self.failed(&error))
    }

    /// Begins again.
    pub fn clear(&mut self) -> Result<()> {
        self.file
            .set_len(0)
            .map_err(|error| storage_error(&self.path, &error))
    }

    pub fn sync(&mut self) -> Result<()> {
        temporary::sync(&self.file).map_err(|error| self.failed(&error))
    }

    /// md5 in hex.
    pub fn md5(&mut self) -> Result<String> {
        let digest = self
            .file
            .rewind()
            .and_then(|()| md5(&mut self.file, |_| Ok(())));
        digest.map_err(|error| storage_error(&self.path, &error))
    }

    /// Renames the complete file.
    pub fn install(mut self, target: &Path) -> Result<()> {
        std::fs::rename(&self.path, target).map_err(|error| storage_error(target, &error))?;
        self.gone = true;
        Ok(())
    }

    /// Nothing is parked, to free the space on a full disk.
    fn failed(&mut self, error: &io::Error) -> anyhow::Error {
        let failure = storage_error(&self.path, error);
        std::fs::remove_file(&self.path).ok();
        self.gone = true;
        failure
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.gone {
            return;
        }
        let empty = self.bytes().is_ok_and(|bytes| bytes == 0);
        if empty || std::fs::rename(&self.path, &self.parked).is_err() {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

/// Opens a file that has no other name. None for links, which lead to somebody else's file.
fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let named = std::fs::symlink_metadata(path)?;
    if !named.is_file() || !has_one_name(&named) {
        return Ok(None);
    }
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let opened = file.metadata()?;
    Ok(is_same(&named, &opened).then_some(file))
}

#[cfg(unix)]
fn has_one_name(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) == 1
}

/// Whether a link has not taken the place of the file before it was opened.
#[cfg(unix)]
fn is_same(named: &Metadata, opened: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (named.dev(), named.ino()) == (opened.dev(), opened.ino())
}

#[cfg(not(unix))]
fn has_one_name(_: &Metadata) -> bool {
    true
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// md5 of what is left to read, in hex. `tick` is told of each read of so many bytes, and its error ends the work.
///
/// # Errors
/// Of the system, and that of `tick`.
pub(super) fn md5<E: From<io::Error>>(
    from: &mut File,
    mut tick: impl FnMut(u64) -> Result<(), E>,
) -> Result<String, E> {
    let mut digest = Md5::new();
    let mut buffer = vec![0u8; 1 << 17];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(&buffer[..count]);
        tick(count as u64)?;
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_full_disk_has_its_own_error_and_nothing_is_parked() {
        let folder = tempfile::tempdir().unwrap();
        let mut part = Part::open(&folder.path().join("archive")).unwrap();
        // Every write to this device fails for want of space.
        part.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = part.append(b"some bytes").unwrap_err();
        assert!(error.to_string().contains("the disk is full"), "{error}");
        assert_eq!(Exit::of(&error), Exit::Storage);
        drop(part);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
