//! Training steps that another framework recorded, read and checked as a whole before anything is computed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::console::one_line;
use crate::counted::counted;
use crate::data::{Batch, ImageSize};
use crate::engine::Hyperparameters;
use crate::exit::Exit;
use crate::network::{Family, Network, Shortcut, Stem, StrideIn};
use crate::recipe::{DecayOn, MomentumForm};
use crate::weights::{Tensor, Weights};

/// Bytes of layer outputs in a step beyond which a recording is refused: recorded networks are small.
const MOST_BYTES: u64 = 1 << 34;

/// The network and hyperparameters of a recording, from its metadata.
#[derive(Clone, Debug, Deserialize)]
struct Spec {
    family: Family,
    stem: Stem,
    blocks: Vec<usize>,
    base_width: usize,
    bottleneck: bool,
    shortcut: Option<Shortcut>,
    classes: usize,
    lr: f64,
    momentum: f64,
    weight_decay: f64,
    bn_momentum: f64,
    bn_eps: f64,
}

/// A few steps of SGD.
#[derive(Clone, Debug)]
pub struct Recording {
    pub file: String,
    pub network: Network,
    pub hyper: Hyperparameters,
    pub learning_rate: f32,
    /// Parameters and running statistics before the first step.
    pub before: Weights,
    /// The same after the last step.
    pub after: Weights,
    /// The mini-batch of each step, channels innermost.
    pub batches: Vec<Batch>,
    /// The loss of each step, before its update.
    pub losses: Vec<f32>,
    /// Gradients of the first loss, by parameter.
    pub gradients: BTreeMap<String, Vec<f32>>,
    /// Logits of the first mini-batch in the first step.
    pub training_logits: Vec<f32>,
    /// The same after the last step, with running statistics.
    pub evaluation_logits: Vec<f32>,
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// [`Exit::Usage`] if it is not one, or contradicts itself; [`Exit::Storage`] if the file cannot be read or is damaged.
    pub fn read(file: &Path) -> Result<Self> {
        let weights = Weights::load(file)?;
        Self::of(file, &weights).with_context(|| file.display().to_string())
    }

    /// The recording in `weights`, which were read from `file`.
    ///
    /// # Errors
    /// [`Exit::Usage`] as for [`Recording::read`].
    pub fn of(file: &Path, weights: &Weights) -> Result<Self> {
        let spec = spec(weights)?;
        let name = file.file_stem().unwrap_or(file.as_os_str());
        let network = Network {
            name: name.to_string_lossy().into_owned(),
            family: spec.family,
            stem: spec.stem,
            blocks: spec.blocks,
            base_width: spec.base_width,
            bottleneck: spec.bottleneck,
            shortcut: spec.shortcut.unwrap_or(Shortcut::A),
            classes: spec.classes,
            stride_in: StrideIn::default(),
        };
        network.check_sizes()?;
        let constants = [
            ("lr", spec.lr),
            ("momentum", spec.momentum),
            ("weight_decay", spec.weight_decay),
            ("bn_momentum", spec.bn_momentum),
            ("bn_eps", spec.bn_eps),
        ];
        for (name, value) in constants {
            if !(0.0..=f64::from(f32::MAX)).contains(&value) {
                return Err(refuse(&format!(
                    "{name} = {value}: use a number from 0 that fits in 32 bits"
                )));
            }
        }
        let tensors = &weights.tensors;
        let [before, after] = ["init.", "final."].map(|prefix| group(tensors, prefix));
        for (prefix, group) in [("init.", &before), ("final.", &after)] {
            network
                .check_tensors(&group.tensors)
                .with_context(|| format!("tensors {prefix}*"))?;
        }
        let losses = tensor(tensors, "loss", |shape| shape.len() == 1)?;
        if losses.data.is_empty() {
            return Err(refuse("no steps: loss is empty"));
        }
        let next = format!("input.{}", losses.data.len());
        if tensors.contains_key(&next) {
            return Err(refuse(&format!(
                "{next} has no loss: loss has {}, one for each step",
                counted(losses.data.len(), "value")
            )));
        }
        let mut batches: Vec<Batch> = Vec::new();
        for step in 0..losses.data.len() {
            let batch = batch(tensors, step, network.classes)?;
            if let Some(first) = batches.first()
                && first.size != batch.size
            {
                return Err(refuse(&format!(
                    "images of {} pixels in step {step} after some of {}",
                    batch.size.height, first.size.height
                )));
            }
            let bytes = (batch.labels.len() as u64)
                .checked_mul(network.activation_bytes(batch.size.height))
                .filter(|&bytes| bytes <= MOST_BYTES);
            if bytes.is_none() {
                return Err(refuse(&format!(
                    "step {step}: the outputs of all layers take more than {} GiB; record smaller images or fewer",
                    MOST_BYTES >> 30
                )));
            }
            batches.push(batch);
        }
        let logits = [batches[0].labels.len(), network.classes];
        let mut gradients = BTreeMap::new();
        for parameter in network.parameters() {
            if parameter.role.is_parameter() {
                let name = format!("grad.{}", parameter.name);
                let gradient = tensor(tensors, &name, |shape| *shape == parameter.shape)?;
                gradients.insert(parameter.name, gradient.data.clone());
            }
        }
        let values = |name| -> Result<Vec<f32>> {
            Ok(tensor(tensors, name, |shape| *shape == logits)?
                .data
                .clone())
        };
        Ok(Self {
            file: file.display().to_string(),
            hyper: Hyperparameters {
                momentum: spec.momentum as f32,
                momentum_form: MomentumForm::Pytorch,
                weight_decay: spec.weight_decay as f32,
                weight_decay_on: DecayOn::All,
                norm_momentum: spec.bn_momentum as f32,
                norm_epsilon: spec.bn_eps as f32,
                norm_group: 0,
                micro_batch: 0,
            },
            learning_rate: spec.lr as f32,
            training_logits: values("logits.train")?,
            evaluation_logits: values("logits.eval")?,
            losses: losses.data.clone(),
            network,
            before,
            after,
            batches,
            gradients,
        })
    }

    /// The first mini-batch.
    ///
    /// # Errors
    /// [`Exit::Usage`] if there are no steps, which a recording that was read does not have.
    pub fn first(&self) -> Result<&Batch> {
        self.batches.first().ok_or_else(|| refuse("no steps"))
    }

    /// The mini-batch and the loss of each step.
    pub fn steps(&self) -> impl Iterator<Item = (&Batch, &f32)> {
        self.batches.iter().zip(&self.losses)
    }
}

fn refuse(why: &str) -> anyhow::Error {
    Exit::Usage.error(format!(
        "not a recording of training steps, or damaged: {}",
        one_line(why)
    ))
}

fn spec(weights: &Weights) -> Result<Spec> {
    let described = weights.described()?;
    let described = described.ok_or_else(|| refuse("no metadata key spec in the header"))?;
    let spec = match described.get("spec") {
        Some(Value::String(text)) => {
            serde_json::from_str(text).map_err(|error| refuse(&format!("spec: {error}")))?
        }
        Some(spec) => spec.clone(),
        None => described,
    };
    serde_json::from_value(spec).map_err(|error| refuse(&format!("spec: {error}")))
}

/// A tensor of a shape that `fits`.
fn tensor<'a>(
    tensors: &'a BTreeMap<String, Tensor>,
    name: &str,
    fits: impl Fn(&[usize]) -> bool,
) -> Result<&'a Tensor> {
    match tensors.get(name) {
        None => Err(refuse(&format!("no tensor {name}"))),
        Some(tensor) if !fits(&tensor.shape) => Err(refuse(&format!(
            "{name} has shape {:?}, which does not fit the network and the images",
            tensor.shape
        ))),
        Some(tensor) => Ok(tensor),
    }
}

/// The tensors whose names start with `prefix`, with the prefix removed.
fn group(tensors: &BTreeMap<String, Tensor>, prefix: &str) -> Weights {
    let tensors = tensors.iter().filter_map(|(name, tensor)| {
        let name = name.strip_prefix(prefix)?;
        (!name.ends_with(".num_batches_tracked")).then(|| (name.to_string(), tensor.clone()))
    });
    Weights {
        tensors: tensors.collect(),
        metadata: String::new(),
    }
}

/// The mini-batch of a step, channels innermost.
fn batch(tensors: &BTreeMap<String, Tensor>, step: usize, classes: usize) -> Result<Batch> {
    let square = |shape: &[usize]| matches!(shape, &[images, 3, size, width] if images > 0 && size > 0 && size == width);
    let input = tensor(tensors, &format!("input.{step}"), square)?;
    let (images, size) = (input.shape[0], input.shape[2]);
    let name = format!("labels.{step}");
    let written = tensor(tensors, &name, |shape| *shape == [images])?;
    let mut labels = Vec::with_capacity(images);
    for &label in &written.data {
        if label.fract() != 0.0 || !(0.0..classes as f32).contains(&label) {
            return Err(refuse(&format!(
                "{name} contains {label}: with {} use whole numbers from 0 to {}",
                counted(classes, "class"),
                classes - 1
            )));
        }
        labels.push(label as u16);
    }
    // The tensor is as large as its shape, which is not empty.
    let plane = size * size;
    let pixels = (0..images * plane * 3).map(|place| {
        let (image, pixel, channel) = (place / (3 * plane), place / 3 % plane, place % 3);
        input.data[(image * 3 + channel) * plane + pixel]
    });
    Ok(Batch {
        pixels: pixels.collect(),
        labels,
        size: ImageSize::square(size),
        ..Batch::default()
    })
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;
    use crate::random::{Purpose, Stream};

    fn fixture() -> Vec<u8> {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/plain-8.safetensors"
        );
        std::fs::read(file).unwrap()
    }

    fn parse(bytes: &[u8]) -> Result<Recording> {
        Recording::of(Path::new("mutated"), &Weights::from_bytes(bytes)?)
    }

    /// The file with another header.
    fn with_header(bytes: &[u8], header: &[u8]) -> Vec<u8> {
        let data = &bytes[8 + header_length(bytes)..];
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header);
        file.extend(data);
        file
    }

    fn header_length(bytes: &[u8]) -> usize {
        u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize
    }

    #[test]
    fn damaged_files_are_refused_and_never_panic() {
        let bytes = fixture();
        parse(&bytes).unwrap();
        let length = header_length(&bytes);
        let header = bytes[8..8 + length].to_vec();
        let numbers: Vec<std::ops::Range<usize>> = {
            let digit = |at: usize| header[at].is_ascii_digit();
            let starts = (1..length).filter(|&at| digit(at) && !digit(at - 1));
            let end = |from: usize| (from..length).find(|&at| !digit(at)).unwrap_or(length);
            starts.map(|from| from..end(from)).collect()
        };
        let mut stream = Stream::new(7, Purpose::Bootstrap, 0, 0);
        let mut below = |bound: usize| stream.below(bound as u64) as usize;
        let mut files = Vec::new();
        for case in 0..300 {
            // A bit of the header, its length or, once in a while, the data.
            let end = if case % 10 == 0 {
                bytes.len()
            } else {
                8 + length
            };
            let mut flipped = bytes.clone();
            flipped[below(end)] ^= 1u8 << below(8);
            files.push(flipped);
        }
        for _ in 0..300 {
            let mut other = header.clone();
            let number = numbers[below(numbers.len())].clone();
            let huge = [
                "9223372036854775808",
                "18446744073709551615",
                "0",
                "-1",
                "1e308",
            ];
            drop(other.splice(number, huge[below(huge.len())].bytes()));
            files.push(with_header(&bytes, &other));
        }
        for _ in 0..100 {
            files.push(bytes[..below(bytes.len())].to_vec());
        }
        let deep = format!(
            "{{\"__metadata__\":{{\"spec\":\"{}\"}}}}",
            "[".repeat(50_000)
        );
        files.push(with_header(&[0; 8], deep.as_bytes()));
        files.push(with_header(&[0; 8], "[".repeat(50_000).as_bytes()));
        let mut refused = 0;
        for (case, file) in files.iter().enumerate() {
            let parsed = catch_unwind(|| parse(file).map(|_| ()));
            match parsed.unwrap_or_else(|_| panic!("case {case} panics")) {
                Ok(()) => {}
                Err(error) => {
                    refused += 1;
                    let exit = Exit::of(&error);
                    assert!([Exit::Usage, Exit::Storage].contains(&exit), "{error:#}");
                }
            }
        }
        assert!(refused > files.len() / 2, "only {refused} refused");
    }

    #[test]
    fn what_contradicts_itself_is_refused_by_name() {
        let weights = Weights::from_bytes(&fixture()).unwrap();
        let spec = |from: &str, to: &str| {
            let mut changed = weights.clone();
            changed.metadata = changed.metadata.replace(from, to);
            assert_ne!(changed.metadata, weights.metadata, "{from}");
            changed
        };
        let value = |name: &str, value: f32| {
            let mut changed = weights.clone();
            changed.tensors.get_mut(name).unwrap().data[0] = value;
            changed
        };
        let without = |name: &str| {
            let mut changed = weights.clone();
            changed.tensors.remove(name);
            changed
        };
        let shaped = |name: &str, shape: &[usize]| {
            let mut changed = weights.clone();
            let tensor = changed.tensors.get_mut(name).unwrap();
            tensor.shape = shape.to_vec();
            tensor.data.truncate(shape.iter().product());
            changed
        };
        for (changed, says) in [
            (
                spec("\"base_width\": 8", "\"base_width\": 1152921504606846976"),
                "base_width",
            ),
            (spec("[1, 1, 1]", "[1, 1, 9223372036854775807]"), "blocks"),
            (spec("[1, 1, 1]", "[1, 1, 2]"), "layer3.1"),
            (spec("\"classes\": 10", "\"classes\": 0"), "classes"),
            (spec("\"lr\": 0.1", "\"lr\": -0.1"), "lr"),
            (spec("\"lr\": 0.1", "\"lr\": 1e300"), "lr"),
            (spec("{", ""), "metadata"),
            (value("labels.1", 10.0), "labels.1 contains 10"),
            (value("labels.0", -1.0), "labels.0 contains -1"),
            (value("labels.0", 0.5), "labels.0 contains 0.5"),
            (value("labels.0", f32::NAN), "labels.0 contains NaN"),
            (without("labels.2"), "labels.2"),
            (without("grad.fc.bias"), "grad.fc.bias"),
            (without("init.fc.bias"), "fc.bias"),
            (without("final.bn1.bias"), "bn1.bias"),
            (shaped("input.1", &[0, 3, 1 << 40, 1 << 40]), "input.1"),
            (shaped("input.1", &[4, 3, 8, 8]), "8 pixels in step 1"),
            (shaped("labels.0", &[3]), "labels.0"),
            (shaped("logits.train", &[2, 10]), "logits.train"),
            (shaped("loss", &[0]), "loss"),
            (shaped("loss", &[2]), "input.2"),
        ] {
            let error = Recording::of(Path::new("f"), &changed).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Usage, "{error:#}");
            assert!(format!("{error:#}").contains(says), "{says} in {error:#}");
        }
    }
}
