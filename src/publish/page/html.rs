//! `index.html`: the page in one file. Style and script stand in it, the figure is SVG in it, and a policy in its head
//! forbids the browser to load anything else.

use std::fmt::Write as _;

use super::contents::{Body, Cell, Page, Section, Table};
use super::curves;
use super::escape::{escape, percent, script};
use super::plot;
use crate::figure::Drawing;
use crate::judge::Status;
use crate::publish::illustration::Illustration;

/// What every page of a site looks like.
pub(super) const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page as HTML, with the figure where its section stands.
pub fn html(page: &Page, figure: Option<&Illustration>) -> String {
    let mut body = String::new();
    let _ = writeln!(
        body,
        "<header>\n<p class=\"way\"><a href=\"{}\">all reports</a></p>\n<h1>{}</h1>\n<p class=\"line\">{}</p>",
        page.home,
        escape(&page.title),
        escape(&page.line)
    );
    let _ = writeln!(
        body,
        "<p class=\"headline\">{} {}.</p>",
        badge(page.status),
        escape(&page.headline)
    );
    for (word, sentence) in &page.shouts {
        let (word, sentence) = (escape(word), escape(sentence));
        let _ = writeln!(
            body,
            "<p class=\"shout\" role=\"alert\"><strong>{word}</strong>: {sentence}</p>"
        );
    }
    let links: Vec<String> = page
        .sections
        .iter()
        .map(|section| {
            format!(
                "<a href=\"#{}\">{}</a>",
                section.id,
                escape(section.heading)
            )
        })
        .collect();
    let _ = writeln!(
        body,
        "<nav aria-label=\"Sections\">{}</nav>\n</header>\n<main>",
        links.join(" ")
    );
    for section in &page.sections {
        write_section(&mut body, page, section, figure);
    }
    body.push_str("</main>\n");
    if let Some(Drawing::Curves(figure)) = figure.map(|figure| &figure.drawing) {
        let data = script(&curves::json(figure));
        let _ = write!(
            body,
            "<script type=\"application/json\" id=\"curves\">{data}</script>\n<script>\n{SCRIPT}</script>\n"
        );
    }
    document(&page.title, &body)
}

/// A whole document. `default-src 'none'` is what makes it one file that needs no network.
pub(super) fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src 'self' data: file:\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escape(title)
    )
}

/// The status as a word with a sign: colour alone tells nothing.
pub(super) fn badge(status: Status) -> String {
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
    let word = name.replace('-', " ");
    format!("<span class=\"status {name}\"><span aria-hidden=\"true\">{sign}</span> {word}</span>")
}

fn write_section(body: &mut String, page: &Page, section: &Section, figure: Option<&Illustration>) {
    let _ = writeln!(
        body,
        "<section id=\"{0}\" aria-labelledby=\"{0}-heading\">\n<h2 id=\"{0}-heading\">{1}</h2>",
        section.id,
        escape(section.heading)
    );
    for paragraph in &section.about {
        let _ = writeln!(body, "<p class=\"about\">{}</p>", escape(paragraph));
    }
    match &section.body {
        Body::Figure => {
            match figure.map(|figure| (&figure.drawing, &figure.svg)) {
                Some((Drawing::Curves(figure), _)) => body.push_str(&plot::figure(figure)),
                Some((_, svg)) => {
                    let _ = writeln!(
                        body,
                        "<figure class=\"wide\" tabindex=\"0\"><img class=\"picture\" src=\"data:image/svg+xml,{}\" alt=\"{}\"></figure>",
                        percent(svg),
                        escape(&page.title)
                    );
                }
                None => {}
            }
            let name = escape(&page.experiment);
            let pictures =
                format!("<a href=\"{name}.svg\">SVG</a> and <a href=\"{name}.png\">PNG</a>");
            let page_too = "<a href=\"report.md\">Markdown</a>";
            let files = if page.judged {
                format!(
                    "Also as {pictures}, in the paper's colours; the verdict as <a href=\"verdict.json\">JSON</a> and {page_too}."
                )
            } else {
                format!("Also as {pictures}; the page as {page_too}.")
            };
            let _ = writeln!(body, "<p class=\"files\">{files}</p>");
        }
        Body::Table(table) => write_table(body, section, table),
        Body::List(items) if items.is_empty() => {}
        Body::List(items) => {
            body.push_str("<ul>\n");
            for item in items {
                let _ = writeln!(body, "<li>{}</li>", escape(item));
            }
            body.push_str("</ul>\n");
        }
        Body::Commands(lines) => {
            let _ = writeln!(
                body,
                "<pre tabindex=\"0\"><code>{}</code></pre>",
                escape(&lines.join("\n"))
            );
        }
    }
    body.push_str("</section>\n");
}

/// A wide table scrolls in its own box, which the keyboard can reach.
fn write_table(body: &mut String, section: &Section, table: &Table) {
    let _ = write!(
        body,
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-labelledby=\"{}-heading\">\n<table>\n<thead><tr>",
        section.id
    );
    for column in &table.columns {
        let class = if column.number { " class=\"n\"" } else { "" };
        let _ = write!(
            body,
            "<th scope=\"col\"{class}>{}</th>",
            escape(&column.name)
        );
    }
    body.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        body.push_str("<tr>");
        for (place, (content, column)) in row.iter().zip(&table.columns).enumerate() {
            let class = if column.number { " class=\"n\"" } else { "" };
            let (open, close) = if place == 0 {
                ("th scope=\"row\"", "th")
            } else {
                ("td", "td")
            };
            let _ = write!(body, "<{open}{class}>{}</{close}>", cell(content));
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody>\n</table>\n</div>\n");
}

fn cell(content: &Cell) -> String {
    match content {
        Cell::Text(text) => escape(text),
        Cell::Strong(text) => format!("<strong>{}</strong>", escape(text)),
        Cell::Code(text) if text.is_empty() => String::new(),
        Cell::Code(text) => format!("<code>{}</code>", escape(text)),
        Cell::Link { text, href } => format!("<a href=\"{}\">{}</a>", escape(href), escape(text)),
        Cell::Status { status, note } if note.is_empty() => badge(*status),
        Cell::Status { status, note } => {
            format!(
                "{} <span class=\"note\">{}</span>",
                badge(*status),
                escape(note)
            )
        }
    }
}
