//! A figure of reference data alone: bars, without networks, profiles and runs.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Kind;
use super::check_kind;
use super::resolve::sibling;
use super::source::Source;

/// Panels of bars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bars {
    /// `context`: the name on the command line and of the folder of reports.
    pub name: String,
    pub title: String,
    /// The manifest's file.
    pub source: PathBuf,
    pub panels: Vec<BarPanel>,
}

/// One set of bars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarPanel {
    pub title: String,
    /// The name of the vertical axis.
    pub axis: String,
    /// CSV with the columns panel, label, below, value, source.
    pub file: PathBuf,
    /// Rows with one of these in the column `panel`.
    pub panels: Vec<String>,
}

impl Bars {
    /// The manifest at `path`, if it is one of kind `bars`.
    ///
    /// # Errors
    /// [`crate::exit::Exit::Usage`] with file, line, value and remedy.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let source = Source::read(path)?;
        if source.file.kind != Kind::Bars {
            return Ok(None);
        }
        check_kind::bars(&source)?;
        let panels = source.file.panels.iter().filter_map(|panel| {
            let reference = panel.reference.as_ref()?;
            Some(BarPanel {
                title: panel.title.clone(),
                axis: panel.axis.clone().unwrap_or_default(),
                file: sibling(&source.path, &reference.file),
                panels: reference.panels.clone(),
            })
        });
        Ok(Some(Self {
            name: source.file.name.clone(),
            title: source.file.title.clone(),
            source: source.path.clone(),
            panels: panels.collect(),
        }))
    }
}
