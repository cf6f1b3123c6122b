//! Inspects runs.
//!
//! - `watch.rs`: the live state of runs
//! - `difference.rs`: compares two runs
//! - `unneeded.rs`: runs that are not needed any more, each with the reason
//! - `export/`: other programs' formats

pub mod difference;
pub mod export;
pub mod unneeded;
pub mod watch;
