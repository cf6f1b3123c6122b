//! Opens the data for a command: a named place, else the cache, else a download, else the synthetic set.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::cifar10::{
    self, CIFAR10_TEST_DIGEST, CIFAR10_TRAIN_DIGEST, Digests, OFFICIAL, RECORD_BYTES,
    RECORDS_PER_BATCH, TRAINING_FILES,
};
use super::download::DownloadError;
use super::imagenet::{self, Collection};
use super::images::{Dataset, set_digest};
use super::pace::Pace;
use super::progress::{Progress, Report};
use super::run_images::DataSet;
use super::synthetic::{SYNTHETIC_SEED, synthetic};
use crate::exit::Exit;
use crate::origin::{Origin, Size};

/// The data that [`open`] is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// A named place (`--data-dir`, `CIFAR10_DIR`): a folder with the batches or the Parquet files, or a `.tar.gz`. If it cannot
    /// be loaded, nothing else is tried.
    pub dir: Option<PathBuf>,
    /// Where downloads are kept.
    pub cache: PathBuf,
    /// Addresses of an archive or of the folder of the Parquet files, tried before Hugging Face and the official address, or
    /// around them if they include the words `huggingface` or `official`.
    pub mirrors: Vec<String>,
    /// When a download moves on to the next address.
    pub pace: Pace,
    pub allow_download: bool,
    /// Whether the synthetic set may stand in if no data is named and nothing can be downloaded.
    pub allow_synthetic: bool,
    pub synthetic_seed: u64,
    /// Whether anything but CIFAR-10 itself is refused.
    pub require_official: bool,
}

impl Request {
    /// The place named by `dir`, else by `CIFAR10_DIR`, and the cache of [`cache_folder`], with downloads but no
    /// synthetic stand-in.
    pub fn from_environment(dir: Option<PathBuf>) -> Self {
        Self {
            dir: dir.or_else(|| variable("CIFAR10_DIR")),
            cache: cache_folder(),
            mirrors: Vec::new(),
            pace: Pace::default(),
            allow_download: true,
            allow_synthetic: false,
            synthetic_seed: SYNTHETIC_SEED,
            require_official: false,
        }
    }

    /// Whether no download is needed, because a place is named or the cache is filled. Reads no images.
    pub fn is_local(&self) -> bool {
        self.dir.is_some() || cifar10::cached(&self.cache).is_some()
    }
}

/// The cache folder: `REFIG_CACHE`, else `refig` in `XDG_CACHE_HOME`, `~/.cache` or the temporary folder.
pub fn cache_folder() -> PathBuf {
    if let Some(cache) = variable("REFIG_CACHE") {
        return cache;
    }
    variable("XDG_CACHE_HOME")
        // The XDG specification says to ignore relative paths.
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("refig")
}

/// An environment variable, if set and not empty.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// The pictures that [`open_pictures`] is asked for.
#[derive(Clone, Debug)]
pub struct PictureRequest {
    /// ImageNet or a part of it; by default `IMAGENET_DIR`.
    pub dir: Option<PathBuf>,
    /// Where the index, the mean image and the like are kept.
    pub cache: PathBuf,
    /// Whether synthetic pictures may stand in if nothing is named.
    pub allow_synthetic: bool,
    /// Whether images that cannot be decoded are left out.
    pub skip_unreadable: bool,
}

impl PictureRequest {
    /// The place named by `dir`, else by `IMAGENET_DIR`, with all of its images and no stand-in.
    pub fn new(dir: Option<&Path>, cache: &Path) -> Self {
        Self {
            dir: dir
                .map(Path::to_path_buf)
                .or_else(|| variable("IMAGENET_DIR")),
            cache: cache.to_path_buf(),
            allow_synthetic: false,
            skip_unreadable: false,
        }
    }
}

/// The data that a command would use, as far as known before a download.
#[derive(Clone, Debug)]
pub struct Prospect {
    pub origin: Origin,
    /// As [`Dataset::digest`].
    pub digest: String,
    pub classes: usize,
    pub training_images: usize,
    pub test_images: usize,
    /// As [`Dataset::description`].
    pub description: String,
    /// As [`Dataset::doubt`].
    pub doubt: Option<String>,
    /// Bytes to download first.
    pub download: u64,
    /// Bytes that the images take on disk, once they are there.
    pub bytes: u64,
    /// Whether nothing is there yet that training could read.
    pub absent: bool,
    /// The pictures that are there.
    pub pictures: Option<Arc<Collection>>,
}

impl Prospect {
    /// The training images that are yet to be summed for the mean image of crops of `size` pixels, from pictures with this
    /// shorter `side`.
    pub fn mean_left(&self, side: u32, size: usize, cache: &Path) -> usize {
        match &self.pictures {
            Some(pictures) => imagenet::mean_left(pictures, side, size, cache),
            None => self.training_images,
        }
    }
}

impl From<&DataSet> for Prospect {
    fn from(dataset: &DataSet) -> Self {
        let size = dataset.size();
        let (doubt, pictures, bytes) = match dataset {
            DataSet::Memory(dataset) => {
                let images = match dataset.origin {
                    Origin::Synthetic => 0,
                    _ => size.training_images + size.test_images,
                };
                (dataset.doubt(), None, (images * RECORD_BYTES) as u64)
            }
            DataSet::Pictures { collection, .. } => {
                let bytes = collection.train.bytes() + collection.test.bytes();
                (None, Some(Arc::clone(collection)), bytes)
            }
        };
        Self {
            origin: dataset.origin(),
            digest: dataset.digest(),
            classes: size.classes,
            training_images: size.training_images,
            test_images: size.test_images,
            description: dataset.description(),
            doubt,
            download: 0,
            bytes,
            absent: false,
            pictures,
        }
    }
}

/// What [`open_pictures`] would return; where nothing is named and no synthetic pictures may stand in, all of ImageNet.
///
/// # Errors
/// Those of [`open_pictures`] for a place that is named.
pub fn foresee_pictures(request: &PictureRequest, progress: &mut Report) -> Result<Prospect> {
    let synthetic = request.allow_synthetic;
    if request.dir.is_some() || (synthetic && imagenet::has_synthetic_pictures(&request.cache)) {
        return Ok(Prospect::from(&open_pictures(request, progress)?));
    }
    let (origin, size, bytes, description) = match synthetic {
        false => (
            Origin::Imagenet,
            Size::IMAGENET,
            imagenet::archives_bytes(),
            "ImageNet (name it with --data-dir or IMAGENET_DIR)",
        ),
        true => (
            Origin::Synthetic,
            imagenet::SYNTHETIC_SIZE,
            0,
            "SYNTHETIC pictures, because no ImageNet is named with --data-dir or IMAGENET_DIR",
        ),
    };
    Ok(Prospect {
        origin,
        digest: origin.digest().into(),
        classes: size.classes,
        training_images: size.training_images,
        test_images: size.test_images,
        description: description.into(),
        doubt: None,
        download: 0,
        bytes,
        absent: true,
        pictures: None,
    })
}

/// What [`open`] would return, without network access or changes to files. Local data is read; for a download the
/// digests are known.
///
/// # Errors
/// Those of [`open`], if the data is local or downloading is not allowed; [`Exit::Usage`] for a mirror that is no address.
pub fn foresee(request: &Request) -> Result<Prospect> {
    if request.is_local() || !request.allow_download {
        let opened = open_by(request, Digests::Known(&request.cache), &mut |_| Ok(()))?;
        return Ok(Prospect::from(&opened.into()));
    }
    let training_images = TRAINING_FILES.len() * RECORDS_PER_BATCH;
    Ok(Prospect {
        origin: Origin::Cifar10,
        digest: set_digest(CIFAR10_TRAIN_DIGEST, CIFAR10_TEST_DIGEST),
        classes: Size::CIFAR10.classes,
        training_images,
        test_images: RECORDS_PER_BATCH,
        description: format!("{OFFICIAL}, not downloaded yet"),
        doubt: None,
        download: cifar10::first_bytes(&request.mirrors)?,
        bytes: ((training_images + RECORDS_PER_BATCH) * RECORD_BYTES) as u64,
        absent: true,
        pictures: None,
    })
}

/// Opens the data that `request` asks for. If the synthetic set stands in, a [`Progress::Note`] says why. Files that have not
/// changed since they were opened last are not digested again.
///
/// # Errors
/// [`Exit::Data`] if a named place or the cache is damaged, if the data is not CIFAR-10 but has to be, or if there is no
/// data and no stand-in is allowed; [`Exit::Storage`] if a download cannot be written.
pub fn open(request: &Request, progress: &mut Report) -> Result<Dataset> {
    open_by(request, Digests::Kept(&request.cache), progress)
}

/// [`open`], which digests every byte.
///
/// # Errors
/// As [`open`].
pub fn open_whole(request: &Request, progress: &mut Report) -> Result<Dataset> {
    open_by(request, Digests::Computed, progress)
}

fn open_by(request: &Request, digests: Digests<'_>, progress: &mut Report) -> Result<Dataset> {
    if let Some(dir) = &request.dir {
        let dataset = cifar10::load_by(dir, digests, progress)?;
        return match dataset.doubt().filter(|_| request.require_official) {
            None => Ok(dataset),
            Some(doubt) => Err(Exit::Data.error(format!(
                "{doubt}; fetch CIFAR-10 with `refig data fetch cifar10`, or drop --require-official"
            ))),
        };
    }
    if let Some(cached) = cifar10::cached(&request.cache) {
        return cifar10::published(cifar10::load_by(&cached, digests, progress)?);
    }
    let why = if request.allow_download {
        progress(Progress::Note(format!(
            "no data named and no CIFAR-10 in {}: downloading it ({} MB)",
            request.cache.display(),
            cifar10::first_bytes(&request.mirrors)?.div_ceil(1_000_000)
        )))?;
        let (cache, mirrors) = (&request.cache, &request.mirrors);
        match cifar10::fetch(None, cache, mirrors, request.pace, progress) {
            Ok(dataset) => return Ok(dataset),
            Err(DownloadError::Unreachable(why)) => why,
            Err(DownloadError::Refused(error)) => return Err(error),
        }
    } else {
        Exit::Data.error(format!(
            "no CIFAR-10 in {}, and downloading is turned off; name its folder, its Parquet files or its .tar.gz with --data-dir or CIFAR10_DIR",
            request.cache.display()
        ))
    };
    if !request.allow_synthetic || request.require_official {
        return Err(why);
    }
    let dataset = synthetic(request.synthetic_seed);
    progress(Progress::Note(format!(
        "using {}, because {why:#}",
        dataset.source
    )))?;
    Ok(dataset)
}
/// Opens the pictures that `request` asks for: those at the named place, else synthetic ones if they may stand in.
///
/// # Errors
/// [`Exit::Data`] if nothing is named, or what is named has no images; that of `progress`.
pub fn open_pictures(request: &PictureRequest, progress: &mut Report) -> Result<DataSet> {
    let cache = &request.cache;
    if let Some(dir) = &request.dir {
        let collection = match request.skip_unreadable {
            true => imagenet::open_readable(dir, cache, progress)?,
            false => imagenet::open(dir, cache, progress)?,
        };
        let size = Size {
            classes: collection.classes.len(),
            training_images: collection.train.len(),
            test_images: collection.test.len(),
        };
        let original = size == Size::IMAGENET && collection.shrunk.is_none();
        let verified = original && imagenet::is_whole(&collection);
        return Ok(DataSet::Pictures {
            collection: Arc::new(collection),
            origin: Origin::of_imagenet(size, verified),
        });
    }
    let why = "no ImageNet named; name its folder or archive with --data-dir or IMAGENET_DIR";
    if !request.allow_synthetic {
        return Err(Exit::Data.error(why));
    }
    progress(Progress::Note(format!("using SYNTHETIC pictures: {why}")))?;
    let folder = imagenet::synthetic_pictures(cache)?;
    Ok(DataSet::Pictures {
        collection: Arc::new(imagenet::open(&folder, cache, progress)?),
        origin: Origin::Synthetic,
    })
}
