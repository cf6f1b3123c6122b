//! Reads and writes rows as Parquet, through polars. Provenance is stored in the file's key-value metadata. The same rows
//! and provenance always give the same bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use polars::prelude::*;

use super::{Evaluation, Iteration, Split, Statistics};
use crate::exit::Exit;

/// Metadata of a file by key: identity, network, seed, commit and so on.
pub type Provenance = BTreeMap<String, String>;

/// Polars' own entry in the key-value metadata.
const ARROW_SCHEMA: &str = "ARROW:schema";

/// The bytes of a Parquet file with columns `iteration`, `epoch`, `learning_rate`, `loss`, `error`, `seconds`.
///
/// # Errors
/// Those of polars.
pub fn iterations_to_bytes(rows: &[Iteration], provenance: &Provenance) -> Result<Vec<u8>> {
    let floats = |name: &str, value: fn(&Iteration) -> f64| {
        Column::new(name.into(), rows.iter().map(value).collect::<Vec<_>>())
    };
    let iteration: Vec<u64> = rows.iter().map(|row| row.iteration).collect();
    to_bytes(
        vec![
            Column::new("iteration".into(), iteration),
            floats("epoch", |row| row.epoch),
            floats("learning_rate", |row| row.learning_rate),
            floats("loss", |row| row.loss),
            floats("error", |row| row.error),
            floats("seconds", |row| row.seconds),
        ],
        rows.len(),
        provenance,
    )
}

/// The bytes of a Parquet file with columns `iteration`, `split` (test, train), `statistics` (population, moving),
/// `images`, `loss`, `error`, `top5_error`.
///
/// # Errors
/// Those of polars.
pub fn evaluations_to_bytes(rows: &[Evaluation], provenance: &Provenance) -> Result<Vec<u8>> {
    let floats = |name: &str, value: fn(&Evaluation) -> f64| {
        Column::new(name.into(), rows.iter().map(value).collect::<Vec<_>>())
    };
    let counts = |name: &str, value: fn(&Evaluation) -> u64| {
        Column::new(name.into(), rows.iter().map(value).collect::<Vec<_>>())
    };
    let words = |name: &str, value: fn(&Evaluation) -> &'static str| {
        Column::new(name.into(), rows.iter().map(value).collect::<Vec<_>>())
    };
    to_bytes(
        vec![
            counts("iteration", |row| row.iteration),
            words("split", |row| row.split.name()),
            words("statistics", |row| row.statistics.name()),
            counts("images", |row| row.images),
            floats("loss", |row| row.loss),
            floats("error", |row| row.error),
            floats("top5_error", |row| row.top5_error),
        ],
        rows.len(),
        provenance,
    )
}

/// Writes [`iterations_to_bytes`] to a file and syncs it. Not atomic.
///
/// # Errors
/// [`Exit::Storage`] if the file cannot be written.
pub fn write_iterations(path: &Path, rows: &[Iteration], provenance: &Provenance) -> Result<()> {
    write(path, &iterations_to_bytes(rows, provenance)?)
}

/// Writes [`evaluations_to_bytes`] to a file and syncs it. Not atomic.
///
/// # Errors
/// [`Exit::Storage`] if the file cannot be written.
pub fn write_evaluations(path: &Path, rows: &[Evaluation], provenance: &Provenance) -> Result<()> {
    write(path, &evaluations_to_bytes(rows, provenance)?)
}

/// Reads a file written by [`write_iterations`]. Columns are matched by name; unknown ones are ignored.
///
/// # Errors
/// [`Exit::Storage`] if the file cannot be read, is damaged, or lacks a column.
pub fn read_iterations(path: &Path) -> Result<Vec<Iteration>> {
    read(path, |frame| {
        let iteration = counts(frame, "iteration")?;
        let [epoch, learning_rate, loss, error, seconds] =
            ["epoch", "learning_rate", "loss", "error", "seconds"].map(|name| floats(frame, name));
        let (epoch, learning_rate, loss) = (epoch?, learning_rate?, loss?);
        let (error, seconds) = (error?, seconds?);
        Ok((0..iteration.len())
            .map(|row| Iteration {
                iteration: iteration[row],
                epoch: epoch[row],
                learning_rate: learning_rate[row],
                loss: loss[row],
                error: error[row],
                seconds: seconds[row],
            })
            .collect())
    })
}

/// Reads a file written by [`write_evaluations`]. Columns are matched by name; unknown ones are ignored.
///
/// # Errors
/// [`Exit::Storage`] if the file cannot be read, is damaged, lacks a column, or names an unknown split or statistics.
pub fn read_evaluations(path: &Path) -> Result<Vec<Evaluation>> {
    read(path, |frame| {
        let iteration = counts(frame, "iteration")?;
        let images = counts(frame, "images")?;
        let split = words(frame, "split", Split::parse)?;
        let statistics = words(frame, "statistics", Statistics::parse)?;
        let loss = floats(frame, "loss")?;
        let error = floats(frame, "error")?;
        let top5_error = floats(frame, "top5_error")?;
        Ok((0..iteration.len())
            .map(|row| Evaluation {
                iteration: iteration[row],
                split: split[row],
                statistics: statistics[row],
                images: images[row],
                loss: loss[row],
                error: error[row],
                top5_error: top5_error[row],
            })
            .collect())
    })
}

/// Reads the provenance of a file of records.
///
/// # Errors
/// [`Exit::Storage`] if the file cannot be read or is damaged.
pub fn read_provenance(path: &Path) -> Result<Provenance> {
    let mut reader = ParquetReader::new(Cursor::new(bytes_of(path)?));
    let metadata = reader
        .get_metadata()
        .map_err(|error| damaged(path, &error.into()))?;
    Ok(metadata
        .key_value_metadata()
        .iter()
        .flatten()
        .filter(|pair| pair.key != ARROW_SCHEMA)
        .map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()))
        .collect())
}

fn to_bytes(columns: Vec<Column>, height: usize, provenance: &Provenance) -> Result<Vec<u8>> {
    let mut frame = DataFrame::new(height, columns)?;
    let pairs = provenance
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Zstd(None))
        .with_key_value_metadata(Some(KeyValueMetadata::from_static(pairs)))
        .set_parallel(false)
        .finish(&mut frame)?;
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|error| {
        Exit::Storage.error(format!(
            "{}: cannot write the records: {error}",
            path.display()
        ))
    })
}

fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Exit::Storage.error(format!(
            "{}: cannot read the records: {error}",
            path.display()
        ))
    })
}

fn damaged(path: &Path, error: &anyhow::Error) -> anyhow::Error {
    Exit::Storage.error(format!(
        "{}: the records are damaged: {error:#}",
        path.display()
    ))
}

fn read<T>(path: &Path, rows: impl Fn(&DataFrame) -> Result<Vec<T>>) -> Result<Vec<T>> {
    let bytes = bytes_of(path)?;
    let frame = || -> Result<DataFrame> {
        Ok(ParquetReader::new(Cursor::new(bytes))
            .read_parallel(ParallelStrategy::None)
            .finish()?)
    };
    frame()
        .and_then(|frame| rows(&frame))
        .map_err(|error| damaged(path, &error))
}

fn floats(frame: &DataFrame, name: &str) -> Result<Vec<f64>> {
    whole(name, frame.column(name)?.f64()?.iter())
}

fn counts(frame: &DataFrame, name: &str) -> Result<Vec<u64>> {
    whole(name, frame.column(name)?.u64()?.iter())
}

fn words<T>(frame: &DataFrame, name: &str, parse: fn(&str) -> Option<T>) -> Result<Vec<T>> {
    whole(name, frame.column(name)?.str()?.iter())?
        .into_iter()
        .map(|word| match parse(word) {
            Some(value) => Ok(value),
            None => bail!("column '{name}' has the unknown value '{word}'"),
        })
        .collect()
}

fn whole<T>(name: &str, values: impl Iterator<Item = Option<T>>) -> Result<Vec<T>> {
    values
        .collect::<Option<Vec<T>>>()
        .with_context(|| format!("column '{name}' has missing values"))
}
