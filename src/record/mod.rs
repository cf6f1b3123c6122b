//! What a run records: a row an iteration, a row an evaluation, and the `Recorder` that receives them.
//! `parquet.rs` writes and reads them (the only polars place).

pub mod parquet;

/// One mini-batch of training.
#[derive(Clone, Debug, PartialEq)]
pub struct Iteration {
    /// 1 for the first mini-batch: the number of updates after this one.
    pub iteration: u64,
    /// Passes over the training set begun so far, as a fraction: `iteration * batch / images`.
    pub epoch: f64,
    pub learning_rate: f64,
    /// Mean cross-entropy of the (augmented) mini-batch, before the update. NaN or infinite in the last row of a diverged run.
    pub loss: f64,
    /// Error of the (augmented) mini-batch, %.
    pub error: f64,
    /// Wall-clock seconds of training up to here, over all restarts. The only column that is not reproducible.
    pub seconds: f64,
}

/// Which images an evaluation looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// The test set (or the held-out 5k of a 45k/5k split, which says so in the run).
    Test,
    /// The training images without augmentation (the clean pass).
    Train,
}

/// Which batch-norm statistics an evaluation used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Statistics {
    /// Estimated on training images at that moment, as the authors did.
    Population,
    /// The moving average of training.
    Moving,
}

impl Split {
    /// As in the records: `test`, `train`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Test => "test",
            Split::Train => "train",
        }
    }

    /// What `name` gave.
    pub fn parse(name: &str) -> Option<Self> {
        [Split::Test, Split::Train]
            .into_iter()
            .find(|split| split.name() == name)
    }
}

impl Statistics {
    /// As in the records: `population`, `moving`.
    pub fn name(self) -> &'static str {
        match self {
            Statistics::Population => "population",
            Statistics::Moving => "moving",
        }
    }

    /// What `name` gave.
    pub fn parse(name: &str) -> Option<Self> {
        [Statistics::Population, Statistics::Moving]
            .into_iter()
            .find(|statistics| statistics.name() == name)
    }
}

/// One evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    pub iteration: u64,
    pub split: Split,
    pub statistics: Statistics,
    /// How many images were looked at.
    pub images: u64,
    pub loss: f64,
    /// Top-1 error, %.
    pub error: f64,
    /// Top-5 error, %.
    pub top5_error: f64,
}

/// Receives the rows of a run as it goes. The loop hands rows over and knows no file.
pub trait Recorder {
    fn iteration(&mut self, row: Iteration) -> anyhow::Result<()>;
    fn evaluation(&mut self, row: Evaluation) -> anyhow::Result<()>;
}
