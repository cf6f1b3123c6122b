//! What a forward and a backward pass found, and a pass that the device makes again by itself.
//!
//! A step on a GPU is hundreds of short launches, and making them costs the host as long as doing them costs the GPU. Where
//! the device can, the launches of one pass are therefore noted, and for each further mini-batch of the same size the images
//! are exchanged and the launches made again, on the same storage. The update is not among them: its learning rate changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::data::Batch;

use super::differentiable::BatchStatistics;
use super::operators::{Numbers, Operators};
use super::placed::Kept;
use super::storage::{Activation, Buffer, Session};

/// Statistics of every normalisation of one mini-batch, by its place.
pub type Gathered<D> = BTreeMap<usize, BatchStatistics<D>>;

/// What a forward pass put out, and the classes that it is held against.
pub struct Forward<D: Operators> {
    pub logits: Activation<D>,
    pub labels: D::Labels,
}

/// What a forward and a backward pass found.
pub struct Pass<D: Operators> {
    pub forward: Forward<D>,
    pub statistics: Gathered<D>,
    /// Of the parameters, in their order.
    pub gradients: Vec<Buffer<D>>,
}

/// A pass whose launches were noted. It holds what goes in and what comes out; what lies between is the session's and is
/// written before it is read.
pub struct Recorded<D: Operators> {
    images: Activation<D>,
    pub pass: Pass<D>,
    launches: D::Recording,
}

impl<D: Operators> Recorded<D> {
    pub fn new(images: Activation<D>, pass: Pass<D>, launches: D::Recording) -> Self {
        Self {
            images,
            pass,
            launches,
        }
    }

    /// Images of its mini-batch.
    pub fn images(&self) -> usize {
        self.images.shape.images
    }

    /// The pass again with another mini-batch of the same shape. False where it can no longer be made.
    ///
    /// # Safety
    /// The session has freed no storage for mini-batches of this size, and the parameters lie where they lay.
    pub unsafe fn replay(
        &mut self,
        session: &Arc<Session<D>>,
        kept: &mut Kept<D>,
        batch: &Batch,
    ) -> Result<bool, D::Err> {
        let shape = self.images.shape;
        let Some(into) = Arc::get_mut(&mut self.images.values) else {
            return Ok(false);
        };
        self.pass.forward.labels = kept.place(session, batch, shape, into.numbers_mut())?;
        // SAFETY: what goes in and comes out is held here; for the rest the caller promises.
        unsafe { D::replay(&session.workers, &self.launches) }
    }

    /// Whether the device makes the pass again to the bit. To be asked right after the pass, which is trusted; where the
    /// answer is no its results are lost.
    ///
    /// # Safety
    /// As [`Recorded::replay`].
    pub unsafe fn repeats(&mut self, session: &Arc<Session<D>>) -> Result<bool, D::Err> {
        let expected = self.bits(session)?;
        // What is not written again shows.
        for gradient in &mut self.pass.gradients {
            let numbers = gradient.numbers_mut();
            session.device.try_fill_with_zeros(numbers)?;
        }
        // SAFETY: the caller's promise.
        let made = unsafe { D::replay(&session.workers, &self.launches)? };
        Ok(made && self.bits(session)? == expected)
    }

    /// All that a pass puts out.
    fn bits(&self, session: &Session<D>) -> Result<Vec<Vec<u32>>, D::Err> {
        let bits = |numbers: &Numbers<D>| -> Result<Vec<u32>, D::Err> {
            let values = session.device.download(numbers)?;
            Ok(values.into_iter().map(f32::to_bits).collect())
        };
        let mut all = vec![bits(self.pass.forward.logits.values.numbers())?];
        for found in self.pass.statistics.values() {
            all.push(bits(&found.moments.mean)?);
            all.push(bits(&found.moments.variance)?);
        }
        for gradient in &self.pass.gradients {
            all.push(bits(gradient.numbers())?);
        }
        Ok(all)
    }
}
