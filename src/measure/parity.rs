//! Replays training steps recorded by another framework and measures how far this engine's results deviate.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::data::Batch;
use crate::engine::{self, Hyperparameters, Options, Statistics};
use crate::exit::Exit;
use crate::network::{Family, Network, Shortcut, Stem};
use crate::recipe::{DecayOn, MomentumForm};
use crate::weights::{Tensor, Weights};

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

/// The largest relative error `|a - b| / |b|` (Euclidean norms) over the tensors of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `loss`, `training logits`, `first gradients`, `final weights`, `running statistics` or `evaluation logits`.
    pub quantity: String,
    pub error: f64,
    /// The tensor with that error.
    pub worst: String,
    /// Number of tensors compared.
    pub tensors: usize,
}

/// The results of one recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub file: String,
    pub network: String,
    pub steps: usize,
    pub rows: Vec<Row>,
}

impl Report {
    /// The largest error; NaN if any is NaN.
    pub fn largest(&self) -> f64 {
        let errors = self.rows.iter().map(|row| row.error);
        errors.fold(0.0, |largest, error| {
            match error > largest || error.is_nan() {
                true => error,
                false if largest.is_nan() => largest,
                false => largest,
            }
        })
    }

    /// Whether every error is within the tolerance.
    pub fn within(&self, tolerance: f64) -> bool {
        self.rows.iter().all(|row| row.error <= tolerance)
    }
}

/// Tracks the largest error of one kind.
struct Comparison {
    row: Row,
}

impl Comparison {
    fn new(quantity: &str) -> Self {
        Self {
            row: Row {
                quantity: quantity.into(),
                error: 0.0,
                worst: String::new(),
                tensors: 0,
            },
        }
    }

    fn add(&mut self, name: &str, ours: &[f32], theirs: &[f32]) {
        let error = relative_error(ours, theirs);
        if self.row.tensors == 0 || error > self.row.error || error.is_nan() {
            self.row.error = error;
            self.row.worst = name.into();
        }
        self.row.tensors += 1;
    }
}

/// `|a - b| / |b|`, or `|a - b|` if `b` is zero; infinite if the lengths differ.
fn relative_error(ours: &[f32], theirs: &[f32]) -> f64 {
    if ours.len() != theirs.len() {
        return f64::INFINITY;
    }
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let pairs = ours.iter().zip(theirs);
    let difference = norm(&mut pairs.map(|(&a, &b)| f64::from(a) - f64::from(b)));
    match norm(&mut theirs.iter().map(|&b| f64::from(b))) {
        0.0 => difference,
        reference => difference / reference,
    }
}

/// The tensors of a recording.
struct Recording<'a> {
    file: &'a Path,
    weights: Weights,
}

impl Recording<'_> {
    fn tensor(&self, name: &str) -> Result<&Tensor> {
        self.weights.tensors.get(name).ok_or_else(|| {
            Exit::Usage.error(format!(
                "{} has no tensor {name}: not a recording of training steps, or damaged",
                self.file.display()
            ))
        })
    }

    fn spec(&self) -> Result<Spec> {
        let invalid = || format!("{}: invalid metadata key spec", self.file.display());
        let metadata: serde_json::Value =
            serde_json::from_str(&self.weights.metadata).with_context(invalid)?;
        let spec = match metadata.get("spec") {
            Some(serde_json::Value::String(text)) => {
                serde_json::from_str(text).with_context(invalid)?
            }
            Some(spec) => spec.clone(),
            None => metadata,
        };
        serde_json::from_value(spec).map_err(|error| {
            Exit::Usage.error(format!(
                "{} is not a recording of training steps: {error}",
                self.file.display()
            ))
        })
    }

    /// The tensors whose names start with `prefix`, with the prefix removed.
    fn group(&self, prefix: &str) -> Weights {
        let tensors = self.weights.tensors.iter().filter_map(|(name, tensor)| {
            let name = name.strip_prefix(prefix)?;
            Some((name.to_string(), tensor.clone()))
        });
        Weights {
            tensors: tensors.collect(),
            metadata: String::new(),
        }
    }

    /// The mini-batch of a step, channels innermost, with labels below `classes`.
    fn batch(&self, step: usize, classes: usize) -> Result<Batch> {
        let input = self.tensor(&format!("input.{step}"))?;
        let labels = self.tensor(&format!("labels.{step}"))?;
        let &[images, 3, size, width] = input.shape.as_slice() else {
            return Err(self.misshapen(step, &input.shape));
        };
        if size != width || labels.data.len() != images {
            return Err(self.misshapen(step, &input.shape));
        }
        let wrong =
            labels.data.iter().enumerate().find(|&(_, &label)| {
                label.fract() != 0.0 || !(0.0..classes as f32).contains(&label)
            });
        if let Some((record, label)) = wrong {
            return Err(Exit::Data.error(format!(
                "{}: record {record} of labels.{step} is {label}, but the network has the classes 0 to {}: record the steps again",
                self.file.display(),
                classes.saturating_sub(1)
            )));
        }
        let plane = size * size;
        let pixels = (0..images * plane * 3).map(|place| {
            let (image, pixel, channel) = (place / (3 * plane), place / 3 % plane, place % 3);
            input.data[(image * 3 + channel) * plane + pixel]
        });
        Ok(Batch {
            pixels: pixels.collect(),
            labels: labels.data.iter().map(|&label| label as u16).collect(),
            size,
            drawn: None,
        })
    }

    fn misshapen(&self, step: usize, shape: &[usize]) -> anyhow::Error {
        Exit::Usage.error(format!(
            "{}: input.{step} has shape {shape:?} instead of [images, 3, size, size], or not one label per image",
            self.file.display()
        ))
    }
}

fn network(file: &Path, spec: &Spec) -> Network {
    let name = file.file_stem().unwrap_or(file.as_os_str());
    Network {
        name: name.to_string_lossy().into_owned(),
        family: spec.family,
        stem: spec.stem,
        blocks: spec.blocks.clone(),
        base_width: spec.base_width,
        bottleneck: spec.bottleneck,
        shortcut: spec.shortcut.unwrap_or(Shortcut::A),
        classes: spec.classes,
    }
}

/// Replays the steps of a recording and compares all its tensors.
///
/// # Errors
/// If the file cannot be read or is not a recording; those of the engine.
pub fn compare(file: &Path, options: &Options) -> Result<Report> {
    let weights = Weights::load(file)?;
    let recording = Recording { file, weights };
    let spec = recording.spec()?;
    let network = network(file, &spec);

    let first = recording.batch(0, spec.classes)?;
    let hyper = Hyperparameters {
        momentum: spec.momentum as f32,
        momentum_form: MomentumForm::Pytorch,
        weight_decay: spec.weight_decay as f32,
        weight_decay_on: DecayOn::All,
        norm_momentum: spec.bn_momentum as f32,
        norm_epsilon: spec.bn_eps as f32,
        norm_group: 0,
    };
    let mut engine = engine::create_differentiable(&network, first.size, &hyper, options)?;
    engine.restore(&recording.group("init."))?;

    let found = engine.differentiate(&first)?;
    let mut logits = Comparison::new("training logits");
    let theirs = recording.tensor("logits.train")?;
    logits.add("logits.train", &found.logits, &theirs.data);
    let mut gradients = Comparison::new("first gradients");
    for (name, ours) in &found.gradients.tensors {
        let theirs = recording.tensor(&format!("grad.{name}"))?;
        gradients.add(name, &ours.data, &theirs.data);
    }

    let mut loss = Comparison::new("loss");
    let losses = &recording.tensor("loss")?.data;
    for (step, &theirs) in losses.iter().enumerate() {
        let taken = engine.step(&recording.batch(step, spec.classes)?, spec.lr as f32)?;
        loss.add(&format!("step {step}"), &[taken.loss], &[theirs]);
    }

    let mut parameters = Comparison::new("final weights");
    let mut running = Comparison::new("running statistics");
    let state = engine.state(false)?;
    for parameter in network.parameters() {
        let theirs = recording.tensor(&format!("final.{}", parameter.name))?;
        let comparison = match parameter.role.is_parameter() {
            true => &mut parameters,
            false => &mut running,
        };
        let ours = &state.tensors[&parameter.name];
        comparison.add(&parameter.name, &ours.data, &theirs.data);
    }

    let mut evaluated = Comparison::new("evaluation logits");
    let ours = engine.logits(&first, Statistics::Moving)?;
    let theirs = recording.tensor("logits.eval")?;
    evaluated.add("logits.eval", &ours, &theirs.data);

    let all = [loss, logits, gradients, parameters, running, evaluated];
    Ok(Report {
        file: file.display().to_string(),
        network: network.name,
        steps: losses.len(),
        rows: all.into_iter().map(|comparison| comparison.row).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_errors_are_never_within_the_tolerance() {
        let mut comparison = Comparison::new("loss");
        comparison.add("step 0", &[f32::NAN], &[1.0]);
        comparison.add("step 1", &[1.5], &[1.0]);
        let report = Report {
            file: String::new(),
            network: String::new(),
            steps: 2,
            rows: vec![comparison.row],
        };
        assert!(!report.within(1e9));
        assert!(report.largest().is_nan());
    }

    #[test]
    fn errors_are_relative_to_the_recording() {
        assert_eq!(relative_error(&[3.0, 0.0], &[0.0, 4.0]), 1.25);
        assert_eq!(relative_error(&[0.5], &[0.0]), 0.5);
        assert_eq!(relative_error(&[0.5], &[]), f64::INFINITY);
    }
}
