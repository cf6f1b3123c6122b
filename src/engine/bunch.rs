//! Steps whose losses are still on the device: read together, so that no step waits for the one before.

use super::Step;
use super::cpu::CrossEntropy;
use super::operators::Operators;
use super::storage::{Activation, Session};

/// Steps begun and not yet asked for.
pub struct Bunch<D: Operators> {
    ledger: D::Ledger,
    /// Images of each step in the ledger.
    images: Vec<usize>,
    /// Read because the ledger was full.
    finished: Vec<Step>,
}

impl<D: Operators> Default for Bunch<D> {
    fn default() -> Self {
        Self {
            ledger: D::Ledger::default(),
            images: Vec::new(),
            finished: Vec::new(),
        }
    }
}

impl<D: Operators> Bunch<D> {
    /// Enters a step's loss and errors. Waits only where the ledger is full.
    pub fn enter(
        &mut self,
        session: &Session<D>,
        logits: &Activation<D>,
        labels: &D::Labels,
    ) -> Result<(), D::Err> {
        if self.images.len() == D::BUNCH {
            self.read(session)?;
        }
        let (numbers, classes) = (logits.values.numbers(), logits.shape.channels);
        D::enter_cross_entropy(&session.workers, numbers, labels, classes, &mut self.ledger)?;
        self.images.push(logits.shape.images);
        Ok(())
    }

    /// What all steps since the last call report.
    pub fn finish(&mut self, session: &Session<D>) -> Result<Vec<Step>, D::Err> {
        self.read(session)?;
        Ok(std::mem::take(&mut self.finished))
    }

    fn read(&mut self, session: &Session<D>) -> Result<(), D::Err> {
        if self.images.is_empty() {
            return Ok(());
        }
        let sums = D::read_ledger(&session.workers, &mut self.ledger)?;
        let step = |(sums, images): (CrossEntropy, usize)| Step {
            loss: (sums.loss / images as f64) as f32,
            wrong: sums.wrong,
        };
        let images = self.images.drain(..);
        self.finished.extend(sums.into_iter().zip(images).map(step));
        Ok(())
    }
}
