//! Checkpoints: the state of engine and training loop, with a digest to detect damage.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::format::{self, FORMAT, START_OVER};
use super::layout::{CHECKPOINT, PREVIOUS};
use super::parts::{Place, Rows, read_parts};
use crate::console::one_line;
use crate::digest::sha256;
use crate::exit::Exit;
use crate::regular;
use crate::weights::Weights;

/// A state to resume training from.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Updates made.
    pub iteration: u64,
    /// The engine's tensors, including velocity.
    pub state: Weights,
    /// The training loop's serialised state.
    pub loop_state: String,
}

/// The metadata of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    format: u32,
    /// The run's identity.
    identity: String,
    iteration: u64,
    #[serde(flatten)]
    place: Place,
    loop_state: String,
    /// sha256 (hex) of the file with this field empty.
    sha256: String,
}

/// An intact checkpoint with its rows.
pub(super) struct Found {
    pub checkpoint: Checkpoint,
    pub place: Place,
    pub rows: Rows,
    /// Whether this is the previous one, because the newest was missing or damaged.
    pub previous: bool,
    /// The damage to the newest, if any, with its path.
    pub damage: Option<String>,
}

/// Serialises a checkpoint of the run `identity`.
///
/// # Errors
/// If a tensor's shape does not match its data.
pub(super) fn to_bytes(
    identity: &str,
    iteration: u64,
    place: &Place,
    state: &Weights,
    loop_state: &str,
) -> Result<Vec<u8>> {
    let mut header = Header {
        format: FORMAT,
        identity: identity.into(),
        iteration,
        place: place.clone(),
        loop_state: loop_state.into(),
        sha256: String::new(),
    };
    let mut file = Weights {
        tensors: state.tensors.clone(),
        metadata: serde_json::to_string(&header)?,
    };
    header.sha256 = sha256(&file.to_bytes()?);
    file.metadata = serde_json::to_string(&header)?;
    file.to_bytes()
}

/// The newest intact checkpoint in `folder` with all its rows; none if there are no checkpoints.
///
/// # Errors
/// [`Exit::Storage`] if none is intact, or if one was written by a newer version or belongs to another run.
pub(super) fn newest(folder: &Path, identity: &str) -> Result<Option<Found>> {
    let [newest, previous] = [CHECKPOINT, PREVIOUS].map(|name| folder.join(name));
    let damage = match load(folder, &newest, identity)? {
        Loaded::Whole(found) => return Ok(Some(*found)),
        // Killed between two renames; not damaged.
        Loaded::Missing => None,
        Loaded::Damaged(damage) => Some(damage),
    };
    match (load(folder, &previous, identity)?, damage) {
        (Loaded::Whole(mut found), damage) => {
            found.previous = true;
            found.damage = damage
                .map(|damage| format!("{}: damaged ({})", newest.display(), one_line(&damage)));
            Ok(Some(*found))
        }
        (Loaded::Missing, None) => Ok(None),
        (Loaded::Missing, Some(damage)) => Err(lost(&[(newest, damage)])),
        (Loaded::Damaged(earlier), None) => Err(lost(&[(previous, earlier)])),
        (Loaded::Damaged(earlier), Some(damage)) => {
            Err(lost(&[(newest, damage), (previous, earlier)]))
        }
    }
}

enum Loaded {
    Missing,
    Damaged(String),
    Whole(Box<Found>),
}

fn load(folder: &Path, path: &Path, identity: &str) -> Result<Loaded> {
    let bytes = match regular::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Loaded::Missing),
        // It may be whole, and must not be replaced by the previous one.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return Err(format::unread(path, &error, START_OVER));
        }
        Err(error) => return Ok(Loaded::Damaged(error.to_string())),
    };
    let mut state = match Weights::from_bytes(&bytes) {
        Ok(state) => state,
        Err(error) => return Ok(Loaded::Damaged(format!("{error:#}"))),
    };
    let header: serde_json::Value = match serde_json::from_str(&state.metadata) {
        Ok(header) => header,
        Err(error) => return Ok(Loaded::Damaged(format!("header: {error}"))),
    };
    // A later format has this, too; whatever else a damaged file says is not believed.
    let expected = header["sha256"].as_str().unwrap_or_default().to_owned();
    state.metadata = state.metadata.replacen(&expected, "", 1);
    if expected.is_empty() || sha256(&state.to_bytes()?) != expected {
        return Ok(Loaded::Damaged("sha256 mismatch".into()));
    }
    let format = header.get("format").and_then(serde_json::Value::as_i64);
    format::check(path, format, START_OVER)?;
    let header: Header = match serde_json::from_value(header) {
        Ok(header) => header,
        Err(error) => return Ok(Loaded::Damaged(format!("header: {error}"))),
    };
    if header.identity != identity {
        return Err(Exit::Storage.error(format!(
            "{}: checkpoint of another run, {}; {START_OVER}",
            path.display(),
            one_line(&header.identity)
        )));
    }
    let place = header.place;
    let rows = match read_parts(folder, &place, identity) {
        Ok(rows) => rows,
        Err(error) => return Ok(Loaded::Damaged(format!("{error:#}"))),
    };
    state.metadata = String::new();
    Ok(Loaded::Whole(Box::new(Found {
        checkpoint: Checkpoint {
            iteration: header.iteration,
            state,
            loop_state: header.loop_state,
        },
        place,
        rows,
        previous: false,
        damage: None,
    })))
}

fn lost(damaged: &[(PathBuf, String)]) -> anyhow::Error {
    let list: Vec<String> = damaged
        .iter()
        .map(|(path, damage)| format!("{} ({})", path.display(), one_line(damage)))
        .collect();
    Exit::Storage.error(format!(
        "no intact checkpoint: {}; {START_OVER}",
        list.join(", ")
    ))
}
