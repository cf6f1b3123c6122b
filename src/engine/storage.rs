//! Where numbers lie: dfdx's storage, lent from a pool and given back, and the gradients of activations.
//!
//! An activation is written once, by the operator that makes it, so it needs no zero fill; and its memory is used again
//! in the next step, so it costs no page faults. Together these would be a quarter of a step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dfdx::prelude::*;

use super::cpu::{Feature, NormShape};
use super::operators::{Added, Affine, Kind, Moments, Numbers, Operators};

/// What makes two buffers exchangeable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lot {
    /// Images of the mini-batch, 0 for what does not depend on it.
    images: usize,
    /// Floats.
    len: usize,
    kind: Kind,
}

type Shelf<D> = BTreeMap<Lot, Vec<Numbers<D>>>;

/// A device, its workers, and buffers that wait to be used again.
pub struct Session<D: Operators> {
    pub device: D,
    pub workers: D::Workers,
    /// Bytes of activations that a training step keeps whatever they are. Of more, it drops what it can make again.
    pub keep: usize,
    shelf: Mutex<Shelf<D>>,
}

impl<D: Operators> Session<D> {
    pub fn new(device: D, workers: D::Workers, keep: usize) -> Arc<Self> {
        Arc::new(Self {
            device,
            workers,
            keep,
            shelf: Mutex::default(),
        })
    }

    /// Memory for an activation or its gradient. It holds whatever its last user left there.
    pub fn lend(self: &Arc<Self>, shape: Feature) -> Result<Buffer<D>, D::Err> {
        self.lend_lot(self.lot(shape, Kind::Activation))
    }

    /// The same for a feature of floats.
    pub fn lend_floats(self: &Arc<Self>, shape: Feature) -> Result<Buffer<D>, D::Err> {
        self.lend_lot(self.lot(shape, Kind::Floats))
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

    fn lend_lot(self: &Arc<Self>, lot: Lot) -> Result<Buffer<D>, D::Err> {
        let waiting = self.shelf().get_mut(&lot).and_then(Vec::pop);
        let storage = match waiting {
            Some(storage) => storage,
            None => self.device.allocate(lot.len)?,
        };
        Ok(self.adopt(lot, storage))
    }

    fn adopt(self: &Arc<Self>, lot: Lot, storage: Numbers<D>) -> Buffer<D> {
        Buffer {
            lot,
            storage: Some(storage),
            session: self.clone(),
        }
    }

    /// Gives memory that waits for mini-batches of other sizes back to the system.
    pub fn keep_only(&self, images: &[usize]) {
        self.shelf()
            .retain(|lot, _| images.contains(&lot.images) || lot.images == 0);
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf<D>> {
        // Held for single map operations: nothing can be left half done behind a poisoned lock.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lent memory. It goes back to its session when dropped.
pub struct Buffer<D: Operators> {
    lot: Lot,
    /// `None` once it was handed to dfdx's gradients.
    storage: Option<Numbers<D>>,
    session: Arc<Session<D>>,
}

impl<D: Operators> Buffer<D> {
    pub fn numbers(&self) -> &Numbers<D> {
        self.storage.as_ref().expect("taken only by value")
    }

    pub fn numbers_mut(&mut self) -> &mut Numbers<D> {
        self.storage.as_mut().expect("taken only by value")
    }
}

impl<D: Operators> Drop for Buffer<D> {
    fn drop(&mut self) {
        if let Some(storage) = self.storage.take() {
            let mut shelf = self.session.shelf();
            shelf.entry(self.lot).or_default().push(storage);
        }
    }
}

/// What a gradient is filed under on dfdx's tape: a tensor without elements, so that dfdx allocates and zero-fills nothing;
/// the operator that makes the first contribution brings the memory.
pub struct Key<D: Operators> {
    tensor: Tensor<(usize,), f32, D>,
    lot: Lot,
}

impl<D: Operators> Clone for Key<D> {
    fn clone(&self) -> Self {
        Self {
            tensor: self.tensor.clone(),
            lot: self.lot,
        }
    }
}

/// A gradient while the backward pass gathers it.
pub struct Gathered<D: Operators> {
    pub gradient: Buffer<D>,
    /// Contributions are in it: to be added to. Otherwise to be overwritten.
    pub begun: bool,
}

impl<D: Operators> Key<D> {
    pub fn of_activation(session: &Session<D>, shape: Feature) -> Result<Self, D::Err> {
        Self::new(&session.device, session.lot(shape, Kind::Activation))
    }

    pub fn of_parameter(device: &D, len: usize) -> Result<Self, D::Err> {
        let (images, kind) = (0, Kind::Floats);
        Self::new(device, Lot { images, len, kind })
    }

    fn new(device: &D, lot: Lot) -> Result<Self, D::Err> {
        let tensor = device.try_tensor_from_vec(Vec::<f32>::new(), (0,))?;
        Ok(Self { tensor, lot })
    }

    /// What has been gathered, taken out of the tape's gradients; `None` where nothing has.
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

    /// As `take`, with memory for the first contribution where nothing has been gathered.
    pub fn take_or_begin(
        &self,
        gradients: &mut Gradients<f32, D>,
        session: &Arc<Session<D>>,
    ) -> Result<Gathered<D>, D::Err> {
        Ok(match self.take(gradients, session)? {
            Some(gradient) => Gathered {
                gradient,
                begun: true,
            },
            None => Gathered {
                gradient: session.lend_lot(self.lot)?,
                begun: false,
            },
        })
    }

    /// Files a gradient in place of what was there.
    pub fn put(
        &self,
        gradients: &mut Gradients<f32, D>,
        mut gradient: Buffer<D>,
    ) -> Result<(), D::Err> {
        if let Some(storage) = gradient.storage.take() {
            *gradients.get_or_alloc_mut(&self.tensor)? = storage;
        }
        Ok(())
    }

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
                let (value, kind) = (contribution.numbers(), self.lot.kind);
                D::add(&session.workers, kind, value, sum.numbers_mut())?;
                sum
            }
        };
        self.put(gradients, sum)
    }
}

/// An activation: values that all its users share, and where its gradient is gathered.
pub struct Activation<D: Operators> {
    pub shape: Feature,
    pub values: Arc<Buffer<D>>,
    pub key: Key<D>,
    /// How the values can be made again, where they are not to be kept for the backward pass.
    pub remade: Option<Arc<Remade<D>>>,
}

/// A normalised activation that is dropped once it was used, and what makes it again, to the bit.
pub struct Remade<D: Operators> {
    pub shape: NormShape,
    /// What was normalised, in one group.
    pub x: Arc<Buffer<D>>,
    pub scale: Arc<Numbers<D>>,
    pub shift: Arc<Numbers<D>>,
    pub moments: Arc<Moments<Numbers<D>>>,
    pub relu: bool,
}

impl<D: Operators> Remade<D> {
    /// The values once more.
    pub fn make(&self, session: &Arc<Session<D>>) -> Result<Buffer<D>, D::Err> {
        let mut y = session.lend(self.shape.feature)?;
        let affine = Affine {
            scale: &*self.scale,
            shift: &*self.shift,
        };
        D::normalise_fixed(
            &session.workers,
            self.shape,
            self.x.numbers(),
            affine,
            &self.moments,
            Added::Nothing,
            self.relu,
            y.numbers_mut(),
        )?;
        Ok(y)
    }
}

/// Where a gradient finds the values of an activation.
pub enum Source<D: Operators> {
    Kept(Arc<Buffer<D>>),
    Remade(Arc<Remade<D>>),
}

impl<D: Operators> Source<D> {
    pub fn of(x: &Activation<D>) -> Self {
        match &x.remade {
            Some(remade) => Source::Remade(remade.clone()),
            None => Source::Kept(x.values.clone()),
        }
    }

    pub fn values(self, session: &Arc<Session<D>>) -> Result<Arc<Buffer<D>>, D::Err> {
        match self {
            Source::Kept(values) => Ok(values),
            Source::Remade(remade) => Ok(Arc::new(remade.make(session)?)),
        }
    }
}

impl<D: Operators> Clone for Activation<D> {
    fn clone(&self) -> Self {
        Self {
            shape: self.shape,
            values: self.values.clone(),
            key: self.key.clone(),
            remade: self.remade.clone(),
        }
    }
}

impl<D: Operators> Activation<D> {
    pub fn new(shape: Feature, values: Buffer<D>) -> Result<Self, D::Err> {
        let key = Key::new(&values.session.device, values.lot)?;
        Ok(Self {
            shape,
            values: Arc::new(values),
            key,
            remade: None,
        })
    }
}

/// A learnt tensor: values, and where its gradient is gathered.
pub struct Learnt<D: Operators> {
    pub values: Arc<Numbers<D>>,
    pub key: Key<D>,
}

impl<D: Operators> Clone for Learnt<D> {
    fn clone(&self) -> Self {
        Self {
            values: self.values.clone(),
            key: self.key.clone(),
        }
    }
}
