//! Installs CIFAR-10 into a folder: downloaded or copied, verified, and complete or not there at all.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::archive;
use super::cifar::{self, Place};
use super::download::{self, DownloadError, OFFICIAL_ARCHIVE};
use super::error::storage_error;
use super::images::Dataset;
use super::layout::{self, ARCHIVE_NAME, FOLDER};
use super::progress::{Progress, Report};
use crate::exit::Exit;
use crate::origin::Origin;

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
    let refused = DownloadError::Refused;
    let _lock = lock(destination, progress)?;
    let installed = destination.join(FOLDER);
    if installed.exists() {
        match load_cifar10(&installed) {
            Ok(dataset) => return Ok(dataset),
            Err(error) => progress(Progress::Note(format!(
                "{} is incomplete or damaged, fetching it again ({error:#})",
                installed.display()
            )))
            .map_err(refused)?,
        }
    }
    match from {
        Some(from) if !download::is_address(from) => {
            copy(Path::new(from), &installed, progress).map_err(refused)
        }
        _ => {
            let sources = match from {
                Some(address) => vec![address.to_owned()],
                None => download::sources(mirrors).map_err(refused)?,
            };
            let target = destination.join(ARCHIVE_NAME);
            if !download::is_archive(&target, &OFFICIAL_ARCHIVE) {
                download::download(&sources, &OFFICIAL_ARCHIVE, &target, progress)?;
            }
            let dataset = copy(&target, &installed, progress).map_err(refused)?;
            // From now on only the unpacked files are read.
            std::fs::remove_file(&target).ok();
            Ok(dataset)
        }
    }
}

/// Loads a folder or an archive that must be CIFAR-10.
pub(super) fn load_cifar10(path: &Path) -> Result<Dataset> {
    let dataset = cifar::load(path)?;
    if dataset.origin == Origin::Cifar10 {
        return Ok(dataset);
    }
    Err(Exit::Data.error(format!(
        "{} has the wrong digest: {} (training) and {} (test) are not CIFAR-10's; run `refig data fetch cifar10`, or name other images with --data-dir",
        path.display(),
        dataset.train.digest,
        dataset.test.digest
    )))
}

/// Copies the batches at `from` into a staging folder next to `installed`, verifies them and renames the folder.
fn copy(from: &Path, installed: &Path, progress: &mut Report) -> Result<Dataset> {
    let staging = Staging::create(installed.with_extension("part"))?;
    match cifar::locate(from)? {
        Place::Archive(file) => archive::unpack(&file, &staging.folder, progress)?,
        Place::Folder(folder) => {
            for (done, name) in layout::files().enumerate() {
                copy_file(&folder.join(name), &staging.folder.join(name))?;
                let (done, total) = (done as u64 + 1, 6);
                progress(Progress::Unpack { done, total })?;
            }
        }
    }
    let mut dataset = load_cifar10(&staging.folder).with_context(|| {
        format!(
            "{} was not copied to {}",
            from.display(),
            installed.display()
        )
    })?;
    if installed.exists() {
        std::fs::remove_dir_all(installed).map_err(|error| storage_error(installed, &error))?;
    }
    std::fs::rename(&staging.folder, installed)
        .map_err(|error| storage_error(installed, &error))?;
    dataset.source = installed.display().to_string();
    Ok(dataset)
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).map_err(|error| {
        Exit::Data.error(format!(
            "cannot read {}: {error}; --from takes a folder with all six batches or the .tar.gz",
            from.display()
        ))
    })?;
    let mut target = File::create(to).map_err(|error| storage_error(to, &error))?;
    std::io::copy(&mut source, &mut target)
        .and_then(|_| target.sync_all())
        .map_err(|error| storage_error(to, &error))
}

/// A folder that is removed on drop unless it was renamed.
struct Staging {
    folder: PathBuf,
}

impl Staging {
    fn create(folder: PathBuf) -> Result<Self> {
        // Left by a killed process: we hold the lock.
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(|error| storage_error(&folder, &error))?;
        }
        std::fs::create_dir_all(&folder).map_err(|error| storage_error(&folder, &error))?;
        Ok(Self { folder })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

/// Locks `destination` for one process. Others wait, then find the data installed.
fn lock(destination: &Path, progress: &mut Report) -> std::result::Result<File, DownloadError> {
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
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| fault(&path, error))?;
    let mut waiting = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
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
            // The file system has no locks. Concurrent downloads are unlikely, and the digest is verified.
            Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}
