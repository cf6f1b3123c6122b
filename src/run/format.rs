//! Reads the versioned files of a run's folder.

use std::error::Error;
use std::fmt::Display;
use std::path::Path;

use anyhow::Result;
use serde::de::DeserializeOwned;

use crate::exit::Exit;

/// The version of all formats in a run's folder. Older versions are read, newer ones rejected.
pub const FORMAT: u32 = 1;

/// Reads a TOML file; none if it does not exist. `remedy` ends the message about a damaged file.
///
/// # Errors
/// [`Exit::Storage`] if it cannot be read or was written by a newer version.
pub(super) fn read_toml<T: DeserializeOwned>(path: &Path, remedy: &str) -> Result<Option<T>> {
    let refuse = |error: &dyn Error| unreadable(path, &error, remedy);
    let Some(text) = text(path, remedy)? else {
        return Ok(None);
    };
    let table: toml::Table = toml::from_str(&text).map_err(|error| refuse(&error))?;
    let format = table.get("format").and_then(toml::Value::as_integer);
    check(path, format, remedy)?;
    table.try_into().map(Some).map_err(|error| refuse(&error))
}

/// Reads a JSON file; none if it does not exist. `remedy` ends the message about a damaged file.
///
/// # Errors
/// As [`read_toml`].
pub(super) fn read_json<T: DeserializeOwned>(path: &Path, remedy: &str) -> Result<Option<T>> {
    text(path, remedy)?
        .map(|text| parse_json(path, text.as_bytes(), remedy))
        .transpose()
}

/// Parses versioned JSON that `path` holds.
///
/// # Errors
/// As [`read_toml`].
pub(super) fn parse_json<T: DeserializeOwned>(path: &Path, json: &[u8], remedy: &str) -> Result<T> {
    let refuse = |error: serde_json::Error| unreadable(path, &error, remedy);
    let value: serde_json::Value = serde_json::from_slice(json).map_err(refuse)?;
    let format = value.get("format").and_then(serde_json::Value::as_i64);
    check(path, format, remedy)?;
    serde_json::from_value(value).map_err(refuse)
}

/// Rejects a file of a newer version or without a version.
///
/// # Errors
/// [`Exit::Storage`] with the file and both versions.
pub(super) fn check(path: &Path, found: Option<i64>, remedy: &str) -> Result<()> {
    match found {
        Some(format) if format > i64::from(FORMAT) => Err(Exit::Storage.error(format!(
            "{}: format {format} is newer than {FORMAT}, the newest supported by refig {}; use the version that wrote it",
            path.display(),
            env!("CARGO_PKG_VERSION")
        ))),
        Some(_) => Ok(()),
        None => Err(Exit::Storage.error(format!(
            "{}: no format version; {remedy}",
            path.display()
        ))),
    }
}

fn text(path: &Path, remedy: &str) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error, remedy)),
    }
}

/// The error for a file that cannot be read.
pub(super) fn unreadable(path: &Path, error: &dyn Display, remedy: &str) -> anyhow::Error {
    Exit::Storage.error(format!(
        "cannot read {}: {}; {remedy}",
        path.display(),
        error.to_string().trim()
    ))
}
