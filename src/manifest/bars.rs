//! Figures of reference data only: bars, without networks, profiles and runs.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::file::Kind;
use super::source::Source;
use super::validate;

/// A figure of kind `bars`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bars {
    /// The experiment's name, e.g. `context`; also the name of its report folder.
    pub name: String,
    pub title: String,
    /// Path of the manifest.
    pub source: PathBuf,
    pub panels: Vec<BarPanel>,
}

/// One set of bars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarPanel {
    pub title: String,
    /// Label of the vertical axis.
    pub axis: String,
    /// CSV file with the columns panel, label, below, value, source.
    pub file: PathBuf,
    /// Values of the column `panel` to include.
    pub panels: Vec<String>,
}

impl Bars {
    /// Loads the manifest at `path`, or returns `None` if it is of another kind.
    ///
    /// # Errors
    /// [`crate::exit::Exit::Usage`] with file, line, value and remedy.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let source = Source::read(path)?;
        if source.file.kind != Kind::Bars {
            return Ok(None);
        }
        validate::bars(&source)?;
        let panels = source.file.panels.iter().filter_map(|panel| {
            let reference = panel.reference.as_ref()?;
            Some(BarPanel {
                title: panel.title.clone(),
                axis: panel.axis.clone().unwrap_or_default(),
                file: source.sibling(&reference.file),
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
