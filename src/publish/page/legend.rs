//! What explains the interactive figure: the networks' colours and markers, the toggles, and the key to the kinds of lines.

use std::fmt::Write as _;

use super::curves::{BAND, PAPER, SINGLE, TEST, TRAINING, kind};
use super::escape::escape;
use crate::figure::{Colour, Figure, Quantity, Series};
use crate::record::Ending;

/// Number of markers, and of colours in the style sheet.
pub(super) const SIGNS: usize = 8;

/// The networks' colours and markers on the page: one for each colour in the manifest, shared by networks of one depth.
pub(super) struct Palette(Vec<Colour>);

impl Palette {
    pub fn of(figure: &Figure) -> Self {
        let mut colours = Vec::new();
        for series in figure.panels.iter().flat_map(|panel| &panel.series) {
            if !colours.contains(&series.colour) {
                colours.push(series.colour);
            }
        }
        Self(colours)
    }

    pub fn place(&self, series: &Series) -> usize {
        let at = self.0.iter().position(|colour| *colour == series.colour);
        at.unwrap_or(0) % SIGNS
    }
}

/// The marker that goes with a colour.
pub(super) fn sign(k: usize, (x, y): (f64, f64)) -> String {
    let shape = match k {
        0 => "m-4-4h8v8h-8z",
        1 => "m0-5l5 9h-10z",
        2 => "m0-5.5l5.5 5.5l-5.5 5.5l-5.5-5.5z",
        3 => "m0 5l5-9h-10z",
        4 => "m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",
        5 => "m-5 0h10m-5-5v10",
        6 => "m-4-4l8 8m0-8l-8 8",
        _ => "m-5-2h10m-10 4h10",
    };
    format!("<path class=\"sign\" d=\"M{x:.1} {y:.1}{shape}\"/>")
}

/// The key to the kinds of lines.
pub(super) fn keys(figure: &Figure) -> String {
    let mut keys = Vec::new();
    let ours = match figure.quantity {
        Quantity::Errors => format!("bold lines: {} error", figure.evaluated.word()),
        Quantity::Responses => "bold lines: our runs".into(),
    };
    for (kind, name) in [
        (TEST, ours.as_str()),
        (TRAINING, "dashed lines: training error"),
        (PAPER, "pale lines without markers: the paper's curves"),
        (BAND, "bands: lowest to highest run"),
        (SINGLE, "thin lines: single runs outside the mean"),
    ] {
        if shows(figure, kind) {
            keys.push(name);
        }
    }
    let marks = |ending: Ending| {
        figure.panels.iter().flat_map(|p| &p.series).any(|series| {
            series.ending == Some(ending) || series.others.iter().any(|(_, other)| *other == ending)
        })
    };
    if marks(Ending::Partial) {
        keys.push("a ring: unfinished");
    }
    if marks(Ending::Diverged) {
        keys.push("a cross: diverged");
    }
    let mut text = keys.join("; ");
    if let Some(first) = text.get(..1) {
        let first = first.to_uppercase();
        text.replace_range(..1, &first);
    }
    text
}

fn shows(figure: &Figure, wanted: &str) -> bool {
    figure
        .panels
        .iter()
        .flat_map(|panel| &panel.series)
        .any(|series| match wanted {
            PAPER => !series.reference.is_empty(),
            BAND => !series.range.is_empty(),
            SINGLE => series.others.iter().any(|(points, _)| !points.is_empty()),
            own => kind(series) == own,
        })
}

/// A button for each network and each kind of line, hidden until the script runs.
pub(super) fn switches(figure: &Figure, palette: &Palette) -> String {
    let mut text = String::from(
        "<div class=\"switches\" role=\"group\" aria-label=\"What the figure shows\">\n",
    );
    let mut seen: Vec<&str> = Vec::new();
    for series in figure.panels.iter().flat_map(|panel| &panel.series) {
        if seen.contains(&series.network.as_str()) {
            continue;
        }
        seen.push(&series.network);
        let (name, k) = (escape(&series.network), palette.place(series));
        let _ = writeln!(
            text,
            "<button type=\"button\" aria-pressed=\"true\" data-switch=\"network\" data-value=\"{name}\"><svg viewBox=\"0 0 30 12\" class=\"swatch k{k}\" aria-hidden=\"true\"><path class=\"test\" d=\"M1 6H29\"/>{}</svg>{name}</button>",
            sign(k, (15.0, 6.0))
        );
    }
    for (kind, name) in [
        (TEST, figure.evaluated.word()),
        (TRAINING, "training"),
        (PAPER, "the paper's curves"),
        (BAND, "bands"),
        (SINGLE, "single runs"),
    ] {
        // The only kind of curve is toggled by network.
        let alone = figure.quantity == Quantity::Responses && kind == TEST;
        if shows(figure, kind) && !alone {
            let _ = writeln!(
                text,
                "<button type=\"button\" aria-pressed=\"true\" data-switch=\"kind\" data-value=\"{kind}\">{name}</button>"
            );
        }
    }
    text.push_str("<button type=\"button\" data-switch=\"all\">show all</button>\n</div>\n");
    text
}
