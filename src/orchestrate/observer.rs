//! How a run ended, and who is told.

use crate::plan::RunPlan;
use crate::train::{Observer, Outcome};

/// Where a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    New,
    /// After so many iterations made before.
    At(u64),
}

/// How a run ended here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was done before.
    Skipped,
    Trained(Outcome),
}

/// One run and how it ended.
#[derive(Clone, Debug)]
pub struct RunResult {
    pub run: RunPlan,
    pub ended: Ended,
}

/// Sees the progress of runs. Nothing it does changes a result.
pub trait RunsObserver: Observer {
    /// The estimated cost of each run, in any unit, before the first begins.
    fn planned(&mut self, _costs: &[f64]) {}
    /// Run number `place`, counted from 0, begins.
    fn begin(&mut self, _run: &RunPlan, _place: usize, _start: Start) {}
    /// It ended; a run that was done before ends without having begun.
    fn end(&mut self, _run: &RunPlan, _place: usize, _ended: Ended) {}
    /// Something that the user should know of and that does not stop the run.
    fn warn(&mut self, _text: &str) {}
}

impl RunsObserver for () {}
