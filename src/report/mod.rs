//! From the files of runs to what a reader looks at: curves, the figure, the verdict. Everything here is a function of
//! files on disk; nothing trains and nothing needs the data set.
//!
//! `curves.rs` rows to curves, `reference.rs` the paper's own curves, `figure/` the drawing.

pub mod curves;
pub mod figure;
pub mod reference;
