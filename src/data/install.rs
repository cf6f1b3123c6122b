//! Installs CIFAR-10 into a folder: downloaded or copied, verified, and complete or not there at all.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::cifar;
use super::download::{self, DownloadError, OFFICIAL_ARCHIVE};
use super::error::storage_error;
use super::images::Dataset;
use super::layout::{self, ALL_BYTES, ARCHIVE_NAME, FOLDER, TEST_FILE};
use super::part;
use super::progress::{Progress, Report};
use super::temporary;
use crate::exit::Exit;

/// Installs CIFAR-10 into `destination/cifar-10-batches-bin`, unless it is there already, and loads it.
/// `from` is a file, a folder or an address; without it, the `mirrors` and the official address are tried.
///
/// # Errors
/// [`DownloadError::Unreachable`] if no source can be downloaded from, [`DownloadError::Refused`] for anything else.
pub fn fetch(
    from: Option<&str>,
    destination: &Path,
    mirrors: &[String],
    progress: &mut Report,
) -> std::result::Result<Dataset, DownloadError> {
    let lock = lock(destination, progress)?;
    let installed = destination.join(FOLDER);
    if lock.is_some() {
        tidy(destination, &installed);
    }
    if installed.exists() {
        match load_cifar10(&installed, progress) {
            Ok(dataset) => return Ok(dataset),
            Err(error) => progress(Progress::Note(format!(
                "{} is incomplete or damaged, fetching it again ({error:#})",
                installed.display()
            )))
            .map_err(DownloadError::Refused)?,
        }
    }
    match install(from, destination, &installed, mirrors, progress) {
        // Without locks, another process may have been faster.
        Err(error) if lock.is_none() => load_cifar10(&installed, progress).map_err(|_| error),
        done => done,
    }
}

fn install(
    from: Option<&str>,
    destination: &Path,
    installed: &Path,
    mirrors: &[String],
    progress: &mut Report,
) -> std::result::Result<Dataset, DownloadError> {
    let refused = DownloadError::Refused;
    let sources = match from {
        Some(from) if !download::is_address(from) => {
            return copy(Path::new(from), installed, progress).map_err(refused);
        }
        Some(address) => vec![address.to_owned()],
        None => download::sources(mirrors).map_err(refused)?,
    };
    let target = destination.join(ARCHIVE_NAME);
    if !download::is_archive(&target, &OFFICIAL_ARCHIVE) {
        download::download(&sources, &OFFICIAL_ARCHIVE, &target, progress)?;
    }
    let dataset = copy(&target, installed, progress).map_err(refused)?;
    // From now on only the unpacked files are read.
    std::fs::remove_file(&target).ok();
    Ok(dataset)
}

/// Removes what killed processes left, and keeps what they had downloaded. With the lock, nobody else is at work.
fn tidy(destination: &Path, installed: &Path) {
    for folder in temporary::leftovers(installed) {
        std::fs::remove_dir_all(folder).ok();
    }
    let target = destination.join(ARCHIVE_NAME);
    for download in temporary::leftovers(&target) {
        std::fs::rename(download, part::parked(&target)).ok();
    }
}

/// Loads a folder or an archive that must be CIFAR-10.
pub(super) fn load_cifar10(path: &Path, progress: &mut Report) -> Result<Dataset> {
    cifar10(cifar::load_with(path, progress)?)
}

fn cifar10(dataset: Dataset) -> Result<Dataset> {
    match dataset.doubt() {
        None => Ok(dataset),
        Some(doubt) => Err(Exit::Data.error(format!(
            "wrong digest: {doubt}; run `refig data fetch cifar10`, or name other images with --data-dir"
        ))),
    }
}

/// Copies the batches at `from` into a staging folder next to `installed`, verifies them and renames the folder.
fn copy(from: &Path, installed: &Path, progress: &mut Report) -> Result<Dataset> {
    let place = cifar::locate(from)?;
    let staging = Staging::beside(installed)?;
    let total = ALL_BYTES as u64;
    cifar::read(
        &place,
        &mut |done| progress(Progress::Unpack { done, total }),
        &mut |number, batch| staging.write(number, batch),
    )?;
    let staged = cifar::load_with(&staging.folder, progress)?;
    let dataset = cifar10(Dataset {
        source: from.display().to_string(),
        ..staged
    })
    .with_context(|| format!("nothing was copied to {}", installed.display()))?;
    let storage = |error: io::Error| storage_error(installed, &error);
    if let Err(error) = std::fs::rename(&staging.folder, installed) {
        if std::fs::symlink_metadata(installed).is_err() {
            return Err(storage(error));
        }
        // A damaged copy, or without locks that of a faster process.
        if let Ok(theirs) = load_cifar10(installed, progress) {
            return Ok(theirs);
        }
        std::fs::remove_dir_all(installed).map_err(storage)?;
        std::fs::rename(&staging.folder, installed).map_err(storage)?;
    }
    Ok(Dataset {
        source: installed.display().to_string(),
        ..dataset
    })
}

/// A folder that is removed on drop unless it was renamed.
struct Staging {
    folder: PathBuf,
}

impl Staging {
    fn beside(installed: &Path) -> Result<Self> {
        let folder = temporary::folder_beside(installed)
            .map_err(|error| storage_error(installed, &error))?;
        Ok(Self { folder })
    }

    fn write(&self, number: usize, batch: &[u8]) -> Result<()> {
        let path = self
            .folder
            .join(layout::files().nth(number).unwrap_or(TEST_FILE));
        temporary::create_new(&path)
            .and_then(|mut file| {
                file.write_all(batch)?;
                temporary::sync(&file)
            })
            .map_err(|error| storage_error(&path, &error))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

/// Opens the lock file, which may be new. Through a link a file would be created elsewhere.
fn open_lock(path: &Path) -> io::Result<File> {
    match temporary::create_new(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        created => return created,
    }
    if std::fs::symlink_metadata(path)?.is_symlink() {
        return Err(io::Error::other("it is a link; remove it"));
    }
    OpenOptions::new().write(true).open(path)
}

/// Locks `destination` for one process. Others wait, then find the data installed. None if the file system has no locks.
fn lock(
    destination: &Path,
    progress: &mut Report,
) -> std::result::Result<Option<File>, DownloadError> {
    let fault = |path: &Path, error: std::io::Error| {
        let failure = storage_error(path, &error);
        match error.kind() {
            // A read-only cache is treated like a missing network, so the synthetic set may still stand in.
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                DownloadError::Unreachable(failure)
            }
            _ => DownloadError::Refused(failure),
        }
    };
    std::fs::create_dir_all(destination).map_err(|error| fault(destination, error))?;
    let path = destination.join("cifar10.lock");
    let file = open_lock(&path).map_err(|error| fault(&path, error))?;
    let mut waiting = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut waiting, true) {
                    progress(Progress::Note(format!(
                        "waiting for another process that is fetching CIFAR-10 into {}",
                        destination.display()
                    )))
                    .map_err(DownloadError::Refused)?;
                } else {
                    progress(Progress::Waiting).map_err(DownloadError::Refused)?;
                }
                std::thread::sleep(Duration::from_millis(200));
            }
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
}
