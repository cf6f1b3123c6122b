//! A forward and backward pass that the device replays.
//!
//! A step on a GPU is hundreds of short launches, which cost the host as much time to make as the GPU needs to run them. If
//! the device supports it, the launches of one pass are therefore recorded, and for every further mini-batch of the same
//! size only the images are replaced and the launches replayed on the same storage. The update is not recorded: its
//! learning rate changes.

use std::sync::Arc;

use crate::data::Batch;

use super::activation::Activation;
use super::mini_batch::ImageCache;
use super::pass::Pass;
use super::residency::{Numbers, Residency};
use super::session::Session;

/// A pass whose launches were recorded. It owns the inputs and outputs; everything in between belongs to the session and is
/// written before it is read.
pub struct RecordedPass<D: Residency> {
    images: Activation<D>,
    /// The images that the loss is a mean over.
    of: usize,
    pub pass: Pass<D>,
    launches: D::Recording,
}

impl<D: Residency> RecordedPass<D> {
    pub fn new(images: Activation<D>, of: usize, pass: Pass<D>, launches: D::Recording) -> Self {
        Self {
            images,
            of,
            pass,
            launches,
        }
    }

    /// Images per mini-batch.
    pub fn images(&self) -> usize {
        self.images.shape.images
    }

    /// Whether it is a pass over so many images, for the gradients of the mean loss of `of`.
    pub fn serves(&self, images: usize, of: usize) -> bool {
        (self.images(), self.of) == (images, of)
    }

    /// Replays the pass with another mini-batch of the same shape. Returns false if that is no longer possible.
    ///
    /// # Safety
    /// The session must not have freed storage for mini-batches of this size, and the parameters must not have moved.
    pub unsafe fn replay(
        &mut self,
        session: &Arc<Session<D>>,
        cache: &mut ImageCache<D>,
        batch: &Batch,
    ) -> Result<bool, D::Err> {
        let shape = self.images.shape;
        let Some(into) = Arc::get_mut(&mut self.images.values) else {
            return Ok(false);
        };
        self.pass.forward.labels = cache.place(session, batch, shape, into.numbers_mut())?;
        // SAFETY: inputs and outputs are owned by self; the caller promises the rest.
        unsafe { D::replay(&session.workers, &self.launches) }
    }

    /// Whether replaying reproduces the pass bit for bit. Call it right after the pass, whose results are taken as correct;
    /// if it returns false they are lost.
    ///
    /// # Safety
    /// As [`RecordedPass::replay`].
    pub unsafe fn is_exact(&mut self, session: &Arc<Session<D>>) -> Result<bool, D::Err> {
        let expected = self.bits(session)?;
        // Reveals what the replay does not write.
        for gradient in &mut self.pass.gradients {
            let numbers = gradient.numbers_mut();
            session.device.try_fill_with_zeros(numbers)?;
        }
        // SAFETY: by the caller's promise.
        let replayed = unsafe { D::replay(&session.workers, &self.launches)? };
        Ok(replayed && self.bits(session)? == expected)
    }

    /// All outputs of the pass.
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
