//! The records of an unfinished run: immutable Parquet parts, `parts/iterations-NNNNNN.parquet` and
//! `parts/evaluations-NNNNNN.parquet`, numbered from 1. A part without rows of a kind has no file of that kind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::disk::Disk;
use super::format::{self, START_OVER};
use super::layout::{EVALUATIONS, ITERATIONS, PARTS};
use crate::counted::counted;
use crate::digest::sha256;
use crate::exit::Exit;
use crate::record::{Evaluation, Iteration, parquet};
use crate::regular;

/// The most parts of a run: one for each of the most iterations would be absurd.
const MOST_PARTS: u64 = 10_000_000;

/// The extent of a checkpoint's records. A checkpoint is always at the end of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Number of the part; 0 before the first.
    pub part: u64,
    /// Rows in all parts up to and including this one.
    pub iterations: u64,
    pub evaluations: u64,
    /// sha256 (hex) of the parts' files by name in the run's folder; empty for runs of earlier versions.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

impl Place {
    /// Whether the digests are known, or there is nothing to digest.
    fn is_digested(&self) -> bool {
        !self.files.is_empty() || self.part == 0
    }
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

    /// Checks that the values are possible: they may come from files without digests.
    ///
    /// # Errors
    /// [`Exit::Storage`] that names `path`.
    pub(super) fn check(&self, path: &Path, diverged: bool) -> Result<()> {
        let percent = |error: f64| (0.0..=100.0).contains(&error);
        let last = self.iterations.len().saturating_sub(1);
        let iterations = self.iterations.iter().enumerate().all(|(place, row)| {
            let finite = [row.epoch, row.learning_rate, row.seconds];
            finite.iter().all(|value| value.is_finite())
                && percent(row.error)
                && (row.loss.is_finite() || (diverged && place == last))
        });
        let evaluations = self
            .evaluations
            .iter()
            .all(|row| percent(row.error) && percent(row.top5_error));
        ensure!(
            iterations && evaluations,
            format::unreadable(path, &"it holds impossible values", START_OVER)
        );
        Ok(())
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

/// Writes part `number`, replacing an existing one. Returns the digests of its files by name.
///
/// # Errors
/// [`Exit::Storage`] if it cannot be written.
pub(super) fn write_part(
    disk: &Disk,
    folder: &Path,
    number: u64,
    rows: &Rows,
    provenance: &parquet::Provenance,
) -> Result<BTreeMap<String, String>> {
    disk.create_dir(&folder.join(PARTS))?;
    let mut digests = BTreeMap::new();
    let mut write = |file: &str, bytes: Vec<u8>| -> Result<()> {
        disk.replace(&part(folder, file, number), &bytes)?;
        digests.insert(part_name(file, number), sha256(&bytes));
        Ok(())
    };
    if !rows.iterations.is_empty() {
        let bytes = parquet::iterations_to_bytes(&rows.iterations, provenance)?;
        write(ITERATIONS, bytes)?;
    }
    if !rows.evaluations.is_empty() {
        let bytes = parquet::evaluations_to_bytes(&rows.evaluations, provenance)?;
        write(EVALUATIONS, bytes)?;
    }
    Ok(digests)
}

/// The digests of the existing parts of a run of an earlier version, which has none.
///
/// # Errors
/// [`Exit::Storage`] if a part cannot be read.
pub(super) fn take_digests(folder: &Path, place: &mut Place) -> Result<()> {
    if place.is_digested() {
        return Ok(());
    }
    for name in part_names(place.part) {
        let path = folder.join(&name);
        if path.exists() {
            let bytes =
                regular::read(&path).map_err(|error| format::unread(&path, &error, START_OVER))?;
            place.files.insert(name, sha256(&bytes));
        }
    }
    Ok(())
}

/// Reads all rows of the run `identity` up to a checkpoint's place.
///
/// # Errors
/// [`Exit::Storage`] if a part is damaged or of another run, or rows are missing.
pub(super) fn read_parts(folder: &Path, place: &Place, identity: &str) -> Result<Rows> {
    ensure!(
        place.part <= MOST_PARTS,
        format::unreadable(&folder.join(PARTS), &"it claims too many parts", START_OVER)
    );
    let mut rows = Rows::default();
    for (number, file) in (1..=place.part).flat_map(|n| [(n, ITERATIONS), (n, EVALUATIONS)]) {
        let name = part_name(file, number);
        let path = folder.join(&name);
        let bytes = match place.files.get(&name) {
            Some(digest) => format::read_verified(&path, digest, START_OVER)?,
            None if place.is_digested() || !path.exists() => continue,
            None => undigested(&path, identity)?,
        };
        match file {
            ITERATIONS => rows
                .iterations
                .extend(parquet::iterations_from(&path, bytes)?),
            _ => rows
                .evaluations
                .extend(parquet::evaluations_from(&path, bytes)?),
        }
    }
    let found = (rows.iterations.len() as u64, rows.evaluations.len() as u64);
    let expected = (place.iterations, place.evaluations);
    ensure!(
        found == expected,
        Exit::Storage.error(format!(
            "{}: found {} and {}, expected {} and {}",
            folder.join(PARTS).display(),
            counted(found.0 as usize, "iteration"),
            counted(found.1 as usize, "evaluation"),
            expected.0,
            expected.1
        ))
    );
    rows.check(&folder.join(PARTS), false)?;
    Ok(rows)
}

/// The bytes of a file of records without a recorded digest, if they name the run.
///
/// # Errors
/// [`Exit::Storage`] if it cannot be read or is of another run.
pub(super) fn undigested(path: &Path, identity: &str) -> Result<Vec<u8>> {
    let bytes = regular::read(path).map_err(|error| format::unread(path, &error, START_OVER))?;
    let provenance = parquet::provenance_from(path, &bytes)?;
    match provenance.get("identity").is_some_and(|of| of == identity) {
        true => Ok(bytes),
        false => Err(format::unreadable(
            path,
            &"its records are of another run",
            START_OVER,
        )),
    }
}

/// Removes parts after `last` and partial files; the folder too if `last` is 0 and nothing else is in it.
///
/// # Errors
/// [`Exit::Storage`].
pub(super) fn drop_parts(disk: &Disk, folder: &Path, last: u64) -> Result<()> {
    let parts = folder.join(PARTS);
    let Ok(there) = std::fs::symlink_metadata(&parts) else {
        return Ok(());
    };
    ensure!(
        there.is_dir(),
        format::unreadable(&parts, &"it is no folder", "move it away")
    );
    disk.remove_temporaries(&parts)?;
    let mut entries: Vec<PathBuf> = std::fs::read_dir(&parts)
        .with_context(|| format!("{}", parts.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    let mut dropped = false;
    let mut left = 0;
    for path in entries {
        match number(&path) {
            Some(number) if number > last => {
                disk.remove(&path)?;
                dropped = true;
            }
            _ => left += 1,
        }
    }
    if last == 0 && left == 0 {
        return disk.remove_dir(&parts);
    }
    match dropped {
        true => disk.sync_parent(&parts.join(ITERATIONS)),
        false => Ok(()),
    }
}

/// The number of the part that a file belongs to; none for other files.
fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let (kind, rest) = name.split_once('-')?;
    let number = rest.strip_suffix(".parquet")?;
    let ours = ["iterations", "evaluations"].contains(&kind);
    ours.then(|| number.parse().ok()).flatten()
}
