//! Gradients on dfdx's tape: where they are filed while the backward pass sums them up.

use std::sync::Arc;

use dfdx::prelude::*;

use super::arithmetic::Arithmetic;
use super::cpu::Feature;
use super::residency::Residency;
use super::session::{Buffer, Lot, Session};

/// The key of a gradient in dfdx's [`Gradients`]: a tensor without elements, for which dfdx allocates and zero-fills
/// nothing. The operator that makes the first contribution supplies the memory.
pub struct Key<D: Residency> {
    tensor: Tensor<(usize,), f32, D>,
    lot: Lot,
}

impl<D: Residency> Clone for Key<D> {
    fn clone(&self) -> Self {
        Self {
            tensor: self.tensor.clone(),
            lot: self.lot,
        }
    }
}

/// A gradient that some operators may have contributed to already.
pub struct PartialGradient<D: Residency> {
    pub gradient: Buffer<D>,
    /// Whether to add to the buffer; without contributions so far it is to be overwritten.
    pub accumulate: bool,
}

impl<D: Residency> Key<D> {
    /// The key of the gradient of an activation of `shape`.
    pub fn of_activation(session: &Session<D>, shape: Feature) -> Result<Self, D::Err> {
        Self::new(&session.device, session.activation_lot(shape))
    }

    /// The key of the gradient of the activation in `values`.
    pub fn of_buffer(values: &Buffer<D>) -> Result<Self, D::Err> {
        Self::new(&values.session().device, values.lot())
    }

    pub fn of_parameter(device: &D, len: usize) -> Result<Self, D::Err> {
        Self::new(device, Lot::of_parameter(len))
    }

    fn new(device: &D, lot: Lot) -> Result<Self, D::Err> {
        let tensor = device.try_tensor_from_vec(Vec::<f32>::new(), (0,))?;
        Ok(Self { tensor, lot })
    }

    /// Takes the sum so far out of the tape's gradients; `None` if nothing has been contributed.
    pub fn take(
        &self,
        gradients: &mut Gradients<f32, D>,
        session: &Arc<Session<D>>,
    ) -> Result<Option<Buffer<D>>, D::Err> {
        let place = gradients.get_or_alloc_mut(&self.tensor)?;
        if Storage::<f32>::len(&session.device, place) == 0 {
            return Ok(None);
        }
        let storage = std::mem::replace(place, session.device.allocate(0)?);
        Ok(Some(session.adopt(self.lot, storage)))
    }

    /// As `take`, with memory for the first contribution if there is none yet.
    pub fn take_or_lend(
        &self,
        gradients: &mut Gradients<f32, D>,
        session: &Arc<Session<D>>,
    ) -> Result<PartialGradient<D>, D::Err> {
        Ok(match self.take(gradients, session)? {
            Some(gradient) => PartialGradient {
                gradient,
                accumulate: true,
            },
            None => PartialGradient {
                gradient: session.lend_lot(self.lot)?,
                accumulate: false,
            },
        })
    }

    /// Files a gradient, replacing what was there.
    pub fn put(
        &self,
        gradients: &mut Gradients<f32, D>,
        gradient: Buffer<D>,
    ) -> Result<(), D::Err> {
        if let Some(storage) = gradient.into_storage() {
            *gradients.get_or_alloc_mut(&self.tensor)? = storage;
        }
        Ok(())
    }
}

impl<D: Arithmetic> Key<D> {
    /// Adds a contribution. The first one is moved, not copied.
    pub fn add(
        &self,
        gradients: &mut Gradients<f32, D>,
        session: &Arc<Session<D>>,
        contribution: Buffer<D>,
    ) -> Result<(), D::Err> {
        let sum = match self.take(gradients, session)? {
            None => contribution,
            Some(mut sum) => {
                let (value, kind) = (contribution.numbers(), self.lot.kind());
                D::add(&session.workers, kind, value, sum.numbers_mut())?;
                sum
            }
        };
        self.put(gradients, sum)
    }
}
