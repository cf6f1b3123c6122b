//! Locks a file in the cache folder, so that one process does what the others then find done. The operating system releases the
//! lock when its owner dies; the file stays.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::progress::{Progress, Report};
use super::temporary;

/// How long to wait before a lock is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// Opens the lock file, which may be new. Through a link a file would be created elsewhere.
pub(super) fn open(path: &Path) -> io::Result<File> {
    match temporary::create_new(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        created => return created,
    }
    if fs::symlink_metadata(path)?.is_symlink() {
        return Err(io::Error::other("it is a link; remove it"));
    }
    OpenOptions::new().write(true).open(path)
}

/// Locks the file as soon as no other process does; `waiting` is said if that takes time. None if the file system has no locks.
///
/// # Errors
/// That of `progress`.
pub(super) fn wait(
    file: File,
    waiting: impl FnOnce() -> String,
    progress: &mut Report,
) -> Result<Option<File>> {
    let mut waiting = Some(waiting);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => progress(match waiting.take() {
                Some(waiting) => Progress::Note(waiting()),
                None => Progress::Waiting,
            })?,
            Err(TryLockError::Error(_)) => return Ok(None),
        }
        thread::sleep(PAUSE);
    }
}
