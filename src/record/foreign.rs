//! Reads images from Parquet files of other programs: rows of an encoded image, in a column `img` or `image` that is bytes or
//! a structure with `bytes` and perhaps `path`, and a `label`, as Hugging Face's data sets have them: CIFAR-10 and ImageNet.
//!
//! Such a file is not trusted: what it states is compared with what there is before memory is taken for it. The reader of
//! polars takes memory for as many entries as a footer or a page states, which no limit of its own bounds, so it is only
//! asked to decompress.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::pages::{Chunk, Column, Kind, Values, read_at};
use super::thrift::Value;

/// The most bytes of a footer, and rows of a file.
const MOST_FOOTER: u64 = 64 << 20;
const MOST_ROWS: usize = 1 << 24;
const MAGIC: [u8; 4] = *b"PAR1";

/// A row of such a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignImage {
    /// The image as it is encoded, such as a PNG.
    pub bytes: Vec<u8>,
    pub label: i64,
    /// The name that the image had as a file, if it has one and the file was opened with names.
    pub path: Option<String>,
}

/// A Parquet file of images, read by row group. Threads may read at the same time.
#[derive(Debug)]
pub struct ForeignImages {
    path: PathBuf,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    rows: usize,
    images: Chunk,
    labels: Chunk,
    names: Option<Chunk>,
}

impl ForeignImages {
    /// Reads where the rows are. The names of images are left out.
    ///
    /// # Errors
    /// Without an exit code, if the file cannot be read, is damaged, or lacks a column.
    pub fn open(path: &Path) -> Result<Self> {
        let mut images = Self::open_named(path)?;
        for group in &mut images.groups {
            group.names = None;
        }
        Ok(images)
    }

    /// As [`ForeignImages::open`], with the names of images where there are any.
    ///
    /// # Errors
    /// As [`ForeignImages::open`].
    pub fn open_named(path: &Path) -> Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let tail = read_at(&mut file, length, length.saturating_sub(8)..length)?;
        let Some((size, MAGIC)) = tail.split_first_chunk::<4>().and_then(|(size, magic)| {
            let magic: [u8; 4] = magic.try_into().ok()?;
            Some((u32::from_le_bytes(*size), magic))
        }) else {
            bail!("it is no whole Parquet file");
        };
        let start = (length - 8).checked_sub(u64::from(size));
        let start = start.context("its footer is cut off")?;
        if u64::from(size) > MOST_FOOTER {
            bail!("its footer has {size} bytes");
        }
        let footer = read_at(&mut file, length, start..length - 8)?;
        Ok(Self {
            path: path.to_owned(),
            groups: groups(&Value::read(&footer)?.0, start)?,
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of images.
    pub fn rows(&self) -> usize {
        self.groups.iter().map(|group| group.rows).sum()
    }

    /// The number of row groups.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The rows of a group, if they take at most `most` bytes.
    ///
    /// # Errors
    /// Without an exit code, if the file cannot be read, is damaged, or lacks the group or a value.
    pub fn read(&self, group: usize, most: usize) -> Result<Vec<ForeignImage>> {
        let Some(group) = self.groups.get(group) else {
            bail!("it has no row group {group}");
        };
        let mut file = File::open(&self.path)?;
        let mut left = most;
        let images = group.images.read(&mut file, group.rows, &mut left)?;
        let labels = group.labels.read(&mut file, group.rows, &mut left)?;
        let (Values::Bytes(images), Values::Ints(labels)) = (images, labels) else {
            bail!("its columns have other types than images and labels");
        };
        let mut names = Vec::new().into_iter();
        if let Some(column) = &group.names
            && let Values::Bytes(found) = column.read(&mut file, group.rows, &mut left)?
        {
            names = found.into_iter();
        }
        let name = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
        let rows = images.into_iter().zip(labels);
        Ok(rows
            .map(|(bytes, label)| ForeignImage {
                bytes,
                label,
                path: names.next().and_then(name).filter(|name| !name.is_empty()),
            })
            .collect())
    }
}

/// The row groups of a footer. The columns lie before `end`.
fn groups(footer: &Value, end: u64) -> Result<Vec<Group>> {
    let mut columns = Vec::new();
    let schema = footer.list(2);
    let root = schema.first().context("it has no schema")?;
    let mut rest = &schema[1..];
    for _ in 0..root.size(5)? {
        leaves(&mut rest, &mut Vec::new(), 0, &mut columns)?;
    }
    let of = |paths: &[&str]| {
        columns
            .iter()
            .position(|(path, _)| paths.contains(&path.as_str()))
    };
    let images = of(&["img.bytes", "image.bytes", "img", "image"])
        .context("it has no column `img` or `image`")?;
    let labels = of(&["label"]).context("it has no column `label`")?;
    // Some writers leave it out, and nothing else is taken for a name.
    let names = of(&["img.path", "image.path"]).filter(|&number| {
        let column = columns[number].1;
        column.is_some_and(|column| column.kind == Kind::Bytes)
    });
    let mut rows = 0usize;
    let groups = footer.list(4).iter().map(|group| {
        let found = Group {
            rows: group.size(3)?,
            images: chunk(group, images, &columns, end)?,
            labels: chunk(group, labels, &columns, end)?,
            names: match names {
                Some(names) => Some(Chunk {
                    optional: true,
                    ..chunk(group, names, &columns, end)?
                }),
                None => None,
            },
        };
        rows = rows.saturating_add(found.rows);
        match rows {
            ..=MOST_ROWS => Ok(found),
            _ => bail!("it states {rows} rows or more"),
        }
    });
    groups.collect()
}

type Leaf = (String, Option<Column>);

/// Adds the columns of the next entry of a schema, in the order in which row groups have them. Those that repeat, or have a
/// type of no use here, are there as `None`.
fn leaves(
    rest: &mut &[Value],
    parents: &mut Vec<(String, Option<u32>)>,
    depth: usize,
    columns: &mut Vec<Leaf>,
) -> Result<()> {
    let (entry, following) = rest.split_first().context("its schema is cut off")?;
    *rest = following;
    if depth > 16 {
        bail!("its schema is nested too deep");
    }
    let Some(Value::Bytes(name)) = entry.field(4) else {
        bail!("a column in it has no name");
    };
    let above = parents.last().map_or(Some(0), |(_, level)| *level);
    let level = match entry.int(3) {
        Some(0) | None => above,
        Some(1) => above.map(|level| level + 1),
        Some(_) => None,
    };
    let mut path = String::new();
    if let Some((parent, _)) = parents.last() {
        path = format!("{parent}.");
    }
    path.push_str(&String::from_utf8_lossy(name));
    let children = entry.int(5).unwrap_or(0);
    if children > 0 {
        parents.push((path, level));
        for _ in 0..children {
            leaves(rest, parents, depth + 1, columns)?;
        }
        parents.pop();
        return Ok(());
    }
    let kind = match entry.int(1) {
        Some(1) => Some(Kind::Int32),
        Some(2) => Some(Kind::Int64),
        Some(6) => Some(Kind::Bytes),
        _ => None,
    };
    let column = kind.zip(level).map(|(kind, level)| Column { kind, level });
    columns.push((path, column));
    Ok(())
}

fn chunk(group: &Value, number: usize, columns: &[Leaf], end: u64) -> Result<Chunk> {
    let (path, column) = &columns[number];
    let column = column.with_context(|| format!("its column `{path}` has an unexpected type"))?;
    let metadata = group
        .list(1)
        .get(number)
        .and_then(|chunk| chunk.field(3))
        .with_context(|| format!("a row group in it lacks the column `{path}`"))?;
    // A dictionary, if any, lies before the values.
    let values = metadata.size(9)? as u64;
    let start = match metadata.int(11) {
        Some(dictionary) if dictionary > 0 => values.min(dictionary.cast_unsigned()),
        _ => values,
    };
    let stop = start.saturating_add(metadata.size(7)? as u64);
    if stop > end {
        bail!("its column `{path}` is cut off");
    }
    Ok(Chunk {
        bytes: start..stop,
        codec: metadata.int(4).unwrap_or(0),
        column,
        optional: false,
    })
}
