//! The experiments of a folder, and the JSON schema of manifests for editors.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::file::File;
use super::source::Source;
use crate::exit::Exit;

/// An entry of `refig list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub title: String,
    pub path: PathBuf,
    /// Taken from the manifest in `runs_from`, if set.
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
            true => "reference data only; use refig render".into(),
            false => self.profiles.join(", "),
        };
        format!("{:<12} {} ({profiles}{from})", self.name, self.title)
    }
}

/// The manifests `*.toml` in `dir`, sorted by name. Does not recurse.
///
/// # Errors
/// [`Exit::Usage`] if a manifest cannot be parsed.
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

/// Path of the manifest of experiment `name` (e.g. `fig6`) in `dir`. `name` may also be a path to a `.toml` file.
///
/// # Errors
/// [`Exit::Usage`] listing the available experiments.
pub fn find(dir: &Path, name: &str) -> Result<PathBuf> {
    if name.ends_with(".toml") && Path::new(name).is_file() {
        return Ok(name.into());
    }
    let paths = manifests(dir);
    let stem = |path: &PathBuf| path.file_stem().map(|s| s.to_string_lossy().into_owned());
    if let Some(path) = paths
        .iter()
        .find(|path| stem(path).is_some_and(|s| s.eq_ignore_ascii_case(name)))
    {
        return Ok(path.clone());
    }
    let names: Vec<String> = paths.iter().filter_map(stem).collect();
    let remedy = if names.is_empty() {
        "set --experiments-dir to a folder of manifests".into()
    } else {
        format!("use one of {}", names.join(", "))
    };
    Err(Exit::Usage.error(format!(
        "no experiment \"{name}\" in {}; {remedy}",
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

/// The JSON schema of manifests. `experiments/manifest.schema.json` is a copy.
pub fn schema() -> String {
    let schema = schemars::schema_for!(File);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
