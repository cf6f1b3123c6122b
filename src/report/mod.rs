//! From the files of runs to what a reader looks at: curves, the figure, the verdict. Everything here is a function of
//! files on disk; nothing trains and nothing needs the data set.
//!
//! `selection.rs` which runs, `curves.rs` rows to curves, `reference.rs` the paper's own curves, `assemble.rs` experiment
//! and runs to the figure as plain data, `figure/` the drawing, `render.rs` all of that from files to files.
//! `check.rs` errors against expectations and claims, `subjects.rs` the same from files, `recorded.rs` whether the records
//! are of their recipe, `distance.rs` and `paper_curves.rs` curves against the paper's, `statistics.rs` and `student.rs`
//! what a few seeds tell, `evidence.rs` the words for it; `baseline.rs` errors accepted before;
//! `rows.rs` and `verdict.rs` what came of it, `unclaimed.rs` where nothing is claimed, `table.rs` for a terminal, `page/` the report to read, `formats/` for CI;
//! `final_errors.rs`, `responses.rs` and `bars.rs` what is a table, layer responses or bars of the paper;
//! `watch.rs` runs as they go, `difference.rs` two runs side by side, `export/` other programs' formats.

pub mod assemble;
pub mod bars;
pub mod baseline;
pub mod check;
pub mod curves;
pub mod difference;
pub mod distance;
pub mod evidence;
pub mod export;
pub mod figure;
pub mod final_errors;
pub mod formats;
pub mod page;
pub mod paper_curves;
pub mod recorded;
pub mod reference;
pub mod render;
pub mod responses;
pub mod rows;
pub mod selection;
pub mod statistics;
mod student;
pub mod subjects;
pub mod table;
mod unclaimed;
pub mod verdict;
pub mod watch;

pub use render::{RenderOptions, Rendered, Shown, render, shown};
pub use rows::Status;
pub use selection::{Selection, Wanted, further_seeds, left_unused, select, with_further_seeds};
pub use subjects::{check, check_against};
pub use verdict::Verdict;
