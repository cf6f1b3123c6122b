//! What users and CI read of a verdict.
//!
//! - `report.rs` writes a report's folder, with the figure of `illustration.rs`
//! - `page/` renders the page as HTML and Markdown, and the index of all reports
//! - `terminal.rs` has the terminal's table, laid out by `sheet.rs`; `cells.rs` has the cell texts shared with the pages
//! - `foreign.rs` makes text from files safe for where it is written
//! - `cases.rs` turns the verdict into cases for CI: `junit.rs` as JUnit, `github.rs` as GitHub annotations

mod cases;
mod cells;
mod foreign;
mod github;
mod illustration;
mod junit;
pub mod page;
mod report;
mod sheet;
mod terminal;

pub use cases::{Case, Severity, cases};
pub use github::{annotations, summary};
pub use illustration::Illustration;
pub use junit::junit;
pub use report::{Report, folder, publish_bars};
pub use terminal::{headline, table};
