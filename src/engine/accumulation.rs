//! A step's mini-batch in pieces: their gradients are added in order and their batch-norm statistics put side by side, for
//! one update.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::arithmetic::{Arithmetic, Moments};
use super::cpu::{Feature, NormShape};
use super::differentiable::BatchStatistics;
use super::model::NormStatistics;
use super::pass::Pass;
use super::residency::{Numbers, Residency};
use super::session::{Buffer, Session};

/// The results of the pieces so far.
pub struct Accumulation<D: Residency> {
    /// Images of the mini-batch.
    images: usize,
    /// Images of a batch-norm group, which divides a piece.
    group: usize,
    gradients: Vec<Buffer<D>>,
    statistics: BTreeMap<usize, (NormShape, Moments<Numbers<D>>)>,
}

impl<D: Arithmetic> Accumulation<D> {
    /// For a mini-batch of `images` in pieces of `piece`, normalised in groups of `group` images, 0 for a piece.
    ///
    /// # Errors
    /// If a group does not fit into a piece.
    pub fn new(images: usize, piece: usize, group: usize) -> Result<Self> {
        let group = match group {
            0 => piece,
            group => group,
        };
        if !piece.is_multiple_of(group) {
            return Err(anyhow!(
                "pieces of {piece} images cannot be normalised in groups of {group}"
            ));
        }
        Ok(Self {
            images,
            group,
            gradients: Vec::new(),
            statistics: BTreeMap::new(),
        })
    }

    /// Adds the pass over the piece that begins with the image `first`.
    pub fn add(
        &mut self,
        session: &Arc<Session<D>>,
        first: usize,
        pass: &Pass<D>,
    ) -> Result<(), D::Err> {
        let workers = &session.workers;
        if self.gradients.is_empty() {
            for gradient in &pass.gradients {
                let mut sum = session.lend_lot(gradient.lot())?;
                D::put_at(workers, gradient.numbers(), sum.numbers_mut(), 0)?;
                self.gradients.push(sum);
            }
        } else {
            for (gradient, sum) in pass.gradients.iter().zip(&mut self.gradients) {
                let kind = gradient.lot().kind();
                D::add(workers, kind, gradient.numbers(), sum.numbers_mut())?;
            }
        }
        for (&norm, found) in &pass.statistics {
            let feature = found.shape.feature;
            let (_, all) = match self.statistics.entry(norm) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    let shape = NormShape {
                        feature: Feature {
                            images: self.images,
                            ..feature
                        },
                        group: self.group,
                        ..found.shape
                    };
                    let len = shape.groups() * feature.channels;
                    let moments = Moments {
                        mean: session.device.allocate(len)?,
                        variance: session.device.allocate(len)?,
                    };
                    place.insert((shape, moments))
                }
            };
            let at = first / self.group * feature.channels;
            D::put_at(workers, &found.moments.mean, &mut all.mean, at)?;
            D::put_at(workers, &found.moments.variance, &mut all.variance, at)?;
        }
        Ok(())
    }

    /// The gradients and statistics of the whole mini-batch.
    pub fn finish(self) -> (Vec<Buffer<D>>, NormStatistics<D>) {
        let statistics = self.statistics.into_iter().map(|(norm, (shape, moments))| {
            let moments = Arc::new(moments);
            (norm, BatchStatistics { shape, moments })
        });
        (self.gradients, statistics.collect())
    }
}
