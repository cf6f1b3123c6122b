//! `run.toml` and `done.json`: what a run is, where it was made, how it ended.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::provenance::Provenance;
use super::{DONE, FORMAT, RUN};
use crate::exit::Exit;
use crate::plan::RunPlan;
use crate::record;

/// What is known of a run besides what shapes it, for figures and verdicts to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// Where the images came from: `cifar10`, `other`, `synthetic`.
    pub data: String,
    /// Digests of the training and the test records, whatever their order in the files; `plan.data_digest` is of both.
    pub train_digest: String,
    pub test_digest: String,
    /// Whether these are the digests of CIFAR-10's own records.
    pub official: bool,
    /// The changes made to the recipe on the command line, as given.
    pub overrides: Vec<String>,
    /// The engine's threads; results do not depend on them.
    pub threads: usize,
}

/// All of `run.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    pub format: u32,
    pub notes: Notes,
    /// The resolved recipe, the network, digests and identities.
    pub plan: RunPlan,
    pub start: Provenance,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<Provenance>,
}

/// How a run ended for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every iteration was made.
    Finished,
    /// The loss became infinite or NaN: a result that is recorded and drawn.
    Diverged,
}

/// All of `done.json`, which is written last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub format: u32,
    pub outcome: Outcome,
    /// The last one that was recorded.
    pub iteration: u64,
    /// UTC, RFC 3339.
    pub time: String,
}

impl About {
    /// Reads `run.toml` in a run's folder; none if it is not there.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it cannot be read or was written by a newer version.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(RUN);
        let Some(text) = text(&path)? else {
            return Ok(None);
        };
        let table: toml::Table =
            toml::from_str(&text).map_err(|error| unreadable(&path, &error))?;
        check_format(&path, table.get("format").and_then(toml::Value::as_integer))?;
        table
            .try_into()
            .map(Some)
            .map_err(|error| unreadable(&path, &error))
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// If a value does not fit TOML (a seed above 2^63 - 1).
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let text = toml::to_string(self).with_context(|| format!("{RUN} cannot hold this run"))?;
        Ok(text.into_bytes())
    }

    /// What the records say of themselves. The same before and after a restart.
    pub fn provenance(&self) -> record::parquet::Provenance {
        let plan = &self.plan;
        BTreeMap::from(
            [
                ("format", FORMAT.to_string()),
                ("identity", plan.identity.clone()),
                ("measured", plan.measured.clone()),
                ("network", plan.network.name.clone()),
                ("seed", plan.seed.to_string()),
                ("profile", plan.profile.clone()),
                ("data", self.notes.data.clone()),
                ("data_digest", plan.data_digest.clone()),
                ("overrides", self.notes.overrides.join(" ")),
                ("device", plan.device.clone()),
                ("instructions", plan.instructions.clone()),
                ("numerics_version", plan.numerics_version.to_string()),
                ("commit", self.start.commit.clone()),
                ("dirty", self.start.dirty.to_string()),
                ("version", self.start.version.clone()),
                ("rustc", self.start.rustc.clone()),
            ]
            .map(|(key, value)| (key.to_string(), value)),
        )
    }
}

impl Done {
    /// Reads `done.json` in a run's folder; none if it is not there.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it cannot be read or was written by a newer version.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(DONE);
        let Some(text) = text(&path)? else {
            return Ok(None);
        };
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| unreadable(&path, &error))?;
        check_format(
            &path,
            value.get("format").and_then(serde_json::Value::as_i64),
        )?;
        serde_json::from_value(value)
            .map(Some)
            .map_err(|error| unreadable(&path, &error))
    }
}

/// Refuses what a newer version wrote.
///
/// # Errors
/// [`Exit::Storage`] with the file and both versions.
pub(super) fn check_format(path: &Path, found: Option<i64>) -> Result<()> {
    match found {
        Some(format) if format > i64::from(FORMAT) => Err(Exit::Storage.error(format!(
            "{}: format {format} is newer than {FORMAT}, the newest that refig {} reads; use the version that wrote it",
            path.display(),
            env!("CARGO_PKG_VERSION")
        ))),
        Some(_) => Ok(()),
        None => Err(Exit::Storage.error(format!(
            "{}: there is no format version; start the run over with --fresh",
            path.display()
        ))),
    }
}

fn text(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, error: &dyn std::error::Error) -> anyhow::Error {
    Exit::Storage.error(format!(
        "{}: not readable: {}; start the run over with --fresh",
        path.display(),
        error.to_string().trim()
    ))
}
