//! Renders a figure of curves: title, panels side by side, keys, notes.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::*;
use super::{axes, labels, legend, panel};
use crate::figure::curve_figure::Figure;

/// The figure as SVG. The same figure gives the same text.
pub fn svg(figure: &Figure) -> Result<String> {
    let panels = figure.panels.len().max(1) as f64;
    let width = 2.0 * SIDE + panels * PANEL;
    let room = width - 2.0 * SIDE;
    let head = labels::wrapped(&figure.line, TEXT, room);
    let notes: Vec<String> = figure
        .notes
        .iter()
        .flat_map(|note| labels::wrapped(note, SMALL, room))
        .collect();
    let top = 38.0 + 18.0 * head.len() as f64 + 32.0;
    let keys = top + PLOT.1 + 64.0;
    let height = keys + 16.0 + 17.0 * notes.len() as f64 + 8.0;

    let mut text = String::new();
    {
        let canvas =
            SVGBackend::with_string(&mut text, (units(width) as u32, units(height) as u32))
                .into_drawing_area();
        canvas.fill(&WHITE).map_err(failed)?;
        write(&canvas, &figure.title, (SIDE, 22.0), TITLE, INK, HPos::Left)?;
        for (line, y) in head.iter().zip(0..) {
            let y = 45.0 + 18.0 * f64::from(y);
            write(&canvas, line, (SIDE, y), TEXT, GREY, HPos::Left)?;
        }
        let y = axes::vertical(figure);
        for (panel, place) in figure.panels.iter().zip(0..) {
            let corner = (SIDE + f64::from(place) * PANEL + LEFT, top);
            let x = axes::horizontal(figure, panel.first_iteration);
            panel::draw_panel(&canvas, figure, panel, corner, (&x, &y))?;
        }
        legend::draw_keys(&canvas, figure, (SIDE + LEFT, keys))?;
        for (line, place) in notes.iter().zip(0..) {
            let y = keys + 24.0 + 17.0 * f64::from(place);
            write(&canvas, line, (SIDE, y), SMALL, GREY, HPos::Left)?;
        }
        canvas.present().map_err(failed)?;
    }
    Ok(finished(&text, width, height))
}
