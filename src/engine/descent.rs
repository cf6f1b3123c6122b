//! The update of a training step: gradient descent with momentum, and the running statistics.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::network::Role;
use crate::recipe::DecayOn;

use super::arithmetic::{Arithmetic, Averaging, Descent, MovingAverage};
use super::contract::Hyperparameters;
use super::cpu::SgdStep;
use super::error::device_error;
use super::model::{Model, NormStatistics};
use super::session::Buffer;

impl<D: Arithmetic> Model<D> {
    /// One step of gradient descent for every parameter; `gradients` are in the parameters' order.
    pub fn descend(
        &mut self,
        hyper: &Hyperparameters,
        gradients: &[Buffer<D>],
        learning_rate: f32,
    ) -> Result<()> {
        let session = self.session.clone();
        let mut steps = Vec::with_capacity(gradients.len());
        let mut gradients = gradients.iter();
        for named in &mut self.tensors {
            let Some(velocity) = &mut named.velocity else {
                continue;
            };
            let gradient = gradients
                .next()
                .context("fewer gradients than parameters")?;
            let decays = match hyper.weight_decay_on {
                DecayOn::All => true,
                DecayOn::Weights => {
                    matches!(named.role, Role::ConvolutionWeight | Role::ClassifierWeight)
                }
            };
            let step = SgdStep {
                learning_rate,
                momentum: hyper.momentum,
                form: hyper.momentum_form,
                weight_decay: if decays { hyper.weight_decay } else { 0.0 },
            };
            let weights = Arc::get_mut(&mut named.variable.values)
                .with_context(|| format!("{} is still in use after the step", named.name))?;
            steps.push(Descent {
                step,
                weights,
                gradient: gradient.numbers(),
                velocity,
            });
        }
        D::descend_all(&session.workers, steps).map_err(device_error)
    }

    /// Moves every running statistic towards the mini-batch's.
    pub fn average(
        &mut self,
        hyper: &Hyperparameters,
        statistics: &NormStatistics<D>,
    ) -> Result<()> {
        let session = self.session.clone();
        let running: Vec<_> = self.running().collect();
        let mut fresh = BTreeMap::new();
        for (norm, batch) in statistics {
            let [mean, variance] = running[*norm];
            fresh.insert(mean, (batch.shape, &batch.moments.mean, false));
            fresh.insert(variance, (batch.shape, &batch.moments.variance, true));
        }
        let mut averages = Vec::with_capacity(fresh.len());
        for (index, named) in self.tensors.iter_mut().enumerate() {
            let Some(&(shape, batch, unbiased)) = fresh.get(&index) else {
                continue;
            };
            let running = Arc::get_mut(&mut named.variable.values)
                .with_context(|| format!("{} is still in use after the step", named.name))?;
            let momentum = hyper.norm_momentum;
            averages.push(MovingAverage {
                shape,
                averaging: Averaging { momentum, unbiased },
                batch,
                running,
            });
        }
        D::average_all(&session.workers, averages).map_err(device_error)
    }
}
