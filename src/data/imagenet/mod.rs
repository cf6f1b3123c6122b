//! ImageNet-1k (ILSVRC 2012) and its subsets, as JPEGs.
//!
//! Where the images are:
//! - `layout.rs` finds the layout of a place, without being told which: class folders, archives, shards
//! - `listing.rs` lists class folders and flat folders; `archives.rs` reads tars in place and `shards.rs` Parquet files
//! - `classes.rs` has the synsets; `labels.rs` finds the labels of a flat validation set, `matlab.rs` the devkit's
//!   `meta.mat`
//! - `index.rs` keeps what was found, so that unchanged images are not read again; `workers.rs` reads on all cores
//! - `collection.rs` joins them: images sorted by digest, the same whatever their layout
//! - `verify.rs` compares a collection with the published counts and labels, `pack.rs` copies it into a few large files

mod archives;
mod classes;
mod collection;
mod index;
mod labels;
mod layout;
mod listing;
mod matlab;
mod pack;
mod shards;
mod verify;
mod workers;

pub use collection::{Collection, Split, open};
pub use pack::{PACK_BYTES, Packed, pack};
pub use verify::{Findings, verify};
