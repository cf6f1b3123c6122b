//! Reads and writes rows as Parquet, through polars. Provenance is stored in the file's key-value metadata. The same rows
//! and provenance always give the same bytes. Column types are those that every reader since 2023 knows.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::{Context, Result, bail};
use polars::prelude::*;
use polars_parquet::parquet::compression::{self, DecompressionContext};
use polars_parquet::write::schema_to_metadata_key;

use super::foreign::ForeignImage;
use super::{Evaluation, Iteration, Split, Statistics, Views};
use crate::exit::Exit;
use crate::regular;

/// Metadata of a file by key: identity, network, seed, commit and so on.
pub type Provenance = BTreeMap<String, String>;

/// The entry of the column types in the key-value metadata.
const ARROW_SCHEMA: &str = "ARROW:schema";
/// The most bytes that a file's rows may take in memory for each of its own bytes. Constant columns shrink a lot.
const MOST_GROWTH: usize = 1 << 12;

/// The bytes of a Parquet file with columns `network`, `seed` (both as in the provenance), `iteration`, `epoch`, `learning_rate`, `loss`, `error`, `seconds`.
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

/// The bytes of a Parquet file with columns `network`, `seed`, `iteration`, `split` (test, train), `statistics` (population, moving),
/// `images`, `loss`, `error`, `top5_error`; and `views` (centre, ten-crop, multi-scale) if some are not of the centre.
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
    let mut columns = vec![
        counts("iteration", |row| row.iteration),
        words("split", |row| row.split.name()),
        words("statistics", |row| row.statistics.name()),
        counts("images", |row| row.images),
        floats("loss", |row| row.loss),
        floats("error", |row| row.error),
        floats("top5_error", |row| row.top5_error),
    ];
    // Left out where it says nothing, to keep the bytes from before it existed.
    if rows.iter().any(|row| row.views != Views::default()) {
        columns.push(words("views", |row| row.views.name()));
    }
    to_bytes(columns, rows.len(), provenance)
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
    iterations_from(path, bytes_of(path)?)
}

/// As [`read_iterations`], from the bytes that `path` holds.
///
/// # Errors
/// As [`read_iterations`].
pub fn iterations_from(path: &Path, bytes: Vec<u8>) -> Result<Vec<Iteration>> {
    read(path, bytes, |frame| {
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
/// [`Exit::Storage`] if the file cannot be read, is damaged, lacks a column, or names an unknown split, statistics or views.
pub fn read_evaluations(path: &Path) -> Result<Vec<Evaluation>> {
    evaluations_from(path, bytes_of(path)?)
}

/// As [`read_evaluations`], from the bytes that `path` holds.
///
/// # Errors
/// As [`read_evaluations`].
pub fn evaluations_from(path: &Path, bytes: Vec<u8>) -> Result<Vec<Evaluation>> {
    read(path, bytes, |frame| {
        let iteration = counts(frame, "iteration")?;
        let images = counts(frame, "images")?;
        let split = words(frame, "split", Split::parse)?;
        let statistics = words(frame, "statistics", Statistics::parse)?;
        let loss = floats(frame, "loss")?;
        let error = floats(frame, "error")?;
        let top5_error = floats(frame, "top5_error")?;
        let views = match frame.column("views") {
            Ok(_) => words(frame, "views", Views::parse)?,
            Err(_) => vec![Views::default(); iteration.len()],
        };
        Ok((0..iteration.len())
            .map(|row| Evaluation {
                iteration: iteration[row],
                split: split[row],
                statistics: statistics[row],
                views: views[row],
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
    provenance_from(path, &bytes_of(path)?)
}

/// As [`read_provenance`], from the bytes that `path` holds.
///
/// # Errors
/// As [`read_provenance`].
pub fn provenance_from(path: &Path, bytes: &[u8]) -> Result<Provenance> {
    unwinding(|| {
        let mut reader = ParquetReader::new(Cursor::new(bytes));
        let metadata = reader.get_metadata()?;
        Ok(metadata
            .key_value_metadata()
            .iter()
            .flatten()
            .filter(|pair| pair.key != ARROW_SCHEMA)
            .map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()))
            .collect())
    })
    .map_err(|error| damaged(path, &error))
}

/// The bytes of a file as Hugging Face's data sets have them, which [`super::foreign`] reads, with `group` images in each row
/// group.
///
/// # Errors
/// Those of polars.
pub fn foreign_to_bytes(images: &[ForeignImage], group: usize) -> Result<Vec<u8>> {
    let bytes: Vec<&[u8]> = images.iter().map(|image| image.bytes.as_slice()).collect();
    let paths: Vec<Option<String>> = images.iter().map(|image| image.path.clone()).collect();
    let labels: Vec<i64> = images.iter().map(|image| image.label).collect();
    let fields = [
        Series::new("bytes".into(), bytes),
        Series::new("path".into(), paths),
    ];
    let image = StructChunked::from_series("image".into(), images.len(), fields.iter())?;
    let columns = vec![
        image.into_series().into_column(),
        Column::new("label".into(), labels),
    ];
    let mut frame = DataFrame::new(images.len(), columns)?;
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_compression(ParquetCompression::Snappy)
        .with_row_group_size(Some(group))
        .set_parallel(false)
        .finish(&mut frame)?;
    Ok(bytes)
}

/// Decompresses a page of another program's file to `size` bytes. `codec` is the format's number of the compression.
///
/// # Errors
/// If the compression is not supported, or the page is damaged.
pub(super) fn decompress(codec: i64, page: &[u8], size: usize) -> Result<Vec<u8>> {
    let codec = match codec {
        0 if page.len() == size => return Ok(page.to_vec()),
        0 => bail!("a page has {} bytes instead of {size}", page.len()),
        1 => compression::Compression::Snappy,
        2 => compression::Compression::Gzip,
        4 => compression::Compression::Brotli,
        6 => compression::Compression::Zstd,
        7 => compression::Compression::Lz4Raw,
        _ => bail!("a page has the compression {codec}, which is not supported"),
    };
    let mut bytes = vec![0; size];
    // Without bytes there is nothing to decompress, and not all compressions write a header then.
    if size > 0 {
        unwinding(|| {
            let mut context = DecompressionContext::Unset;
            Ok(compression::decompress(
                codec,
                page,
                &mut bytes,
                &mut context,
            )?)
        })?;
    }
    Ok(bytes)
}

fn to_bytes(columns: Vec<Column>, height: usize, provenance: &Provenance) -> Result<Vec<u8>> {
    let mut whose = Vec::new();
    if let Some(network) = provenance.get("network") {
        whose.push(Column::new(
            "network".into(),
            vec![network.as_str(); height],
        ));
    }
    if let Some(seed) = provenance
        .get("seed")
        .and_then(|seed| seed.parse::<u64>().ok())
    {
        whose.push(Column::new("seed".into(), vec![seed; height]));
    }
    whose.extend(columns);
    let mut frame = DataFrame::new(height, whose)?;
    // Otherwise polars would declare string views, which other readers cannot filter or even open.
    let types = schema_to_metadata_key(&frame.schema().to_arrow(CompatLevel::oldest()));
    let types = (types.key, types.value.unwrap_or_default());
    let pairs = std::iter::once(types).chain(provenance.clone()).collect();
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
    regular::read(path).map_err(|error| {
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

fn read<T>(
    path: &Path,
    bytes: Vec<u8>,
    rows: impl Fn(&DataFrame) -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    let most = bytes.len().saturating_mul(MOST_GROWTH);
    unwinding(|| {
        let mut reader = ParquetReader::new(Cursor::new(bytes));
        let metadata = reader.get_metadata()?;
        let claimed = metadata
            .row_groups
            .iter()
            .flat_map(|group| group.parquet_columns());
        let mut size = metadata.num_rows;
        for column in claimed {
            size = size.saturating_add(usize::try_from(column.uncompressed_size())?);
        }
        if size > most {
            bail!("it claims {size} bytes of rows");
        }
        let frame = reader.read_parallel(ParallelStrategy::None).finish()?;
        rows(&frame)
    })
    .map_err(|error| damaged(path, &error))
}

/// Turns a panic of the Parquet reader, which trusts what a file says, into an error.
fn unwinding<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    crate::console::without_panic_message(|| catch_unwind(AssertUnwindSafe(read)))
        .unwrap_or_else(|_| bail!("the Parquet reader failed"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::foreign::ForeignImages;

    /// The reader of foreign files on what another implementation writes.
    #[test]
    fn images_that_polars_writes_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.parquet");
        let images: Vec<Vec<u8>> = (0..100u8)
            .map(|row| vec![row; 3 + usize::from(row)])
            .collect();
        let labels: Vec<i64> = (0..100).map(|row| row % 10).collect();
        for compression in [
            ParquetCompression::Uncompressed,
            ParquetCompression::Snappy,
            ParquetCompression::Zstd(None),
        ] {
            let bytes: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
            let columns = vec![
                Column::new("image".into(), bytes),
                Column::new("label".into(), labels.clone()),
            ];
            let mut frame = DataFrame::new(images.len(), columns).unwrap();
            let mut written = Vec::new();
            ParquetWriter::new(&mut written)
                .with_compression(compression)
                .with_row_group_size(Some(40))
                .finish(&mut frame)
                .unwrap();
            std::fs::write(&path, written).unwrap();
            let file = ForeignImages::open(&path).unwrap();
            assert_eq!(file.rows(), 100);
            let mut rows = Vec::new();
            for group in 0..file.groups() {
                rows.extend(file.read(group, 1 << 20).unwrap());
            }
            assert!(rows.iter().map(|row| &row.bytes).eq(&images));
            assert!(rows.iter().map(|row| &row.label).eq(&labels));
        }
    }

    #[test]
    fn names_of_images_are_read_and_may_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.parquet");
        let images: Vec<ForeignImage> = (0..50u8)
            .map(|row| ForeignImage {
                bytes: vec![row; 1 + usize::from(row)],
                label: i64::from(row % 3),
                // In the last group there is none.
                path: (row % 4 != 1 && row < 25).then(|| format!("n{row}.JPEG")),
            })
            .collect();
        std::fs::write(&path, foreign_to_bytes(&images, 20).unwrap()).unwrap();
        let file = ForeignImages::open_named(&path).unwrap();
        let groups = file.groups();
        assert!(groups > 1, "{groups}");
        let read = (0..groups).flat_map(|group| file.read(group, 1 << 20).unwrap());
        assert_eq!(read.collect::<Vec<_>>(), images);
        let error = file.read(groups, 1 << 20).unwrap_err();
        assert!(error.to_string().contains("no row group"), "{error}");
        // Where nobody asks for them, they are not read.
        let unnamed = ForeignImages::open(&path).unwrap().read(0, 1 << 20);
        assert!(unnamed.unwrap().iter().all(|image| image.path.is_none()));
    }
}
