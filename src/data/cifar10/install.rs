//! Installs CIFAR-10 into a folder: downloaded or copied, verified, and complete or not there at all.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::addresses::{self, Address, SHARDS};
use super::layout::{ALL_BYTES, FOLDER, Format, TEST_FILE};
use super::load::{self, Place};
use super::shards::Shards;
use crate::data::download::{self, DownloadError, Fault, Wanted};
use crate::data::error::storage_error;
use crate::data::images::Dataset;
use crate::data::lock;
use crate::data::pace::Pace;
use crate::data::part;
use crate::data::progress::{Progress, Report};
use crate::data::temporary;
use crate::exit::Exit;
use crate::temporaries::{self, Held};

/// Installs CIFAR-10 into `destination/cifar-10-batches-bin`, unless it is there already, and loads it.
/// `from` is a file, a folder or an address; without it, the `mirrors`, Hugging Face and the official address are tried, and
/// one that is slower than `pace` gives way to the next.
///
/// # Errors
/// [`DownloadError::Unreachable`] if no source can be downloaded from, [`DownloadError::Refused`] for anything else.
pub fn fetch(
    from: Option<&str>,
    destination: &Path,
    mirrors: &[String],
    pace: Pace,
    progress: &mut Report,
) -> std::result::Result<Dataset, DownloadError> {
    let lock = lock(destination, progress)?;
    let installed = destination.join(FOLDER);
    if lock.is_some() {
        tidy(&installed);
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
    let done = match from {
        Some(from) if !download::is_address(from) => load::locate(Path::new(from))
            .and_then(|place| copy(&place, from, &installed, progress))
            .map_err(DownloadError::Refused),
        Some(address) => obtain(&[Address::of(address)], &installed, pace, progress),
        None => addresses::addresses(mirrors)
            .map_err(DownloadError::Refused)
            .and_then(|places| obtain(&places, &installed, pace, progress)),
    };
    match done {
        // Without locks, another process may have been faster.
        Err(error) if lock.is_none() => load_cifar10(&installed, progress).map_err(|_| error),
        done => done,
    }
}

/// Downloads from the first address that delivers CIFAR-10 fast enough, and installs it.
fn obtain(
    places: &[Address],
    installed: &Path,
    pace: Pace,
    progress: &mut Report,
) -> std::result::Result<Dataset, DownloadError> {
    let mut open: Vec<String> = Vec::new();
    let dataset = download::from_first(
        places,
        Address::shown,
        pace,
        progress,
        |place, pace, progress| {
            let shown = place.shown();
            // A slow place may have its turn twice.
            if !place.has_tls() && !open.contains(&shown) {
                progress(Progress::Note(format!(
                    "{shown} has no TLS; what it delivers is taken only if its digest is that of CIFAR-10"
                )))?;
                open.push(shown);
            }
            match place {
                Address::Archive(format, address) => {
                    from_archive(*format, address, installed, pace, progress)
                }
                Address::Parquet(..) => from_shards(place, installed, pace, progress),
            }
        },
    )?;
    // What other addresses had begun to deliver.
    for target in targets(installed) {
        std::fs::remove_file(part::parked(&target)).ok();
    }
    Ok(dataset)
}

fn from_archive(
    format: Format,
    address: &str,
    installed: &Path,
    pace: Pace,
    progress: &mut Report,
) -> std::result::Result<Dataset, Fault> {
    let target = installed.with_file_name(format.archive());
    let archive = addresses::archive(format);
    if !download::is_archive(&target, &archive) {
        download::file(address, &Wanted::from(archive), &target, pace, progress)?;
    }
    let place = Place::Archive(target.clone());
    let dataset = copy(&place, &target.display().to_string(), installed, progress)?;
    // From now on only the unpacked files are read.
    std::fs::remove_file(target).ok();
    Ok(dataset)
}

/// The size of the Parquet files is not known for sure, nor is their digest: only that of their images.
fn from_shards(
    place: &Address,
    installed: &Path,
    pace: Pace,
    progress: &mut Report,
) -> std::result::Result<Dataset, Fault> {
    let targets = SHARDS.map(|shard| installed.with_file_name(shard.local));
    let [train, test] = &targets;
    let files = Place::Shards(Shards::of(train, test));
    loop {
        // Whether any of it may be from another place.
        let mut resumed = false;
        for (shard, target) in SHARDS.iter().zip(&targets) {
            if target.is_file() {
                resumed = true;
                continue;
            }
            let address = place.file(shard);
            resumed |= download::file(&address, &shard.wanted(), target, pace, progress)?;
        }
        let shown = place.shown();
        let copied = copy(&files, &shown, installed, progress);
        let keep = copied
            .as_ref()
            .is_err_and(|error| Exit::of(error) != Exit::Data);
        for target in targets.iter().filter(|_| !keep) {
            std::fs::remove_file(target).map_err(|error| storage_error(target, &error))?;
        }
        match copied {
            Err(error) if keep => return Err(Fault::End(error)),
            Err(error) if !resumed => {
                return Err(Fault::Wrong(format!(
                    "{shown} delivers something else ({error:#})"
                )));
            }
            // Once more from scratch.
            Err(_) => {}
            Ok(dataset) => return Ok(dataset),
        }
    }
}

/// The files that are there while they are downloaded and unpacked.
fn targets(installed: &Path) -> Vec<PathBuf> {
    let archives = Format::ALL.map(Format::archive);
    let names = archives.into_iter().chain(SHARDS.map(|shard| shard.local));
    names.map(|name| installed.with_file_name(name)).collect()
}

/// Removes what killed processes left, and keeps what they had downloaded. With the lock, nobody else is at work.
fn tidy(installed: &Path) {
    for folder in temporary::leftovers(installed) {
        std::fs::remove_dir_all(folder).ok();
    }
    for target in targets(installed) {
        for download in temporary::leftovers(&target) {
            std::fs::rename(download, part::parked(&target)).ok();
        }
    }
}

/// Loads a folder or an archive that must be CIFAR-10.
fn load_cifar10(path: &Path, progress: &mut Report) -> Result<Dataset> {
    published(load::load_with(path, progress)?)
}

/// Refuses what is not CIFAR-10.
pub(in crate::data) fn published(dataset: Dataset) -> Result<Dataset> {
    match dataset.doubt() {
        None => Ok(dataset),
        Some(doubt) => Err(Exit::Data.error(format!(
            "wrong digest: {doubt}; run `refig data fetch cifar10`, or name other images with --data-dir"
        ))),
    }
}

/// Copies the images into a staging folder next to `installed`, as binary batches, verifies them and renames the folder. `from`
/// is where they come from, for messages.
fn copy(place: &Place, from: &str, installed: &Path, progress: &mut Report) -> Result<Dataset> {
    let staging = Staging::beside(installed)?;
    let total = ALL_BYTES as u64;
    load::read(
        place,
        &mut |done| progress(Progress::Unpack { done, total }),
        &mut |number, batch| staging.write(number, batch),
    )?;
    let staged = load::load_with(&staging.folder, progress)?;
    let dataset = published(Dataset {
        source: from.to_owned(),
        ..staged
    })
    .with_context(|| format!("nothing was copied to {}", installed.display()))?;
    let storage = |error: io::Error| storage_error(installed, &error);
    if let Err(error) = temporaries::rename(&staging.folder, installed) {
        if std::fs::symlink_metadata(installed).is_err() {
            return Err(storage(error));
        }
        // A damaged copy, or without locks that of a faster process.
        if let Ok(theirs) = load_cifar10(installed, progress) {
            return Ok(theirs);
        }
        std::fs::remove_dir_all(installed).map_err(storage)?;
        temporaries::rename(&staging.folder, installed).map_err(storage)?;
    }
    Ok(Dataset {
        source: installed.display().to_string(),
        ..dataset
    })
}

/// A folder that is removed on drop unless it was renamed.
struct Staging {
    folder: PathBuf,
    _held: Held,
}

impl Staging {
    fn beside(installed: &Path) -> Result<Self> {
        let folder = temporary::folder_beside(installed)
            .map_err(|error| storage_error(installed, &error))?;
        Ok(Self {
            _held: temporaries::hold(&folder),
            folder,
        })
    }

    fn write(&self, number: usize, batch: &[u8]) -> Result<()> {
        let path = self
            .folder
            .join(Format::Binary.files().nth(number).unwrap_or(TEST_FILE));
        temporary::write_new(&path, batch).map_err(|error| storage_error(&path, &error))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
    }
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
    let file = lock::open(&path).map_err(|error| fault(&path, error))?;
    let waiting = || {
        format!(
            "waiting for another process that is fetching CIFAR-10 into {}",
            destination.display()
        )
    };
    lock::wait(file, waiting, progress).map_err(DownloadError::Refused)
}
