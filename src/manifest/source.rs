//! A manifest's text with its lines, so that every error can name one.

use std::path::{Path, PathBuf};

use anyhow::Result;
use toml::de::{DeTable, DeValue};

use super::file::File;
use crate::exit::Exit;

/// A manifest that was read: its types are right, its sense is not checked yet.
pub(super) struct Source {
    pub path: PathBuf,
    text: String,
    pub file: File,
    /// The same as plain TOML, for merging: what is not written is not there.
    pub table: toml::Table,
}

impl Source {
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Exit::Usage.error(format!(
                "cannot read the manifest {}: {error}; `refig list` shows the experiments that there are",
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
                "{}:{line}: {}{written}; correct or remove it (manifest.schema.json lists what may stand here)",
                path.display(),
                one_line(error.message()),
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

    /// An error about what stands at `place`, a path of keys and indices.
    pub fn error(&self, place: &[&str], message: &str) -> anyhow::Error {
        let position = self
            .line_of(place)
            .map_or_else(String::new, |line| format!(":{line}"));
        Exit::Usage.error(format!("{}{position}: {message}", self.path.display()))
    }

    /// The line of a key, or of an array's element, counted from 1.
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

/// A message of serde or toml on one line.
pub(super) fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
