//! A measurement of a run's layer responses, kept beside its records: `responses-<hash>.toml`, a file for each way of
//! measuring.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::FORMAT;
use super::about::check_format;
use super::disk::Disk;
use crate::digest::sha256;
use crate::exit::Exit;
use crate::manifest::Responses;

/// What was measured of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResponseRecord {
    pub format: u32,
    /// The run's identity.
    pub run: String,
    pub network: String,
    pub seed: u64,
    /// What the images were: `cifar10`, `other`, `synthetic`.
    pub data: String,
    /// What measured: `cpu avx2`.
    pub device: String,
    /// Images that were looked at: as many as asked for and there.
    pub images: usize,
    /// How it was measured.
    pub how: Responses,
    /// Every 3x3 layer, from the input to the output.
    pub layer: Vec<LayerResponse>,
}

/// One layer's response: behind batch normalisation, before addition and ReLU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerResponse {
    /// torchvision's name of the convolution.
    pub name: String,
    pub deviation: f64,
    pub mean: f64,
}

impl ResponseRecord {
    /// Where the record of this way of measuring lies in a run's folder.
    ///
    /// # Errors
    /// Only if the settings cannot be JSON, which all can.
    pub fn path(folder: &Path, how: &Responses) -> Result<PathBuf> {
        let text = serde_json::to_string(how).context("the settings as JSON")?;
        let digest = sha256(text.as_bytes());
        Ok(folder.join(format!("responses-{}.toml", &digest[..8])))
    }

    /// Reads the record in a run's folder; none if it was not measured in this way.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it cannot be read, is of another run, or was written by a newer version.
    pub fn load(folder: &Path, how: &Responses, run: &str) -> Result<Option<Self>> {
        let path = Self::path(folder, how)?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(&path, &error)),
        };
        let table: toml::Table =
            toml::from_str(&text).map_err(|error| unreadable(&path, &error))?;
        check_format(&path, table.get("format").and_then(toml::Value::as_integer))?;
        let record: Self = table
            .try_into()
            .map_err(|error| unreadable(&path, &error))?;
        if record.run != run || record.how != *how {
            return Err(unreadable(
                &path,
                &"it is of another run or another way of measuring",
            ));
        }
        Ok(Some(record))
    }

    /// Writes the record into a run's folder, whole or not at all.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<PathBuf> {
        let path = Self::path(folder, &self.how)?;
        let text = toml::to_string(self).context("the responses as TOML")?;
        Disk::default().replace(&path, text.as_bytes())?;
        Ok(path)
    }

    /// The version of the format that is written.
    pub const FORMAT: u32 = FORMAT;
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> anyhow::Error {
    Exit::Storage.error(format!(
        "{}: not readable: {}; remove it and measure again with `refig reproduce`",
        path.display(),
        error.to_string().trim()
    ))
}
