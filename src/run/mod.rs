//! A run's directory: layout, lock, whole writes, provenance, checkpoints; and the runs on disk as figures see them.
//!
//! `directory.rs` is the run while it is made and `view.rs` the run looked at; `about.rs` its `run.toml` and `done.json`,
//! `provenance.rs` the machine and the program,
//! `tree.rs` the repository it is of, `sources.rs` the digest of what was built, `checkpoint.rs` and `parts.rs` what it goes on from, `space.rs` and
//! `lock.rs` what is checked first, `disk.rs` every change on the disk, `fault.rs` the stops of tests; `responses.rs` what was
//! measured of a finished run.

mod about;
mod checkpoint;
mod directory;
pub mod disk;
pub mod fault;
mod lock;
mod parts;
mod provenance;
mod responses;
pub mod sources;
pub mod space;
mod tree;
mod view;

// Beside `sources`, which `build.rs` compiles too: there it is the root's.
use crate::digest;

pub use about::{About, Done, Notes, Outcome};
pub use checkpoint::Checkpoint;
pub use directory::{Resume, RunDirectory};
pub use lock::{Owner, owner};
pub use parts::Rows;
pub use provenance::{Provenance, processor, program};
pub use responses::{LayerResponse, ResponseRecord};
pub use tree::Tree;
pub use view::{RunView, State, find, unnamed};

/// The version of every format in a run's folder. An older one is read, a newer one refused by name.
pub const FORMAT: u32 = 1;

const RUN: &str = "run.toml";
const DONE: &str = "done.json";
const LOG: &str = "log";
const PARTS: &str = "parts";
const ITERATIONS: &str = "iterations.parquet";
const EVALUATIONS: &str = "evaluations.parquet";
const WEIGHTS: &str = "weights.safetensors";
const CHECKPOINT: &str = "checkpoint.safetensors";
const PREVIOUS: &str = "checkpoint.previous.safetensors";
