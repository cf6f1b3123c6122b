//! Curves, bands and marks in a panel's coordinates.

use anyhow::Result;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::axes::{self, Axis};
use super::canvas::*;
use crate::figure::curve_figure::{Colour, Series};
use crate::record::Ending;
use crate::record::curve::Point;

/// Curves of at most so many samples show each of them.
const FEW: usize = 12;

pub(super) type Chart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// A panel's coordinates and the limits that curves are cut at.
pub(super) struct Plot<'a, 'b> {
    pub chart: Chart<'a, 'b>,
    pub x: &'a Axis,
    pub y: &'a Axis,
}

impl Plot<'_, '_> {
    /// The parts of a curve inside the limits of both axes.
    fn visible(&self, points: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
        let points = axes::from(points, self.x.low);
        axes::clipped(&points, self.y.low, self.y.high)
    }

    pub fn line(&self, points: &[(f64, f64)], colour: RGBAColor, width: u32) -> Result<()> {
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
    pub fn band(&self, series: &Series) -> Result<()> {
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
    pub fn dots(&self, series: &Series) -> Result<()> {
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
    pub fn mark(
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
}
