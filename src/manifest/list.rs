//! The experiments of a folder, and the schema that editors complete and check manifests with.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::file::File;
use super::source::Source;
use crate::exit::Exit;

/// An experiment in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub title: String,
    pub path: PathBuf,
    /// Those of the experiment whose runs are drawn, if they are another's.
    pub profiles: Vec<String>,
    pub runs_from: Option<String>,
}

impl Listed {
    /// `fig6         Fig. 6: ... (paper, quick, smoke, tenth)`.
    pub fn line(&self) -> String {
        let from = self
            .runs_from
            .as_ref()
            .map_or(String::new(), |other| format!("; runs of {other}"));
        let profiles = match self.profiles.is_empty() {
            true => "of reference data alone; refig render".into(),
            false => self.profiles.join(", "),
        };
        format!("{:<12} {} ({profiles}{from})", self.name, self.title)
    }
}

/// Every `*.toml` directly in `dir`, by name.
///
/// # Errors
/// [`Exit::Usage`] for a manifest that cannot be read.
pub fn list(dir: &Path) -> Result<Vec<Listed>> {
    let mut all = Vec::new();
    for path in manifests(dir) {
        let source = Source::read(&path)?;
        let profiles = match &source.file.runs_from {
            None => source.file.profiles.into_keys().collect(),
            Some(other) => Source::read(&dir.join(format!("{other}.toml")))?
                .file
                .profiles
                .into_keys()
                .collect(),
        };
        all.push(Listed {
            name: source.file.name,
            title: source.file.title,
            path,
            profiles,
            runs_from: source.file.runs_from,
        });
    }
    Ok(all)
}

/// The manifest of the experiment `name` (`fig6`) in `dir`, or `name` itself where it is a path to a `.toml` file.
///
/// # Errors
/// [`Exit::Usage`] with the experiments that there are.
pub fn find(dir: &Path, name: &str) -> Result<PathBuf> {
    if name.ends_with(".toml") && Path::new(name).is_file() {
        return Ok(name.into());
    }
    let there = manifests(dir);
    let stem = |path: &PathBuf| path.file_stem().map(|s| s.to_string_lossy().into_owned());
    if let Some(path) = there
        .iter()
        .find(|path| stem(path).is_some_and(|s| s.eq_ignore_ascii_case(name)))
    {
        return Ok(path.clone());
    }
    let names: Vec<String> = there.iter().filter_map(stem).collect();
    let there = if names.is_empty() {
        "there is none".into()
    } else {
        format!("there are {}", names.join(", "))
    };
    Err(Exit::Usage.error(format!(
        "no experiment \"{name}\" in {}; {there}",
        dir.display()
    )))
}

fn manifests(dir: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(dir)
        .max_depth(1)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|e| e == "toml") && path.is_file())
        .collect()
}

/// The JSON schema of a manifest, as kept in `experiments/manifest.schema.json`.
pub fn schema() -> String {
    let schema = schemars::schema_for!(File);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
