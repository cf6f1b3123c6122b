//! Losses of steps that are still on the device. They are read together, so that no step waits for the one before it.

use super::activation::Activation;
use super::arithmetic::Arithmetic;
use super::contract::Step;
use super::residency::Residency;
use super::session::Session;

/// The steps begun since the last [`LossLedger::finish`].
pub struct LossLedger<D: Residency> {
    ledger: D::Ledger,
    /// What the entries in the ledger are of.
    entries: Vec<Piece>,
    /// The sums of a step that is read in part.
    open: Sums,
    /// Steps that were read early because the ledger was full.
    finished: Vec<Step>,
}

/// The mini-batch of a step, or a piece of it.
struct Piece {
    images: usize,
    /// Whether it is the last of its step.
    last: bool,
}

#[derive(Default)]
struct Sums {
    images: usize,
    loss: f64,
    wrong: u32,
}

impl<D: Residency> Default for LossLedger<D> {
    fn default() -> Self {
        Self {
            ledger: D::Ledger::default(),
            entries: Vec::new(),
            open: Sums::default(),
            finished: Vec::new(),
        }
    }
}

impl<D: Arithmetic> LossLedger<D> {
    /// Enters loss and errors of a step's mini-batch or of a piece, `last` if it is the step's last. Waits for the device
    /// only if the ledger is full.
    pub fn enter(
        &mut self,
        session: &Session<D>,
        logits: &Activation<D>,
        labels: &D::Labels,
        last: bool,
    ) -> Result<(), D::Err> {
        if self.entries.len() == D::STEPS_IN_FLIGHT {
            self.read(session)?;
        }
        let (numbers, classes) = (logits.values.numbers(), logits.shape.channels);
        D::enter_cross_entropy(&session.workers, numbers, labels, classes, &mut self.ledger)?;
        let images = logits.shape.images;
        self.entries.push(Piece { images, last });
        Ok(())
    }

    /// Waits for all steps entered since the last call and returns their outcomes in order.
    pub fn finish(&mut self, session: &Session<D>) -> Result<Vec<Step>, D::Err> {
        self.read(session)?;
        Ok(std::mem::take(&mut self.finished))
    }

    fn read(&mut self, session: &Session<D>) -> Result<(), D::Err> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let found = D::read_ledger(&session.workers, &mut self.ledger)?;
        for (entry, piece) in found.into_iter().zip(self.entries.drain(..)) {
            let open = &mut self.open;
            open.images += piece.images;
            open.loss += entry.loss;
            open.wrong += entry.wrong;
            if piece.last {
                let sums = std::mem::take(open);
                self.finished.push(Step {
                    loss: (sums.loss / sums.images as f64) as f32,
                    wrong: sums.wrong,
                });
            }
        }
        Ok(())
    }
}
