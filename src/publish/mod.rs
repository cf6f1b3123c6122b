//! From verdict and figures to what is read.
//!
//! - `report.rs` writes a report's folder, `illustration.rs` is its figure, drawn once
//! - `page/` is the page for people as HTML and Markdown, and the index of all reports
//! - `terminal.rs` is the table on the terminal, `cells.rs` the texts of tables' cells
//! - `cases.rs` is the verdict for CI, as JUnit in `junit.rs` and as GitHub's annotations in `github.rs`

mod cases;
mod cells;
mod github;
mod illustration;
mod junit;
pub mod page;
mod report;
mod terminal;

pub use cases::{Case, Severity, cases};
pub use github::{annotations, summary};
pub use illustration::Illustration;
pub use junit::junit;
pub use report::{Report, folder, publish_bars};
pub use terminal::table;
