//! CIFAR-10 into a folder: downloaded or copied, checked, and there whole or not at all.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::cifar::{self, ARCHIVE_NAME, Place};
use super::download::{self, DownloadError, OFFICIAL_ARCHIVE};
use super::{Dataset, Origin, Progress, Report, archive};
use crate::exit::Exit;

/// The folder that the official archive unpacks to, and so the one in the cache.
pub const FOLDER: &str = "cifar-10-batches-bin";

/// Puts CIFAR-10 into `destination/cifar-10-batches-bin`, unless it is there already, and reads it.
/// `from` is a file or a folder of any name, or an address; without it the `mirrors` and the official place are tried.
///
/// # Errors
/// [`DownloadError::Unreachable`] when nothing can be downloaded, [`DownloadError::Refused`] for everything else.
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
                "{} is not whole and is fetched again ({error:#})",
                installed.display()
            )))
            .map_err(refused)?,
        }
    }
    match from {
        Some(from) if !is_address(from) => {
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
            // Only what is unpacked is read from now on.
            std::fs::remove_file(&target).ok();
            Ok(dataset)
        }
    }
}

fn is_address(from: &str) -> bool {
    from.starts_with("http://") || from.starts_with("https://")
}

/// Reads a folder or an archive that has to be CIFAR-10.
pub(super) fn load_cifar10(path: &Path) -> Result<Dataset> {
    let dataset = cifar::load(path)?;
    if dataset.origin == Origin::Cifar10 {
        return Ok(dataset);
    }
    Err(Exit::Data.error(format!(
        "{} has the wrong digest: its training records have {}, its test records {}, which is not CIFAR-10; run `refig data fetch cifar10`, or, if other images are meant, name them with --data-dir",
        path.display(),
        dataset.train.digest,
        dataset.test.digest
    )))
}

/// Copies the batches at `from` into a staging folder beside `installed`, checks them and renames the folder.
fn copy(from: &Path, installed: &Path, progress: &mut Report) -> Result<Dataset> {
    let staging = Staging::create(installed.with_extension("part"))?;
    match cifar::locate(from)? {
        Place::Archive(file) => archive::unpack(&file, &staging.folder, progress)?,
        Place::Folder(folder) => {
            for (done, name) in cifar::files().enumerate() {
                copy_file(&folder.join(name), &staging.folder.join(name))?;
                let (done, total) = (done as u64 + 1, 6);
                progress(Progress::Unpack { done, total })?;
            }
        }
    }
    let mut dataset = load_cifar10(&staging.folder).with_context(|| {
        format!(
            "{} was not taken into {}",
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

/// A folder that is removed again unless it was renamed.
struct Staging {
    folder: PathBuf,
}

impl Staging {
    fn create(folder: PathBuf) -> Result<Self> {
        // What a killed process left; the lock says that nobody is at it.
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

/// One process at a time fills a folder; the others wait and find it filled.
fn lock(destination: &Path, progress: &mut Report) -> std::result::Result<File, DownloadError> {
    let fault = |path: &Path, error: std::io::Error| {
        let failure = storage_error(path, &error);
        match error.kind() {
            // A cache that cannot be written at all is like no network: nothing can be downloaded into it.
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
                        "another process is fetching CIFAR-10 into {}: waiting for it",
                        destination.display()
                    )))
                    .map_err(DownloadError::Refused)?;
                } else {
                    progress(Progress::Waiting).map_err(DownloadError::Refused)?;
                }
                std::thread::sleep(Duration::from_millis(200));
            }
            // A file system without locks: two downloads at once are unlikely, and the digest is checked.
            Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}

/// A file could not be written: the disk is full, or something else is in the way.
pub(super) fn storage_error(path: &Path, error: &std::io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Exit::Storage.error(format!(
            "the disk is full at {}: {error}; CIFAR-10 needs 360 MB while it is unpacked and 185 MB after: make room, or put the cache elsewhere with REFIG_CACHE",
            path.display()
        )),
        _ => Exit::Storage.error(format!(
            "cannot write {}: {error}; check its permissions, or put the cache elsewhere with REFIG_CACHE",
            path.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_its_own_error() {
        let full = storage_error(Path::new("x.part"), &ErrorKind::StorageFull.into());
        assert!(
            full.to_string().contains("disk is full at x.part"),
            "{full}"
        );
        assert_eq!(Exit::of(&full), Exit::Storage);
        let other = storage_error(Path::new("x.part"), &ErrorKind::PermissionDenied.into());
        assert!(other.to_string().contains("cannot write x.part"), "{other}");
    }
}
