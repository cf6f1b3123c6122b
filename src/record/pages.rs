//! The pages of a column of a Parquet file: what they state is compared with what there is before memory is taken for it.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use anyhow::{Context, Result, bail};

use super::parquet::decompress;
use super::thrift::{Value, varint};

/// The bytes that any page may unpack to, and each byte of a larger one. Equal numbers shrink a lot.
const MOST_PAGE: usize = 8 << 20;
const MOST_GROWTH: usize = 1 << 12;

/// A file of which the rows can be read.
pub(super) trait Source: Read + Seek {}

impl<F: Read + Seek> Source for F {}

/// Where the values of a column are, and how they are written.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub bytes: Range<u64>,
    pub codec: i64,
    pub column: Column,
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
    Double,
    Bytes,
}

/// The values of a column that are there.
pub(super) enum Values {
    Bytes(Vec<Vec<u8>>),
    /// Whole numbers, or the bits of others.
    Ints(Vec<i64>),
}

impl Chunk {
    /// Reads a column of `rows` values, and which of them are there: without `gaps`, all have to be. Takes what it needs from
    /// the bytes that are `left`.
    ///
    /// # Errors
    /// Without an exit code, if the file cannot be read or is damaged.
    pub fn read(
        &self,
        file: &mut impl Source,
        rows: usize,
        gaps: bool,
        left: &mut usize,
    ) -> Result<(Values, Vec<bool>)> {
        spend(left, usize::try_from(self.bytes.end - self.bytes.start)?)?;
        let bytes = read_at(file, self.bytes.clone())?;
        let mut rest = &bytes[..];
        let mut values = match self.column.kind {
            Kind::Bytes => Values::Bytes(Vec::new()),
            Kind::Int32 | Kind::Int64 | Kind::Double => Values::Ints(Vec::new()),
        };
        let mut there: Vec<bool> = Vec::new();
        let mut dictionary: Option<Values> = None;
        while there.len() < rows {
            let (header, size) = Value::read(rest)?;
            let (stated, stored) = (header.size(2)?, header.size(3)?);
            let page = rest[size..].get(..stored).context("a page is cut off")?;
            rest = &rest[size + stored..];
            if stated > MOST_PAGE.max(stored.saturating_mul(MOST_GROWTH)) {
                bail!("a page of {stored} bytes would unpack to {stated}");
            }
            spend(left, stated)?;
            let repeated = dictionary.is_some();
            match (header.int(1), repeated) {
                // Data, as version 1 writes it.
                (Some(0), _) => {
                    let about = header.field(5).context("a page has no header")?;
                    let many = count(about, rows - there.len())?;
                    let page = decompress(self.codec, page, stated)?;
                    let (levels, encoded) = self.parted(&page)?;
                    let many = self.present(levels, many, gaps, &mut there)?;
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
                    let many = count(about, rows - there.len())?;
                    if about.size(6)? > 0 {
                        bail!("a page has nested values");
                    }
                    let levels = about.size(5)?;
                    let (levels, encoded) =
                        page.split_at_checked(levels).context("a page is cut off")?;
                    let many = self.present(levels, many, gaps, &mut there)?;
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
        Ok((values, there))
    }

    /// The levels of a page of version 1, and what follows them.
    fn parted<'a>(&self, page: &'a [u8]) -> Result<(&'a [u8], &'a [u8])> {
        if self.column.level == 0 {
            return Ok((&[], page));
        }
        let (size, rest) = page.split_first_chunk::<4>().context("a page is cut off")?;
        rest.split_at_checked(u32::from_le_bytes(*size) as usize)
            .context("a page is cut off")
    }

    /// Says of `count` values which are there, and how many. Without `gaps`, all have to be.
    fn present(
        &self,
        levels: &[u8],
        count: usize,
        gaps: bool,
        there: &mut Vec<bool>,
    ) -> Result<usize> {
        let level = self.column.level;
        if level == 0 {
            there.resize(there.len() + count, true);
            return Ok(count);
        }
        let width = u32::BITS - level.leading_zeros();
        let before = there.len();
        let levels = hybrid(levels, width, count)?;
        there.extend(levels.into_iter().map(|found| found == level));
        let many = there[before..].iter().filter(|&&there| there).count();
        if many < count && !gaps {
            bail!("a value is missing");
        }
        Ok(many)
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
        if count == 0 {
            // All are missing, so there may be no dictionary, nor bytes.
            return Ok(());
        }
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
                (Kind::Int64 | Kind::Double, Values::Ints(values)) => {
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
pub(super) fn read_at(file: &mut impl Source, place: Range<u64>) -> Result<Vec<u8>> {
    let size = place.end.checked_sub(place.start);
    let size = size.context("it is cut off")?;
    file.seek(SeekFrom::Start(place.start))?;
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        bail!("it is cut off");
    }
    Ok(bytes)
}
