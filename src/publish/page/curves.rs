//! The figure's curves as JSON, for the readout of the page's script.

use serde_json::{Value, json};

use crate::figure::draw::axes;
use crate::figure::{Figure, Panel, Quantity, Series};
use crate::record::Split;
use crate::record::curve::Point;

/// Kinds of lines that can be toggled: values of `data-kind` in the page.
pub(super) const TEST: &str = "test";
pub(super) const TRAINING: &str = "training";
pub(super) const PAPER: &str = "paper";
pub(super) const BAND: &str = "band";
pub(super) const SINGLE: &str = "single";

/// The kind of a series' main curve.
pub(super) fn kind(series: &Series) -> &'static str {
    match series.split {
        Split::Test => TEST,
        Split::Train => TRAINING,
    }
}

/// Names of a point's coordinates, and the unit of its value.
pub(super) fn words(figure: &Figure) -> (&'static str, &'static str, &'static str) {
    match figure.quantity {
        Quantity::Errors => ("iteration", "error", " %"),
        Quantity::Responses => ("layer", "standard deviation", ""),
    }
}

/// What a kind of curve shows: `test error`.
pub(super) fn what(figure: &Figure, kind: &str) -> String {
    let (_, value, _) = words(figure);
    match figure.quantity {
        Quantity::Errors if kind == TEST => format!("{} {value}", figure.evaluated.word()),
        Quantity::Errors => format!("{kind} {value}"),
        Quantity::Responses => value.into(),
    }
}

/// `[{x: [low, high], y: [low, high], across, unit, curves: [{network, kind, what, points: [[iteration, error], ..]}, ..]}, ..]`,
/// one element per panel. Values are rounded to a thousandth.
pub(super) fn json(figure: &Figure) -> String {
    let y = axes::vertical(figure);
    let (across, _, unit) = words(figure);
    let panels: Vec<Value> = figure
        .panels
        .iter()
        .map(|panel| {
            let x = axes::horizontal(figure, panel.first_iteration);
            json!({
                "x": [x.low, x.high],
                "y": [y.low, y.high],
                "across": across,
                "unit": unit,
                "curves": curves(figure, panel),
            })
        })
        .collect();
    Value::from(panels).to_string()
}

fn curves(figure: &Figure, panel: &Panel) -> Vec<Value> {
    let mut curves = Vec::new();
    let mut add = |series: &Series, kind: &str, what: String, points: Vec<(f64, f64)>| {
        let points: Vec<Value> = points
            .into_iter()
            .map(|(iteration, error)| json!([iteration, (error * 1e3).round() / 1e3]))
            .collect();
        if !points.is_empty() {
            curves.push(
                json!({ "network": series.network, "kind": kind, "what": what, "points": points }),
            );
        }
    };
    let pairs = |points: &[Point]| -> Vec<(f64, f64)> {
        points
            .iter()
            .map(|point| (point.iteration as f64, point.error))
            .collect()
    };
    for series in &panel.series {
        let kind = kind(series);
        let own = what(figure, kind);
        add(series, kind, own.clone(), pairs(&series.mean));
        for (points, _) in &series.others {
            add(
                series,
                SINGLE,
                format!("{own}, run outside the mean"),
                pairs(points),
            );
        }
        let theirs = match figure.quantity {
            // On the test set, whatever ours is.
            Quantity::Errors => format!("the paper's {kind} error"),
            Quantity::Responses => format!("the paper's {own}"),
        };
        add(series, PAPER, theirs, series.reference.clone());
    }
    curves
}
