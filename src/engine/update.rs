//! What a step does with what its pass found: gradient descent with momentum, running statistics.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use crate::manifest::DecayOn;
use crate::network::Role;

use super::Hyperparameters;
use super::cpu::SgdStep;
use super::model::Model;
use super::operators::{Averaging, Descent, Moving, Operators};
use super::pass::Gathered;
use super::storage::Buffer;
use super::trainer::device;

impl<D: Operators> Model<D> {
    /// One step of gradient descent on every parameter; `gradients` in the parameters' order.
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
            let gradient = gradients.next().context("a gradient for each parameter")?;
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
            let weights = Arc::get_mut(&mut named.tensor.values)
                .with_context(|| format!("{} is still in use after the step", named.name))?;
            steps.push(Descent {
                step,
                weights,
                gradient: gradient.numbers(),
                velocity,
            });
        }
        D::descend_all(&session.workers, steps).map_err(device)
    }

    /// Moves every running statistic towards the mini-batch's.
    pub fn average(&mut self, hyper: &Hyperparameters, statistics: &Gathered<D>) -> Result<()> {
        let session = self.session.clone();
        let running: Vec<_> = self.running().collect();
        let mut moved = BTreeMap::new();
        for (norm, batch) in statistics {
            let [mean, variance] = running[*norm];
            moved.insert(mean, (batch.shape, &batch.moments.mean, false));
            moved.insert(variance, (batch.shape, &batch.moments.variance, true));
        }
        let mut moves = Vec::with_capacity(moved.len());
        for (place, named) in self.tensors.iter_mut().enumerate() {
            let Some(&(shape, batch, unbiased)) = moved.get(&place) else {
                continue;
            };
            let running = Arc::get_mut(&mut named.tensor.values)
                .with_context(|| format!("{} is still in use after the step", named.name))?;
            let momentum = hyper.norm_momentum;
            moves.push(Moving {
                shape,
                averaging: Averaging { momentum, unbiased },
                batch,
                running,
            });
        }
        D::average_all(&session.workers, moves).map_err(device)
    }
}
