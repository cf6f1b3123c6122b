//! Figures in the paper's style. A [`Figure`] is what is to be seen, as plain data; [`svg`] draws it with plotters and
//! [`png`] turns that same SVG into pixels with resvg. Both use the one embedded font and nothing of the system, so
//! that a browser shows what the PNG shows, and the same figure gives the same bytes everywhere.
//!
//! `draw.rs` the whole, `panel.rs` one plot, `axes.rs` limits and ticks, `legend.rs` what names the curves, `labels.rs` where
//! text goes, `table.rs` a table, `bars.rs` bars, `column.rs` a network's layers, `canvas.rs` lines and text in pixels, `font.rs` the font, `raster.rs` the PNG.

pub(in crate::report) mod axes;
mod bars;
mod canvas;
mod column;
mod draw;
mod font;
pub(in crate::report) mod labels;
mod legend;
mod panel;
mod raster;
mod table;

pub use axes::Limits;
pub use bars::bars;
pub use column::column;
pub use draw::svg;
pub use raster::png;
pub use table::table;

use crate::record::Split;
use crate::report::curves::{Point, Range};

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
    /// Limits of the vertical axis, %; fitted to the curves where there are none.
    pub limits: Option<Limits>,
    pub panels: Vec<Panel>,
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

/// How the runs behind a curve ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the last iteration.
    Finished,
    /// Somewhere before it: the run goes on later.
    Partial,
    /// With a loss that was not finite.
    Diverged,
    /// There is no run.
    Missing,
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
    pub others: Vec<(Vec<Point>, End)>,
    /// How the runs in the mean ended.
    pub end: End,
    /// The paper's curve: iteration on this figure's axis and error, %.
    pub reference: Vec<(f64, f64)>,
}

impl Panel {
    /// The splits that are drawn, in the order of their first appearance.
    fn shows(&self, split: Split) -> bool {
        self.series.iter().any(|series| series.split == split)
    }

    /// Both splits in one plot, which line styles then tell apart.
    fn is_mixed(&self) -> bool {
        self.shows(Split::Test) && self.shows(Split::Train)
    }
}
