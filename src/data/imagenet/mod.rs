//! ImageNet-1k (ILSVRC 2012) and its subsets: photographs of many sizes, as JPEGs.
//!
//! Where the images are:
//! - `layout.rs` finds the layout of a place, without being told which: class folders, archives, shards
//! - `listing.rs` lists class folders and flat folders; `archives.rs` reads tars in place and `shards.rs` Parquet files
//! - `classes.rs` has the synsets; `labels.rs` finds the labels of a flat validation set, `matlab.rs` the devkit's
//!   `meta.mat`
//! - `index.rs` keeps what was found, so that unchanged images are not read again; `workers.rs` reads on several threads
//! - `collection.rs` joins them: images sorted by digest, the same whatever their layout; `split.rs` has those of one part
//! - `glance.rs` tells what a place holds without reading it, `unreadable.rs` finds the images that cannot be decoded
//! - `synthetic.rs` writes pictures where there are none, `photographs.rs` makes files as large as ImageNet's
//! - `verify.rs` compares a collection with the published counts and labels, `published.rs` its archives with the published
//!   ones; `pack.rs` copies it into a few large files, `shrink.rs` makes its pictures smaller, `sample.rs` copies some of it into
//!   a folder
//!
//! From a file to a network's input:
//! - `decode.rs` turns a file into pixels, `header.rs` reads what has to be known of a JPEG beforehand,
//!   `scans.rs` finds the data that its scans lack; `decoding.rs` tells where the time goes
//! - `views.rs` draws scale, crop, mirror image and colour of a training image, and lists what is seen of a test image
//! - `resize.rs` applies such a decision to pixels, `colour.rs` has AlexNet's principal components
//! - `mean.rs` sums pixels, `mean_file.rs` computes the mean image once and keeps it
//! - `pictures.rs` does all of this for a mini-batch, `loader.rs` ahead of the network; `budget.rs` bounds the memory of what is
//!   decoded at the same time; `trial.rs` prepares some images to see how long it takes

mod archives;
mod budget;
mod classes;
mod collection;
mod colour;
mod decode;
mod decoding;
mod glance;
mod header;
mod index;
mod labels;
mod layout;
mod listing;
mod loader;
mod matlab;
mod mean;
mod mean_file;
mod pack;
mod photographs;
mod pictures;
mod published;
mod resize;
mod sample;
mod scans;
mod shards;
mod shrink;
mod split;
mod synthetic;
mod trial;
mod unreadable;
mod verify;
mod views;
mod workers;

pub use collection::{Collection, open, open_readable};
pub use colour::Colour;
pub use decode::{MOST_PIXELS, Picture, Undecodable, decode, decode_into};
pub use decoding::Decoding;
pub use glance::{Glance, glance};
pub use loader::PictureLoader;
pub use mean::PixelSums;
pub(super) use mean_file::{channel_mean, mean_image, mean_left, no_crop};
pub use pack::{Packed, Packing, pack};
pub use pictures::{Phases, Pictures};
pub(super) use published::archives_bytes;
pub use resize::{Scratch, frame};
pub use sample::Sample;
pub use split::Split;
pub(crate) use synthetic::SYNTHETIC_SIZE;
pub(super) use synthetic::{has_synthetic_pictures, synthetic_pictures};
pub use trial::Trial;
pub use verify::{Findings, is_whole, verify};
pub use views::{Draw, Framing, View, draw};
