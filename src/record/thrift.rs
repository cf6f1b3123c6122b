//! Thrift's compact protocol, in which Parquet writes its headers, as far as reading needs it. Sizes that a header states
//! take no memory before as many bytes have been read.

use anyhow::{Context, Result, bail};

/// The most values in a header, and how deep they are nested.
const MOST_VALUES: usize = 1 << 21;
const MOST_DEPTH: usize = 12;

#[derive(Debug)]
pub(super) enum Value<'a> {
    Bool(bool),
    Int(i64),
    Bytes(&'a [u8]),
    List(Vec<Value<'a>>),
    Struct(Vec<(i64, Value<'a>)>),
    /// A floating-point number or a map, which no caller needs.
    Other,
}

impl<'a> Value<'a> {
    /// Reads the structure that `bytes` begin with, and how many bytes it has.
    ///
    /// # Errors
    /// If it is cut off or damaged.
    pub fn read(bytes: &'a [u8]) -> Result<(Self, usize)> {
        let mut reader = Reader {
            rest: bytes,
            left: MOST_VALUES,
        };
        let value = reader.structure(0)?;
        Ok((value, bytes.len() - reader.rest.len()))
    }

    /// The field of a structure.
    pub fn field(&self, id: i64) -> Option<&Value<'a>> {
        match self {
            Value::Struct(fields) => fields
                .iter()
                .find(|(own, _)| *own == id)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The field of a structure, if it is a number.
    pub fn int(&self, id: i64) -> Option<i64> {
        match self.field(id)? {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The field of a structure, as a size or a count.
    ///
    /// # Errors
    /// If it is missing or negative.
    pub fn size(&self, id: i64) -> Result<usize> {
        let size = self.int(id).and_then(|size| usize::try_from(size).ok());
        size.with_context(|| format!("size {id} of a header is missing or negative"))
    }

    /// The field of a structure, if it is a list; else nothing.
    pub fn list(&self, id: i64) -> &[Value<'a>] {
        match self.field(id) {
            Some(Value::List(values)) => values,
            _ => &[],
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    /// How many values may follow.
    left: usize,
}

impl<'a> Reader<'a> {
    fn structure(&mut self, depth: usize) -> Result<Value<'a>> {
        let mut fields = Vec::new();
        let mut id = 0i64;
        loop {
            let head = self.byte()?;
            if head & 0x0f == 0 {
                return Ok(Value::Struct(fields));
            }
            id = match head >> 4 {
                0 => self.signed()?,
                more => id.saturating_add(i64::from(more)),
            };
            let value = match head & 0x0f {
                1 => Value::Bool(true),
                2 => Value::Bool(false),
                kind => self.value(kind, depth)?,
            };
            self.count()?;
            fields.push((id, value));
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Result<Value<'a>> {
        if depth > MOST_DEPTH {
            bail!("a header is nested too deep");
        }
        Ok(match kind {
            // In a list.
            1 | 2 => Value::Bool(self.byte()? == 1),
            3 => Value::Int(i64::from(self.byte()?.cast_signed())),
            4..=6 => Value::Int(self.signed()?),
            7 => {
                self.take(8)?;
                Value::Other
            }
            8 => {
                let size = usize::try_from(self.unsigned()?)?;
                Value::Bytes(self.take(size)?)
            }
            9 | 10 => {
                let head = self.byte()?;
                let size = match head >> 4 {
                    15 => self.unsigned()?,
                    size => u64::from(size),
                };
                let mut values = Vec::new();
                for _ in 0..size {
                    self.count()?;
                    values.push(self.value(head & 0x0f, depth + 1)?);
                }
                Value::List(values)
            }
            11 => {
                let size = self.unsigned()?;
                let kinds = if size == 0 { 0 } else { self.byte()? };
                for _ in 0..size {
                    self.count()?;
                    self.value(kinds >> 4, depth + 1)?;
                    self.value(kinds & 0x0f, depth + 1)?;
                }
                Value::Other
            }
            12 => self.structure(depth + 1)?,
            _ => bail!("a header has a value of the unknown type {kind}"),
        })
    }

    fn count(&mut self) -> Result<()> {
        let left = self.left.checked_sub(1);
        self.left = left.context("a header has too many values")?;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .context("a header is cut off")?;
        self.rest = rest;
        Ok(taken)
    }

    fn unsigned(&mut self) -> Result<u64> {
        let (number, bytes) = varint(self.rest)?;
        self.rest = &self.rest[bytes..];
        Ok(number)
    }

    /// With the sign in the lowest bit.
    fn signed(&mut self) -> Result<i64> {
        let number = self.unsigned()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}

/// A number of seven bits a byte, and how many bytes it has.
pub(super) fn varint(bytes: &[u8]) -> Result<(u64, usize)> {
    let mut number = 0;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((number, place + 1));
        }
    }
    bail!("a number in a header has no end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_read_and_cut_ones_are_errors() {
        // 1: 300, 2: [true, false], 4: {1: "ab"}, 20: -1
        let bytes = b"\x15\xd8\x04\x19\x21\x01\x02\x2c\x18\x02ab\x00\x05\x28\x01\x00rest";
        let (value, size) = Value::read(bytes).unwrap();
        assert_eq!(size, bytes.len() - 4);
        assert_eq!((value.int(1), value.int(20)), (Some(300), Some(-1)));
        assert!(matches!(
            value.list(2),
            [Value::Bool(true), Value::Bool(false)]
        ));
        let inner = value.field(4).and_then(|inner| inner.field(1));
        assert!(matches!(inner, Some(Value::Bytes(b"ab"))));
        assert!(value.size(20).is_err());
        for cut in 0..size {
            assert!(Value::read(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_list_of_two_thousand_million_values_takes_no_memory() {
        assert!(Value::read(b"\x19\xf5\xff\xff\xff\xff\x07").is_err());
        let nested = [0x1c; 1000];
        assert!(Value::read(&nested).is_err());
    }
}
