//! CIFAR-10, ImageNet (`imagenet/`) and the synthetic data set, and the mini-batches made from them.
//!
//! Data sets:
//! - `source.rs` opens what a command asks for: a named place, the cache, a download, or the synthetic set
//! - `cifar10/` holds what is only about CIFAR-10: its layouts, its digests, its addresses
//! - `synthetic.rs` generates ten classes of textured shapes from a seed
//! - `images.rs` has `ImageSet` and `Dataset`, their splits, downscaling and sampling
//! - `imagenet/` has photographs of many sizes: decoding, scaling, cropping
//! - `download.rs` downloads a file from the first place that delivers it, at the pace of `pace.rs`, into the file of `part.rs`
//! - `temporary.rs` has files and folders that no other process uses, `sealed.rs` files that save reading images again,
//!   `lock.rs` has one process make what others wait for
//! - `run_images.rs`: a data set of either kind, and its images as a recipe sees them
//! - `progress.rs` and `error.rs`: what opening and downloading report
//!
//! Mini-batches:
//! - `minibatch.rs` has `Batch` and its three forms: pixels, decisions and crops; `image_size.rs` how large its images are
//! - `order.rs` chooses the images of each mini-batch
//! - `augment.rs` draws crops and flips and applies them, `normalise.rs` fits means and scales
//! - `drawn.rs` leaves cropping and normalising to a device that holds the images, `crops.rs` only normalising
//! - `mean_image.rs` subtracts the mean image from a photograph
//! - `loader.rs` prepares mini-batches ahead on worker threads

mod augment;
mod cifar10;
mod crops;
mod download;
mod drawn;
mod error;
mod image_size;
pub mod imagenet;
mod images;
mod loader;
mod lock;
mod mean_image;
mod minibatch;
mod normalise;
mod order;
mod pace;
mod part;
mod progress;
mod run_images;
mod sealed;
mod source;
mod synthetic;
mod temporary;

pub use augment::{apply, batch, decide};
pub use cifar10::{
    BATCH_BYTES, CIFAR10_TEST_DIGEST, CIFAR10_TRAIN_DIGEST, FOLDER, OFFICIAL_ARCHIVE, OFFICIAL_URL,
    PARQUET_BYTES, PARQUET_URL, RECORD_BYTES, RECORDS_PER_BATCH, TEST_FILE, TRAINING_FILES, fetch,
    load,
};
pub use crops::Crops;
pub use download::{Archive, DownloadError, download};
pub use image_size::ImageSize;
pub use images::{Dataset, HELD_OUT, ImageSet, sample};
pub use loader::Loader;
pub use mean_image::MeanImage;
pub use minibatch::{Batch, Decision, Drawn, Originals};
pub use normalise::{Normaliser, PIXEL_SCALE};
pub use order::{Order, Spot};
pub use pace::Pace;
pub use progress::{Progress, Report};
pub use run_images::{Batches, DataSet, RunImages};
pub use source::{
    PictureRequest, Prospect, Request, cache_folder, foresee, foresee_pictures, open,
    open_pictures, open_whole,
};
pub use synthetic::{SYNTHETIC_SEED, SYNTHETIC_TEST, SYNTHETIC_TRAIN, synthetic};
