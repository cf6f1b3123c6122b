//! A manifest together with its text, so that every error can name a line.

use std::path::{Path, PathBuf};

use anyhow::Result;
use toml::de::{DeTable, DeValue};

use super::file::File;
use crate::exit::Exit;

/// A parsed manifest: well-typed, but not validated yet.
pub(super) struct Source {
    pub path: PathBuf,
    text: String,
    pub file: File,
    /// The same as a TOML table, without defaults, for merging.
    pub table: toml::Table,
}

impl Source {
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Exit::Usage.error(format!(
                "cannot read manifest {}: {error}; `refig list` shows the available experiments",
                path.display()
            ))
        })?;
        Self::parse(path, text)
    }

    pub fn parse(path: &Path, text: String) -> Result<Self> {
        let refuse = |error: toml::de::Error| {
            let line = error.span().map_or(1, |span| line(&text, span.start));
            let written = error
                .span()
                .and_then(|span| text.get(span))
                .and_then(|found| found.lines().next())
                .map_or(String::new(), |found| format!(" at `{}`", found.trim()));
            Exit::Usage.error(format!(
                "{}:{line}: {}{written}; fix or remove it (`refig schema` prints the format)",
                path.display(),
                plain(error.message()),
            ))
        };
        let file: File = toml::from_str(&text).map_err(refuse)?;
        let table: toml::Table = toml::from_str(&text).map_err(refuse)?;
        Ok(Self {
            path: path.into(),
            text,
            file,
            table,
        })
    }

    /// A path relative to the manifest.
    pub fn sibling(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }

    /// An error about the value at `place`, a path of keys and indices.
    pub fn error(&self, place: &[&str], message: &str) -> anyhow::Error {
        let position = self
            .line_of(place)
            .map_or_else(String::new, |line| format!(":{line}"));
        Exit::Usage.error(format!("{}{position}: {message}", self.path.display()))
    }

    /// The line of a key or array element, counted from 1.
    pub fn line_of(&self, place: &[&str]) -> Option<usize> {
        let document = DeTable::parse(&self.text).ok()?;
        let (first, rest) = place.split_first()?;
        let (key, mut value) = entry(document.get_ref(), first)?;
        let mut start = key;
        for step in rest {
            match value {
                DeValue::Table(table) => (start, value) = entry(table, step)?,
                DeValue::Array(items) => {
                    let item = items.get(step.parse::<usize>().ok()?)?;
                    (start, value) = (item.span().start, item.get_ref());
                }
                _ => return None,
            }
        }
        Some(line(&self.text, start))
    }
}

fn entry<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<(usize, &'a DeValue<'i>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == name)?;
    Some((key.span().start, value.get_ref()))
}

fn line(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|&byte| byte == b'\n')
        .count()
        + 1
}

/// Serde's names for types, and the words used in messages instead.
const WORDS: [(&str, &str); 10] = [
    ("expected usize", "expected a whole number of 0 or more"),
    ("expected u64", "expected a whole number of 0 or more"),
    ("expected f64", "expected a number"),
    ("expected a boolean", "expected true or false"),
    ("expected a sequence", "expected a list"),
    ("expected an array of length", "expected a list of length"),
    ("expected a map", "expected a table"),
    ("invalid type: sequence", "invalid type: list"),
    ("invalid type: map", "invalid type: table"),
    ("unknown variant", "unknown value"),
];

/// A message from serde or toml on one line, in the words of a manifest rather than Rust's.
pub(super) fn plain(message: &str) -> String {
    let mut text = message.split_whitespace().collect::<Vec<_>>().join(" ");
    for (serde, ours) in WORDS {
        text = text.replace(serde, ours);
    }
    match text.split_once("expected struct ") {
        Some((before, _)) => format!("{before}expected a table"),
        None => text,
    }
}
