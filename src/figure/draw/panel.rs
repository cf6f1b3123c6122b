//! One panel: axes, curves, marks.

use anyhow::Result;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::axes::{self, Axis};
use super::canvas::*;
use super::{font, legend};
use crate::figure::curve_figure::{Colour, Figure, Panel, Series};
use crate::record::curve::Point;
use crate::record::{Ending, Split};

/// Curves of at most so many samples show each of them.
const FEW: usize = 12;

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

pub(super) fn draw_panel(
    canvas: &Canvas,
    figure: &Figure,
    panel: &Panel,
    corner: (f64, f64),
    (x, y): (&Axis, &Axis),
) -> Result<()> {
    let area = canvas.clone().shrink(
        (units(corner.0), units(corner.1)),
        (units(PLOT.0), units(PLOT.1)),
    );
    let chart = ChartBuilder::on(&area)
        .build_cartesian_2d(x.low..x.high, y.low..y.high)
        .map_err(failed)?;
    let middle = corner.0 + PLOT.0 / 2.0;
    write(
        canvas,
        &panel.title,
        (middle, corner.1 - 14.0),
        TEXT + 1.0,
        INK,
        HPos::Center,
    )?;
    draw_axes(canvas, corner, (x, y))?;

    if let Some(chance) = figure.chance.filter(|chance| y.within(*chance)) {
        draw_chance(canvas, corner, y, chance)?;
    }
    let plot = Plot { chart, x, y };
    for series in &panel.series {
        let widths = widths(figure, panel, series.split);
        let colour = pale(series.colour, 0.55);
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
    legend::draw_end_labels(canvas, panel, corner, y)?;
    legend::draw_legend(canvas, panel, corner, &plot)?;
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

/// The line of guessing, named at its left end.
fn draw_chance(canvas: &Canvas, corner: (f64, f64), y: &Axis, chance: f64) -> Result<()> {
    let up = corner.1 + PLOT.1 - fraction(y, chance) * PLOT.1;
    let (left, right) = ((corner.0, up), (corner.0 + PLOT.0, up));
    segment(canvas, left, right, GREY, CHANCE)?;
    let place = (corner.0 + 6.0, up + 9.0);
    write(canvas, "chance", place, SMALL - 1.0, GREY, HPos::Left)
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

/// A panel's coordinates and the limits that curves are cut at.
pub(super) struct Plot<'a, 'b> {
    chart: Chart<'a, 'b>,
    x: &'a Axis,
    y: &'a Axis,
}

impl Plot<'_, '_> {
    /// The parts of a curve inside the limits of both axes.
    fn visible(&self, points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
        let points = axes::from(points, self.x.low);
        axes::clipped(&points, self.y.low, self.y.high)
    }

    fn line(&self, points: &[(f64, f64)], colour: RGBAColor, width: u32) -> Result<()> {
        let style = ShapeStyle {
            color: colour,
            filled: false,
            stroke_width: width,
        };
        for piece in self.visible(points) {
            self.chart
                .plotting_area()
                .draw(&PathElement::new(piece, style))
                .map_err(failed)?;
        }
        Ok(())
    }

    /// The range over seeds, pale.
    fn band(&self, series: &Series) -> Result<()> {
        let limit = |error: f64| error.clamp(self.y.low, self.y.high);
        let range = || {
            series
                .range
                .iter()
                .filter(|range| range.iteration as f64 >= self.x.low)
        };
        let lower = range().map(|range| (range.iteration as f64, limit(range.low)));
        let upper = range().map(|range| (range.iteration as f64, limit(range.high)));
        let outline: Vec<(f64, f64)> = lower.chain(upper.rev()).collect();
        if outline.is_empty() {
            return Ok(());
        }
        self.chart
            .plotting_area()
            .draw(&Polygon::new(outline, rgb(series.colour).mix(0.16)))
            .map_err(failed)
    }

    /// The samples of a curve that has so few that its line alone would mislead, or be no line at all.
    fn dots(&self, series: &Series) -> Result<()> {
        if series.mean.len() > FEW {
            return Ok(());
        }
        let inside = |point: &&Point| {
            point.iteration as f64 >= self.x.low
                && (self.y.low..=self.y.high).contains(&point.error)
        };
        for point in series.mean.iter().filter(inside) {
            let place = (point.iteration as f64, point.error);
            let dot = Circle::new(place, units(2.6), rgb(series.colour).filled());
            self.chart.plotting_area().draw(&dot).map_err(failed)?;
        }
        Ok(())
    }

    /// A cross where a run diverged, a ring where one goes on later.
    fn mark(
        &self,
        canvas: &Canvas,
        points: &[Point],
        ending: Ending,
        colour: Colour,
    ) -> Result<()> {
        let Some(last) = points.last() else {
            return Ok(());
        };
        let error = last.error.clamp(self.y.low, self.y.high);
        let pixel = self.chart.backend_coord(&(last.iteration as f64, error));
        let place = (f64::from(pixel.0) / UNITS, f64::from(pixel.1) / UNITS);
        mark(canvas, place, ending, rgb(colour))
    }

    /// Points along the visible part of a curve in pixels from the plot's upper left corner, close enough to see what
    /// a box would cover.
    pub(super) fn samples(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let (across, down) = self.chart.plotting_area().get_pixel_range();
        let mut samples = Vec::new();
        for piece in self.visible(points) {
            for pair in piece.windows(2) {
                for step in 0..8 {
                    let t = f64::from(step) / 8.0;
                    let x = pair[0].0 + t * (pair[1].0 - pair[0].0);
                    let y = pair[0].1 + t * (pair[1].1 - pair[0].1);
                    let pixel = self.chart.backend_coord(&(x, y));
                    samples.push((
                        f64::from(pixel.0 - across.start) / UNITS,
                        f64::from(pixel.1 - down.start) / UNITS,
                    ));
                }
            }
        }
        samples
    }
}
