//! A figure of curves as plain data: everything that is to be seen.

use crate::record::curve::{Point, Range};
use crate::record::{Ending, Split};

/// Red, green, blue.
pub type Colour = (u8, u8, u8);

/// Everything that a figure shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    pub title: String,
    /// Below the title: profile, data, device, precision, seeds.
    pub line: String,
    /// Below the panels: what a reader must know before comparing.
    pub notes: Vec<String>,
    /// Written large across every panel.
    pub watermark: Option<String>,
    /// The end of the horizontal axis.
    pub iterations: u64,
    /// What the axes are of.
    pub quantity: Quantity,
    /// Training curves dashed where test curves are drawn with them; thin alone otherwise.
    pub dashed_training: bool,
    /// The error of guessing, %: a line where the vertical axis reaches that far.
    pub chance: Option<f64>,
    /// Limits of the vertical axis, %; fitted to the curves where there are none.
    pub limits: Option<Limits>,
    pub panels: Vec<Panel>,
}

/// Lower and upper limit of the vertical axis, %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub low: f64,
    pub high: f64,
}

/// What curves are of, and so what the axes are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quantity {
    /// Error, %, over iterations.
    #[default]
    Errors,
    /// Standard deviation over layers, in the place of error and iteration.
    Responses,
}

/// One plot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    pub title: String,
    /// The beginning of the horizontal axis.
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
    /// Runs that are not in the mean, with how they ended.
    pub others: Vec<(Vec<Point>, Ending)>,
    /// How the runs in the mean ended; none where there is no run.
    pub ending: Option<Ending>,
    /// The paper's curve: iteration on this figure's axis and error, %.
    pub reference: Vec<(f64, f64)>,
}

impl Panel {
    /// The splits that are drawn, in the order of their first appearance.
    pub(super) fn shows(&self, split: Split) -> bool {
        self.series.iter().any(|series| series.split == split)
    }

    /// Both splits in one plot, which line styles then tell apart.
    pub(super) fn is_mixed(&self) -> bool {
        self.shows(Split::Test) && self.shows(Split::Train)
    }
}
