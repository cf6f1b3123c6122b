//! A forward and a backward pass over one mini-batch, and their results.

use anyhow::{Context as _, Result};
use dfdx::prelude::*;

use super::activation::Activation;
use super::arithmetic::Arithmetic;
use super::differentiable::cross_entropy;
use super::error::device_error;
use super::mini_batch::MiniBatch;
use super::model::{Model, NormMode, NormStatistics};
use super::residency::Residency;
use super::session::Buffer;

/// The result of a forward pass, with the classes to compare it with.
pub struct Forward<D: Residency> {
    pub logits: Activation<D>,
    pub labels: D::Labels,
}

/// The results of a forward and a backward pass.
pub struct Pass<D: Residency> {
    pub forward: Forward<D>,
    pub statistics: NormStatistics<D>,
    /// The parameters' gradients, in their order.
    pub gradients: Vec<Buffer<D>>,
}

impl<D: Arithmetic> Model<D> {
    /// Runs a mini-batch forward.
    pub fn predict<T: Tape<f32, D>>(
        &self,
        tape: &mut T,
        batch: MiniBatch<D>,
        mode: &mut NormMode<'_, D>,
    ) -> Result<Forward<D>> {
        let logits = self.forward(tape, batch.images, mode);
        Ok(Forward {
            logits: logits.map_err(device_error)?,
            labels: batch.labels,
        })
    }

    /// Runs a mini-batch forward and backward, with its own batch-norm statistics. The gradients are of the mean loss of `of`
    /// images, of which these are some or all.
    pub fn pass(&self, batch: MiniBatch<D>, of: usize) -> Result<Pass<D>> {
        let mut statistics = NormStatistics::new();
        let mut tape = OwnedTape::<f32, D>::default();
        let forward = self.predict(&mut tape, batch, &mut NormMode::Batch(&mut statistics))?;
        let session = &self.session;
        cross_entropy(session, &mut tape, &forward.logits, &forward.labels, of);
        // dfdx's backward pass starts from a tensor with gradient 1; its value is not used.
        let loss = session.device.try_tensor_from_vec(vec![0.0], ());
        let gathered = loss.map_err(device_error)?.put_tape(tape).try_backward();
        let mut gathered = gathered.map_err(device_error)?;
        let mut gradients = Vec::new();
        for named in &self.tensors {
            if named.role.is_parameter() {
                let gradient = named.variable.key.take(&mut gathered, session);
                let gradient = gradient.map_err(device_error)?;
                gradients.push(
                    gradient.with_context(|| format!("{} received no gradient", named.name))?,
                );
            }
        }
        Ok(Pass {
            forward,
            statistics,
            gradients,
        })
    }
}
