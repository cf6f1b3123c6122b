//! A device and a pool of its storage, from which buffers are lent.
//!
//! An activation is written whole by the operator that computes it, so its memory needs no zero fill; reusing it in the
//! next step saves the page faults. Together these would take a quarter of a step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cpu::Feature;
use super::residency::{Kind, Numbers, Residency};

/// Buffers of the same lot are interchangeable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lot {
    /// Images of the mini-batch; 0 if the size does not depend on it.
    images: usize,
    /// Floats.
    len: usize,
    kind: Kind,
}

impl Lot {
    /// A parameter's gradient.
    pub(super) fn of_parameter(len: usize) -> Self {
        let (images, kind) = (0, Kind::Floats);
        Self { images, len, kind }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }
}

type Shelf<D> = BTreeMap<Lot, Vec<Numbers<D>>>;

/// A device, its workers, and the buffers that are free for reuse.
pub struct Session<D: Residency> {
    pub device: D,
    pub workers: D::Workers,
    /// Bytes of activations that a training step may keep; above that it drops what it can recompute.
    pub keep: usize,
    shelf: Mutex<Shelf<D>>,
}

impl<D: Residency> Session<D> {
    pub fn new(device: D, workers: D::Workers, keep: usize) -> Arc<Self> {
        Arc::new(Self {
            device,
            workers,
            keep,
            shelf: Mutex::default(),
        })
    }

    /// Lends memory for an activation or its gradient. Its contents are unspecified.
    pub fn lend(self: &Arc<Self>, shape: Feature) -> Result<Buffer<D>, D::Err> {
        self.lend_lot(self.activation_lot(shape))
    }

    /// As `lend`, for a feature of 32-bit floats.
    pub fn lend_floats(self: &Arc<Self>, shape: Feature) -> Result<Buffer<D>, D::Err> {
        self.lend_lot(self.lot(shape, Kind::Floats))
    }

    pub(super) fn activation_lot(&self, shape: Feature) -> Lot {
        self.lot(shape, Kind::Activation)
    }

    fn lot(&self, shape: Feature, kind: Kind) -> Lot {
        Lot {
            images: shape.images,
            len: match kind {
                Kind::Activation => D::activation_floats(&self.workers, shape),
                Kind::Floats => shape.storage(),
            },
            kind,
        }
    }

    pub(super) fn lend_lot(self: &Arc<Self>, lot: Lot) -> Result<Buffer<D>, D::Err> {
        let free = self.shelf().get_mut(&lot).and_then(Vec::pop);
        let storage = match free {
            Some(storage) => storage,
            None => self.device.allocate(lot.len)?,
        };
        Ok(self.adopt(lot, storage))
    }

    /// Wraps storage that goes to the pool when the buffer is dropped.
    pub(super) fn adopt(self: &Arc<Self>, lot: Lot, storage: Numbers<D>) -> Buffer<D> {
        Buffer {
            lot,
            storage: Some(storage),
            session: self.clone(),
        }
    }

    /// Frees pooled memory of mini-batches of any other size.
    pub fn keep_only(&self, images: &[usize]) {
        self.shelf()
            .retain(|lot, _| images.contains(&lot.images) || lot.images == 0);
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf<D>> {
        // Held for single map operations, so a poisoned lock hides no half-done change.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lent memory, returned to its session when dropped.
pub struct Buffer<D: Residency> {
    lot: Lot,
    /// `None` once it was taken.
    storage: Option<Numbers<D>>,
    session: Arc<Session<D>>,
}

impl<D: Residency> Buffer<D> {
    pub fn numbers(&self) -> &Numbers<D> {
        self.storage.as_ref().expect("taken only by value")
    }

    pub fn numbers_mut(&mut self) -> &mut Numbers<D> {
        self.storage.as_mut().expect("taken only by value")
    }

    pub(super) fn lot(&self) -> Lot {
        self.lot
    }

    pub(super) fn session(&self) -> &Session<D> {
        &self.session
    }

    /// Takes the storage out, so that it does not return to the pool.
    pub(super) fn into_storage(mut self) -> Option<Numbers<D>> {
        self.storage.take()
    }
}

impl<D: Residency> Drop for Buffer<D> {
    fn drop(&mut self) {
        if let Some(storage) = self.storage.take() {
            let mut shelf = self.session.shelf();
            shelf.entry(self.lot).or_default().push(storage);
        }
    }
}
