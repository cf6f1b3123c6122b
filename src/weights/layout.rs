//! The header of a safetensors file: which tensor lies where. It is checked against the file's size before anything of
//! the sizes that it names is read or allocated.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Read;

use anyhow::Result;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::{KEY, RECORDED_KEY, Tensor};
use crate::console::one_line;
use crate::exit::Exit;

/// Bytes of the longest header that the format allows.
const MOST_HEADER: u64 = 100_000_000;
/// Bytes of the header's length, at the start of the file.
const LENGTH: u64 = 8;

/// A header that matches its file.
pub struct Layout {
    header: Metadata,
    /// Where the data starts.
    start: u64,
}

impl Layout {
    /// Reads the header of a file of `size` bytes, and leaves `reader` at the start of the data.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it is no header, or its tensors do not take exactly the rest of the file.
    pub fn read(mut reader: impl Read, size: u64) -> Result<Self> {
        let mut length = [0; LENGTH as usize];
        reader
            .read_exact(&mut length)
            .map_err(|error| damaged(size, &error))?;
        let length = u64::from_le_bytes(length);
        let data = size
            .checked_sub(LENGTH)
            .and_then(|rest| rest.checked_sub(length));
        let data = data
            .filter(|_| length <= MOST_HEADER)
            .ok_or_else(|| damaged(size, &format!("its header would take {length} bytes")))?;
        let mut header = Vec::new();
        reader
            .take(length)
            .read_to_end(&mut header)
            .map_err(|error| damaged(size, &error))?;
        // Checks that shapes, types and offsets agree, without overflow.
        let header: Metadata =
            serde_json::from_slice(&header).map_err(|error| damaged(size, &error))?;
        let tensors = header.data_len() as u64;
        if tensors != data {
            return Err(damaged(
                size,
                &format!("its tensors take {tensors} bytes, but {data} follow the header"),
            ));
        }
        Ok(Self {
            header,
            start: LENGTH + length,
        })
    }

    /// Where the data starts.
    pub fn start(&self) -> usize {
        self.start as usize
    }

    /// The metadata: the entry `refig`, else `spec`, else all entries as a JSON object with sorted keys, else empty.
    pub fn metadata(&self) -> Result<String> {
        let Some(all) = self.header.metadata() else {
            return Ok(String::new());
        };
        Ok(match all.get(KEY).or_else(|| all.get(RECORDED_KEY)) {
            Some(text) => text.clone(),
            None => serde_json::to_string(&all.iter().collect::<BTreeMap<_, _>>())?,
        })
    }

    /// The number of tensors of a type.
    pub fn count(&self, dtype: Dtype) -> usize {
        let tensors = self.header.tensors();
        tensors.values().filter(|info| info.dtype == dtype).count()
    }

    /// The tensors in `data`, which starts at [`Layout::start`].
    ///
    /// # Errors
    /// [`Exit::Storage`] for a data type that is not supported, or if `data` is too short.
    pub fn tensors(&self, data: &[u8]) -> Result<BTreeMap<String, Tensor>> {
        let mut tensors = BTreeMap::new();
        for (name, info) in self.header.tensors() {
            let (from, to) = info.data_offsets;
            let bytes = data.get(from..to).ok_or_else(|| {
                Exit::Storage.error(format!(
                    "tensor '{}' lies past the end of the file; create or fetch it again",
                    one_line(&name)
                ))
            })?;
            let tensor = tensor(&name, info, bytes)?;
            tensors.insert(name, tensor);
        }
        Ok(tensors)
    }
}

fn damaged(size: u64, why: &dyn Display) -> anyhow::Error {
    Exit::Storage.error(format!(
        "not a complete safetensors file ({size} bytes): {}; create or fetch it again",
        one_line(&why.to_string())
    ))
}

fn tensor(name: &str, info: &TensorInfo, bytes: &[u8]) -> Result<Tensor> {
    let data = match info.dtype {
        Dtype::F32 => numbers(bytes, f32::from_le_bytes),
        Dtype::F64 => numbers(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
        Dtype::F16 => numbers(bytes, |bytes| half(u16::from_le_bytes(bytes))),
        Dtype::BF16 => numbers(bytes, |bytes| {
            f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
        }),
        Dtype::I64 => numbers(bytes, |bytes| i64::from_le_bytes(bytes) as f32),
        other => {
            return Err(Exit::Storage.error(format!(
                "tensor '{}' has type {other:?}, but only F32, F64, F16, BF16 and I64 are supported; convert the file to F32",
                one_line(name)
            )));
        }
    };
    Ok(Tensor {
        shape: info.shape.clone(),
        data,
    })
}

fn numbers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (whole, _) = bytes.as_chunks::<N>();
    whole.iter().map(|&chunk| number(chunk)).collect()
}

/// A half-precision number, which 32 bits hold exactly.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let fraction = f32::from(bits & 0x3ff);
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::half;

    #[test]
    fn half_precision_is_exact() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x8001, -5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x3c00, 1.0),
            (0x3555, 0.333_251_95),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:#06x}");
        }
        assert!(half(0x7e00).is_nan());
        assert!(half(0x8000).is_sign_negative());
    }
}
