//! Whatever goes wrong, the next start ends with the numbers of an undisturbed run, or says what is wrong and loses nothing.
//!
//! `REFIG_FAULTS=500 cargo test --test faults -- --nocapture` kills that many processes; there are a few kills without it.
//! - `scene.rs` runs the real binary on a tiny experiment and the synthetic set, and compares what it leaves
//! - `kills.rs` kills it with SIGKILL in every phase, `transfers.rs` while it unpacks and downloads, `pictures.rs` while it trains
//!   the networks of Fig. 4
//! - `files.rs` cuts and flips each file that a run writes, sets clocks back, and writes as older versions did
//! - `places.rs` has full disks, folders that cannot be written, and two processes on one run
#![cfg(unix)]
#![allow(clippy::print_stdout, reason = "the number of kills is the result")]

mod files;
mod kills;
mod pictures;
mod places;
mod scene;
mod transfers;

#[path = "../common/mod.rs"]
mod common;
