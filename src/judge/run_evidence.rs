//! A run with its records.

use crate::plan::RunPlan;
use crate::run::{ResponseRecord, Rows, RunView};

/// A run and its records.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEvidence {
    pub view: RunView,
    pub rows: Rows,
    /// Layer responses, if the experiment is about them and they were measured.
    pub responses: Option<ResponseRecord>,
}

impl RunEvidence {
    /// The run's plan.
    pub fn plan(&self) -> &RunPlan {
        self.view.plan()
    }

    /// The responses' standard deviation, mean over the layers.
    pub fn response(&self) -> Option<f64> {
        let layers = &self.responses.as_ref()?.layer;
        let sum: f64 = layers.iter().map(|layer| layer.deviation).sum();
        (!layers.is_empty()).then(|| sum / layers.len() as f64)
    }
}
