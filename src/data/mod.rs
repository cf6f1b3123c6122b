//! CIFAR-10, ImageNet (`imagenet/`) and the synthetic data set, and the mini-batches made from them.
//!
//! Data sets:
//! - `source.rs` opens what a command asks for: a named place, the cache, a download, or the synthetic set
//! - `install.rs` puts CIFAR-10 into the cache, `download.rs` downloads its archive into the file of `part.rs`;
//!   `temporary.rs` has files and folders that no other process uses
//! - `cifar.rs` loads the binary layout from a folder or from an archive, `archive.rs` reads the `.tar.gz`, `layout.rs`
//!   has the names and sizes of the batch files and validates one
//! - `identity.rs` says what a data set is: CIFAR-10, a damaged copy, other images
//! - `records.rs` sorts records by digest, so that a data set is the same whatever the order of its files
//! - `synthetic.rs` generates ten classes of textured shapes from a seed
//! - `images.rs` has `ImageSet` and `Dataset`, their splits, downscaling and sampling
//! - `imagenet/` has photographs of many sizes: decoding, scaling, cropping
//! - `progress.rs` and `error.rs`: what opening and downloading report
//!
//! Mini-batches:
//! - `minibatch.rs` has `Batch` and its two forms, pixels and decisions
//! - `order.rs` chooses the images of each mini-batch
//! - `augment.rs` draws crops and flips and applies them, `normalise.rs` fits means and scales
//! - `drawn.rs` leaves cropping and normalising to a device that holds the images
//! - `loader.rs` prepares mini-batches ahead on worker threads

mod archive;
mod augment;
mod cifar;
mod download;
mod drawn;
mod error;
mod identity;
pub mod imagenet;
mod images;
mod install;
mod layout;
mod loader;
mod minibatch;
mod normalise;
mod order;
mod part;
mod progress;
mod records;
mod source;
mod synthetic;
mod temporary;

pub use augment::{apply, batch, decide};
pub use cifar::load;
pub use download::{Archive, DownloadError, OFFICIAL_ARCHIVE, OFFICIAL_URL, download};
pub use images::{Dataset, ImageSet, sample};
pub use install::fetch;
pub use layout::{BATCH_BYTES, FOLDER, RECORDS_PER_BATCH, TEST_FILE, TRAINING_FILES};
pub use loader::Loader;
pub use minibatch::{Batch, Decision, Drawn, Originals};
pub use normalise::{Normaliser, PIXEL_SCALE};
pub use order::Order;
pub use progress::{Progress, Report};
pub use records::{CIFAR10_TEST_DIGEST, CIFAR10_TRAIN_DIGEST, RECORD_BYTES};
pub use source::{Prospect, Request, cache_folder, foresee, open};
pub use synthetic::{SYNTHETIC_SEED, SYNTHETIC_TEST, SYNTHETIC_TRAIN, synthetic};
