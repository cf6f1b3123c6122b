//! Observes the progress of runs.

use crate::plan::RunPlan;
use crate::record::Ending;
use crate::train::Observer;

/// Where a run starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    New,
    /// After this iteration.
    At(u64),
}

/// Observes the progress of runs. Must not affect results.
pub trait RunsObserver: Observer {
    /// The estimated cost of each run, in any unit, before the first starts.
    fn planned(&mut self, _costs: &[f64]) {}
    /// Run number `place`, from 0, starts.
    fn begin(&mut self, _run: &RunPlan, _place: usize, _start: Start) {}
    /// A run is skipped because it has already ended like this.
    fn skip(&mut self, _run: &RunPlan, _place: usize, _ending: Ending) {}
    /// A started run has ended or was stopped.
    fn end(&mut self, _run: &RunPlan, _place: usize, _ending: Ending) {}
    /// Something for the user to know.
    fn tell(&mut self, _text: &str) {}
    /// A warning for the user; the run continues.
    fn warn(&mut self, _text: &str) {}
}

impl RunsObserver for () {}
