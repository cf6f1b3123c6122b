//! Renders bars, two plots per row.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::axes;
use super::canvas::*;
use super::{font, labels};
use crate::figure::published_bars::{BarFigure, BarPlot, Whose};

/// Width and height of a plot in pixels.
const SIZE: (f64, f64) = (500.0, 240.0);
/// Space above and below a plot for its title and labels, in pixels.
const ABOVE: f64 = 44.0;
const BELOW: f64 = 54.0;
const ACROSS: usize = 2;

const THEIRS: RGBColor = RGBColor(170, 184, 200);
const PAPER: RGBColor = RGBColor(34, 84, 150);
const OURS: RGBColor = RGBColor(200, 72, 48);

/// The figure as SVG. The same figure gives the same text.
pub fn bars(figure: &BarFigure) -> Result<String> {
    let rows = figure.plots.len().div_ceil(ACROSS) as f64;
    let columns = figure.plots.len().clamp(1, ACROSS) as f64;
    let cell = (LEFT + SIZE.0 + 20.0, ABOVE + SIZE.1 + BELOW);
    let width = 2.0 * SIDE + columns * cell.0;
    let notes: Vec<String> = figure
        .notes
        .iter()
        .flat_map(|note| labels::wrapped(note, SMALL, width - 2.0 * SIDE))
        .collect();
    let title = labels::wrapped(&figure.title, TITLE, width - 2.0 * SIDE);
    let begin = 45.0 + title_height(&title);
    let head = labels::wrapped(&figure.line, TEXT, width - 2.0 * SIDE);
    let top = 36.0 + title_height(&title) + 18.0 * head.len() as f64;
    let bottom = top + rows * cell.1;
    let height = bottom + 10.0 + 17.0 * notes.len() as f64 + 8.0;
    let mut text = String::new();
    {
        let canvas =
            SVGBackend::with_string(&mut text, (units(width) as u32, units(height) as u32))
                .into_drawing_area();
        canvas.fill(&WHITE).map_err(failed)?;
        write_title(&canvas, &title)?;
        for (line, place) in head.iter().zip(0..) {
            let y = begin + 18.0 * f64::from(place);
            write(&canvas, line, (SIDE, y), TEXT, GREY, HPos::Left)?;
        }
        for (index, plot) in figure.plots.iter().enumerate() {
            let (row, column) = (index / ACROSS, index % ACROSS);
            let corner = (
                SIDE + column as f64 * cell.0 + LEFT,
                top + row as f64 * cell.1 + ABOVE,
            );
            draw(&canvas, plot, corner)?;
        }
        if let Some(word) = figure.watermark.as_deref() {
            let room = width - 2.0 * SIDE;
            let size = (room * 0.8 / font::width(word, 1.0)).min(110.0);
            let style = text_style(size, INK.mix(0.13), HPos::Center);
            let place = (width / 2.0, (top + bottom) / 2.0);
            canvas.draw_text(word, &style, at(place)).map_err(failed)?;
        }
        for (line, place) in notes.iter().zip(0..) {
            let y = bottom + 12.0 + 17.0 * f64::from(place);
            write(&canvas, line, (SIDE, y), SMALL, GREY, HPos::Left)?;
        }
        canvas.present().map_err(failed)?;
    }
    Ok(finished(&text, width, height))
}

fn draw(canvas: &Canvas, plot: &BarPlot, corner: (f64, f64)) -> Result<()> {
    let highest = plot.bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    // Leave room for the number above the highest bar.
    let axis = axes::values(0.0, highest * 1.12, &plot.axis);
    let floor = corner.1 + SIZE.1;
    let middle = corner.0 + SIZE.0 / 2.0;
    let title = (middle, corner.1 - 16.0);
    let size = labels::fitting(&plot.title, TEXT + 1.0, SIZE.0);
    write(canvas, &plot.title, title, size, INK, HPos::Center)?;
    for (value, label) in &axis.ticks {
        let up = floor - fraction(&axis, *value) * SIZE.1;
        if *value > axis.low {
            let grid = pale((110, 110, 110), 0.4);
            segment(canvas, (corner.0, up), (corner.0 + SIZE.0, up), grid, GRID)?;
        }
        write(canvas, label, (corner.0 - 9.0, up), SMALL, INK, HPos::Right)?;
    }
    let beside = (corner.0 - 42.0, corner.1 + SIZE.1 / 2.0);
    let style = text_style(TEXT, INK.to_rgba(), HPos::Center).transform(FontTransform::Rotate270);
    canvas
        .draw_text(&allowed(&axis.label), &style, at(beside))
        .map_err(failed)?;
    let share = SIZE.0 / plot.bars.len().max(1) as f64;
    for (bar, place) in plot.bars.iter().zip(0..) {
        let centre = corner.0 + share * (f64::from(place) + 0.5);
        let half = (share * 0.36).min(34.0);
        let up = floor - fraction(&axis, bar.value) * SIZE.1;
        let colour = match bar.whose {
            Whose::Cited => THEIRS,
            Whose::Paper => PAPER,
            Whose::Ours => OURS,
        };
        canvas
            .draw(&Rectangle::new(
                [at((centre - half, up)), at((centre + half, floor))],
                colour.filled(),
            ))
            .map_err(failed)?;
        let size = labels::fitting(&bar.text, SMALL, share - 2.0);
        let above = (centre, up - 10.0);
        write(canvas, &bar.text, above, size, INK, HPos::Center)?;
        // As small as is needed to stay apart from its neighbours.
        for (text, down, ink) in [(&bar.label, 14.0, INK), (&bar.below, 30.0, GREY)] {
            let size = labels::fitting(text, SMALL, share - 2.0);
            let place = (centre, floor + down);
            write(canvas, text, place, size, ink, HPos::Center)?;
        }
    }
    segment(
        canvas,
        (corner.0, floor),
        (corner.0 + SIZE.0, floor),
        INK,
        FRAME,
    )
}
