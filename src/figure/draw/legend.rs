//! What names the curves: labels beside their ends, the legend of a panel, the key to the kinds of lines.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::axes::Axis;
use super::canvas::*;
use super::panel::Chance;
use super::{font, labels};
use crate::figure::EndLabel;
use crate::figure::curve_figure::{Figure, Panel, Quantity};
use crate::record::Ending;
use crate::record::curve::Range;

/// Height of a legend's entry in pixels.
const ENTRY: f64 = 17.0;
/// From a panel's frame to the text of the labels, and from names to values, in pixels.
const LEAD: f64 = 14.0;
const BETWEEN: f64 = 7.0;

/// The width of the widest of some texts.
fn widest(texts: impl Iterator<Item = String>) -> f64 {
    texts
        .map(|text| font::width(&text, SMALL))
        .fold(0.0, f64::max)
}

/// The room right of every panel for the names and values at the ends of its curves.
pub(super) fn margin(figure: &Figure) -> f64 {
    let of = |panel: &Panel| {
        let labels = panel.end_labels(figure.quantity);
        let names = widest(labels.iter().map(|label| label.series.network.clone()));
        let values = widest(labels.iter().map(EndLabel::value));
        LEAD + names + BETWEEN + values
    };
    figure.panels.iter().map(of).fold(RIGHT, f64::max)
}

/// Each network's name and value beside the plot, at the height of that value.
pub(super) fn draw_end_labels(
    canvas: &Canvas,
    quantity: Quantity,
    panel: &Panel,
    corner: (f64, f64),
    (x, y): (&Axis, &Axis),
) -> Result<()> {
    let end_labels = panel.end_labels(quantity);
    let wanted: Vec<f64> = end_labels
        .iter()
        .map(|label| {
            let up = fraction(y, label.number.clamp(y.low, y.high)) * PLOT.1;
            corner.1 + PLOT.1 - up
        })
        .collect();
    let placed = labels::spread(&wanted, 15.0, corner.1 + 2.0, corner.1 + PLOT.1 - 2.0);
    let edge = corner.0 + PLOT.0;
    let names = widest(end_labels.iter().map(|label| label.series.network.clone()));
    for ((label, height), place) in end_labels.into_iter().zip(wanted).zip(placed) {
        let series = label.series;
        let colour = rgb(series.colour);
        if label.meets_edge(x) {
            let (from, to) = ((edge + 2.0, height), (edge + 11.0, place));
            segment(canvas, from, to, pale(series.colour, 0.35), SINGLE)?;
        }
        let left = (edge + LEAD, place);
        write(canvas, &series.network, left, SMALL, colour, HPos::Left)?;
        let right = (edge + LEAD + names + BETWEEN, place);
        write(canvas, &label.value(), right, SMALL, colour, HPos::Left)?;
    }
    Ok(())
}

/// The networks of a panel: their names, and the colours of their curves. Without a run there is only the paper's, which is pale.
fn entries(panel: &Panel) -> Vec<(String, RGBColor)> {
    let mut entries: Vec<(String, RGBColor)> = Vec::new();
    for series in &panel.series {
        let (name, colour) = match series.ending {
            Some(_) => (series.network.clone(), rgb(series.colour)),
            None => (
                format!("{} (no run)", series.network),
                pale(series.colour, REFERENCE),
            ),
        };
        if !entries.iter().any(|(other, _)| *other == name) {
            entries.push((name, colour));
        }
    }
    entries
}

/// Width and height of a panel's legend; none without curves.
fn size(panel: &Panel) -> Option<(f64, f64)> {
    let entries = entries(panel);
    let names = widest(entries.iter().map(|(name, _)| name.clone()));
    let height = ENTRY * entries.len() as f64 + 10.0;
    (!entries.is_empty()).then_some((names + 48.0, height))
}

/// Where a panel's legend lies, from the plot's upper left corner: where it covers no curve and not the name of the line of
/// guessing, and preferably no band and not that line either; else below the plot.
pub(super) fn place(panel: &Panel, axes: (&Axis, &Axis), chance: &Chance) -> (f64, f64) {
    let Some(size) = size(panel) else {
        return (0.0, 0.0);
    };
    let mut passing = chance.name.clone();
    let mut shaded = chance.line.clone();
    for series in &panel.series {
        passing.extend(labels::samples(&pairs(&series.mean), axes, PLOT));
        passing.extend(labels::samples(&series.reference, axes, PLOT));
        for (points, _) in &series.others {
            passing.extend(labels::samples(&pairs(points), axes, PLOT));
        }
        let edges: [fn(&Range) -> f64; 2] = [|range| range.low, |range| range.high];
        for edge in edges {
            let range = series.range.iter();
            let edge = range.map(|range| (range.iteration as f64, edge(range)));
            let edge: Vec<(f64, f64)> = edge.collect();
            shaded.extend(labels::samples(&edge, axes, PLOT));
        }
    }
    shaded.extend(&passing);
    labels::free_place(&shaded, size, PLOT)
        .or_else(|| labels::free_place(&passing, size, PLOT))
        .unwrap_or((0.0, PLOT.1 + BELOW))
}

/// From a plot's frame to a legend below it, in pixels: under the axis and its name.
const BELOW: f64 = 46.0;

/// The room that a panel's legend takes below its plot.
pub(super) fn below(panel: &Panel, place: (f64, f64)) -> f64 {
    match size(panel) {
        Some((_, height)) if place.1 > PLOT.1 => height,
        _ => 0.0,
    }
}

/// The legend of a panel at its [`place`].
pub(super) fn draw_legend(
    canvas: &Canvas,
    panel: &Panel,
    corner: (f64, f64),
    place: (f64, f64),
) -> Result<()> {
    let Some(size) = size(panel) else {
        return Ok(());
    };
    let (left, top) = (corner.0 + place.0, corner.1 + place.1);
    canvas
        .draw(&Rectangle::new(
            [at((left, top)), at((left + size.0, top + size.1))],
            WHITE.mix(0.85).filled(),
        ))
        .map_err(failed)?;
    outline(canvas, (left, top), size, pale((110, 110, 110), 0.6))?;
    for ((name, colour), row) in entries(panel).iter().zip(0..) {
        let y = top + 13.5 + ENTRY * f64::from(row);
        let (from, to) = ((left + 8.0, y), (left + 32.0, y));
        segment(canvas, from, to, *colour, TEST)?;
        write(canvas, name, (left + 39.0, y), SMALL, INK, HPos::Left)?;
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
        keys.push((figure.evaluated.word(), INK, TEST));
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
            pale((34, 34, 34), REFERENCE),
            REFERENCE_TEST,
        ));
    }
    if series().any(|series| !series.others.is_empty()) {
        keys.push(("run outside the mean", GREY, SINGLE));
    }
    // One kind of line needs no key.
    if keys.len() == 1 && !mixed {
        keys.clear();
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
