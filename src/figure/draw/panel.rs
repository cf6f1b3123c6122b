//! One panel: axes, curves, marks.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::axes::Axis;
use super::canvas::*;
use super::plot::Plot;
use super::{font, labels, legend};
use crate::figure::curve_figure::{Figure, Panel};
use crate::record::Split;

/// Height of a line of a panel's title in pixels.
pub(super) const PANEL_LINE: f64 = 18.0;
const CHANCE_NAME: &str = "chance";

pub(super) fn draw_panel(
    canvas: &Canvas,
    figure: &Figure,
    panel: &Panel,
    corner: (f64, f64),
    (x, y): (&Axis, &Axis),
    legend: (f64, f64),
) -> Result<()> {
    let area = canvas.clone().shrink(
        (units(corner.0), units(corner.1)),
        (units(PLOT.0), units(PLOT.1)),
    );
    let chart = ChartBuilder::on(&area)
        .build_cartesian_2d(x.low..x.high, y.low..y.high)
        .map_err(failed)?;
    let middle = corner.0 + PLOT.0 / 2.0;
    for (line, above) in title(panel).iter().rev().zip(0..) {
        let place = (middle, corner.1 - 14.0 - PANEL_LINE * f64::from(above));
        write(canvas, line, place, TEXT + 1.0, INK, HPos::Center)?;
    }
    draw_axes(canvas, corner, (x, y))?;

    if let Some(chance) = chance(figure, y) {
        draw_chance(canvas, corner, y, chance)?;
    }
    let plot = Plot { chart, x, y };
    for series in &panel.series {
        let widths = widths(figure, panel, series.split);
        let colour = pale(series.colour, REFERENCE);
        plot.line(&series.reference, colour.to_rgba(), widths.1)?;
    }
    for series in &panel.series {
        plot.band(series)?;
        for (points, _) in &series.others {
            plot.line(&pairs(points), rgb(series.colour).mix(0.6), SINGLE)?;
        }
    }
    // Training first: the bold test curves lie on top.
    for split in [Split::Train, Split::Test] {
        for series in panel.series.iter().filter(|series| series.split == split) {
            let width = widths(figure, panel, split).0;
            plot.line(&pairs(&series.mean), rgb(series.colour).to_rgba(), width)?;
            plot.dots(series)?;
            if let Some(ending) = series.ending {
                plot.mark(canvas, &series.mean, ending, series.colour)?;
            }
            for (points, ending) in &series.others {
                plot.mark(canvas, points, *ending, series.colour)?;
            }
        }
    }
    outline(canvas, corner, PLOT, INK)?;
    legend::draw_end_labels(canvas, figure.quantity, panel, corner, (x, y))?;
    legend::draw_legend(canvas, panel, corner, legend)?;
    if let Some(word) = figure.watermark.as_deref() {
        let size = (PLOT.0 * 0.88 / font::width(word, 1.0)).min(PLOT.1 * 0.5);
        let place = (middle, corner.1 + PLOT.1 * 0.5);
        let style = text_style(size, INK.mix(0.13), HPos::Center);
        canvas.draw_text(word, &style, at(place)).map_err(failed)?;
    }
    Ok(())
}

fn draw_axes(canvas: &Canvas, corner: (f64, f64), (x, y): (&Axis, &Axis)) -> Result<()> {
    let bottom = corner.1 + PLOT.1;
    let tick = 5.0;
    for (value, label) in &x.ticks {
        let across = corner.0 + fraction(x, *value) * PLOT.0;
        segment(
            canvas,
            (across, bottom),
            (across, bottom + tick),
            INK,
            FRAME,
        )?;
        write(
            canvas,
            label,
            (across, bottom + 15.0),
            SMALL,
            INK,
            HPos::Center,
        )?;
    }
    for (value, label) in &y.ticks {
        let up = bottom - fraction(y, *value) * PLOT.1;
        if *value > y.low && *value < y.high {
            segment(
                canvas,
                (corner.0, up),
                (corner.0 + PLOT.0, up),
                pale((110, 110, 110), 0.4),
                GRID,
            )?;
        }
        segment(canvas, (corner.0 - tick, up), (corner.0, up), INK, FRAME)?;
        write(canvas, label, (corner.0 - 9.0, up), SMALL, INK, HPos::Right)?;
    }
    let below = (corner.0 + PLOT.0 / 2.0, bottom + 34.0);
    write(canvas, &x.label, below, TEXT, INK, HPos::Center)?;
    let beside = (corner.0 - 42.0, corner.1 + PLOT.1 / 2.0);
    let style = text_style(TEXT, INK.to_rgba(), HPos::Center).transform(FontTransform::Rotate270);
    canvas
        .draw_text(&y.label, &style, at(beside))
        .map_err(failed)
}

/// The lines of a panel's title.
pub(super) fn title(panel: &Panel) -> Vec<String> {
    labels::wrapped(&panel.title, TEXT + 1.0, PLOT.0 + 2.0 * LEFT)
}

/// The error of guessing, if its line is inside the frame.
fn chance(figure: &Figure, y: &Axis) -> Option<f64> {
    figure.chance.filter(|chance| y.within(*chance))
}

/// The height of the line of guessing, and the left end and middle of its name, in pixels from the plot's upper left corner.
fn chance_place(y: &Axis, chance: f64) -> (f64, (f64, f64)) {
    let down = PLOT.1 - fraction(y, chance) * PLOT.1;
    let beside = if labels::above(down) { -9.0 } else { 9.0 };
    (down, (6.0, down + beside))
}

/// Points of the line of guessing and of its name, in pixels from the plot's upper left corner; none without the line.
#[derive(Default)]
pub(super) struct Chance {
    pub line: Vec<(f64, f64)>,
    pub name: Vec<(f64, f64)>,
}

impl Chance {
    pub fn of(figure: &Figure, y: &Axis) -> Self {
        let Some(chance) = chance(figure, y) else {
            return Self::default();
        };
        let (down, name) = chance_place(y, chance);
        let width = font::width(CHANCE_NAME, SMALL - 1.0).ceil();
        let along = |length: f64| (0..=length as u32).map(f64::from);
        Self {
            line: along(PLOT.0).map(|x| (x, down)).collect(),
            name: along(width).map(|x| (name.0 + x, name.1)).collect(),
        }
    }
}

/// The line of guessing, named at its left end.
fn draw_chance(canvas: &Canvas, corner: (f64, f64), y: &Axis, chance: f64) -> Result<()> {
    let (down, name) = chance_place(y, chance);
    let up = corner.1 + down;
    let (left, right) = ((corner.0, up), (corner.0 + PLOT.0, up));
    segment(canvas, left, right, GREY, CHANCE)?;
    let place = (corner.0 + name.0, corner.1 + name.1);
    write(canvas, CHANCE_NAME, place, SMALL - 1.0, GREY, HPos::Left)
}

/// Stroke widths of a curve and of the paper's. A split that is drawn alone is bold, whichever it is.
fn widths(figure: &Figure, panel: &Panel, split: Split) -> (u32, u32) {
    if split == Split::Test || !panel.is_mixed() {
        (TEST, REFERENCE_TEST)
    } else if figure.dashed_training {
        (TRAINING, REFERENCE_TRAINING)
    } else {
        (TRAINING_SOLID, REFERENCE_TRAINING_SOLID)
    }
}
