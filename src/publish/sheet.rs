//! Text for the terminal, wrapped and aligned to at most [`COLUMNS`] columns.

use super::foreign::one_line;
use crate::console::{Ink, Span};

/// The width of a terminal unless it was made wider.
pub(super) const COLUMNS: usize = 80;
/// Between the columns of a grid.
const GAP: usize = 2;
/// Columns of a grid are not made narrower than this.
const NARROWEST: usize = 6;
/// How far the further lines of a text are indented.
const HANG: usize = 2;

/// A cell of a grid.
pub(super) type Cell = (Ink, String);

/// A cell without a colour.
pub(super) fn cell(text: impl Into<String>) -> Cell {
    (Ink::Plain, text.into())
}

/// Lines of coloured text.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    spans: Vec<Span>,
}

impl Sheet {
    pub fn into_spans(self) -> Vec<Span> {
        self.spans
    }

    pub fn blank(&mut self) {
        self.push(Ink::Plain, "\n".into());
    }

    /// A text from `indent` on; its further lines are indented a little more.
    pub fn text(&mut self, indent: usize, ink: Ink, text: &str) {
        self.labelled((Ink::Plain, ""), indent, ink, text);
    }

    /// A text from `indent` on, with a label before it.
    pub fn labelled(&mut self, label: (Ink, &str), indent: usize, ink: Ink, text: &str) {
        let text = one_line(text);
        let room = COLUMNS.saturating_sub(indent);
        let lines = match columns(&text) <= room {
            true => vec![text],
            false => wrapped(&text, room.saturating_sub(HANG)),
        };
        for (number, line) in lines.into_iter().enumerate() {
            if number == 0 {
                let space = indent.saturating_sub(columns(label.1));
                self.push(label.0, label.1.into());
                self.push(Ink::Plain, " ".repeat(space));
            } else {
                self.push(Ink::Plain, " ".repeat(indent + HANG));
            }
            self.push(ink, line);
            self.blank();
        }
    }

    /// Rows below a head, in columns that are narrowed until they fit. A leading `#` in the head marks a column of
    /// numbers.
    pub fn grid(&mut self, head: &[&str], rows: &[Vec<Cell>]) {
        let numbers: Vec<bool> = head.iter().map(|name| name.starts_with('#')).collect();
        let head: Vec<Cell> = head
            .iter()
            .map(|name| (Ink::Dim, name.trim_start_matches('#').to_owned()))
            .collect();
        let rows: Vec<Vec<Cell>> = std::iter::once(head)
            .chain(rows.iter().cloned())
            .map(|row| {
                row.into_iter()
                    .map(|(ink, text)| (ink, one_line(&text)))
                    .collect()
            })
            .collect();
        let mut widths: Vec<usize> = (0..numbers.len())
            .map(|column| {
                let cells = rows.iter().filter_map(|row| row.get(column));
                cells.map(|(_, text)| columns(text)).max().unwrap_or(0)
            })
            .collect();
        let gaps = GAP * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > COLUMNS {
            match widths.iter_mut().max() {
                Some(widest) if *widest > NARROWEST => *widest -= 1,
                _ => break,
            }
        }
        for row in &rows {
            let cells: Vec<Vec<String>> = row
                .iter()
                .zip(&widths)
                .map(|((_, text), width)| wrapped(text, *width))
                .collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or(0);
            for line in 0..height {
                // Spaces before the next text, so that no line ends in spaces.
                let mut space = 0;
                for (column, (ink, _)) in row.iter().enumerate() {
                    let text = cells[column].get(line).map_or("", String::as_str);
                    let room = widths[column].saturating_sub(columns(text));
                    if text.is_empty() {
                        space += room + GAP;
                        continue;
                    }
                    let (before, after) = if numbers[column] {
                        (room, 0)
                    } else {
                        (0, room)
                    };
                    self.push(Ink::Plain, " ".repeat(space + before));
                    self.push(*ink, text.to_owned());
                    space = after + GAP;
                }
                self.blank();
            }
        }
    }

    fn push(&mut self, ink: Ink, text: String) {
        if !text.is_empty() {
            self.spans.push(Span { ink, text });
        }
    }
}

/// Lines of at most `width` columns, broken at spaces, and within words that are longer.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(NARROWEST);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if let Some(line) = lines.last_mut()
            && columns(line) + 1 + columns(word) <= width
        {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        let mut part = String::new();
        for letter in word.chars() {
            // Not before a colon: two of them would begin a workflow command in a log of GitHub Actions.
            if columns(&part) + wide(letter) > width && letter != ':' {
                lines.push(std::mem::take(&mut part));
            }
            part.push(letter);
        }
        lines.push(part);
    }
    lines
}

/// The columns that a text takes on a terminal.
fn columns(text: &str) -> usize {
    text.chars().map(wide).sum()
}

/// Two for East Asian letters and pictures.
fn wide(letter: char) -> usize {
    match letter {
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::plain;

    #[test]
    fn no_line_is_wider_than_the_terminal_and_none_ends_in_spaces() {
        let mut sheet = Sheet::default();
        let long = "word ".repeat(40) + &"x".repeat(200);
        sheet.text(4, Ink::Plain, &long);
        sheet.labelled((Ink::Bad, "fail"), 20, Ink::Plain, &long);
        let rows = vec![vec![
            cell(&long),
            cell("1"),
            cell(""),
            cell("漢字".repeat(30)),
        ]];
        sheet.grid(&["what", "#number", "empty", "letters"], &rows);
        let text = plain(&sheet.into_spans());
        for line in text.lines() {
            assert!(columns(line) <= COLUMNS, "{line}");
            assert_eq!(line.trim_end(), line);
        }
    }

    #[test]
    fn numbers_stand_below_each_other_at_the_right() {
        let mut sheet = Sheet::default();
        let rows = [("a", "9.65"), ("bcd", "61.00")]
            .map(|(name, value)| vec![cell(name), cell(value), cell("x")]);
        sheet.grid(&["net", "#mean", "status"], &rows);
        assert_eq!(
            plain(&sheet.into_spans()),
            "net   mean  status\na     9.65  x\nbcd  61.00  x\n"
        );
    }
}
