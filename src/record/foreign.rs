//! Reads images from Parquet files of other programs: rows of an encoded image, in a column `img` or `image` that is bytes or
//! a structure with `bytes`, and a `label`, as Hugging Face's data sets have them.
//!
//! Such a file is not trusted: what it states is compared with what there is before memory is taken for it. The reader of
//! polars would take memory for as many entries as a footer states, so it is only asked to decompress.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::parquet::decompress;
use super::thrift::{Value, varint};

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
}

/// A Parquet file of images, read by row group.
pub struct ForeignImages {
    file: File,
    groups: Vec<Group>,
}

struct Group {
    rows: usize,
    images: Chunk,
    labels: Chunk,
}

/// Where the values of a column are.
struct Chunk {
    bytes: Range<u64>,
    codec: i64,
    column: Column,
}

#[derive(Clone, Copy)]
struct Column {
    kind: Kind,
    /// The definition level of a value that is there.
    level: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int32,
    Int64,
    Bytes,
}

impl ForeignImages {
    /// Reads where the rows are.
    ///
    /// # Errors
    /// Without an exit code, if the file cannot be read, is damaged, or lacks a column.
    pub fn open(path: &Path) -> Result<Self> {
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
        let groups = groups(&Value::read(&footer)?.0, start)?;
        Ok(Self { file, groups })
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
    /// Without an exit code, if the file cannot be read, is damaged, or lacks a value.
    ///
    /// # Panics
    /// If there is no such group.
    pub fn read(&mut self, group: usize, most: usize) -> Result<Vec<ForeignImage>> {
        let Group {
            rows,
            images,
            labels,
        } = &self.groups[group];
        let mut left = most;
        let images = images.read(&mut self.file, *rows, &mut left)?;
        let labels = labels.read(&mut self.file, *rows, &mut left)?;
        let (Values::Bytes(images), Values::Ints(labels)) = (images, labels) else {
            bail!("its columns have other types than images and labels");
        };
        let rows = images.into_iter().zip(labels);
        Ok(rows
            .map(|(bytes, label)| ForeignImage { bytes, label })
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
    let mut rows = 0usize;
    let groups = footer.list(4).iter().map(|group| {
        let found = Group {
            rows: group.size(3)?,
            images: chunk(group, images, &columns, end)?,
            labels: chunk(group, labels, &columns, end)?,
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
    })
}

enum Values {
    Bytes(Vec<Vec<u8>>),
    Ints(Vec<i64>),
}

impl Chunk {
    /// Reads a column of `rows` values. Takes what it needs from the bytes that are `left`.
    fn read(&self, file: &mut File, rows: usize, left: &mut usize) -> Result<Values> {
        let length = self.bytes.end;
        spend(left, usize::try_from(self.bytes.end - self.bytes.start)?)?;
        let bytes = read_at(file, length, self.bytes.clone())?;
        let mut rest = &bytes[..];
        let mut values = match self.column.kind {
            Kind::Bytes => Values::Bytes(Vec::new()),
            Kind::Int32 | Kind::Int64 => Values::Ints(Vec::new()),
        };
        let mut dictionary: Option<Values> = None;
        while values.len() < rows {
            let (header, size) = Value::read(rest)?;
            let (stated, stored) = (header.size(2)?, header.size(3)?);
            let page = rest[size..].get(..stored).context("a page is cut off")?;
            rest = &rest[size + stored..];
            spend(left, stated)?;
            let repeated = dictionary.is_some();
            match (header.int(1), repeated) {
                // Data, as version 1 writes it.
                (Some(0), _) => {
                    let about = header.field(5).context("a page has no header")?;
                    let many = count(about, rows - values.len())?;
                    let page = decompress(self.codec, page, stated)?;
                    let encoded = self.present(&page, many)?;
                    self.decode(encoded, about.int(2), many, &dictionary, &mut values, left)?;
                }
                // A dictionary, one per column.
                (Some(2), false) => {
                    let about = header.field(7).context("a page has no header")?;
                    let many = count(about, rows)?;
                    let page = decompress(self.codec, page, stated)?;
                    let mut entries = values.same_kind();
                    self.plain(&page, many, &mut entries, left)?;
                    dictionary = Some(entries);
                }
                // Data, as version 2 writes it: the levels are not compressed.
                (Some(3), _) => {
                    let about = header.field(8).context("a page has no header")?;
                    let many = count(about, rows - values.len())?;
                    if about.size(6)? > 0 {
                        bail!("a page has nested values");
                    }
                    let levels = about.size(5)?;
                    let (levels, encoded) =
                        page.split_at_checked(levels).context("a page is cut off")?;
                    self.all_present(levels, many)?;
                    let codec = match about.field(7) {
                        Some(Value::Bool(false)) => 0,
                        _ => self.codec,
                    };
                    let stated = stated.checked_sub(levels.len());
                    let encoded = decompress(codec, encoded, stated.context("a page is cut off")?)?;
                    self.decode(&encoded, about.int(4), many, &dictionary, &mut values, left)?;
                }
                // An index.
                (Some(1), _) => {}
                _ => bail!("a page has an unexpected type"),
            }
        }
        Ok(values)
    }

    /// What follows the levels of a page of version 1.
    fn present<'a>(&self, page: &'a [u8], count: usize) -> Result<&'a [u8]> {
        if self.column.level == 0 {
            return Ok(page);
        }
        let (size, rest) = page.split_first_chunk::<4>().context("a page is cut off")?;
        let (levels, encoded) = rest
            .split_at_checked(u32::from_le_bytes(*size) as usize)
            .context("a page is cut off")?;
        self.all_present(levels, count)?;
        Ok(encoded)
    }

    /// Rejects missing values.
    fn all_present(&self, levels: &[u8], count: usize) -> Result<()> {
        let level = self.column.level;
        if level == 0 {
            return Ok(());
        }
        let width = u32::BITS - level.leading_zeros();
        let levels = hybrid(levels, width, count)?;
        if levels.iter().any(|&found| found != level) {
            bail!("an image or a label is missing");
        }
        Ok(())
    }

    /// Appends the values of a page.
    fn decode(
        &self,
        encoded: &[u8],
        encoding: Option<i64>,
        count: usize,
        dictionary: &Option<Values>,
        values: &mut Values,
        left: &mut usize,
    ) -> Result<()> {
        match (encoding, dictionary) {
            (Some(0), _) => self.plain(encoded, count, values, left),
            (Some(2 | 8), Some(dictionary)) => {
                let (&width, places) = encoded.split_first().context("a page is cut off")?;
                spend(left, count.saturating_mul(size_of::<u32>()))?;
                for place in hybrid(places, u32::from(width), count)? {
                    values.push_from(dictionary, place as usize, left)?;
                }
                Ok(())
            }
            _ => bail!("a page has the encoding {encoding:?}, which is not supported"),
        }
    }

    /// Appends values that are written one after the other.
    fn plain(
        &self,
        mut encoded: &[u8],
        count: usize,
        values: &mut Values,
        left: &mut usize,
    ) -> Result<()> {
        let mut take = |size: usize| {
            let (taken, rest) = encoded
                .split_at_checked(size)
                .context("a page is cut off")?;
            encoded = rest;
            anyhow::Ok(taken)
        };
        for _ in 0..count {
            match (self.column.kind, &mut *values) {
                (Kind::Int32, Values::Ints(values)) => {
                    values.push(i64::from(i32::from_le_bytes(take(4)?.try_into()?)));
                }
                (Kind::Int64, Values::Ints(values)) => {
                    values.push(i64::from_le_bytes(take(8)?.try_into()?));
                }
                (Kind::Bytes, Values::Bytes(values)) => {
                    let size = u32::from_le_bytes(take(4)?.try_into()?) as usize;
                    let bytes = take(size)?;
                    spend(left, size_of::<Vec<u8>>() + size)?;
                    values.push(bytes.to_vec());
                }
                _ => bail!("a column has an unexpected type"),
            }
        }
        Ok(())
    }
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::Bytes(values) => values.len(),
            Values::Ints(values) => values.len(),
        }
    }

    /// None yet.
    fn same_kind(&self) -> Self {
        match self {
            Values::Bytes(_) => Values::Bytes(Vec::new()),
            Values::Ints(_) => Values::Ints(Vec::new()),
        }
    }

    /// Appends an entry of a dictionary.
    fn push_from(&mut self, dictionary: &Values, place: usize, left: &mut usize) -> Result<()> {
        let missing = || format!("a dictionary has no entry {place}");
        match (self, dictionary) {
            (Values::Bytes(values), Values::Bytes(entries)) => {
                let entry = entries.get(place).with_context(missing)?;
                spend(left, size_of::<Vec<u8>>() + entry.len())?;
                values.push(entry.clone());
            }
            (Values::Ints(values), Values::Ints(entries)) => {
                values.push(*entries.get(place).with_context(missing)?);
            }
            _ => bail!("a dictionary has an unexpected type"),
        }
        Ok(())
    }
}

/// How many values a page states, at most `most`.
fn count(about: &Value, most: usize) -> Result<usize> {
    let count = about.size(1)?;
    if count > most {
        bail!("a page states {count} values where at most {most} follow");
    }
    Ok(count)
}

/// Numbers of `width` bits in runs, either of one number or of packed ones.
fn hybrid(mut bytes: &[u8], width: u32, count: usize) -> Result<Vec<u32>> {
    if width > 32 {
        bail!("a page has numbers of {width} bits");
    }
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let (head, size) = varint(bytes)?;
        bytes = &bytes[size..];
        let room = count - numbers.len();
        let length = usize::try_from(head >> 1)?;
        if head & 1 == 0 {
            let size = width.div_ceil(8) as usize;
            let (number, rest) = bytes.split_at_checked(size).context("a page is cut off")?;
            let mut whole = [0; 4];
            whole[..size].copy_from_slice(number);
            numbers.resize(numbers.len() + length.min(room), u32::from_le_bytes(whole));
            bytes = rest;
        } else {
            // Eight numbers a group, of which the last may be padding.
            let size = length.saturating_mul(width as usize);
            let (packed, rest) = bytes.split_at_checked(size).context("a page is cut off")?;
            let many = length.saturating_mul(8).min(room);
            numbers.extend((0..many).map(|place| unpack(packed, place, width)));
            bytes = rest;
        }
    }
    Ok(numbers)
}

/// The number at `place` of packed numbers, the lowest bit first.
fn unpack(packed: &[u8], place: usize, width: u32) -> u32 {
    let start = place * width as usize;
    (0..width as usize)
        .filter(|bit| (packed[(start + bit) / 8] >> ((start + bit) % 8)) & 1 == 1)
        .fold(0u32, |number, bit| number | (1u32 << bit))
}

/// Takes `bytes` from those that are left.
fn spend(left: &mut usize, bytes: usize) -> Result<()> {
    let rest = left.checked_sub(bytes);
    *left = rest.context("its rows take more memory than images of this kind need")?;
    Ok(())
}

/// The bytes of a file at a place that lies in it.
fn read_at(file: &mut File, length: u64, place: Range<u64>) -> Result<Vec<u8>> {
    if place.start > place.end || place.end > length {
        bail!("it is cut off");
    }
    file.seek(SeekFrom::Start(place.start))?;
    let mut bytes = Vec::new();
    file.take(place.end - place.start).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != place.end - place.start {
        bail!("it is cut off");
    }
    Ok(bytes)
}
