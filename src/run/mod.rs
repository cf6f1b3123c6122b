//! Runs on disk: layout, lock, atomic writes, provenance, checkpoints, and a read-only view.
//!
//! - `directory.rs` is a run in training, which `refusals.rs` may keep from being opened; `view.rs` a read-only view
//! - `layout.rs` names the files, `format.rs` their version; `run_file.rs` is `run.toml`, `done.rs` is `done.json`,
//!   `progress.rs` is `progress.json`, `checkpoint.rs`, `parts.rs` and, in its final test, `view_tallies.rs` what a run resumes
//!   from, `response_record.rs` the measured layer responses, `weights_header.rs` what final weights say about themselves
//! - `provenance.rs` describes machine and program, `tree.rs` the repository, `sources.rs` the digest of the sources
//! - `pack.rs` writes a run into one file, to move it to another machine; `unpack.rs` puts it in place there
//! - `disk.rs` makes every change on disk, `fault.rs` interrupts it in tests; `space.rs` checks for room, `lock.rs` locks,
//!   `heartbeat.rs` tells other hosts of it, and `watch.rs` looks whether those live; `own_folder.rs` creates hidden folders

mod checkpoint;
mod directory;
pub mod disk;
mod done;
pub mod fault;
mod format;
mod heartbeat;
mod layout;
mod lock;
pub mod own_folder;
mod pack;
mod parts;
mod progress;
pub(crate) mod provenance;
mod refusals;
mod response_record;
mod run_file;
pub mod sources;
pub mod space;
mod tree;
mod unpack;
mod view;
mod view_tallies;
mod watch;
mod weights_header;

// Beside `sources`, which `build.rs` compiles too: there it is the root's.
use crate::digest;

pub use checkpoint::Checkpoint;
pub use directory::{Resume, RunDirectory};
pub use done::Done;
pub use format::FORMAT;
pub(crate) use format::{read_toml, to_toml};
pub use heartbeat::Locking;
pub use layout::is_plain_name;
pub use lock::Owner;
pub use pack::{Packed, pack, pack_on};
pub use parts::Rows;
pub use provenance::{Provenance, cpu, program};
pub use refusals::made_elsewhere;
pub use response_record::{LayerResponse, ResponseRecord};
pub use run_file::{Notes, RunFile};
pub use tree::Tree;
pub use unpack::{unpack, unpack_on};
pub use view::{Found, RunView, Skipped, check_weights, find, scan};
pub use view_tallies::ViewTally;
pub use watch::{Watcher, Watching};
pub use weights_header::WeightsHeader;
