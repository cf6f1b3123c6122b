//! Figures in the paper's style: plain data from the evidence, rendered as SVG and PNG. Both use only the embedded
//! font, so the same figure gives the same bytes everywhere.
//!
//! - `drawing.rs` builds the figure for an experiment's kind: `curves.rs` errors over iterations, `layer_responses.rs`
//!   Fig. 7, `final_errors.rs` Table 6, `published_bars.rs` bars of published values, `paired_bars.rs` of the paper's errors and
//!   ours
//! - `curve_figure.rs` has the types of a figure of curves, `end_labels.rs` what names its curves, `captions.rs` its captions and
//!   colours
//! - `draw/` renders figures with plotters

mod captions;
mod curve_figure;
mod curves;
pub(crate) mod draw;
mod drawing;
mod end_labels;
mod final_errors;
mod layer_responses;
mod paired_bars;
mod published_bars;

pub use curve_figure::{Colour, Figure, Limits, Panel, Quantity, Series};
pub use draw::column::{cited_column, column};
pub use draw::curves::svg;
pub use draw::font::{in_xml, missing as missing_letters};
pub use draw::raster::png;
pub use drawing::Drawing;
pub use end_labels::EndLabel;
pub use final_errors::{PaperTable, PaperValue, Row, Table};
pub use published_bars::{Bar, BarFigure, BarPlot, Whose, assemble as published_bars};
