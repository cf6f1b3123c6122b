//! The page of a figure of published values. Nothing was measured, so nothing is judged.

use anyhow::Result;

use super::contents::{Body, Cell, Page, Section};
use crate::digest::sha256;
use crate::exit::Exit;
use crate::figure::{BarFigure, Whose};
use crate::judge::Status;
use crate::manifest::Bars;

/// The figure, each value with its source, and the source files.
///
/// # Errors
/// [`Exit::Storage`] if one of these files cannot be read.
pub fn published(bars: &Bars, figure: &BarFigure) -> Result<Page> {
    let sections = [
        Some(Section {
            id: "figure",
            heading: "Figure",
            about: Vec::new(),
            body: Body::Figure,
        }),
        values(figure),
        provenance(bars)?,
        Some(Section {
            id: "reproduce",
            heading: "How to reproduce",
            about: vec!["Draws the bars from the published values; trains nothing.".into()],
            body: Body::Commands(vec![format!("cargo run -- render {}", bars.name)]),
        }),
    ];
    Ok(Page {
        title: bars.title.clone(),
        experiment: bars.name.clone(),
        home: "../index.html",
        judged: false,
        status: Status::NothingClaimed,
        headline: "published values, none measured here".into(),
        shouts: Vec::new(),
        line: "reference data only".into(),
        sections: sections.into_iter().flatten().collect(),
    })
}

fn values(figure: &BarFigure) -> Option<Section> {
    let mut rows = Vec::new();
    for plot in &figure.plots {
        rows.extend(plot.bars.iter().map(|bar| {
            vec![
                Cell::text(&plot.title),
                Cell::text(&bar.label),
                Cell::text(&bar.below),
                if bar.whose == Whose::Paper {
                    Cell::Strong(bar.text.clone())
                } else {
                    Cell::text(&bar.text)
                },
                Cell::text(&plot.axis),
                Cell::text(&bar.source),
            ]
        }));
    }
    Section::table(
        "values",
        "Values",
        &["The paper's own results are bold."],
        &["plot", "model", "variant", "#value", "unit", "source"],
        rows,
    )
}

fn provenance(bars: &Bars) -> Result<Option<Section>> {
    let mut paths = vec![&bars.source];
    for panel in &bars.panels {
        if !paths.contains(&&panel.file) {
            paths.push(&panel.file);
        }
    }
    let mut rows = Vec::new();
    for path in paths {
        let bytes = std::fs::read(path).map_err(|error| {
            Exit::Storage.error(format!(
                "cannot read {}: {error}; restore the file",
                path.display()
            ))
        })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        rows.push(vec![
            Cell::Text(name.into_owned()),
            Cell::Text(format!("sha256 {}", sha256(&bytes))),
        ]);
    }
    rows.push(vec![
        Cell::text("refig"),
        Cell::text(env!("CARGO_PKG_VERSION")),
    ]);
    Ok(Section::table(
        "provenance",
        "Provenance",
        &["The figure's source files, and the version that drew it."],
        &["source", "value"],
        rows,
    ))
}
