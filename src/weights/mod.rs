//! Named tensors, stored as safetensors: checkpoints, exchanged weights and recorded training steps. This is the only
//! folder that knows the format. Metadata is kept under a single header key, so that a file's bytes do not depend on the
//! order of a map.
//!
//! - `mod.rs` has `Weights`, read and written
//! - `layout.rs` checks a file's header against its size and reads its tensors
//! - `foreign.rs` brings weights of other programs into the usual form

mod foreign;
mod layout;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::console::one_line;
use crate::exit::Exit;
use layout::Layout;

/// Header key of the metadata in files written here.
const KEY: &str = "refig";
/// Header key of the metadata in recorded training steps.
const RECORDED_KEY: &str = "spec";
/// Bytes of the longest metadata to parse: ours take a few thousand.
const MOST_METADATA: usize = 1 << 20;

/// A dense tensor of 32-bit floats in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Tensor {
    /// The number of values that the shape asks for; `None` if it is beyond counting.
    fn elements(&self) -> Option<usize> {
        let mut sides = self.shape.iter();
        sides.try_fold(1usize, |product, &side| product.checked_mul(side))
    }
}

/// Tensors by name, with metadata that describes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    pub tensors: BTreeMap<String, Tensor>,
    /// JSON, stored under the header key `refig`; in recorded steps it is read from `spec`.
    pub metadata: String,
}

impl Weights {
    /// Reads a safetensors file of 32-bit floats; other floats and 64-bit integers (labels) are converted. The metadata is
    /// the header's `refig`, else its `spec`, else the whole header metadata as a JSON object with sorted keys, else empty.
    ///
    /// # Errors
    /// [`Exit::Storage`] if the file cannot be read, is not a complete safetensors file, or has another data type.
    pub fn load(path: &Path) -> Result<Self> {
        Ok(Self::read(path)?.0)
    }

    /// [`Weights::load`], with the layout of the file.
    fn read(path: &Path) -> Result<(Self, Layout)> {
        let unreadable = |error: std::io::Error| {
            Exit::Storage.error(format!(
                "cannot read {}: {error}; check the path",
                path.display()
            ))
        };
        let mut file = crate::regular::open(path).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        if !about.is_file() {
            return Err(Exit::Storage.error(format!(
                "{}: not a file; name a safetensors file",
                path.display()
            )));
        }
        let place = || path.display().to_string();
        let layout = Layout::read(&mut file, about.len()).with_context(place)?;
        let mut data = Vec::new();
        file.read_to_end(&mut data).map_err(unreadable)?;
        let weights = Self {
            tensors: layout.tensors(&data).with_context(place)?,
            metadata: layout.metadata()?,
        };
        Ok((weights, layout))
    }

    /// The metadata as JSON; `None` if it is empty.
    ///
    /// # Errors
    /// [`Exit::Usage`] if it is not JSON, nests too deeply or is too long.
    pub fn described(&self) -> Result<Option<serde_json::Value>> {
        let refuse = |why: String| {
            Exit::Usage.error(format!(
                "the metadata in the header is not of refig or damaged: {}",
                one_line(&why)
            ))
        };
        match self.metadata.len() {
            0 => Ok(None),
            length if length > MOST_METADATA => Err(refuse(format!(
                "{length} bytes instead of at most {MOST_METADATA}"
            ))),
            _ => serde_json::from_str(&self.metadata)
                .map(Some)
                .map_err(|error| refuse(error.to_string())),
        }
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
                let values = tensor.data.len();
                let view = (tensor.elements() == Some(values))
                    .then(|| TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).ok());
                let view = view.flatten().ok_or_else(|| {
                    Exit::Internal.error(format!(
                        "tensor '{name}' has {values} values, which do not match its shape {:?}",
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
        let layout = Layout::read(bytes, bytes.len() as u64)?;
        Ok(Self {
            tensors: layout.tensors(&bytes[layout.start()..])?,
            metadata: layout.metadata()?,
        })
    }
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
        let short = TensorView::new(Dtype::I16, vec![1], &[0, 0]).unwrap();
        let bytes = safetensors::serialize([("fc.bias", short)], None).unwrap();
        let error = Weights::from_bytes(&bytes).unwrap_err().to_string();
        assert!(
            error.contains("fc.bias") && error.contains("I16"),
            "{error}"
        );
    }
}
