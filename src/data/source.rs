//! Which data a command gets: what was named, else the cache, else the network, else the synthetic set.

use std::path::PathBuf;

use anyhow::Result;

use super::download::{DownloadError, OFFICIAL_ARCHIVE};
use super::images::set_digest;
use super::install::{self, FOLDER};
use super::{
    CIFAR10_TEST_DIGEST, CIFAR10_TRAIN_DIGEST, Dataset, Progress, RECORDS_PER_BATCH, Report,
    SYNTHETIC_SEED, cifar, synthetic,
};
use crate::exit::Exit;

/// What is asked of [`open`].
#[derive(Clone, Debug)]
pub struct Request {
    /// A named place (`--data-dir`, `CIFAR10_DIR`): a folder with the batches or the `.tar.gz`. What is wrong with it
    /// is always an error.
    pub dir: Option<PathBuf>,
    /// Where downloaded data lies.
    pub cache: PathBuf,
    /// Addresses of the archive that are tried before the official place, or around the word `official`.
    pub mirrors: Vec<String>,
    pub allow_download: bool,
    /// Whether the synthetic set may stand in where no data was named and nothing can be downloaded.
    pub allow_synthetic: bool,
    pub synthetic_seed: u64,
}

impl Request {
    /// The place named by `dir`, else by `CIFAR10_DIR`, with the cache of [`cache_folder`]; downloads, no stand-in.
    pub fn from_environment(dir: Option<PathBuf>) -> Self {
        Self {
            dir: dir.or_else(|| variable("CIFAR10_DIR")),
            cache: cache_folder(),
            mirrors: Vec::new(),
            allow_download: true,
            allow_synthetic: false,
            synthetic_seed: SYNTHETIC_SEED,
        }
    }

    /// Whether CIFAR-10 or a named place is there without a download. Nothing is read.
    pub fn is_local(&self) -> bool {
        self.dir.is_some() || self.cache.join(FOLDER).exists()
    }
}

/// The cache: `REFIG_CACHE`, else `refig` in `XDG_CACHE_HOME`, in `~/.cache`, or in the system's temporary folder.
pub fn cache_folder() -> PathBuf {
    if let Some(cache) = variable("REFIG_CACHE") {
        return cache;
    }
    variable("XDG_CACHE_HOME")
        // The specification has relative paths ignored.
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("refig")
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// What is known of the data that a command would use, before anything is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prospect {
    /// As [`Dataset::digest`].
    pub digest: String,
    pub test_images: usize,
    /// As [`Dataset::source`].
    pub source: String,
    /// Bytes to download first.
    pub download: u64,
}

impl From<&Dataset> for Prospect {
    fn from(dataset: &Dataset) -> Self {
        Self {
            digest: dataset.digest(),
            test_images: dataset.test.len(),
            source: dataset.source.clone(),
            download: 0,
        }
    }
}

/// What [`open`] would give, without the network and without a change to any file. Data that is there is read; what a
/// download would bring is known by its digests.
///
/// # Errors
/// Those of [`open`] for data that is there or must not be fetched.
pub fn foresee(request: &Request) -> Result<Prospect> {
    if request.is_local() || !request.allow_download {
        return Ok(Prospect::from(&open(request, &mut |_| Ok(()))?));
    }
    Ok(Prospect {
        digest: set_digest(CIFAR10_TRAIN_DIGEST, CIFAR10_TEST_DIGEST),
        test_images: RECORDS_PER_BATCH,
        source: "CIFAR-10, still to be downloaded".into(),
        download: OFFICIAL_ARCHIVE.bytes,
    })
}

/// Opens the data that `request` names, or finds it. The synthetic set comes with a [`Progress::Note`] and a
/// [`Dataset::source`] that say why.
///
/// # Errors
/// With [`Exit::Data`] when a named place or the cache is not as it should be, or when there is no data and no stand-in
/// is allowed; with [`Exit::Storage`] when a download cannot be written.
pub fn open(request: &Request, progress: &mut Report) -> Result<Dataset> {
    if let Some(dir) = &request.dir {
        return cifar::load(dir);
    }
    let installed = request.cache.join(FOLDER);
    if installed.exists() {
        return install::load_cifar10(&installed);
    }
    let why = if request.allow_download {
        progress(Progress::Note(format!(
            "no CIFAR-10 named and none in {}: downloading it (170 MB)",
            request.cache.display()
        )))?;
        match install::fetch(None, &request.cache, &request.mirrors, progress) {
            Ok(dataset) => return Ok(dataset),
            Err(DownloadError::Unreachable(why)) => why,
            Err(DownloadError::Refused(error)) => return Err(error),
        }
    } else {
        Exit::Data.error(format!(
            "no CIFAR-10 in {} and downloading is turned off; name its folder or its .tar.gz with --data-dir or CIFAR10_DIR",
            request.cache.display()
        ))
    };
    if !request.allow_synthetic {
        return Err(why);
    }
    let mut dataset = synthetic(request.synthetic_seed);
    dataset.source = format!(
        "SYNTHETIC images from seed {}, because {why:#}",
        request.synthetic_seed
    );
    progress(Progress::Note(format!("going on with {}", dataset.source)))?;
    Ok(dataset)
}
