//! CIFAR-10: where it comes from, and the layouts in which it is found. The same images are the same data in each.
//!
//! - `load.rs` finds the layout of a place and loads it
//! - `layout.rs` has the names and sizes of the six batch files, binary and Python's, and validates one
//! - `archive.rs` reads them from a `.tar.gz`
//! - `python.rs` reads a batch of the Python version, `pickle.rs` the pickle around it
//! - `shards.rs` reads Hugging Face's Parquet files, with a PNG per image
//! - `records.rs` sorts records by digest, so that a data set is the same whatever the order of its files; `order.rs` keeps
//!   that order while the files stay as they are
//! - `identity.rs` says what a data set is: CIFAR-10, a damaged copy, other images
//! - `addresses.rs` knows where it can be downloaded, `install.rs` puts it into the cache

mod addresses;
mod archive;
mod identity;
mod install;
mod layout;
mod load;
mod order;
mod pickle;
mod python;
mod records;
mod shards;

pub use addresses::{OFFICIAL_ARCHIVE, OFFICIAL_URL, PARQUET_BYTES, PARQUET_URL};
pub use install::fetch;
pub use layout::{BATCH_BYTES, FOLDER, RECORDS_PER_BATCH, TEST_FILE, TRAINING_FILES};
pub use load::load;
pub use records::{CIFAR10_TEST_DIGEST, CIFAR10_TRAIN_DIGEST, RECORD_BYTES};

pub(super) use addresses::first_bytes;
pub(super) use identity::OFFICIAL;
pub(super) use install::published;
pub(super) use load::{Digests, cached, load_by};
pub(super) use records::into_images;
