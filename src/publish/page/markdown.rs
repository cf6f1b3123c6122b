//! `report.md`: the page as Markdown, for a pull request; a table figure likewise. Texts come from files and are escaped.

use std::fmt::Write as _;

use super::contents::{Body, Cell, Page, Section, Table};
use super::escape::percent;
use crate::figure;
use crate::publish::cells::with_note;
use crate::publish::foreign::{code, fenced, markdown as escaped};

/// The page as Markdown. Links are relative to the report's folder.
pub fn markdown(page: &Page) -> String {
    let (title, headline) = (escaped(&page.title), escaped(&page.headline));
    let mut text = format!("# {title}\n\n**{headline}.**\n\n");
    for (word, sentence) in &page.shouts {
        let _ = writeln!(text, "> **{word}**: {}\n", escaped(sentence));
    }
    let _ = writeln!(text, "{}", escaped(&page.line));
    for section in &page.sections {
        write_section(&mut text, page, section);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn write_section(text: &mut String, page: &Page, section: &Section) {
    let _ = writeln!(text, "\n## {}\n", section.heading);
    for paragraph in &section.about {
        let _ = writeln!(text, "{}\n", escaped(paragraph));
    }
    match &section.body {
        Body::Figure => {
            let file = percent(&page.experiment);
            let _ = writeln!(text, "![{}]({file}.png)", escaped(&page.title));
        }
        Body::Table(table) => write_table(text, table),
        Body::List(items) => {
            for item in items {
                let _ = writeln!(text, "- {}", escaped(item));
            }
        }
        Body::Commands(lines) => {
            let _ = writeln!(text, "{}", fenced(lines));
        }
    }
}

fn write_table(text: &mut String, table: &Table) {
    let names: Vec<String> = table.columns.iter().map(|c| escaped(&c.name)).collect();
    let _ = write!(text, "| {} |\n|", names.join(" | "));
    for column in &table.columns {
        text.push_str(if column.number { "--:|" } else { "---|" });
    }
    text.push('\n');
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(cell_text).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

fn cell_text(content: &Cell) -> String {
    match content {
        Cell::Text(text) => escaped(text),
        Cell::Strong(text) => format!("**{}**", escaped(text)),
        Cell::Code(text) if text.is_empty() => String::new(),
        Cell::Code(text) => code(text, true),
        Cell::Link { text, href } => format!("[{}]({href})", escaped(text)),
        Cell::Status { status, note } => escaped(&with_note(*status, note)),
    }
}

/// A table figure as Markdown, for a pull request.
pub fn figure_table(table: &figure::Table) -> String {
    let row = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let (title, line) = (escaped(&table.title), escaped(&table.line));
    let mut text = format!("# {title}\n\n{line}\n\n");
    if let Some(word) = &table.watermark {
        let _ = write!(
            text,
            "> **{word}**: trained on generated images; nothing here is comparable with the paper.\n\n"
        );
    }
    text += &row(&table.columns);
    text += "|---|";
    text += &"---:|".repeat(table.columns.len().saturating_sub(1));
    text.push('\n');
    for line in &table.rows {
        text += &row(&line.cells);
    }
    for note in &table.notes {
        let _ = write!(text, "\n{}\n", escaped(note));
    }
    text
}
