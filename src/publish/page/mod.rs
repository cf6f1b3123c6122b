//! What a reviewer reads: `index.html`, one file that needs no network, and `report.md`, which says the same for a pull
//! request. Both are written from one [`Page`], so that neither can say what the other does not.
//!
//! `contents.rs` is what a page is made of, `sections.rs` the verdict in these terms, `published.rs` bars of published
//! values, `provenance.rs` what the runs were made with; `markdown.rs` and `html.rs` are the two forms, `plot.rs` the figure
//! inside the page and `curves.rs` the data for its script, `escape.rs` text in HTML and in addresses, `site.rs` the index of
//! all reports. `page.css` and `page.js` are put into the page as they are.

mod contents;
mod curves;
mod escape;
mod html;
mod markdown;
mod plot;
mod provenance;
mod published;
mod sections;
pub mod site;

pub use contents::{Body, Cell, Column, Page, Section, Table};
pub use escape::relative;
pub use html::html;
pub use markdown::markdown;
pub use published::published;
pub use sections::{Material, page};
