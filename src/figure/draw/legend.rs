//! What names the curves: labels beside their ends, the legend of a panel, the key to the kinds of lines.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::axes::Axis;
use super::canvas::*;
use super::plot::Plot;
use super::{font, labels};
use crate::figure::curve_figure::{Colour, Figure, Panel, Series};
use crate::record::{Ending, Split};

/// Each network's name and last error beside the end of its curve (its test curve where both splits are drawn).
pub(super) fn draw_end_labels(
    canvas: &Canvas,
    panel: &Panel,
    corner: (f64, f64),
    y: &Axis,
) -> Result<()> {
    let named: Vec<(&Series, f64, f64)> = panel
        .series
        .iter()
        .filter(|series| !panel.is_mixed() || series.split == Split::Test)
        .filter_map(|series| {
            // A network without a finished run has its curves among the others.
            let ends = series
                .mean
                .last()
                .or_else(|| series.others.first()?.0.last());
            ends.map(|last| (series, last.error))
        })
        .map(|(series, error)| {
            let up = fraction(y, error.clamp(y.low, y.high)) * PLOT.1;
            (series, error, corner.1 + PLOT.1 - up)
        })
        .collect();
    let wanted: Vec<f64> = named.iter().map(|(_, _, height)| *height).collect();
    let placed = labels::spread(&wanted, 15.0, corner.1 + 2.0, corner.1 + PLOT.1 - 2.0);
    let edge = corner.0 + PLOT.0;
    let widest = named
        .iter()
        .map(|(series, _, _)| font::width(&series.network, SMALL))
        .fold(0.0, f64::max);
    for ((series, error, height), place) in named.into_iter().zip(placed) {
        let colour = rgb(series.colour);
        segment(
            canvas,
            (edge + 2.0, height),
            (edge + 11.0, place),
            pale(series.colour, 0.35),
            SINGLE,
        )?;
        let value = match (series.mean.is_empty(), series.ending) {
            (_, Some(Ending::Diverged)) => "diverged".into(),
            (true, _) | (_, Some(Ending::Partial)) => "unfinished".into(),
            _ if error < 19.995 => format!("{error:.2}"),
            _ => format!("{error:.1}"),
        };
        write(
            canvas,
            &series.network,
            (edge + 14.0, place),
            SMALL,
            colour,
            HPos::Left,
        )?;
        let right = (edge + 14.0 + widest + 7.0, place);
        write(canvas, &value, right, SMALL, colour, HPos::Left)?;
    }
    Ok(())
}

/// The networks of a panel, where the fewest curves pass and little of what is `occupied` is covered.
pub(super) fn draw_legend(
    canvas: &Canvas,
    panel: &Panel,
    corner: (f64, f64),
    (plot, occupied): (&Plot, &[(f64, f64)]),
) -> Result<()> {
    let mut entries: Vec<(&str, Colour, bool)> = Vec::new();
    for series in &panel.series {
        if !entries.iter().any(|entry| entry.0 == series.network) {
            entries.push((&series.network, series.colour, series.ending.is_none()));
        }
    }
    if entries.is_empty() {
        return Ok(());
    }
    let name = |entry: &(&str, Colour, bool)| {
        if entry.2 {
            format!("{} (no run)", entry.0)
        } else {
            entry.0.to_owned()
        }
    };
    let widest = entries
        .iter()
        .map(|entry| font::width(&name(entry), SMALL))
        .fold(0.0, f64::max);
    let size = (widest + 48.0, 17.0 * entries.len() as f64 + 10.0);
    let mut passing: Vec<(f64, f64)> = panel
        .series
        .iter()
        .flat_map(|series| {
            let mut points = plot.samples(&pairs(&series.mean));
            points.extend(plot.samples(&series.reference));
            points
        })
        .collect();
    passing.extend(occupied);
    let (left, top) = labels::quiet_corner(&passing, size, PLOT);
    let (left, top) = (corner.0 + left, corner.1 + top);
    canvas
        .draw(&Rectangle::new(
            [at((left, top)), at((left + size.0, top + size.1))],
            WHITE.mix(0.85).filled(),
        ))
        .map_err(failed)?;
    outline(canvas, (left, top), size, pale((110, 110, 110), 0.6))?;
    for (entry, place) in entries.iter().zip(0..) {
        let y = top + 13.5 + 17.0 * f64::from(place);
        segment(
            canvas,
            (left + 8.0, y),
            (left + 32.0, y),
            rgb(entry.1),
            TEST,
        )?;
        write(
            canvas,
            &name(entry),
            (left + 39.0, y),
            SMALL,
            INK,
            HPos::Left,
        )?;
    }
    Ok(())
}

/// What the kinds of lines mean, in one row below the panels.
pub(super) fn draw_keys(canvas: &Canvas, figure: &Figure, start: (f64, f64)) -> Result<()> {
    let series = || figure.panels.iter().flat_map(|panel| &panel.series);
    let mixed = figure.panels.iter().any(Panel::is_mixed);
    let seeds = series().any(|series| !series.range.is_empty());
    let mut keys: Vec<(&str, RGBColor, u32)> = Vec::new();
    if mixed {
        keys.push(("test", INK, TEST));
        keys.push((
            "training",
            INK,
            if figure.dashed_training {
                TRAINING
            } else {
                TRAINING_SOLID
            },
        ));
    } else {
        keys.push(("this program", INK, TEST));
    }
    if series().any(|series| !series.reference.is_empty()) {
        keys.push((
            "the paper's curve",
            pale((34, 34, 34), 0.55),
            REFERENCE_TEST,
        ));
    }
    if series().any(|series| !series.others.is_empty()) {
        keys.push(("run outside the mean", GREY, SINGLE));
    }
    let mut x = start.0;
    for (name, colour, width) in keys {
        segment(canvas, (x, start.1), (x + 32.0, start.1), colour, width)?;
        write(canvas, name, (x + 39.0, start.1), SMALL, INK, HPos::Left)?;
        x += 39.0 + font::width(name, SMALL) + 26.0;
    }
    if seeds {
        canvas
            .draw(&Rectangle::new(
                [at((x, start.1 - 5.0)), at((x + 32.0, start.1 + 5.0))],
                INK.mix(0.16).filled(),
            ))
            .map_err(failed)?;
        write(
            canvas,
            "range over seeds",
            (x + 39.0, start.1),
            SMALL,
            INK,
            HPos::Left,
        )?;
        x += 39.0 + font::width("range over seeds", SMALL) + 26.0;
    }
    for (ending, name) in [
        (Ending::Partial, "not finished"),
        (Ending::Diverged, "diverged"),
    ] {
        let shown = series().any(|series| {
            (series.ending == Some(ending) && !series.mean.is_empty())
                || series.others.iter().any(|(_, other)| *other == ending)
        });
        if shown {
            mark(canvas, (x + 6.0, start.1), ending, INK)?;
            write(canvas, name, (x + 17.0, start.1), SMALL, INK, HPos::Left)?;
            x += 17.0 + font::width(name, SMALL) + 26.0;
        }
    }
    Ok(())
}
