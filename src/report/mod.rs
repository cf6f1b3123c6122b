//! From the files of runs to what a reader looks at: curves, the figure, the verdict. Everything here is a function of
//! files on disk; nothing trains and nothing needs the data set.
//!
//! `selection.rs` which runs, `curves.rs` rows to curves, `reference.rs` the paper's own curves, `assemble.rs` experiment
//! and runs to the figure as plain data, `figure/` the drawing, `render.rs` all of that from files to files; `check.rs`
//! errors against expectations and claims, `subjects.rs` the same from files, `verdict.rs` what came of it, `page.rs` the
//! report.

pub mod assemble;
pub mod check;
pub mod curves;
pub mod figure;
pub mod page;
pub mod reference;
pub mod render;
pub mod selection;
pub mod subjects;
pub mod verdict;

pub use render::{RenderOptions, Rendered, render};
pub use selection::{Selection, Wanted, select};
pub use subjects::check;
pub use verdict::{Status, Verdict};
