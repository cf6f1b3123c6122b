//! A figure of curves as plain data.

use crate::manifest::Evaluated;
use crate::record::curve::{Point, Range};
use crate::record::{Ending, Split};

/// Red, green, blue.
pub type Colour = (u8, u8, u8);

/// A figure of curves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    pub title: String,
    /// Below the title: profile, data, device, precision, seeds.
    pub line: String,
    /// Below the panels: caveats for comparisons.
    pub notes: Vec<String>,
    /// Large text across every panel.
    pub watermark: Option<String>,
    /// The end of the horizontal axis.
    pub iterations: u64,
    /// The quantity of the axes.
    pub quantity: Quantity,
    /// Whether training curves are dashed in panels with test curves; otherwise they are only thin.
    pub dashed_training: bool,
    /// The error of guessing, %: drawn as a line if within the vertical axis.
    pub chance: Option<f64>,
    /// Limits of the vertical axis, %; fitted to the curves if none.
    pub limits: Option<Limits>,
    /// The images behind the test curves, which name them.
    pub evaluated: Evaluated,
    pub panels: Vec<Panel>,
}

/// Lower and upper limit of the vertical axis, %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub low: f64,
    pub high: f64,
}

/// What curves show, which determines the axis labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quantity {
    /// Error, %, over iterations.
    #[default]
    Errors,
    /// Standard deviation over layers, stored as error and iteration.
    Responses,
}

/// One plot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    pub title: String,
    /// The start of the horizontal axis.
    pub first_iteration: u64,
    pub series: Vec<Series>,
}

/// One network's error on one split, over its seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// As shown: `ResNet-110`.
    pub network: String,
    pub colour: Colour,
    pub split: Split,
    /// The mean over seeds, or the only run.
    pub mean: Vec<Point>,
    /// Lowest and highest over seeds.
    pub range: Vec<Range>,
    /// Runs outside the mean, and how they ended.
    pub others: Vec<(Vec<Point>, Ending)>,
    /// How the runs in the mean ended; none without runs.
    pub ending: Option<Ending>,
    /// The paper's curve: iteration on this figure's axis and error, %.
    pub reference: Vec<(f64, f64)>,
}

impl Series {
    /// The mean over the points of our curve, and over those of the paper's; none without points.
    pub(super) fn means(&self) -> [Option<f64>; 2] {
        let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        let ours = self.mean.iter().map(|point| point.error).sum();
        let papers = self.reference.iter().map(|point| point.1).sum();
        [
            mean(ours, self.mean.len()),
            mean(papers, self.reference.len()),
        ]
    }
}

impl Panel {
    /// Whether a split is drawn.
    pub(super) fn shows(&self, split: Split) -> bool {
        self.series.iter().any(|series| series.split == split)
    }

    /// Whether both splits are drawn, distinguished by line style.
    pub(super) fn is_mixed(&self) -> bool {
        self.shows(Split::Test) && self.shows(Split::Train)
    }
}
