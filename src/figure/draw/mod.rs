//! Drawing with plotters, in pixels: `curves.rs` a whole figure of curves, `panel.rs` one panel of it, `plot.rs` what lies in a
//! panel's coordinates, `legend.rs` what names the curves; `table.rs` a table, `bars.rs` bars, `column.rs` a network's layers. Below them `axes.rs` limits and ticks,
//! `labels.rs` where text goes, `canvas.rs` lines and text, `font.rs` the font, `raster.rs` the PNG.

pub(crate) mod axes;
pub(super) mod bars;
mod canvas;
pub(super) mod column;
pub(super) mod curves;
mod font;
pub(crate) mod labels;
mod legend;
mod panel;
mod plot;
pub(super) mod raster;
pub(super) mod table;
