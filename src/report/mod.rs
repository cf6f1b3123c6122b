//! From the files of runs to what a reader looks at: curves, the figure, the verdict. Everything here is a function of
//! files on disk; nothing trains and nothing needs the data set.
//!
//! `curves.rs` rows to curves, `reference.rs` the paper's own curves, `figure/` the drawing; `check.rs` errors against
//! expectations and claims, `verdict.rs` what came of it, `page.rs` the report.

pub mod assemble;
pub mod check;
pub mod curves;
pub mod figure;
pub mod page;
pub mod reference;
mod runs;

pub use runs::{check, render, select};
pub mod verdict;

pub use verdict::{Status, Verdict};
