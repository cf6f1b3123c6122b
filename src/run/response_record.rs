//! A measurement of a run's layer responses, in the run's folder: `responses-<hash>.toml`, a file per settings.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::format::{self, FORMAT};
use crate::digest::sha256;
use crate::manifest::Responses;
use crate::origin::Origin;

/// Before and after the eight digits in a record's name.
const AROUND: (&str, &str) = ("responses-", ".toml");

const REMEDY: &str = "remove it and measure again with `refig reproduce`";

/// The measured layer responses of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResponseRecord {
    pub format: u32,
    /// The run's identity.
    pub run: String,
    pub network: String,
    pub seed: u64,
    /// Where the images came from.
    pub data: Origin,
    /// The device that measured: `cpu avx2`.
    pub device: String,
    /// Number of images used, which may be fewer than requested.
    pub images: usize,
    /// The settings of the measurement.
    pub how: Responses,
    /// Every 3x3 layer, from the input to the output.
    pub layer: Vec<LayerResponse>,
}

/// A layer's response: after batch normalisation, before addition and ReLU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerResponse {
    /// torchvision's name of the convolution.
    pub name: String,
    pub deviation: f64,
    pub mean: f64,
}

/// Whether a file's name is that of such a record.
pub(super) fn is_response_record(name: &str) -> bool {
    let digits = name
        .strip_prefix(AROUND.0)
        .and_then(|rest| rest.strip_suffix(AROUND.1));
    digits.is_some_and(|digits| {
        digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

impl ResponseRecord {
    /// The path of the record with these settings in a run's folder.
    ///
    /// # Errors
    /// If the settings cannot be serialised, which is a bug.
    pub fn path(folder: &Path, how: &Responses) -> Result<PathBuf> {
        let text = serde_json::to_string(how).context("cannot write the settings as JSON")?;
        let digest = sha256(text.as_bytes());
        let (before, after) = AROUND;
        Ok(folder.join(format!("{before}{}{after}", &digest[..8])))
    }

    /// Reads the record in a run's folder; none if it was not measured with these settings.
    ///
    /// # Errors
    /// [`Exit::Storage`](crate::exit::Exit::Storage) if it cannot be read, is of another run, or was written by a newer
    /// version.
    pub fn load(folder: &Path, how: &Responses, run: &str) -> Result<Option<Self>> {
        let path = Self::path(folder, how)?;
        let Some(record) = format::read_toml::<Self>(&path, REMEDY)? else {
            return Ok(None);
        };
        if record.run != run || record.how != *how {
            let what = "it is of another run or other settings";
            return Err(format::unreadable(&path, &what, REMEDY));
        }
        Ok(Some(record))
    }

    /// Writes the record to a run's folder, atomically.
    ///
    /// # Errors
    /// [`Exit::Storage`](crate::exit::Exit::Storage) if it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<PathBuf> {
        let path = Self::path(folder, &self.how)?;
        Disk::default().replace(&path, &format::to_toml(self)?)?;
        Ok(path)
    }

    /// The version of the format.
    pub const FORMAT: u32 = FORMAT;
}
