//! Reads columns of Parquet files: numbers and bytes, flat or in structures. Both the records of runs and the images of
//! other programs' files are read with it.
//!
//! Such a file is not trusted: what it states is compared with what there is before memory is taken for it. The reader of
//! polars would take memory for as many entries as a footer states, so it is only asked to decompress.

use std::io::SeekFrom;

use anyhow::{Context, Result, bail};

use super::pages::{Chunk, Column, Kind, Source, Values, read_at};
use super::thrift::Value;

/// The most bytes of a footer, and rows of a file.
const MOST_FOOTER: u64 = 64 << 20;
const MOST_ROWS: usize = 1 << 24;
/// The most columns, and bytes of the name of one with those of the structures around it.
const MOST_COLUMNS: usize = 1 << 12;
const MOST_NAME: usize = 1 << 10;
const MAGIC: [u8; 4] = *b"PAR1";

/// Where the values of the wanted columns are.
#[derive(Debug)]
pub(super) struct Layout {
    groups: Vec<Group>,
    pairs: Vec<(String, String)>,
}

#[derive(Debug)]
struct Group {
    rows: usize,
    /// By the number of the wanted column; none for optional ones that are not there.
    chunks: Vec<Option<Chunk>>,
}

impl Layout {
    /// Reads where the rows are. Each wanted column has one of several names, with dots between those of structures; the
    /// `optional` ones are numbered after the `needed` ones.
    ///
    /// # Errors
    /// Without an exit code, if the file cannot be read, is damaged, or lacks a needed column.
    pub fn read(file: &mut impl Source, needed: &[&[&str]], optional: &[&[&str]]) -> Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        let tail = read_at(file, length.saturating_sub(8)..length)?;
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
        let bytes = read_at(file, start..length - 8)?;
        let footer = Value::read(&bytes)?.0;
        let columns = columns(&footer)?;
        let of = |names: &[&str]| {
            // In the order of preference.
            names
                .iter()
                .find_map(|name| columns.iter().position(|(path, _)| path == name))
        };
        let mut wanted = Vec::new();
        for names in needed {
            let found = of(names);
            if found.is_none() {
                bail!("it has no column `{}`", names.join("` or `"));
            }
            wanted.push(found);
        }
        wanted.extend(optional.iter().map(|names| of(names)));
        let mut rows = 0usize;
        let groups = footer.list(4).iter().map(|group| {
            let chunks = wanted.iter().map(|number| {
                let number = number.map(|number| chunk(group, number, &columns, start));
                number.transpose()
            });
            let found = Group {
                rows: group.size(3)?,
                chunks: chunks.collect::<Result<_>>()?,
            };
            rows = rows.saturating_add(found.rows);
            match rows {
                ..=MOST_ROWS => Ok(found),
                _ => bail!("it states {rows} rows or more"),
            }
        });
        Ok(Self {
            groups: groups.collect::<Result<_>>()?,
            pairs: pairs(&footer),
        })
    }

    /// The number of row groups.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The number of rows in each row group.
    pub fn rows(&self) -> impl Iterator<Item = usize> {
        self.groups.iter().map(|group| group.rows)
    }

    /// The entries of the key-value metadata.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// Whether an optional column is there.
    pub fn has(&self, column: usize) -> bool {
        let mut groups = self.groups.iter();
        groups.all(|group| group.chunks.get(column).is_some_and(Option::is_some))
    }

    /// Whether an optional column is there and has bytes or texts.
    pub fn has_bytes(&self, column: usize) -> bool {
        self.groups.iter().all(|group| {
            let chunk = group.chunks.get(column).and_then(Option::as_ref);
            chunk.is_some_and(|chunk| chunk.column.kind == Kind::Bytes)
        })
    }

    fn chunk(&self, group: usize, column: usize) -> Result<(&Chunk, usize)> {
        let found = self.groups.get(group);
        let found = found.with_context(|| format!("it has no row group {group}"))?;
        let chunk = found.chunks.get(column).and_then(Option::as_ref);
        Ok((chunk.context("it lacks a column")?, found.rows))
    }

    /// A group's whole numbers in a column. Takes what is needed from the bytes that are `left`.
    pub fn ints(
        &self,
        file: &mut impl Source,
        (group, column): (usize, usize),
        left: &mut usize,
    ) -> Result<Vec<i64>> {
        let (chunk, rows) = self.chunk(group, column)?;
        match (chunk.column.kind, chunk.read(file, rows, false, left)?.0) {
            (Kind::Int32 | Kind::Int64, Values::Ints(values)) => Ok(values),
            _ => bail!("a column has no whole numbers"),
        }
    }

    /// A group's numbers of 64 bits in a column.
    pub fn floats(
        &self,
        file: &mut impl Source,
        (group, column): (usize, usize),
        left: &mut usize,
    ) -> Result<Vec<f64>> {
        let (chunk, rows) = self.chunk(group, column)?;
        match (chunk.column.kind, chunk.read(file, rows, false, left)?.0) {
            (Kind::Double, Values::Ints(bits)) => {
                let bits = bits.into_iter().map(i64::cast_unsigned);
                Ok(bits.map(f64::from_bits).collect())
            }
            _ => bail!("a column has no numbers of 64 bits"),
        }
    }

    /// A group's bytes or texts in a column.
    pub fn bytes(
        &self,
        file: &mut impl Source,
        (group, column): (usize, usize),
        left: &mut usize,
    ) -> Result<Vec<Vec<u8>>> {
        let (chunk, rows) = self.chunk(group, column)?;
        match chunk.read(file, rows, false, left)?.0 {
            Values::Bytes(values) => Ok(values),
            Values::Ints(_) => bail!("a column has numbers instead of bytes"),
        }
    }

    /// As [`Layout::bytes`], of a column in which some may be missing.
    pub fn optional_bytes(
        &self,
        file: &mut impl Source,
        (group, column): (usize, usize),
        left: &mut usize,
    ) -> Result<Vec<Option<Vec<u8>>>> {
        let (chunk, rows) = self.chunk(group, column)?;
        let (Values::Bytes(values), there) = chunk.read(file, rows, true, left)? else {
            bail!("a column has numbers instead of bytes");
        };
        let mut values = values.into_iter();
        let rows = there.into_iter().map(|there| there.then(|| values.next()));
        Ok(rows.map(Option::flatten).collect())
    }
}

/// The texts of the key-value metadata.
fn pairs(footer: &Value) -> Vec<(String, String)> {
    let text = |pair: &Value, id| match pair.field(id) {
        Some(Value::Bytes(text)) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    };
    let pairs = footer.list(5).iter();
    pairs
        .filter_map(|pair| Some((text(pair, 1)?, text(pair, 2).unwrap_or_default())))
        .collect()
}

/// The columns of a footer, in the order in which row groups have them.
fn columns(footer: &Value) -> Result<Vec<Leaf>> {
    let mut columns = Vec::new();
    let schema = footer.list(2);
    let root = schema.first().context("it has no schema")?;
    let mut rest = &schema[1..];
    for _ in 0..root.size(5)? {
        leaves(&mut rest, &mut Vec::new(), 0, &mut columns)?;
    }
    Ok(columns)
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
    // Each column repeats the names of the structures that it is in.
    if path.len() > MOST_NAME || columns.len() >= MOST_COLUMNS {
        bail!("it has absurdly many columns, or long names");
    }
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
        Some(5) => Some(Kind::Double),
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
