//! Inspects runs.
//!
//! - `watch.rs`: the live state of runs
//! - `difference.rs`: compares two runs
//! - `export/`: other programs' formats

pub mod difference;
pub mod export;
pub mod watch;
