//! CIFAR-10, the synthetic set, their download, and the loader of mini-batches.
//!
//! - `source.rs` opens a data set: a named place, the cache, the network, or the synthetic set
//! - `cifar.rs` reads the binary layout, `archive.rs` its `.tar.gz`, `install.rs` puts it into the cache, `download.rs` gets it
//! - `records.rs` orders records by their digest, so that a copy of the images in any order is the same data
//! - `synthetic.rs` draws ten classes of textured shapes from a seed
//! - `images.rs` splits and averages down, `normalise.rs` fits means, `augment.rs` decides and applies, `order.rs` says
//!   which images form which mini-batch, `loader.rs` prepares mini-batches ahead on other threads, `drawn.rs` leaves
//!   pixels to a device that holds the images

mod archive;
mod augment;
mod cifar;
mod download;
mod drawn;
mod images;
mod install;
mod loader;
mod normalise;
mod order;
mod records;
mod source;
mod synthetic;

use std::sync::Arc;

pub use augment::{apply, batch, decide};
pub use cifar::{BATCH_BYTES, RECORDS_PER_BATCH, TEST_FILE, TRAINING_FILES, load};
pub use download::{Archive, DownloadError, OFFICIAL_ARCHIVE, OFFICIAL_URL, download};
pub use drawn::{Drawn, Originals};
pub use images::sample;
pub use install::{FOLDER, fetch};
pub use loader::Loader;
pub use normalise::{Normaliser, PIXEL_SCALE};
pub use order::Order;
pub use records::{CIFAR10_TEST_DIGEST, CIFAR10_TRAIN_DIGEST, RECORD_BYTES};
pub use source::{Prospect, Request, cache_folder, foresee, open};
pub use synthetic::{SYNTHETIC_SEED, SYNTHETIC_TEST, SYNTHETIC_TRAIN, synthetic};

/// Where the images come from, which decides what a run may be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The 60,000 images of CIFAR-10, known by their digest.
    Cifar10,
    /// Files in CIFAR-10's layout with other images.
    Other,
    /// Drawn from a seed by this program.
    Synthetic,
}

impl Origin {
    /// The words that figures and verdicts use: `CIFAR-10`, `other images`, `SYNTHETIC`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cifar10 => "CIFAR-10",
            Self::Other => "other images",
            Self::Synthetic => "SYNTHETIC",
        }
    }
}

/// Images and their classes, in the order of the sha256 of their records.
#[derive(Clone, Debug)]
pub struct ImageSet {
    /// Side in pixels; images are square, three channels.
    pub size: usize,
    /// `[images][3][size][size]`, as in the files (red, green, blue planes).
    pub pixels: Vec<u8>,
    pub labels: Vec<u8>,
    /// sha256 (hex) over the sorted digests of the records: the same whatever the order of the files.
    /// A part of a set and a set averaged down keep the digest of the records that they were made from.
    pub digest: String,
}

/// A training and a test set.
#[derive(Clone, Debug)]
pub struct Dataset {
    pub origin: Origin,
    pub classes: usize,
    pub train: Arc<ImageSet>,
    pub test: Arc<ImageSet>,
    /// Where the images were found, in words; for the synthetic set, why it was taken.
    pub source: String,
}

/// What is drawn for one image of a mini-batch. `(4, 4, false)` with a padding of 4 is the image itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which image.
    pub index: u32,
    /// Offset of the crop in the padded image, 0..=2*pad.
    pub top: u8,
    pub left: u8,
    pub flip: bool,
}

/// A mini-batch, normalised, channels innermost; or what it takes to make it so where the images are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// `[images][size][size][3]`; empty where `drawn` is there.
    pub pixels: Vec<f32>,
    pub labels: Vec<u16>,
    pub size: usize,
    pub drawn: Option<Drawn>,
}

/// What `open` and `fetch` are doing. Whoever is told may end it by returning an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A sentence for the user.
    Note(String),
    /// Another process is still at it; told a few times a second.
    Waiting,
    /// Bytes of the archive on disk so far, of how many.
    Download { done: u64, total: u64 },
    /// Files of the archive unpacked so far, of how many.
    Unpack { done: u64, total: u64 },
}

/// Receives [`Progress`]; an error that it returns ends the work and is handed on.
pub type Report<'a> = dyn FnMut(Progress) -> anyhow::Result<()> + 'a;
