//! `index.html`: a self-contained page with inline style, script and SVG, and a content policy that forbids loading
//! anything else.

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::contents::{Body, Cell, Column, Page, Section, Table};
use super::curves;
use super::escape::{percent, script};
use super::plot;
use crate::figure::Drawing;
use crate::judge::Status;
use crate::publish::illustration::Illustration;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Keeps the page self-contained: no network access.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' data: file:";

/// The page as HTML, with the figure in its section.
pub fn html(page: &Page, figure: Option<&Illustration>) -> String {
    let curves = match figure.map(|figure| &figure.drawing) {
        Some(Drawing::Curves(figure)) => Some(script(&curves::json(figure))),
        _ => None,
    };
    let body = markup! {
        header {
            p.way { a href=(page.home) { "all reports" } }
            h1 { (page.title) }
            p.line { (page.line) }
            p.headline { (badge(page.status)) " " (page.headline) "." }
            @for (word, sentence) in &page.shouts {
                p.shout role="alert" { strong { (word) } ": " (sentence) }
            }
            nav aria-label="Sections" {
                @for section in &page.sections {
                    a href={ "#" (section.id) } { (section.heading) } " "
                }
            }
        }
        main {
            @for section in &page.sections {
                (section_markup(page, section, figure))
            }
        }
        @if let Some(curves) = curves {
            script type="application/json" id="curves" { (PreEscaped(curves)) }
            script { "\n" (PreEscaped(SCRIPT)) }
        }
    };
    document(&page.title, &body)
}

/// A complete HTML document.
pub(super) fn document(title: &str, body: &Markup) -> String {
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { (title) }
                style { "\n" (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string() + "\n"
}

/// The status as a word and a sign, so that it does not depend on colour.
pub(super) fn badge(status: Status) -> Markup {
    let sign = match status {
        Status::Pass => "✓",
        Status::PassWithinNoise | Status::PassByMargin => "≈",
        Status::Fail | Status::FailWithinNoise => "✗",
        Status::Better => "▼",
        Status::Missing => "?",
        Status::NotComparable => "≠",
        Status::NothingClaimed => "–",
    };
    let name = status.name();
    markup! {
        span class={ "status " (name) } {
            span aria-hidden="true" { (sign) } " " (name.replace('-', " "))
        }
    }
}

fn section_markup(page: &Page, section: &Section, figure: Option<&Illustration>) -> Markup {
    let heading = format!("{}-heading", section.id);
    markup! {
        "\n"
        section id=(section.id) aria-labelledby=(heading) {
            h2 id=(heading) { (section.heading) }
            @for paragraph in &section.about {
                p.about { (paragraph) }
            }
            @match &section.body {
                Body::Figure => (figure_markup(page, figure)),
                Body::Table(table) => (table_markup(&heading, table)),
                Body::List(items) if items.is_empty() => {},
                Body::List(items) => ul { @for item in items { li { (item) } } },
                Body::Commands(lines) => pre tabindex="0" { code { (lines.join("\n")) } },
            }
        }
    }
}

fn figure_markup(page: &Page, figure: Option<&Illustration>) -> Markup {
    let name = &page.experiment;
    markup! {
        @match figure.map(|figure| (&figure.drawing, &figure.svg)) {
            Some((Drawing::Curves(figure), _)) => (PreEscaped(plot::figure(figure))),
            Some((_, svg)) => figure.wide tabindex="0" {
                img.picture src={ "data:image/svg+xml," (percent(svg)) } alt=(page.title);
            },
            None => {},
        }
        p.files {
            "Download as " a href={ (name) ".svg" } { "SVG" } " and " a href={ (name) ".png" } { "PNG" }
            @if page.judged {
                " in the paper's colours; the verdict as " a href="verdict.json" { "JSON" } " and "
            } @else {
                "; the page as "
            }
            a href="report.md" { "Markdown" } "."
        }
    }
}

/// A table in its own scrolling box, reachable by keyboard.
fn table_markup(heading: &str, table: &Table) -> Markup {
    let class = |column: &Column| column.number.then_some("n");
    markup! {
        div.wide tabindex="0" role="region" aria-labelledby=(heading) {
            table {
                thead {
                    tr {
                        @for column in &table.columns {
                            th scope="col" class=[class(column)] { (column.name) }
                        }
                    }
                }
                tbody {
                    @for row in &table.rows {
                        "\n"
                        tr {
                            @for (place, (content, column)) in row.iter().zip(&table.columns).enumerate() {
                                @if place == 0 {
                                    th scope="row" class=[class(column)] { (cell(content)) }
                                } @else {
                                    td class=[class(column)] { (cell(content)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(content: &Cell) -> Markup {
    markup! {
        @match content {
            Cell::Text(text) => (text),
            Cell::Strong(text) => strong { (text) },
            Cell::Code(text) if text.is_empty() => {},
            Cell::Code(text) => code { (text) },
            Cell::Link { text, href } => a href=(href) { (text) },
            Cell::Status { status, note } => {
                (badge(*status))
                @if !note.is_empty() { " " span.note { (note) } }
            },
        }
    }
}
