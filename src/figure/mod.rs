//! Figures in the paper's style, from the evidence to plain data and from that to an SVG and a PNG. Both use the one
//! embedded font and nothing of the system, so that a browser shows what the PNG shows, and the same figure gives the same
//! bytes everywhere.
//!
//! - `drawing.rs` makes the figure that an experiment's kind asks for: `curves.rs` errors over iterations,
//!   `layer_responses.rs` Fig. 7, `final_errors.rs` Table 6, `published_bars.rs` bars of published values
//! - `curve_figure.rs` is a figure of curves as plain data, `captions.rs` what stands around it
//! - `draw/` draws them (the only plotters place)

mod captions;
mod curve_figure;
mod curves;
pub(crate) mod draw;
mod drawing;
mod final_errors;
mod layer_responses;
mod published_bars;

pub use curve_figure::{Colour, Figure, Limits, Panel, Quantity, Series};
pub use draw::column::column;
pub use draw::curves::svg;
pub use draw::raster::png;
pub use drawing::Drawing;
pub use final_errors::{PaperTable, PaperValue, Row, Table};
pub use published_bars::{Bar, BarFigure, BarPlot, assemble as published_bars};
