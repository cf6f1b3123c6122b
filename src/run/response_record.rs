//! A measurement of a run's layer responses, kept beside its records: `responses-<hash>.toml`, a file for each way of
//! measuring.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::format::{self, FORMAT};
use crate::digest::sha256;
use crate::manifest::Responses;
use crate::origin::Origin;

const REMEDY: &str = "remove it and measure again with `refig reproduce`";

/// What was measured of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResponseRecord {
    pub format: u32,
    /// The run's identity.
    pub run: String,
    pub network: String,
    pub seed: u64,
    /// Where the images came from.
    pub data: Origin,
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
    /// [`Exit::Storage`](crate::exit::Exit::Storage) if it cannot be read, is of another run, or was written by a newer version.
    pub fn load(folder: &Path, how: &Responses, run: &str) -> Result<Option<Self>> {
        let path = Self::path(folder, how)?;
        let Some(record) = format::read_toml::<Self>(&path, REMEDY)? else {
            return Ok(None);
        };
        if record.run != run || record.how != *how {
            let what = "it is of another run or another way of measuring";
            return Err(format::unreadable(&path, &what, REMEDY));
        }
        Ok(Some(record))
    }

    /// Writes the record into a run's folder, whole or not at all.
    ///
    /// # Errors
    /// [`Exit::Storage`](crate::exit::Exit::Storage) if it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<PathBuf> {
        let path = Self::path(folder, &self.how)?;
        let text = toml::to_string(self).context("the responses as TOML")?;
        Disk::default().replace(&path, text.as_bytes())?;
        Ok(path)
    }

    /// The version of the format that is written.
    pub const FORMAT: u32 = FORMAT;
}
