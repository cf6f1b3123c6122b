//! Reads and writes the versioned text files of a run's folder, and of plans. Each carries the sha256 of itself with that
//! field empty, which is checked before anything in the file is believed.

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::console::one_line;
use crate::digest::sha256;
use crate::exit::Exit;
use crate::regular;

/// The version of all formats in a run's folder, and of plan files. Older versions are read, newer ones rejected. Since 2
/// every file is covered by a digest.
pub const FORMAT: u32 = 2;
/// The first version with digests.
const DIGESTED: i64 = 2;
/// The key of a file's digest of itself.
const DIGEST: &str = "sha256";

/// What to do about a run whose files cannot be used.
pub(super) const START_OVER: &str = "restore a copy, or remove the run's folder to start it over";

/// The text of a TOML file with its digest.
///
/// # Errors
/// If a value does not fit in TOML.
pub(crate) fn to_toml<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let rest = toml::to_string(value).context("cannot write as TOML")?;
    let text = format!("{DIGEST} = \"\"\n{rest}");
    Ok(sealed(&text, &format!("{DIGEST} = \"\"")))
}

/// The text of a JSON file with its digest.
///
/// # Errors
/// If the value is no JSON object.
pub(super) fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let Value::Object(fields) = serde_json::to_value(value)? else {
        anyhow::bail!("not a JSON object");
    };
    let mut all = serde_json::Map::from_iter([(DIGEST.to_owned(), Value::from(""))]);
    all.extend(fields);
    let text = serde_json::to_string_pretty(&all)? + "\n";
    Ok(sealed(&text, &format!("\"{DIGEST}\": \"\"")))
}

/// Fills in the digest of `text` at `place`, which ends with the empty value.
fn sealed(text: &str, place: &str) -> Vec<u8> {
    let digest = sha256(text.as_bytes());
    let filled = format!("{}{digest}\"", &place[..place.len() - 1]);
    text.replacen(place, &filled, 1).into_bytes()
}

/// Reads a TOML file; none if it does not exist. `remedy` ends the message about a damaged file.
///
/// # Errors
/// [`Exit::Storage`] if it cannot be read, does not match its digest, or was written by a newer version.
pub(crate) fn read_toml<T: DeserializeOwned>(path: &Path, remedy: &str) -> Result<Option<T>> {
    // Its message in one line, without an excerpt of the file.
    let refuse = |error: toml::de::Error| unreadable(path, &error.message(), remedy);
    let Some(text) = text(path, remedy)? else {
        return Ok(None);
    };
    let mut table: toml::Table = toml::from_str(&text).map_err(refuse)?;
    let format = table.get("format").and_then(toml::Value::as_integer);
    let digest = table.remove(DIGEST);
    let digest = digest.as_ref().and_then(toml::Value::as_str);
    check_digest(path, &text, format, digest, remedy)?;
    check(path, format, remedy)?;
    table.try_into().map(Some).map_err(refuse)
}

/// Reads a JSON file; none if it does not exist. `remedy` ends the message about a damaged file.
///
/// # Errors
/// As [`read_toml`].
pub(super) fn read_json<T: DeserializeOwned>(path: &Path, remedy: &str) -> Result<Option<T>> {
    let Some(text) = text(path, remedy)? else {
        return Ok(None);
    };
    let mut value: Value =
        serde_json::from_str(&text).map_err(|error| unreadable(path, &error, remedy))?;
    let format = value.get("format").and_then(Value::as_i64);
    let digest = value
        .as_object_mut()
        .and_then(|fields| fields.remove(DIGEST));
    let digest = digest.as_ref().and_then(Value::as_str);
    check_digest(path, &text, format, digest, remedy)?;
    check(path, format, remedy)?;
    from_value(path, value, remedy).map(Some)
}

/// Parses versioned JSON that `path` holds and that is covered by a digest elsewhere.
///
/// # Errors
/// As [`read_toml`].
pub(super) fn parse_json<T: DeserializeOwned>(path: &Path, text: &[u8], remedy: &str) -> Result<T> {
    let value: Value =
        serde_json::from_slice(text).map_err(|error| unreadable(path, &error, remedy))?;
    check(path, value.get("format").and_then(Value::as_i64), remedy)?;
    from_value(path, value, remedy)
}

fn from_value<T: DeserializeOwned>(path: &Path, value: Value, remedy: &str) -> Result<T> {
    serde_json::from_value(value).map_err(|error| unreadable(path, &error, remedy))
}

/// Checks a file's digest of itself, which files from before [`DIGESTED`] do not have.
fn check_digest(
    path: &Path,
    text: &str,
    format: Option<i64>,
    digest: Option<&str>,
    remedy: &str,
) -> Result<()> {
    let matches = match digest {
        // Newer versions are refused as such.
        None => format.is_some_and(|format| format != DIGESTED),
        Some(digest) => {
            !digest.is_empty() && sha256(text.replacen(digest, "", 1).as_bytes()) == digest
        }
    };
    match matches {
        true => Ok(()),
        false => Err(unreadable(path, &"it does not match its sha256", remedy)),
    }
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
        Some(format) if format >= 1 => Ok(()),
        _ => Err(Exit::Storage.error(format!(
            "{}: no valid format version; {remedy}",
            path.display()
        ))),
    }
}

/// Whether a text file was written by a newer version.
pub(super) fn is_newer(path: &Path) -> bool {
    let Ok(text) = regular::read_to_string(path) else {
        return false;
    };
    let format = match path.extension().is_some_and(|ending| ending == "toml") {
        true => toml::from_str::<toml::Table>(&text)
            .ok()
            .and_then(|table| table.get("format")?.as_integer()),
        false => serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|value| value.get("format")?.as_i64()),
    };
    format.is_some_and(|format| format > i64::from(FORMAT))
}

/// Whether files of this version are covered by digests.
pub(super) fn is_digested(format: u32) -> bool {
    i64::from(format) >= DIGESTED
}

/// The bytes of a file, if they match the digest that was recorded of it.
///
/// # Errors
/// [`Exit::Storage`] if it cannot be read or differs.
pub(super) fn read_verified(path: &Path, digest: &str, remedy: &str) -> Result<Vec<u8>> {
    let bytes = regular::read(path).map_err(|error| unread(path, &error, remedy))?;
    match sha256(&bytes) == digest {
        true => Ok(bytes),
        false => Err(unreadable(
            path,
            &"its sha256 differs from the recorded one, so it is damaged or not of this run",
            remedy,
        )),
    }
}

fn text(path: &Path, remedy: &str) -> Result<Option<String>> {
    match regular::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unread(path, &error, remedy)),
    }
}

/// The error for a file that cannot be opened or read. `remedy` is for one that is damaged; another may be whole.
pub(super) fn unread(path: &Path, error: &std::io::Error, remedy: &str) -> anyhow::Error {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => "give yourself permission to read it",
        ErrorKind::NotADirectory => "name a folder instead of a file",
        _ => remedy,
    };
    unreadable(path, error, remedy)
}

/// The error for a file whose contents cannot be used.
pub(super) fn unreadable(path: &Path, error: &dyn Display, remedy: &str) -> anyhow::Error {
    Exit::Storage.error(format!(
        "cannot read {}: {}; {remedy}",
        path.display(),
        // It may quote what is in the file.
        one_line(error.to_string().trim())
    ))
}
