//! What a check says of runs: every status with values worked out by hand, the headline, the exit codes and the files.
//!
//! - `subjects.rs` makes up what is judged; `errors.rs`, `claims.rs` and `whole.rs` judge it
//! - `recorded.rs` records runs on disk; `rows.rs` and `found.rs` have which of them are judged, and by which rows

mod claims;
mod errors;
mod found;
mod recorded;
mod rows;
mod subjects;
mod whole;
