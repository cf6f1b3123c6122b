//! A report as `index.html`, self-contained, and as `report.md`, for a pull request. Both render one [`Page`], so their
//! contents agree.
//!
//! - `contents.rs`: the types of a page
//! - `sections.rs`: the page of a verdict; `errors.rs` and `distances.rs`: its sections on errors and on distances;
//!   `provenance.rs`: what the runs were made with
//! - `published.rs`: the page of a figure of published values
//! - `markdown.rs`, `html.rs`: the two renderers, with `escape.rs`, `page.css` and `page.js`
//! - `plot.rs`: the interactive figure; `legend.rs`: what explains it; `curves.rs`: its data for the script
//! - `site.rs`: the index of all reports

mod contents;
mod curves;
mod distances;
mod errors;
mod escape;
mod html;
mod legend;
mod markdown;
mod plot;
mod provenance;
mod published;
mod sections;
pub mod site;

pub use contents::{Body, Cell, Column, Page, Section, Table};
pub use escape::relative;
pub use html::html;
pub use markdown::{figure_table, markdown};
pub use published::published;
pub use sections::{Material, page};
