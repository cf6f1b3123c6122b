//! A run's directory: layout, lock, atomic writes, provenance, checkpoints; and runs on disk as figures see them.
//!
//! - `directory.rs` is a run while it trains, `view.rs` a run that is only looked at
//! - `layout.rs` names the files, `format.rs` their version; `run_file.rs` is `run.toml`, `done.rs` is `done.json`,
//!   `progress.rs` is `progress.json`, `checkpoint.rs` and `parts.rs` what a run resumes from, `response_record.rs` the
//!   measured layer responses
//! - `provenance.rs` describes machine and program, `tree.rs` the repository, `sources.rs` the digest of what was built
//! - `pack.rs` is a run in one file, to move it to another machine
//! - `disk.rs` makes every change on the disk, `fault.rs` stops it in tests; `space.rs` and `lock.rs` are asked first

mod checkpoint;
mod directory;
pub mod disk;
mod done;
pub mod fault;
mod format;
mod layout;
mod lock;
mod pack;
mod parts;
mod progress;
mod provenance;
mod response_record;
mod run_file;
pub mod sources;
pub mod space;
mod tree;
mod view;

// Beside `sources`, which `build.rs` compiles too: there it is the root's.
use crate::digest;

pub use checkpoint::Checkpoint;
pub use directory::{Resume, RunDirectory};
pub use done::Done;
pub use format::FORMAT;
pub use lock::{Owner, owner};
pub use pack::{pack, pack_on, unpack, unpack_on};
pub use parts::Rows;
pub use provenance::{Provenance, cpu, program};
pub use response_record::{LayerResponse, ResponseRecord};
pub use run_file::{Notes, RunFile};
pub use tree::Tree;
pub use view::{RunView, find};
