//! `report.md`: the page as Markdown, for a pull request.

use std::fmt::Write as _;

use super::contents::{Body, Cell, Page, Section, Table};
use crate::publish::cells::with_note;

/// The page as Markdown. Links are relative to the report's folder.
pub fn markdown(page: &Page) -> String {
    let mut text = format!("# {}\n\n**{}.**\n\n", page.title, page.headline);
    for (word, sentence) in &page.shouts {
        let _ = writeln!(text, "> **{word}**: {sentence}\n");
    }
    let _ = writeln!(text, "{}", page.line);
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
        let _ = writeln!(text, "{paragraph}\n");
    }
    match &section.body {
        Body::Figure => {
            let _ = writeln!(text, "![{}]({}.png)", cell(&page.title), page.experiment);
        }
        Body::Table(table) => write_table(text, table),
        Body::List(items) => {
            for item in items {
                let _ = writeln!(text, "- {item}");
            }
        }
        Body::Commands(lines) => {
            let _ = writeln!(text, "```\n{}\n```", lines.join("\n"));
        }
    }
}

fn write_table(text: &mut String, table: &Table) {
    let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
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
        Cell::Text(text) => cell(text),
        Cell::Strong(text) => format!("**{}**", cell(text)),
        Cell::Code(text) if text.is_empty() => String::new(),
        Cell::Code(text) => format!("`{}`", cell(text)),
        Cell::Link { text, href } => format!("[{}]({href})", cell(text)),
        Cell::Status { status, note } => cell(&with_note(*status, note)),
    }
}

/// Escapes pipes, which would end the cell.
fn cell(content: &str) -> String {
    content.replace('|', "\\|").replace('\n', " ")
}
