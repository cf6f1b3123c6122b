//! The experiments of a folder, and the JSON schema of manifests for editors.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::file::{File, Kind};
use super::resolve::Valid;
use super::source::Source;
use super::validate;
use crate::exit::Exit;
use crate::nearest::remedy;

/// The experiments of a folder, each sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    pub experiments: Vec<Listed>,
    /// Manifests that were refused.
    pub broken: Vec<Broken>,
}

/// An entry of `refig list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub name: String,
    pub title: String,
    pub kind: Kind,
    pub path: PathBuf,
    /// Taken from the manifest in `runs_from`, if set; none for bars.
    pub profiles: Vec<String>,
    pub runs_from: Option<String>,
}

/// A manifest that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub path: PathBuf,
    /// File, line, value and remedy.
    pub why: String,
}

impl Listed {
    /// `fig6         Fig. 6: ...`, and in a second line `(paper, quick, smoke, tenth)`.
    pub fn line(&self) -> String {
        let from = self
            .runs_from
            .as_ref()
            .map_or(String::new(), |other| format!("; runs of {other}"));
        let profiles = match self.profiles.is_empty() {
            true => "reference data only; use refig render".into(),
            false => self.profiles.join(", "),
        };
        format!(
            "{:<12} {}\n{:12} ({profiles}{from})",
            self.name, self.title, ""
        )
    }
}

/// The manifests `*.toml` in `dir`. One that is refused does not hide the others, nor does what is not a file. Does not
/// recurse.
///
/// # Errors
/// [`Exit::Usage`] if the folder cannot be read.
pub fn list(dir: &Path) -> Result<Catalogue> {
    let mut all = Catalogue::default();
    for path in manifests(dir)? {
        match listed(&path) {
            Ok(entry) => all.experiments.push(entry),
            Err(error) => all.broken.push(Broken {
                why: format!("{error:#}"),
                path,
            }),
        }
    }
    Ok(all)
}

/// The entry of the manifest at `path`, which is valid at every profile.
///
/// # Errors
/// [`Exit::Usage`] with file, line, value and remedy.
pub fn listed(path: &Path) -> Result<Listed> {
    let source = Source::read(path)?;
    let mut entry = Listed {
        name: source.file.name.clone(),
        title: source.file.title.clone(),
        kind: source.file.kind,
        path: path.into(),
        profiles: Vec::new(),
        runs_from: source.file.runs_from.clone(),
    };
    match entry.kind {
        Kind::Bars => validate::bars(&source)?,
        _ => {
            let valid = Valid::new(source)?;
            entry.profiles = valid.profiles().map(str::to_owned).collect();
        }
    }
    Ok(entry)
}

/// Path of the manifest of experiment `name` (e.g. `fig6`) in `dir`. `name` may also be a path to a `.toml` file.
///
/// # Errors
/// [`Exit::Usage`] listing the available experiments, or if the folder cannot be read.
pub fn find(dir: &Path, name: &str) -> Result<PathBuf> {
    if name.ends_with(".toml") && Path::new(name).is_file() {
        return Ok(name.into());
    }
    if name.ends_with(".toml") && name.contains(std::path::is_separator) {
        return Err(Exit::Usage.error(format!("no such file: {name}")));
    }
    let paths = manifests(dir)?;
    let stem = |path: &PathBuf| path.file_stem().map(|s| s.to_string_lossy().into_owned());
    if let Some(path) = paths
        .iter()
        .find(|path| stem(path).is_some_and(|s| s.eq_ignore_ascii_case(name)))
    {
        return Ok(path.clone());
    }
    let names: Vec<String> = paths.iter().filter_map(stem).collect();
    let remedy = match names.is_empty() {
        true => "set --experiments-dir to a folder of manifests".into(),
        false => remedy(name, names.iter().map(String::as_str)),
    };
    Err(Exit::Usage.error(format!(
        "no experiment \"{name}\" in {}; {remedy}",
        dir.display()
    )))
}

fn manifests(dir: &Path) -> Result<Vec<PathBuf>> {
    let refuse = |error: std::io::Error| {
        Exit::Usage.error(format!(
            "cannot read the experiments folder {}: {error}; run in the project's folder or pass --experiments-dir",
            dir.display()
        ))
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(refuse)? {
        let path = entry.map_err(refuse)?.path();
        // Editors keep links to nowhere beside a file, `.#fig6.toml`.
        let name = path.file_name().unwrap_or_default();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if path.extension().is_some_and(|end| end == "toml") && (path.is_file() || !hidden) {
            paths.push(path);
        }
    }
    // By names without `.toml`: a hyphen comes before a dot.
    paths.sort_by_key(|path| path.with_extension(""));
    Ok(paths)
}

/// The JSON schema of manifests. `experiments/manifest.schema.json` is a copy.
pub fn schema() -> String {
    let schema = schemars::schema_for!(File);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
