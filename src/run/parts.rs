//! The records of an unfinished run: immutable Parquet parts, `parts/iterations-NNNNNN.parquet` and
//! `parts/evaluations-NNNNNN.parquet`, numbered from 1. A part without rows of a kind has no file of that kind.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::layout::{EVALUATIONS, ITERATIONS, PARTS};
use crate::exit::Exit;
use crate::record::{Evaluation, Iteration, parquet};

/// The extent of a checkpoint's records. A checkpoint is always at the end of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Number of the part; 0 before the first.
    pub part: u64,
    /// Rows in all parts up to and including this one.
    pub iterations: u64,
    pub evaluations: u64,
}

/// Rows of both kinds, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    pub iterations: Vec<Iteration>,
    pub evaluations: Vec<Evaluation>,
}

impl Rows {
    /// Whether there are no rows of either kind.
    pub fn is_empty(&self) -> bool {
        self.iterations.is_empty() && self.evaluations.is_empty()
    }

    pub(super) fn append(&mut self, mut other: Rows) {
        self.iterations.append(&mut other.iterations);
        self.evaluations.append(&mut other.evaluations);
    }
}

fn part(folder: &Path, file: &str, number: u64) -> PathBuf {
    folder.join(part_name(file, number))
}

fn part_name(file: &str, number: u64) -> String {
    let (kind, extension) = file.split_once('.').unwrap_or((file, "parquet"));
    format!("{PARTS}/{kind}-{number:06}.{extension}")
}

/// The names that the files of parts 1 to `last` may have, in the run's folder.
pub(super) fn part_names(last: u64) -> impl Iterator<Item = String> {
    (1..=last).flat_map(|number| [ITERATIONS, EVALUATIONS].map(|file| part_name(file, number)))
}

/// Writes part `number`, replacing an existing one.
///
/// # Errors
/// [`Exit::Storage`] if it cannot be written.
pub(super) fn write_part(
    disk: &Disk,
    folder: &Path,
    number: u64,
    rows: &Rows,
    provenance: &parquet::Provenance,
) -> Result<()> {
    disk.create_dir(&folder.join(PARTS))?;
    if !rows.iterations.is_empty() {
        let bytes = parquet::iterations_to_bytes(&rows.iterations, provenance)?;
        disk.replace(&part(folder, ITERATIONS, number), &bytes)?;
    }
    if !rows.evaluations.is_empty() {
        let bytes = parquet::evaluations_to_bytes(&rows.evaluations, provenance)?;
        disk.replace(&part(folder, EVALUATIONS, number), &bytes)?;
    }
    Ok(())
}

/// Reads all rows up to a checkpoint's place.
///
/// # Errors
/// [`Exit::Storage`] if a part is damaged or rows are missing.
pub(super) fn read_parts(folder: &Path, place: Place) -> Result<Rows> {
    let mut rows = Rows::default();
    for number in 1..=place.part {
        let path = part(folder, ITERATIONS, number);
        if path.exists() {
            rows.iterations.extend(parquet::read_iterations(&path)?);
        }
        let path = part(folder, EVALUATIONS, number);
        if path.exists() {
            rows.evaluations.extend(parquet::read_evaluations(&path)?);
        }
    }
    let found = (rows.iterations.len() as u64, rows.evaluations.len() as u64);
    let expected = (place.iterations, place.evaluations);
    ensure!(
        found == expected,
        Exit::Storage.error(format!(
            "{}: found {} iterations and {} evaluations, expected {} and {}",
            folder.join(PARTS).display(),
            found.0,
            found.1,
            expected.0,
            expected.1
        ))
    );
    Ok(rows)
}

/// Removes parts after `last` and partial files; the whole folder if `last` is 0.
///
/// # Errors
/// [`Exit::Storage`].
pub(super) fn drop_parts(disk: &Disk, folder: &Path, last: u64) -> Result<()> {
    let parts = folder.join(PARTS);
    if !parts.is_dir() {
        return Ok(());
    }
    if last == 0 {
        return disk.remove_dir(&parts);
    }
    let mut dropped = None;
    for entry in walkdir::WalkDir::new(&parts)
        .min_depth(1)
        .max_depth(1)
        .sort_by_file_name()
    {
        let path = entry
            .with_context(|| format!("{}", parts.display()))?
            .into_path();
        let kept = (1..=last).any(|number| {
            path == part(folder, ITERATIONS, number) || path == part(folder, EVALUATIONS, number)
        });
        if !kept {
            disk.remove(&path)?;
            dropped = Some(path);
        }
    }
    match dropped {
        Some(path) => disk.sync_parent(&path),
        None => Ok(()),
    }
}
