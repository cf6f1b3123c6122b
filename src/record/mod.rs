//! A run's records: a row per iteration, rows per evaluation, and the [`Recorder`] that receives them.
//!
//! - `mod.rs` has the rows, and how a run ended
//! - `parquet.rs` writes and reads them; it is the only file that uses polars
//! - `columns.rs` finds the columns of a Parquet file, `pages.rs` reads their values, `thrift.rs` the headers
//! - `foreign.rs` reads images from Parquet files of other programs
//! - `curve.rs` turns them into curves

mod columns;
pub mod curve;
pub mod foreign;
mod pages;
pub mod parquet;
mod thrift;

use std::fmt;

use serde::{Deserialize, Serialize};

/// One mini-batch of training.
#[derive(Clone, Debug, PartialEq)]
pub struct Iteration {
    /// Number of updates including this one, so 1 for the first mini-batch.
    pub iteration: u64,
    /// Passes over the training set, as a fraction: `iteration * batch / images`.
    pub epoch: f64,
    pub learning_rate: f64,
    /// Mean cross-entropy of the (augmented) mini-batch before the update. NaN or infinite in a diverged run's last row.
    pub loss: f64,
    /// Error on the (augmented) mini-batch, %.
    pub error: f64,
    /// Wall-clock seconds of training so far, over all restarts. The only column that is not reproducible.
    pub seconds: f64,
}

/// How a run ended, if it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// All iterations and evaluations are complete.
    Finished,
    /// The loss became infinite or NaN; that iteration is the last row. A valid result, recorded and drawn.
    Diverged,
    /// Not ended: in progress, or to be resumed from its last checkpoint.
    Partial,
}

impl Ending {
    /// Whether nothing remains to be done.
    pub fn is_final(self) -> bool {
        self != Ending::Partial
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::Finished => "finished",
            Ending::Diverged => "diverged",
            Ending::Partial => "partial",
        })
    }
}

/// The images that an evaluation was made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// The test set, or the held-out 5k of a 45k/5k split.
    Test,
    /// The training images without augmentation (the clean pass).
    Train,
}

/// The batch-norm statistics that an evaluation used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Statistics {
    /// Estimated on training images at the time of the evaluation, as the authors did.
    Population,
    /// The moving averages from training.
    Moving,
}

/// How an image was shown to the network in an evaluation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Views {
    /// Once: the whole image of CIFAR-10, the centre crop of an ImageNet image.
    #[default]
    Centre,
    /// Four corners, centre and their mirror images, averaged.
    TenCrop,
    /// The whole image at several scales, averaged.
    MultiScale,
    /// The central square at several scales, averaged, as earlier versions did. Such rows are read and shown, under the name
    /// that they were written with, but count as nobody's multi-scale error.
    SquareScales,
}

impl Views {
    /// The name in records: `centre`, `ten-crop`, `multi-scale-whole`; `multi-scale` of earlier versions' squares.
    pub fn name(self) -> &'static str {
        match self {
            Views::Centre => "centre",
            Views::TenCrop => "ten-crop",
            Views::MultiScale => "multi-scale-whole",
            Views::SquareScales => "multi-scale",
        }
    }

    /// The inverse of [`name`](Self::name).
    pub fn parse(name: &str) -> Option<Self> {
        [
            Views::Centre,
            Views::TenCrop,
            Views::MultiScale,
            Views::SquareScales,
        ]
        .into_iter()
        .find(|views| views.name() == name)
    }
}

impl Split {
    /// The name in records: `test`, `train`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Test => "test",
            Split::Train => "train",
        }
    }

    /// The inverse of [`name`](Self::name).
    pub fn parse(name: &str) -> Option<Self> {
        [Split::Test, Split::Train]
            .into_iter()
            .find(|split| split.name() == name)
    }
}

impl Statistics {
    /// The name in records: `population`, `moving`.
    pub fn name(self) -> &'static str {
        match self {
            Statistics::Population => "population",
            Statistics::Moving => "moving",
        }
    }

    /// The inverse of [`name`](Self::name).
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
    pub views: Views,
    /// Number of images evaluated.
    pub images: u64,
    pub loss: f64,
    /// Top-1 error, %.
    pub error: f64,
    /// Top-5 error, %.
    pub top5_error: f64,
}

impl Evaluation {
    /// Whether it is that of a split with these statistics, each image seen once: the error that curves and tables show
    /// unless they ask for other views.
    pub fn is_of(&self, split: Split, statistics: Statistics) -> bool {
        (self.split, self.statistics, self.views) == (split, statistics, Views::Centre)
    }
}

/// Receives the rows of a run as they are produced.
pub trait Recorder {
    fn iteration(&mut self, row: Iteration) -> anyhow::Result<()>;
    fn evaluation(&mut self, row: Evaluation) -> anyhow::Result<()>;
}
