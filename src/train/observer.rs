//! The traits that receive a run's rows, states and progress.

use super::state::LoopState;
use crate::record::{Evaluation, Iteration, Recorder};
use crate::weights::Weights;

/// Receives a run's rows and, from time to time, a state to resume from. Rows received since the last `keep` are lost if
/// the process dies, and are produced again on resume.
pub trait Keeper: Recorder {
    /// Saves the engine's state and the loop's, together with every row received so far.
    ///
    /// # Errors
    /// If it cannot be saved; the loop returns that error.
    fn keep(&mut self, state: &Weights, at: &LoopState) -> anyhow::Result<()>;
}

/// What takes long besides updates: the mean image, and the phases of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Computing the mean image of the training images, before a run begins.
    Mean,
    /// Estimating batch-norm statistics on training images.
    Statistics,
    /// Evaluating the test images.
    Test,
    /// Evaluating training images without augmentation, after the last iteration.
    Clean,
}

/// Observes progress. It cannot affect results.
pub trait Observer {
    /// An update was made.
    fn iteration(&mut self, _row: &Iteration) {}
    /// An evaluation or the mean image is in progress: `done` of `total` images of this phase.
    fn phase(&mut self, _phase: Phase, _done: u64, _total: u64) {}
    /// An evaluation is complete; called once for each of its rows.
    fn evaluation(&mut self, _row: &Evaluation) {}
    /// A state was saved.
    fn kept(&mut self, _iteration: u64) {}
}

/// No-op observer.
impl Observer for () {}
