//! Looking at runs: `watch.rs` runs as they go, `difference.rs` two runs side by side, `export/` the formats of other
//! programs.

pub mod difference;
pub mod export;
pub mod watch;
