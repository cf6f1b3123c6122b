//! Inspects runs.
//!
//! - `status.rs`: all runs of a folder; `watch.rs`: their live state with the latest errors; `activity.rs`: whether a run is
//!   running
//! - `difference.rs`: compares two runs
//! - `unneeded.rs`: runs that are not needed any more, each with the reason
//! - `export/`: other programs' formats
//! - `place.rs`: what a run is called; `changed.rs`: runs of an experiment with changed fields

mod activity;
mod changed;
pub mod difference;
pub mod export;
mod place;
mod status;
pub mod unneeded;
pub mod watch;

pub use activity::Activity;
pub use changed::changed;
pub use place::{is_held_out, place};
pub use status::{InQueue, Listed, Status};
