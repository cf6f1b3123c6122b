//! A page before it is rendered as HTML or Markdown.

use crate::judge::Status;

/// A report as plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub title: String,
    /// Stem of the figure's files next to the page.
    pub experiment: String,
    /// Relative link to the index of all reports.
    pub home: &'static str,
    /// Whether there is a `verdict.json` next to the page.
    pub judged: bool,
    pub status: Status,
    /// One sentence: whether it reproduced.
    pub headline: String,
    /// Warnings at the top: a word in capitals and a sentence.
    pub shouts: Vec<(String, String)>,
    /// Profile, data, seeds.
    pub line: String,
    pub sections: Vec<Section>,
}

/// A heading and its contents.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// The anchor in the page.
    pub id: &'static str,
    pub heading: &'static str,
    /// Paragraphs before the body that explain the numbers.
    pub about: Vec<String>,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    Figure,
    Table(Table),
    List(Vec<String>),
    /// Shell commands.
    Commands(Vec<String>),
}

/// Each row has one cell per column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    /// Right-aligned.
    pub number: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Text(String),
    Strong(String),
    Code(String),
    Link {
        text: String,
        href: String,
    },
    Status {
        status: Status,
        /// The reason; may be empty.
        note: String,
    },
}

impl Section {
    /// A section with a table; none without rows.
    pub fn table(
        id: &'static str,
        heading: &'static str,
        about: &[&str],
        columns: &[&str],
        rows: Vec<Vec<Cell>>,
    ) -> Option<Self> {
        (!rows.is_empty()).then(|| Section {
            id,
            heading,
            about: about.iter().map(ToString::to_string).collect(),
            body: Body::Table(Table {
                columns: columns.iter().map(|name| Column::named(name)).collect(),
                rows,
            }),
        })
    }
}

impl Column {
    /// A leading `#` marks a column of numbers.
    fn named(name: &str) -> Self {
        Self {
            name: name.trim_start_matches('#').into(),
            number: name.starts_with('#'),
        }
    }
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        Cell::Text(text.into())
    }

    pub fn status(status: Status, note: &str) -> Self {
        Cell::Status {
            status,
            note: note.into(),
        }
    }
}
