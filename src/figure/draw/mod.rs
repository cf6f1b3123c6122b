//! Renders figures with plotters.
//!
//! - `curves.rs`: a figure of curves, with `panel.rs` for each plot, `plot.rs` for what lies in its
//!   coordinates and `legend.rs` for the keys
//! - `table.rs`: a table; `bars.rs`: bars; `column.rs`: a network's layers
//! - `axes.rs`: limits and ticks; `labels.rs`: text placement; `canvas.rs`: lines and text; `font.rs`: the font
//! - `raster.rs`: the PNG

pub(crate) mod axes;
pub(super) mod bars;
mod canvas;
pub(super) mod column;
pub(super) mod curves;
pub(super) mod font;
pub(crate) mod labels;
mod legend;
mod panel;
mod plot;
pub(super) mod raster;
pub(super) mod table;
