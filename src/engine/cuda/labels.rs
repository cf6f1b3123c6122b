//! The classes of a mini-batch in GPU memory.

use super::arguments::Address;
use super::gpu::{Gpu, Slot};

/// The classes of the latest mini-batch. They are always in the same slot, where the next mini-batch overwrites them in
/// stream order.
#[derive(Clone, Copy, Debug)]
pub struct Labels {
    pub images: usize,
}

impl Labels {
    /// Copies labels from the host. May wait for earlier work.
    pub fn put<G: Gpu>(gpu: &G, labels: &[u16]) -> Result<Self, G::Error> {
        gpu.send(Slot::Labels, labels)?;
        Ok(Self {
            images: labels.len(),
        })
    }

    pub(super) fn address<G: Gpu>(self, gpu: &G) -> Result<Address, G::Error> {
        gpu.scratch(Slot::Labels, self.images * size_of::<u16>())
    }
}
