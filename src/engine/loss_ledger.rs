//! Losses of steps that are still on the device. They are read together, so that no step waits for the one before it.

use super::activation::Activation;
use super::arithmetic::Arithmetic;
use super::contract::Step;
use super::cpu::CrossEntropy;
use super::residency::Residency;
use super::session::Session;

/// The steps begun since the last [`LossLedger::finish`].
pub struct LossLedger<D: Residency> {
    ledger: D::Ledger,
    /// Number of images of each step in the ledger.
    images: Vec<usize>,
    /// Steps that were read early because the ledger was full.
    finished: Vec<Step>,
}

impl<D: Residency> Default for LossLedger<D> {
    fn default() -> Self {
        Self {
            ledger: D::Ledger::default(),
            images: Vec::new(),
            finished: Vec::new(),
        }
    }
}

impl<D: Arithmetic> LossLedger<D> {
    /// Enters a step's loss and errors. Waits for the device only if the ledger is full.
    pub fn enter(
        &mut self,
        session: &Session<D>,
        logits: &Activation<D>,
        labels: &D::Labels,
    ) -> Result<(), D::Err> {
        if self.images.len() == D::STEPS_IN_FLIGHT {
            self.read(session)?;
        }
        let (numbers, classes) = (logits.values.numbers(), logits.shape.channels);
        D::enter_cross_entropy(&session.workers, numbers, labels, classes, &mut self.ledger)?;
        self.images.push(logits.shape.images);
        Ok(())
    }

    /// Waits for all steps entered since the last call and returns their outcomes in order.
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
