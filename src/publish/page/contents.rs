//! What a page is made of, before it is HTML or Markdown.

use crate::judge::Status;

/// A report as plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub title: String,
    /// The name of the figure's files beside the page, without the ending.
    pub experiment: String,
    /// The address of the index of all reports.
    pub home: &'static str,
    /// Whether a verdict lies beside the page for programs.
    pub judged: bool,
    pub status: Status,
    /// One sentence: did it reproduce.
    pub headline: String,
    /// What nobody may overlook: a word in capitals and a sentence.
    pub shouts: Vec<(String, String)>,
    /// Profile, data, seeds.
    pub line: String,
    pub sections: Vec<Section>,
}

/// A heading with what is below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// The anchor in the page.
    pub id: &'static str,
    pub heading: &'static str,
    /// Paragraphs before the body: what the numbers are.
    pub about: Vec<String>,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Where the figure stands.
    Figure,
    Table(Table),
    List(Vec<String>),
    /// Lines for a shell.
    Commands(Vec<String>),
}

/// Rows of as many cells as there are columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    /// Numbers stand to the right.
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
        /// Why; may be empty.
        note: String,
    },
}

impl Section {
    /// A section that is a table; none where there are no rows.
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
    /// A name that begins with `#` is a column of numbers.
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
