//! Named tensors, stored as safetensors: checkpoints, exchanged weights and recorded training steps. This is the only
//! file that knows the format. Metadata is kept under a single header key, so that a file's bytes do not depend on the
//! order of a map.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::exit::Exit;

/// Header key of the metadata in files written here.
const KEY: &str = "refig";
/// Header key of the metadata in recorded training steps.
const RECORDED_KEY: &str = "spec";

/// Bytes of the longest header that the format allows.
const MOST_HEADER: u64 = 100_000_000;

/// A dense tensor of 32-bit floats in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

/// Tensors by name, with metadata that describes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    pub tensors: BTreeMap<String, Tensor>,
    /// JSON, stored under the header key `refig`; in recorded steps it is read from `spec`.
    pub metadata: String,
}

impl Weights {
    /// Reads a safetensors file of 32-bit floats; 64-bit integers (labels) are converted. The metadata is the header's
    /// `refig`, else its `spec`, else the whole header metadata as a JSON object with sorted keys, else empty.
    ///
    /// # Errors
    /// [`Exit::Storage`] if the file cannot be read, is not a complete safetensors file, or has another data type.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| {
            Exit::Storage.error(format!(
                "{}: cannot read the weights: {error}",
                path.display()
            ))
        })?;
        Self::from_bytes(&bytes).with_context(|| format!("{}", path.display()))
    }

    /// The metadata alone, without reading the tensors; none where the file has none or is no safetensors file.
    pub fn load_metadata(path: &Path) -> Option<String> {
        let mut file = File::open(path).ok()?;
        let mut length = [0; 8];
        file.read_exact(&mut length).ok()?;
        let mut header = Vec::new();
        file.take(u64::from_le_bytes(length).min(MOST_HEADER))
            .read_to_end(&mut header)
            .ok()?;
        let header: serde_json::Value = serde_json::from_slice(&header).ok()?;
        Some(header["__metadata__"][KEY].as_str()?.to_owned())
    }

    /// Writes a safetensors file and syncs it. Not atomic: a reader may see a partial file.
    ///
    /// # Errors
    /// [`Exit::Storage`] if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes = self.to_bytes()?;
        let write = || {
            let mut file = File::create(path)?;
            file.write_all(&bytes)?;
            file.sync_all()
        };
        write().map_err(|error| {
            Exit::Storage.error(format!(
                "{}: cannot write the weights: {error}",
                path.display()
            ))
        })
    }

    /// The bytes of the file, which depend only on the tensors and the metadata.
    ///
    /// # Errors
    /// [`Exit::Internal`] if a tensor's shape does not match its data.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let raw: Vec<Vec<u8>> = self
            .tensors
            .values()
            .map(|tensor| tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect())
            .collect();
        let views = self
            .tensors
            .iter()
            .zip(&raw)
            .map(|((name, tensor), bytes)| {
                let view =
                    TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).map_err(|_| {
                        Exit::Internal.error(format!(
                            "tensor '{name}' has {} values, which do not match its shape {:?}",
                            tensor.data.len(),
                            tensor.shape
                        ))
                    })?;
                Ok((name.as_str(), view))
            })
            .collect::<Result<Vec<_>>>()?;
        let header = (!self.metadata.is_empty())
            .then(|| HashMap::from([(KEY.to_string(), self.metadata.clone())]));
        safetensors::serialize(views, header).context("safetensors")
    }

    /// Like [`Weights::load`], from bytes in memory.
    ///
    /// # Errors
    /// [`Exit::Storage`] as for [`Weights::load`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let damaged = |error| {
            Exit::Storage.error(format!(
                "not a complete safetensors file ({} bytes): {error}; create or fetch it again",
                bytes.len()
            ))
        };
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let metadata = match header.metadata() {
            None => String::new(),
            Some(all) => match all.get(KEY).or_else(|| all.get(RECORDED_KEY)) {
                Some(text) => text.clone(),
                None => serde_json::to_string(&all.iter().collect::<BTreeMap<_, _>>())?,
            },
        };
        let tensors = file
            .iter()
            .map(|(name, view)| Ok((name.to_string(), tensor(name, &view)?)))
            .collect::<Result<_>>()?;
        Ok(Self { tensors, metadata })
    }
}

fn tensor(name: &str, view: &TensorView) -> Result<Tensor> {
    let data = match view.dtype() {
        Dtype::F32 => numbers(view.data(), f32::from_le_bytes),
        Dtype::I64 => numbers(view.data(), |bytes| i64::from_le_bytes(bytes) as f32),
        other => {
            return Err(Exit::Storage.error(format!(
                "tensor '{name}' has type {other:?}, but only F32 and I64 are supported; convert the file to F32"
            )));
        }
    };
    Ok(Tensor {
        shape: view.shape().to_vec(),
        data,
    })
}

fn numbers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (whole, _) = bytes.as_chunks::<N>();
    whole.iter().map(|&chunk| number(chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Weights {
        let tensor = |shape: &[usize], data: &[f32]| Tensor {
            shape: shape.to_vec(),
            data: data.to_vec(),
        };
        Weights {
            tensors: BTreeMap::from([
                (
                    "fc.bias".into(),
                    tensor(&[3], &[1.0, -0.0, f32::MIN_POSITIVE / 2.0]),
                ),
                (
                    "conv1.weight".into(),
                    tensor(&[1, 2], &[f32::NAN, f32::INFINITY]),
                ),
                ("scalar".into(), tensor(&[], &[7.0])),
            ]),
            metadata: r#"{"network":"plain-20"}"#.into(),
        }
    }

    #[test]
    fn files_round_trip_exactly_with_their_metadata() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        example().save(&path).unwrap();
        let read = Weights::load(&path).unwrap();
        assert_eq!(read.metadata, example().metadata);
        assert_eq!(read.to_bytes().unwrap(), example().to_bytes().unwrap());
        let bits = |w: &Weights| -> Vec<u32> {
            w.tensors
                .values()
                .flat_map(|t| &t.data)
                .map(|v| v.to_bits())
                .collect()
        };
        assert_eq!(bits(&read), bits(&example()));
    }

    #[test]
    fn integer_labels_and_foreign_metadata_are_read() {
        let labels: Vec<u8> = [3i64, 9].iter().flat_map(|v| v.to_le_bytes()).collect();
        let file = |header: &[(&str, &str)]| {
            let view = TensorView::new(Dtype::I64, vec![2], &labels).unwrap();
            let header = header
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect();
            Weights::from_bytes(&safetensors::serialize([("labels", view)], Some(header)).unwrap())
                .unwrap()
        };
        let recorded = file(&[("spec", "{\"lr\":0.1}"), ("other", "x")]);
        assert_eq!(recorded.metadata, "{\"lr\":0.1}");
        assert_eq!(recorded.tensors["labels"].data, [3.0, 9.0]);
        assert_eq!(
            file(&[("b", "2"), ("a", "1")]).metadata,
            r#"{"a":"1","b":"2"}"#
        );
    }

    #[test]
    fn damaged_and_unsupported_files_are_rejected() {
        let bytes = example().to_bytes().unwrap();
        for cut in [0, 7, 30, bytes.len() - 1] {
            let error = Weights::from_bytes(&bytes[..cut]).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Storage, "cut at {cut}");
        }
        let half = TensorView::new(Dtype::F16, vec![1], &[0, 0]).unwrap();
        let bytes = safetensors::serialize([("fc.bias", half)], None).unwrap();
        let error = Weights::from_bytes(&bytes).unwrap_err().to_string();
        assert!(
            error.contains("fc.bias") && error.contains("F16"),
            "{error}"
        );
    }
}
