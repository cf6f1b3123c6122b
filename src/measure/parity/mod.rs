//! Replays training steps recorded by another framework and measures how far this engine's results deviate.
//!
//! - `mod.rs` replays and compares
//! - `recording.rs` reads recorded steps and refuses what contradicts itself
//! - `kinks.rs` tells errors of the engine from activations at the kink of a ReLU

mod kinks;
mod recording;

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::engine::{self, Differentiable, Options, Statistics};
use crate::exit::Exit;

pub use kinks::{Kinks, Outcome, judge};
pub use recording::Recording;

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
        let error = distance(&wide(ours), &wide(theirs));
        if self.row.tensors == 0 || error > self.row.error || error.is_nan() {
            self.row.error = error;
            self.row.worst = name.into();
        }
        self.row.tensors += 1;
    }
}

/// `|a - b| / |b|`, or `|a - b|` if `b` is zero; infinite if the lengths differ.
fn distance(ours: &[f64], theirs: &[f64]) -> f64 {
    if ours.len() != theirs.len() {
        return f64::INFINITY;
    }
    let pairs = ours.iter().zip(theirs);
    let difference = pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    match theirs.iter().map(|b| b * b).sum::<f64>().sqrt() {
        0.0 => difference,
        reference => difference / reference,
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| value.into()).collect()
}

/// Reads a recording, replays its steps and compares all its tensors.
///
/// # Errors
/// Those of [`Recording::read`] and of the engine.
pub fn compare(file: &Path, options: &Options) -> Result<Report> {
    replay(&Recording::read(file)?, options)
}

/// The engine with the weights before the first step.
fn start(recording: &Recording, options: &Options) -> Result<Box<dyn Differentiable>> {
    let size = recording.first()?.size.height;
    let (network, hyper) = (&recording.network, &recording.hyper);
    let mut engine = engine::create_differentiable(network, size, hyper, options)?;
    engine.restore(&recording.before)?;
    Ok(engine)
}

/// Replays the steps of a recording and compares all its tensors.
///
/// # Errors
/// Those of the engine.
pub fn replay(recording: &Recording, options: &Options) -> Result<Report> {
    let first = recording.first()?;
    let mut engine = start(recording, options)?;
    let lacks = |name: &str| {
        Exit::Internal.error(format!("no tensor {name} to compare; please report this"))
    };

    let found = engine.differentiate(first)?;
    let mut logits = Comparison::new("training logits");
    logits.add("logits.train", &found.logits, &recording.training_logits);
    let mut gradients = Comparison::new("first gradients");
    for (name, ours) in &found.gradients.tensors {
        let theirs = recording.gradients.get(name);
        gradients.add(name, &ours.data, theirs.ok_or_else(|| lacks(name))?);
    }

    let mut loss = Comparison::new("loss");
    for (step, (batch, &theirs)) in recording.steps().enumerate() {
        let taken = engine.step(batch, recording.learning_rate)?;
        loss.add(&format!("step {step}"), &[taken.loss], &[theirs]);
    }

    let mut parameters = Comparison::new("final weights");
    let mut running = Comparison::new("running statistics");
    let state = engine.state(false)?;
    for parameter in recording.network.parameters() {
        let name = &parameter.name;
        let (ours, theirs) = (state.tensors.get(name), recording.after.tensors.get(name));
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            return Err(lacks(name));
        };
        let comparison = match parameter.role.is_parameter() {
            true => &mut parameters,
            false => &mut running,
        };
        comparison.add(name, &ours.data, &theirs.data);
    }

    let mut evaluated = Comparison::new("evaluation logits");
    let ours = engine.logits(first, Statistics::Moving)?;
    evaluated.add("logits.eval", &ours, &recording.evaluation_logits);

    let all = [loss, logits, gradients, parameters, running, evaluated];
    Ok(Report {
        file: recording.file.clone(),
        network: recording.network.name.clone(),
        steps: recording.losses.len(),
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
        assert_eq!(distance(&[3.0, 0.0], &[0.0, 4.0]), 1.25);
        assert_eq!(distance(&[0.5], &[0.0]), 0.5);
        assert_eq!(distance(&[0.5], &[]), f64::INFINITY);
    }
}
