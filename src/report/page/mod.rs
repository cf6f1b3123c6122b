//! What a reviewer reads: `index.html`, one file that needs no network, and `report.md`, which says the same for a pull
//! request. Both are written from one [`Page`], so that neither can say what the other does not.
//!
//! `contents.rs` what a page is made of, `sections.rs` the verdict in these terms, `published.rs` bars of published values,
//! `provenance.rs` what the runs were made
//! with, `markdown.rs` and `html.rs` the two forms, `plot.rs` the figure inside the page and `curves.rs` the data that its
//! script shows, `escape.rs` text in HTML and in addresses, `site.rs` the index of all reports; `page.css` and `page.js` are
//! put into the page as they are.

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

use std::path::Path;

use anyhow::Result;

pub use contents::{Body, Cell, Column, Page, Section, Table};
pub use escape::relative;
pub use html::html;
pub use markdown::markdown;
pub use published::published;
pub use sections::page;

use super::render::Shown;
use super::verdict::Verdict;
use crate::run::RunView;
use crate::run::disk::Disk;

/// What a page shows besides the verdict.
#[derive(Clone, Copy, Debug, Default)]
pub struct Material<'a> {
    /// None where there is nothing to draw.
    pub figure: Option<&'a Shown>,
    /// The runs that the verdict rests on.
    pub runs: &'a [RunView],
    /// From the report's folder to the folder of results, as in a link; see [`relative`].
    pub results: &'a str,
}

/// Writes `index.html` and `report.md` into the folder, which is made if need be, and gives what they say. Each appears whole
/// or not at all.
///
/// # Errors
/// [`crate::exit::Exit::Storage`] where a run's files cannot be read or the folder cannot be written.
pub fn write(verdict: &Verdict, material: &Material, folder: &Path) -> Result<Page> {
    let page = page(verdict, material)?;
    save(&page, material.figure, folder)?;
    Ok(page)
}

/// Writes a page in its two forms.
///
/// # Errors
/// [`crate::exit::Exit::Storage`] where the folder cannot be written.
pub fn save(page: &Page, figure: Option<&Shown>, folder: &Path) -> Result<()> {
    let disk = Disk::default();
    disk.create_dir(folder)?;
    let html = html(page, figure);
    disk.replace(&folder.join("index.html"), html.as_bytes())?;
    disk.replace(&folder.join("report.md"), markdown(page).as_bytes())
}
