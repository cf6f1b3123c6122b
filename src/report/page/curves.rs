//! The figure's curves as JSON, for the page's script to say what lies under the pointer.

use serde_json::{Value, json};

use crate::record::Split;
use crate::report::figure::{Figure, Panel, Series, axes};

/// What can be switched off beside networks, as `data-kind` says it in the page.
pub(super) const TEST: &str = "test";
pub(super) const TRAINING: &str = "training";
pub(super) const PAPER: &str = "paper";
pub(super) const BAND: &str = "band";
pub(super) const SINGLE: &str = "single";

/// The kind of a series' own curve.
pub(super) fn kind(series: &Series) -> &'static str {
    match series.split {
        Split::Test => TEST,
        Split::Train => TRAINING,
    }
}

/// `[{x: [low, high], y: [low, high], curves: [{network, kind, what, points: [[iteration, error], ..]}, ..]}, ..]`, a panel
/// each. Errors are rounded to a thousandth of a point.
pub(super) fn json(figure: &Figure) -> String {
    let y = axes::errors(figure);
    let panels: Vec<Value> = figure
        .panels
        .iter()
        .map(|panel| {
            let x = axes::iterations(panel.first_iteration, figure.iterations);
            json!({ "x": [x.low, x.high], "y": [y.low, y.high], "curves": curves(panel) })
        })
        .collect();
    Value::from(panels).to_string()
}

fn curves(panel: &Panel) -> Vec<Value> {
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
    let pairs = |points: &[crate::report::curves::Point]| -> Vec<(f64, f64)> {
        points
            .iter()
            .map(|point| (point.iteration as f64, point.error))
            .collect()
    };
    for series in &panel.series {
        let kind = kind(series);
        add(series, kind, format!("{kind} error"), pairs(&series.mean));
        for (points, _) in &series.others {
            add(
                series,
                SINGLE,
                format!("{kind} error, run outside the mean"),
                pairs(points),
            );
        }
        let what = format!("the paper's {kind} error");
        add(series, PAPER, what, series.reference.clone());
    }
    curves
}
