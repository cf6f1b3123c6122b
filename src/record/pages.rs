//! The values of a column in a row group of a Parquet file that is not trusted: pages, levels, dictionaries.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use anyhow::{Context, Result, bail};

use super::parquet::decompress;
use super::thrift::{Value, varint};

/// Where the values of a column are.
#[derive(Debug)]
pub(super) struct Chunk {
    pub bytes: Range<u64>,
    pub codec: i64,
    pub column: Column,
    /// Whether values may be missing. They are read as empty ones.
    pub optional: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub kind: Kind,
    /// The definition level of a value that is there.
    pub level: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int32,
    Int64,
    Bytes,
}

/// Which values of a page are there.
enum There {
    All(usize),
    Some(Vec<bool>),
}

pub(super) enum Values {
    Bytes(Vec<Vec<u8>>),
    Ints(Vec<i64>),
}

impl Chunk {
    /// Reads a column of `rows` values. Takes what it needs from the bytes that are `left`.
    pub fn read(&self, file: &mut File, rows: usize, left: &mut usize) -> Result<Values> {
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
                    let (there, encoded) = self.present(&page, many)?;
                    let place = (about.int(2), &dictionary);
                    self.append(encoded, place, &there, &mut values, left)?;
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
                    let there = self.there(levels, many)?;
                    let codec = match about.field(7) {
                        Some(Value::Bool(false)) => 0,
                        _ => self.codec,
                    };
                    let stated = stated.checked_sub(levels.len());
                    let encoded = decompress(codec, encoded, stated.context("a page is cut off")?)?;
                    let place = (about.int(4), &dictionary);
                    self.append(&encoded, place, &there, &mut values, left)?;
                }
                // An index.
                (Some(1), _) => {}
                _ => bail!("a page has an unexpected type"),
            }
        }
        Ok(values)
    }

    /// Which values of a page of version 1 are there, and what follows the levels that say so.
    fn present<'a>(&self, page: &'a [u8], count: usize) -> Result<(There, &'a [u8])> {
        if self.column.level == 0 {
            return Ok((There::All(count), page));
        }
        let (size, rest) = page.split_first_chunk::<4>().context("a page is cut off")?;
        let (levels, encoded) = rest
            .split_at_checked(u32::from_le_bytes(*size) as usize)
            .context("a page is cut off")?;
        Ok((self.there(levels, count)?, encoded))
    }

    /// Which of `count` values are there. Rejects missing ones where none may be.
    fn there(&self, levels: &[u8], count: usize) -> Result<There> {
        let level = self.column.level;
        if level == 0 {
            return Ok(There::All(count));
        }
        let width = u32::BITS - level.leading_zeros();
        let levels = hybrid(levels, width, count)?;
        if levels.iter().all(|&found| found == level) {
            return Ok(There::All(count));
        }
        if !self.optional {
            bail!("an image or a label is missing");
        }
        let there = levels.into_iter().map(|found| found == level);
        Ok(There::Some(there.collect()))
    }

    /// Appends the values of a page, and an empty one for each that is missing.
    fn append(
        &self,
        encoded: &[u8],
        place: (Option<i64>, &Option<Values>),
        there: &There,
        values: &mut Values,
        left: &mut usize,
    ) -> Result<()> {
        match there {
            There::All(count) => self.decode(encoded, place, *count, values, left),
            There::Some(there) => {
                let mut found = values.same_kind();
                let count = there.iter().filter(|&&there| there).count();
                if count > 0 {
                    self.decode(encoded, place, count, &mut found, left)?;
                }
                spend(left, there.len().saturating_mul(size_of::<Vec<u8>>()))?;
                values.spread(found, there)
            }
        }
    }

    /// Appends `count` values, which are encoded plainly or as entries of a dictionary.
    fn decode(
        &self,
        encoded: &[u8],
        (encoding, dictionary): (Option<i64>, &Option<Values>),
        count: usize,
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
                    spend(left, size)?;
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

    /// Appends what was `found` where a value is `there`, and else an empty one.
    fn spread(&mut self, found: Values, there: &[bool]) -> Result<()> {
        let (Values::Bytes(values), Values::Bytes(found)) = (self, found) else {
            bail!("a column has an unexpected type");
        };
        let mut found = found.into_iter();
        values.extend(there.iter().map(|&there| match there {
            true => found.next().unwrap_or_default(),
            false => Vec::new(),
        }));
        Ok(())
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
pub(super) fn read_at(file: &mut File, length: u64, place: Range<u64>) -> Result<Vec<u8>> {
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
