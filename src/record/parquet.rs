//! Reads and writes rows as Parquet. polars writes; `columns.rs` reads, for a file may come from anywhere. Provenance is
//! stored in the file's key-value metadata. The same rows and provenance always give the same bytes. Column types are those
//! that every reader since 2023 knows.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::{Context, Result, bail};
use polars::prelude::*;
use polars_parquet::parquet::compression::{self, DecompressionContext};
use polars_parquet::write::schema_to_metadata_key;

use super::columns::Layout;
use super::foreign::ForeignImage;
use super::{Evaluation, Iteration, Split, Statistics, Views};
use crate::console::one_line;
use crate::exit::Exit;
use crate::regular;

/// Metadata of a file by key: identity, network, seed, commit and so on.
pub type Provenance = BTreeMap<String, String>;

/// The entry of the column types in the key-value metadata.
const ARROW_SCHEMA: &str = "ARROW:schema";
/// The most bytes that a file's rows may take in memory for each of its own bytes. Constant columns shrink a lot.
const MOST_GROWTH: usize = 1 << 12;
/// The most bytes that they may take whatever its size.
const MOST_BYTES: usize = 1 << 30;
/// The columns of iterations and of evaluations, numbered in this order.
const OF_ITERATIONS: [&[&str]; 6] = [
    &["iteration"],
    &["epoch"],
    &["learning_rate"],
    &["loss"],
    &["error"],
    &["seconds"],
];
const OF_EVALUATIONS: [&[&str]; 7] = [
    &["iteration"],
    &["images"],
    &["split"],
    &["statistics"],
    &["loss"],
    &["error"],
    &["top5_error"],
];
/// The optional one, numbered after the others.
const OF_VIEWS: [&[&str]; 1] = [&["views"]];

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
/// `images`, `loss`, `error`, `top5_error`; and `views` ([`Views::name`]) if some are not of the centre.
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
    read(path, &bytes, (&OF_ITERATIONS, &[]), |records| {
        let iteration = records.counts(0)?;
        let (epoch, learning_rate) = (records.floats(1)?, records.floats(2)?);
        let (loss, error) = (records.floats(3)?, records.floats(4)?);
        let seconds = records.floats(5)?;
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
    read(path, &bytes, (&OF_EVALUATIONS, &OF_VIEWS), |records| {
        let (iteration, images) = (records.counts(0)?, records.counts(1)?);
        let split = records.words(2, Split::parse)?;
        let statistics = records.words(3, Statistics::parse)?;
        let (loss, error) = (records.floats(4)?, records.floats(5)?);
        let top5_error = records.floats(6)?;
        let views = match records.layout.has(OF_EVALUATIONS.len()) {
            true => records.words(OF_EVALUATIONS.len(), Views::parse)?,
            false => vec![Views::default(); iteration.len()],
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
    let layout = Layout::read(&mut Cursor::new(bytes), &[], &[]);
    let layout = layout.map_err(|error| damaged(path, &error))?;
    let pairs = layout.pairs().iter();
    Ok(pairs
        .filter(|(key, _)| key != ARROW_SCHEMA)
        .cloned()
        .collect())
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

/// Decompresses a page to `size` bytes. `codec` is the format's number of the compression.
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
        "{}: the records are damaged: {}",
        path.display(),
        one_line(&format!("{error:#}"))
    ))
}

/// The columns of a file of records, with the memory that they may still take.
struct Records<'a> {
    file: Cursor<&'a [u8]>,
    layout: Layout,
    left: usize,
}

impl Records<'_> {
    fn floats(&mut self, column: usize) -> Result<Vec<f64>> {
        let mut all = Vec::new();
        for group in 0..self.layout.groups() {
            let place = (group, column);
            all.extend(self.layout.floats(&mut self.file, place, &mut self.left)?);
        }
        Ok(all)
    }

    fn counts(&mut self, column: usize) -> Result<Vec<u64>> {
        let mut all = Vec::new();
        for group in 0..self.layout.groups() {
            let place = (group, column);
            for number in self.layout.ints(&mut self.file, place, &mut self.left)? {
                all.push(u64::try_from(number).context("a count is negative")?);
            }
        }
        Ok(all)
    }

    fn words<T>(&mut self, column: usize, parse: fn(&str) -> Option<T>) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for group in 0..self.layout.groups() {
            let place = (group, column);
            for word in self.layout.bytes(&mut self.file, place, &mut self.left)? {
                let word = String::from_utf8_lossy(&word);
                let value = parse(&word);
                all.push(value.with_context(|| format!("it has the unknown value '{word}'"))?);
            }
        }
        Ok(all)
    }
}

/// Reads rows from `needed` and `optional` columns.
fn read<T>(
    path: &Path,
    bytes: &[u8],
    (needed, optional): (&[&[&str]], &[&[&str]]),
    rows: impl Fn(&mut Records) -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    let read = || {
        let mut file = Cursor::new(bytes);
        let layout = Layout::read(&mut file, needed, optional)?;
        let left = bytes.len().saturating_mul(MOST_GROWTH).min(MOST_BYTES);
        rows(&mut Records { file, layout, left })
    };
    read().map_err(|error| damaged(path, &error))
}

/// Turns a panic of a decompressor, which trusts what a page says, into an error.
fn unwinding<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    crate::console::without_panic_message(|| catch_unwind(AssertUnwindSafe(read)))
        .unwrap_or_else(|_| bail!("a page makes no sense to its decompressor"))
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
