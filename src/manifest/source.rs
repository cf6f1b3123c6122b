//! A manifest together with its text, so that every error can name a line.

use std::path::{Path, PathBuf};

use anyhow::Result;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::{File, Kind, PanelFile, ProfileFile, StemFile};
use super::wording::plain;
use crate::console::one_line;
use crate::exit::Exit;
use crate::network::{Network, Shortcut, StrideIn};
use crate::origin::DataName;

/// The name of the only profile of a manifest without `[profiles]`.
const SOLE_PROFILE: &str = "default";

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
        // Opening a pipe would wait for its writer.
        if path.exists() && !path.is_file() {
            return Err(Exit::Usage.error(format!(
                "cannot read manifest {}: not a file; remove or rename it",
                path.display()
            )));
        }
        let text = std::fs::read_to_string(path).map_err(|error| {
            Exit::Usage.error(format!(
                "cannot read manifest {}: {error}; `refig list` shows the available experiments",
                path.display()
            ))
        })?;
        Self::parse(path, text)
    }

    pub fn parse(path: &Path, text: String) -> Result<Self> {
        if let Some((offset, why)) = unusable(&text) {
            let line = line(&text, offset);
            return Err(Exit::Usage.error(format!("{}:{line}: {why}", path.display())));
        }
        let refuse = |error: toml::de::Error| {
            let message = plain(error.message());
            let line = error.span().map_or(1, |span| line(&text, span.start));
            if message.starts_with("missing field") {
                return Exit::Usage.error(format!(
                    "{}:{line}: {}; add it (`refig schema` prints the format)",
                    path.display(),
                    one_line(&message)
                ));
            }
            let written = error
                .span()
                .and_then(|span| text.get(span))
                .and_then(|found| found.lines().next())
                .map_or(String::new(), |found| format!(" at `{}`", found.trim()));
            Exit::Usage.error(format!(
                "{}:{line}: {}{}; fix or remove it (`refig schema` prints the format)",
                path.display(),
                one_line(&message),
                one_line(&written)
            ))
        };
        let mut file: File = toml::from_str(&text).map_err(refuse)?;
        let table: toml::Table = toml::from_str(&text).map_err(refuse)?;
        let trains = file.kind != Kind::Bars && file.runs_from.is_none();
        if trains && file.profiles.is_empty() {
            let sole = ProfileFile::default();
            file.profiles.insert(SOLE_PROFILE.into(), sole);
        }
        Ok(Self {
            path: path.into(),
            text,
            file,
            table,
        })
    }

    /// Whether a network of the runs appears in this manifest's panels.
    pub fn draws(&self, name: &str) -> bool {
        let in_panel = |panel: &PanelFile| panel.networks.iter().any(|other| other == name);
        self.file.runs_from.is_none() || self.file.panels.iter().any(in_panel)
    }

    /// The network with this name, with the classes of the whole data set. What a name means depends on data set and stem.
    pub fn network(&self, name: &str, shortcut: Shortcut) -> Result<Network> {
        let File {
            data,
            stem,
            stride_in,
            ..
        } = self.file;
        let classes = data.classes();
        let network = match (data, stem) {
            (DataName::Cifar10, None) => Network::parse_cifar(name, shortcut, classes)?,
            _ => Network::parse_table_1(name, shortcut, classes)?,
        };
        Ok(Network {
            stem: stem.map_or(network.stem, StemFile::stem),
            // Says nothing of other networks, and must not change their identity.
            stride_in: match network.bottleneck {
                true => stride_in,
                false => StrideIn::default(),
            },
            ..network
        })
    }

    /// A path relative to the manifest.
    pub fn sibling(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }

    /// An error about the value at `place`, a path of keys and indices.
    pub fn error(&self, place: &[&str], message: &str) -> anyhow::Error {
        self.error_at(self.line_of(place), message)
    }

    /// An error about a line.
    pub fn error_at(&self, line: Option<usize>, message: &str) -> anyhow::Error {
        let position = line.map_or_else(String::new, |line| format!(":{line}"));
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

/// The first value of a TOML document that nothing downstream can hold, with its offset: text with control characters, and
/// integers of more than 64 bits.
pub(super) fn unusable(document: &str) -> Option<(usize, String)> {
    let document = DeTable::parse(document).ok()?;
    unusable_entry(document.get_ref())
}

fn unusable_entry(table: &DeTable<'_>) -> Option<(usize, String)> {
    table.iter().find_map(|(key, value)| {
        let why = unprintable(key.get_ref());
        why.map(|why| (key.span().start, why))
            .or_else(|| unusable_value(value))
    })
}

fn unusable_value(value: &Spanned<DeValue<'_>>) -> Option<(usize, String)> {
    let why = match value.get_ref() {
        DeValue::String(text) => unprintable(text),
        DeValue::Integer(number) => {
            let fits = i64::from_str_radix(number.as_str(), number.radix()).is_ok();
            (!fits).then(|| format!("{number} is out of range; use at most {}", i64::MAX))
        }
        DeValue::Array(items) => return items.iter().find_map(unusable_value),
        DeValue::Table(table) => return unusable_entry(table),
        _ => None,
    };
    why.map(|why| (value.span().start, why))
}

/// What is wrong with a text that JUnit's XML, SVG or a terminal cannot show as it is: control characters, marks that
/// reverse the direction of text, and the code points that are no characters.
pub(super) fn unprintable(text: &str) -> Option<String> {
    let odd = |letter: &char| {
        letter.is_control()
            || matches!(*letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
            || matches!(*letter, '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
    };
    let letter = text.chars().find(odd)?;
    Some(format!(
        "{text:?} contains the control character U+{:04X}; remove it, and write text on one line",
        u32::from(letter)
    ))
}
