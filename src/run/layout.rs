//! The names of the files in a run's folder, of the folders beside it, and which names are plain.

use std::path::{Path, PathBuf};

pub use crate::plain_name::is_plain_name;

pub(super) const RUN: &str = "run.toml";
pub(super) const DONE: &str = "done.json";
pub(super) const PROGRESS: &str = "progress.json";
pub(super) const VIEWS: &str = "views.json";
pub(super) const LOG: &str = "log";
pub(super) const PARTS: &str = "parts";
pub(super) const ITERATIONS: &str = "iterations.parquet";
pub(super) const EVALUATIONS: &str = "evaluations.parquet";
pub(super) const WEIGHTS: &str = "weights.safetensors";
pub(super) const CHECKPOINT: &str = "checkpoint.safetensors";
pub(super) const PREVIOUS: &str = "checkpoint.previous.safetensors";

/// The hidden folder beside a run's in which the run waits to be deleted. Renaming it there first keeps half a run from
/// being taken for a run.
pub(super) fn removed(folder: &Path) -> PathBuf {
    beside(folder, "removed")
}

/// The hidden folder beside a run's in which a pack is unpacked.
pub(super) fn unpacked(folder: &Path) -> PathBuf {
    beside(folder, "unpacked")
}

fn beside(folder: &Path, what: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{what}-{name}"))
}
