//! Activations and variables: values on a device, each with the key of its gradient.

use std::sync::Arc;

use super::arithmetic::{Addend, Affine, Arithmetic, Moments};
use super::cpu::{Feature, NormShape};
use super::gradient::Key;
use super::residency::{Numbers, Residency};
use super::session::{Buffer, Session};

/// An activation: values shared by all operators that read them, and the key of their gradient.
pub struct Activation<D: Residency> {
    pub shape: Feature,
    pub values: Arc<Buffer<D>>,
    pub key: Key<D>,
    /// How to recompute the values, if they are not to be kept for the backward pass.
    pub recomputation: Option<Arc<Recomputation<D>>>,
}

impl<D: Residency> Clone for Activation<D> {
    fn clone(&self) -> Self {
        Self {
            shape: self.shape,
            values: self.values.clone(),
            key: self.key.clone(),
            recomputation: self.recomputation.clone(),
        }
    }
}

impl<D: Residency> Activation<D> {
    pub fn new(shape: Feature, values: Buffer<D>) -> Result<Self, D::Err> {
        let key = Key::of_buffer(&values)?;
        Ok(Self {
            shape,
            values: Arc::new(values),
            key,
            recomputation: None,
        })
    }
}

/// What it takes to recompute a normalised activation, bit for bit, after it was dropped.
pub struct Recomputation<D: Residency> {
    pub shape: NormShape,
    /// The normalisation's input.
    pub x: Arc<Buffer<D>>,
    pub scale: Arc<Numbers<D>>,
    pub shift: Arc<Numbers<D>>,
    pub moments: Arc<Moments<Numbers<D>>>,
    pub relu: bool,
}

impl<D: Arithmetic> Recomputation<D> {
    pub fn run(&self, session: &Arc<Session<D>>) -> Result<Buffer<D>, D::Err> {
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
            Addend::None,
            self.relu,
            y.numbers_mut(),
        )?;
        Ok(y)
    }
}

/// Where a backward operation gets the values of an activation.
pub enum Source<D: Residency> {
    Memory(Arc<Buffer<D>>),
    Recomputation(Arc<Recomputation<D>>),
}

impl<D: Arithmetic> Source<D> {
    pub fn of(x: &Activation<D>) -> Self {
        match &x.recomputation {
            Some(recomputation) => Source::Recomputation(recomputation.clone()),
            None => Source::Memory(x.values.clone()),
        }
    }

    pub fn values(self, session: &Arc<Session<D>>) -> Result<Arc<Buffer<D>>, D::Err> {
        match self {
            Source::Memory(values) => Ok(values),
            Source::Recomputation(recomputation) => Ok(Arc::new(recomputation.run(session)?)),
        }
    }
}

/// A parameter or running statistic: its values and the key of its gradient.
pub struct Variable<D: Residency> {
    pub values: Arc<Numbers<D>>,
    pub key: Key<D>,
}

impl<D: Residency> Clone for Variable<D> {
    fn clone(&self) -> Self {
        Self {
            values: self.values.clone(),
            key: self.key.clone(),
        }
    }
}
