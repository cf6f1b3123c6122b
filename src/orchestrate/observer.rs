//! Who is told how runs go.

use crate::plan::RunPlan;
use crate::record::Ending;
use crate::train::Observer;

/// Where a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    New,
    /// After so many iterations made before.
    At(u64),
}

/// Sees the progress of runs. Nothing it does changes a result.
pub trait RunsObserver: Observer {
    /// The estimated cost of each run, in any unit, before the first begins.
    fn planned(&mut self, _costs: &[f64]) {}
    /// Run number `place`, counted from 0, begins.
    fn begin(&mut self, _run: &RunPlan, _place: usize, _start: Start) {}
    /// A run that was done before is left as it is.
    fn skip(&mut self, _run: &RunPlan, _place: usize) {}
    /// A run that began has ended here, or was stopped.
    fn end(&mut self, _run: &RunPlan, _place: usize, _ending: Ending) {}
    /// Something that the user should know of and that does not stop the run.
    fn warn(&mut self, _text: &str) {}
}

impl RunsObserver for () {}
