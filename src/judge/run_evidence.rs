//! A run with all its records.

use crate::plan::RunPlan;
use crate::run::{ResponseRecord, Rows, RunView};

/// A run with its records.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEvidence {
    pub view: RunView,
    pub rows: Rows,
    /// Where the experiment is about layer responses and they were measured.
    pub responses: Option<ResponseRecord>,
}

impl RunEvidence {
    /// What the run is.
    pub fn plan(&self) -> &RunPlan {
        self.view.plan()
    }

    /// The mean over the layers of their responses' standard deviation.
    pub fn response(&self) -> Option<f64> {
        let layers = &self.responses.as_ref()?.layer;
        let sum: f64 = layers.iter().map(|layer| layer.deviation).sum();
        (!layers.is_empty()).then(|| sum / layers.len() as f64)
    }
}
