//! Whatever goes wrong, the next start ends with the numbers of an undisturbed run, or says what is wrong and loses nothing.
//!
//! `REFIG_FAULTS=500 cargo test --test faults -- --nocapture` kills that many processes; there are a few kills without it.
//! - `scene.rs` runs the real binary on a tiny experiment and the synthetic set, and compares what it leaves; `disk.rs` has a small
//!   file system, and folders that cannot be written
//! - `kills.rs` kills it with SIGKILL in every phase, `transfers.rs` while it unpacks and downloads, `cached.rs` while it copies,
//!   packs and indexes images, `launched.rs` while it submits to a cluster, `pictures.rs` while it trains the networks of Fig. 4 on
//!   pictures that it makes and, where it is at hand, on a slice of Imagenette
//! - `files.rs` cuts and flips each file that a run writes, sets clocks back, and writes as older versions did
//! - `places.rs` fills the disk under a training, and has two processes on one run; `full.rs` fills it under everything else
//! - `read_only.rs` has results, reports, caches and data that cannot be written
#![cfg(unix)]
#![allow(clippy::print_stdout, reason = "the number of kills is the result")]

mod cached;
mod disk;
mod files;
mod full;
mod kills;
mod launched;
mod pictures;
mod places;
mod read_only;
mod scene;
mod transfers;

#[path = "../data_files/black.rs"]
#[allow(dead_code, reason = "its archives are for other tests")]
mod black;
#[path = "../common/mod.rs"]
mod common;
