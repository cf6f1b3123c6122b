//! Renders a figure of curves: title, panels side by side, keys, notes.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::axes::Axis;
use super::canvas::*;
use super::{axes, labels, legend, panel};
use crate::figure::curve_figure::{Figure, Panel};

/// The figure as SVG. The same figure gives the same text.
pub fn svg(figure: &Figure) -> Result<String> {
    let panels = figure.panels.len().max(1) as f64;
    let across = LEFT + PLOT.0 + legend::margin(figure);
    let width = 2.0 * SIDE + panels * across;
    let room = width - 2.0 * SIDE;
    let title = labels::wrapped(&figure.title, TITLE, room);
    let head = labels::wrapped(&figure.line, TEXT, room);
    let notes: Vec<String> = figure
        .notes
        .iter()
        .flat_map(|note| labels::wrapped(note, SMALL, room))
        .collect();
    let y = axes::vertical(figure);
    let chance = panel::Chance::of(figure, &y);
    // Each panel with its horizontal axis and the place of its legend.
    let panels: Vec<(&Panel, Axis, (f64, f64))> = figure
        .panels
        .iter()
        .map(|panel| {
            let x = axes::horizontal(figure, panel.first_iteration);
            let place = legend::place(panel, (&x, &y), &chance);
            (panel, x, place)
        })
        .collect();
    let lines = figure.panels.iter().map(|panel| panel::title(panel).len());
    let above = panel::PANEL_LINE * lines.max().unwrap_or(0).saturating_sub(1) as f64;
    let below = panels
        .iter()
        .map(|(panel, _, place)| legend::below(panel, *place))
        .fold(0.0, f64::max);
    let begin = 45.0 + title_height(&title);
    let top = begin - 7.0 + 18.0 * head.len() as f64 + 32.0 + above;
    let keys = top + PLOT.1 + 64.0 + below;
    let height = keys + 16.0 + 17.0 * notes.len() as f64 + 8.0;

    let mut text = String::new();
    {
        let canvas =
            SVGBackend::with_string(&mut text, (units(width) as u32, units(height) as u32))
                .into_drawing_area();
        canvas.fill(&WHITE).map_err(failed)?;
        write_title(&canvas, &title)?;
        for (line, row) in head.iter().zip(0..) {
            let y = begin + 18.0 * f64::from(row);
            write(&canvas, line, (SIDE, y), TEXT, GREY, HPos::Left)?;
        }
        for ((panel, x, legend), place) in panels.iter().zip(0..) {
            let corner = (SIDE + f64::from(place) * across + LEFT, top);
            panel::draw_panel(&canvas, figure, panel, corner, (x, &y), *legend)?;
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
