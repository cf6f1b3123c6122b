//! Reads the few fields that are needed from `meta.mat` of ILSVRC's devkit: a MAT file of level 5 with an array of structs.
//! Format: "MAT-File Format", MathWorks, chapter 1.

use std::io::Read;

use anyhow::{Context, Result, bail};
use flate2::read::ZlibDecoder;

/// A row of the array `synsets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Synset {
    /// The number that the devkit's labels refer to, from 1.
    pub number: u32,
    pub name: String,
    /// 0 for the classes of the challenge; the others are their ancestors.
    pub children: u32,
}

/// Bytes before the first element.
const HEADER: usize = 128;
/// The most that a compressed element may unpack to. The devkit's takes about 2 MB.
const MOST_BYTES: u64 = 64 << 20;
/// The most values of an array that is looked at: names, sizes and single numbers.
const MOST_VALUES: usize = 1 << 12;
/// The most synsets and fields. The devkit has 1860 and 8.
const MOST_SYNSETS: usize = 100_000;
const MOST_FIELDS: usize = 64;

/// Types of elements.
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;
/// Classes of arrays.
const STRUCT: u8 = 2;

/// The rows of `synsets` in the bytes of a MAT file.
pub(super) fn synsets(bytes: &[u8]) -> Result<Vec<Synset>> {
    let mut rest = bytes.get(HEADER..).context("it is too short")?;
    // Two letters that tell the order of bytes.
    if bytes[HEADER - 2..HEADER] != *b"IM" {
        bail!("it is no MAT file of level 5 with the least significant byte first");
    }
    let mut left = MOST_BYTES;
    while !rest.is_empty() {
        let element = Element::take(&mut rest)?;
        let mut unpacked = Vec::new();
        let matrix = if element.kind == COMPRESSED {
            let size = ZlibDecoder::new(element.data)
                .take(left)
                .read_to_end(&mut unpacked)?;
            // Of all elements together: many small ones could each unpack to the most.
            left -= size as u64;
            Element::take(&mut unpacked.as_slice())?
        } else {
            element
        };
        if matrix.kind == MATRIX
            && let Some(found) = structs(matrix.data)?
        {
            return Ok(found);
        }
    }
    bail!("it has no array of structs 'synsets'")
}

/// The rows of a matrix, if it is the array `synsets`.
fn structs(mut data: &[u8]) -> Result<Option<Vec<Synset>>> {
    let array = Array::take(&mut data)?;
    if array.class != STRUCT || array.name != b"synsets" {
        return Ok(None);
    }
    let width = Element::take(&mut data)?.numbers()?;
    let names = Element::take(&mut data)?.data;
    let width = match width[..] {
        [width] if (1.0..=1024.0).contains(&width) => width as usize,
        _ => bail!("the length of its fields' names is odd"),
    };
    let fields: Vec<&[u8]> = names
        .chunks_exact(width)
        .map(|name| name.split(|&byte| byte == 0).next().unwrap_or(name))
        .collect();
    if array.elements > MOST_SYNSETS || fields.len() > MOST_FIELDS {
        bail!(
            "it claims {} structs with {} fields",
            array.elements,
            fields.len()
        );
    }
    let mut rows = Vec::new();
    for _ in 0..array.elements {
        let (mut number, mut name, mut children) = (None, None, None);
        for field in &fields {
            let value = Element::take(&mut data)?;
            if value.kind != MATRIX {
                bail!("the value of a field is no array");
            }
            match *field {
                b"ILSVRC2012_ID" => number = Some(whole(value.data)?),
                b"WNID" => name = Some(text(value.data)?),
                b"num_children" => children = Some(whole(value.data)?),
                _ => {}
            }
        }
        let (Some(number), Some(name), Some(children)) = (number, name, children) else {
            bail!("it lacks one of the fields ILSVRC2012_ID, WNID and num_children");
        };
        rows.push(Synset {
            number,
            name,
            children,
        });
    }
    Ok(Some(rows))
}

/// The whole number in an array of one.
fn whole(mut data: &[u8]) -> Result<u32> {
    Array::take(&mut data)?;
    match Element::take(&mut data)?.numbers()?[..] {
        [value] if (0.0..=f64::from(u32::MAX)).contains(&value) && value.fract() == 0.0 => {
            Ok(value as u32)
        }
        _ => bail!("a field is no whole number"),
    }
}

/// The letters in an array of characters.
fn text(mut data: &[u8]) -> Result<String> {
    Array::take(&mut data)?;
    let letters = Element::take(&mut data)?.numbers()?;
    letters
        .into_iter()
        .map(|letter| match letter {
            value if (32.0..127.0).contains(&value) => Ok(char::from(value as u8)),
            _ => bail!("a name has letters other than ASCII"),
        })
        .collect()
}

/// What begins every array.
struct Array<'a> {
    class: u8,
    elements: usize,
    name: &'a [u8],
}

impl<'a> Array<'a> {
    fn take(data: &mut &'a [u8]) -> Result<Self> {
        let flags = Element::take(data)?.data;
        let shape = Element::take(data)?.numbers()?;
        let elements = shape.iter().try_fold(1usize, |product, &side| {
            (side >= 0.0)
                .then(|| product.checked_mul(side as usize))
                .flatten()
        });
        Ok(Self {
            class: *flags.first().context("an array has no class")?,
            elements: elements.context("the size of an array is absurd")?,
            name: Element::take(data)?.data,
        })
    }
}

/// A piece of data with its type.
struct Element<'a> {
    kind: u32,
    data: &'a [u8],
}

impl<'a> Element<'a> {
    fn take(from: &mut &'a [u8]) -> Result<Self> {
        let truncated = "it is truncated";
        let (tag, rest) = from.split_first_chunk::<4>().context(truncated)?;
        let tag = u32::from_le_bytes(*tag);
        // Up to four bytes are packed into the tag.
        let (kind, size, rest, room) = if tag >> 16 != 0 {
            (tag & 0xffff, (tag >> 16) as usize, rest, 4)
        } else {
            let (size, rest) = rest.split_first_chunk::<4>().context(truncated)?;
            let size = u32::from_le_bytes(*size) as usize;
            // Padded to eight bytes, unless compressed.
            let room = if tag == COMPRESSED {
                size
            } else {
                size.next_multiple_of(8)
            };
            (tag, size, rest, room)
        };
        let data = rest.get(..size).context(truncated)?;
        *from = rest.get(room..).unwrap_or_default();
        Ok(Self { kind, data })
    }

    /// The values of a numeric element.
    fn numbers(&self) -> Result<Vec<f64>> {
        let data = self.data;
        // A number takes up to eight times the memory of its byte.
        if data.len() > MOST_VALUES {
            bail!(
                "it has an array of {} bytes where a few are expected",
                data.len()
            );
        }
        Ok(match self.kind {
            1 => data.iter().map(|&byte| f64::from(byte as i8)).collect(),
            // Text in UTF-8 is read as bytes: names are ASCII.
            2 | 16 => data.iter().map(|&byte| f64::from(byte)).collect(),
            3 => each(data, |bytes| f64::from(i16::from_le_bytes(bytes))),
            4 | 17 => each(data, |bytes| f64::from(u16::from_le_bytes(bytes))),
            5 => each(data, |bytes| f64::from(i32::from_le_bytes(bytes))),
            6 => each(data, |bytes| f64::from(u32::from_le_bytes(bytes))),
            7 => each(data, |bytes| f64::from(f32::from_le_bytes(bytes))),
            9 => each(data, f64::from_le_bytes),
            kind => bail!("it has numbers of the unknown type {kind}"),
        })
    }
}

fn each<const N: usize>(data: &[u8], value: fn([u8; N]) -> f64) -> Vec<f64> {
    let (chunks, _) = data.as_chunks::<N>();
    chunks.iter().map(|&chunk| value(chunk)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    /// An element with its padding; small ones are packed into their tag, as MATLAB does.
    fn element(kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        if (1..=4).contains(&data.len()) {
            bytes.extend((kind | ((data.len() as u32) << 16)).to_le_bytes());
            bytes.extend(data);
            bytes.resize(8, 0);
        } else {
            bytes.extend(kind.to_le_bytes());
            bytes.extend((data.len() as u32).to_le_bytes());
            bytes.extend(data);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    }

    fn array(class: u8, shape: [i32; 2], name: &[u8], parts: &[Vec<u8>]) -> Vec<u8> {
        let flags = [class, 0, 0, 0, 0, 0, 0, 0];
        let shape: Vec<u8> = shape.into_iter().flat_map(i32::to_le_bytes).collect();
        let mut data = [element(6, &flags), element(5, &shape), element(1, name)].concat();
        data.extend(parts.concat());
        element(MATRIX, &data)
    }

    /// A MAT file with an array `synsets`, as in the devkit.
    pub fn file(synsets: &[(u32, &str, u32)], compressed: bool) -> Vec<u8> {
        const WIDTH: usize = 16;
        let mut names: Vec<u8> = Vec::new();
        for name in ["ILSVRC2012_ID", "WNID", "words", "num_children"] {
            names.extend(name.as_bytes());
            names.resize(names.len().next_multiple_of(WIDTH), 0);
        }
        let number = |value: u32| {
            array(
                6,
                [1, 1],
                b"",
                &[element(9, &f64::from(value).to_le_bytes())],
            )
        };
        let text = |value: &str| {
            let letters: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
            array(4, [1, value.len() as i32], b"", &[element(4, &letters)])
        };
        let mut parts = vec![
            element(5, &(WIDTH as i32).to_le_bytes()),
            element(1, &names),
        ];
        for &(id, name, children) in synsets {
            parts.extend([number(id), text(name), text("a word"), number(children)]);
        }
        let matrix = array(STRUCT, [synsets.len() as i32, 1], b"synsets", &parts);
        let mut bytes = vec![b' '; HEADER];
        bytes[HEADER - 4..].copy_from_slice(&[0, 1, b'I', b'M']);
        // Another variable before it.
        bytes.extend(array(
            6,
            [1, 1],
            b"other",
            &[element(9, &1f64.to_le_bytes())],
        ));
        if compressed {
            let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
            packed.write_all(&matrix).unwrap();
            let packed = packed.finish().unwrap();
            bytes.extend(COMPRESSED.to_le_bytes());
            bytes.extend((packed.len() as u32).to_le_bytes());
            bytes.extend(packed);
        } else {
            bytes.extend(matrix);
        }
        bytes
    }

    #[test]
    fn synsets_are_read_packed_and_unpacked() {
        let rows = [
            (1, "n02119789", 0),
            (2, "n02100735", 0),
            (1001, "n00001740", 3),
        ];
        let expected = rows.map(|(number, name, children)| Synset {
            number,
            name: name.into(),
            children,
        });
        for compressed in [false, true] {
            assert_eq!(synsets(&file(&rows, compressed)).unwrap(), expected);
        }
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        for compressed in [false, true] {
            let whole = file(&[(1, "n02119789", 0)], compressed);
            for length in 0..whole.len() {
                let _ = synsets(&whole[..length]);
            }
            assert!(synsets(&whole[..HEADER + 100]).is_err());
            for at in HEADER..whole.len() {
                let mut changed = whole.clone();
                changed[at] ^= 0xff;
                let _ = synsets(&changed);
            }
        }
        assert!(synsets(b"").is_err());
    }

    #[test]
    fn an_array_of_many_numbers_takes_no_memory() {
        let shape = element(2, &vec![1; 1 << 20]);
        let data = [element(6, &[STRUCT; 8]), shape, element(1, b"synsets")].concat();
        let mut bytes = vec![b' '; HEADER];
        bytes[HEADER - 2..].copy_from_slice(b"IM");
        bytes.extend(element(MATRIX, &data));
        let error = synsets(&bytes).unwrap_err().to_string();
        assert!(error.contains("1048576 bytes"), "{error}");
    }
}
