//! The interactive figure: SVG that follows the page's colour scheme, with curves that can be toggled. Colours are safe
//! for the colour-blind; each network also has a marker along its curve and its name at the end.

use std::fmt::Write as _;

use super::curves::{BAND, PAPER, SINGLE, TEST, TRAINING, kind, what, words};
use super::escape::escape;
use super::legend::{Palette, SIGNS, keys, sign, switches};
use crate::figure::draw::{axes, labels};
use crate::figure::{Figure, Panel, Series};
use crate::record::Ending;
use crate::record::curve::{Point, Range};

// In viewBox units. Narrow, so that text is legible on a phone; widened if labels need it.
const SIZE: (f64, f64) = (540.0, 400.0);
const CORNER: (f64, f64) = (56.0, 34.0);
const PLOT: (f64, f64) = (336.0, 310.0);
/// Minimum distance between labels at the ends of curves.
const LABELS: f64 = 17.0;
/// From a panel's frame to the text of its labels.
const LEAD: f64 = 27.0;
/// Maximum width of a letter: at the style sheet's font size, and on a phone, where the error is hidden.
const LETTER: (f64, f64) = (7.6, 10.0);
/// Width of a letter of a title on a phone.
const TITLE_LETTER: f64 = 10.9;
/// Markers along a curve, at most.
const MARKED: usize = 6;

/// The toggles, the panels and the caption.
pub(super) fn figure(figure: &Figure) -> String {
    let palette = Palette::of(figure);
    let mut text = String::from("<figure>\n");
    text.push_str(&switches(figure, &palette));
    text.push_str("<div class=\"panels\">\n");
    for (panel, number) in figure.panels.iter().zip(0..) {
        text.push_str(&draw_panel(figure, panel, number, &palette));
    }
    text.push_str(
        "</div>\n<output class=\"readout\" aria-live=\"polite\"></output>\n<figcaption>\n",
    );
    let _ = writeln!(text, "<p>{}.</p>", escape(&keys(figure)));
    for note in &figure.notes {
        let _ = writeln!(text, "<p>{}</p>", escape(note));
    }
    text.push_str("</figcaption>\n</figure>\n");
    text
}

/// Maps a panel's axes to the viewBox.
struct Frame {
    x: axes::Axis,
    y: axes::Axis,
}

impl Frame {
    fn place(&self, (iteration, error): (f64, f64)) -> (f64, f64) {
        let part = |axis: &axes::Axis, value: f64| (value - axis.low) / (axis.high - axis.low);
        (
            CORNER.0 + PLOT.0 * part(&self.x, iteration),
            CORNER.1 + PLOT.1 * (1.0 - part(&self.y, error)),
        )
    }

    /// The visible part of a curve as a path; empty if there is none.
    fn path(&self, points: &[(f64, f64)]) -> String {
        let points = axes::from(points, self.x.low);
        let mut path = String::new();
        for piece in axes::clipped(&points, self.y.low, self.y.high) {
            for (point, letter) in piece
                .iter()
                .zip(std::iter::once('M').chain(std::iter::repeat('L')))
            {
                let (x, y) = self.place(*point);
                let _ = write!(path, "{letter}{x:.1} {y:.1}");
            }
        }
        path
    }

    fn inside(&self, point: &(f64, f64)) -> bool {
        point.0 >= self.x.low && (self.y.low..=self.y.high).contains(&point.1)
    }
}

fn draw_panel(figure: &Figure, panel: &Panel, number: usize, palette: &Palette) -> String {
    let frame = Frame {
        x: axes::horizontal(figure, panel.first_iteration),
        y: axes::vertical(figure),
    };
    let (title, width, height) = (escape(&panel.title), width(figure), SIZE.1);
    let (across, value, _) = words(figure);
    let names: Vec<&str> = panel.series.iter().map(|s| s.network.as_str()).collect();
    let mut text = format!(
        "<svg class=\"panel\" viewBox=\"0 0 {width} {height}\" tabindex=\"0\" role=\"img\" aria-label=\"{title}: {value} by {across} of {}. Arrow keys read the curves.\" data-panel=\"{number}\" data-box=\"{} {} {} {}\">\n",
        escape(&unique_names(&names)),
        CORNER.0,
        CORNER.1,
        PLOT.0,
        PLOT.1
    );
    draw_axes(
        &mut text,
        &frame,
        (title.as_str(), fitting(&panel.title).as_str()),
        figure.chance,
    );
    for series in &panel.series {
        let k = palette.place(series);
        group(&mut text, series, PAPER, k, &{
            let path = frame.path(&series.reference);
            curve(
                &path,
                &format!("paper {}", kind(series)),
                &format!("{}, the paper", series.network),
            )
        });
        group(&mut text, series, BAND, k, &band(&frame, series));
        let single: String = series
            .others
            .iter()
            .map(|(points, ending)| {
                let path = frame.path(&pairs(points));
                curve(
                    &path,
                    "single",
                    &format!("{}, run outside the mean", series.network),
                ) + &mark(&frame, points, *ending)
            })
            .collect();
        group(&mut text, series, SINGLE, k, &single);
    }
    // Training first, so that the bold test curves are on top.
    for wanted in [TRAINING, TEST] {
        for series in panel.series.iter().filter(|series| kind(series) == wanted) {
            let k = palette.place(series);
            let points = pairs(&series.mean);
            let class = if wanted == TRAINING && !figure.dashed_training {
                "test"
            } else {
                wanted
            };
            let own = curve(
                &frame.path(&points),
                class,
                &format!("{}, {}", series.network, what(figure, wanted)),
            ) + &signs(&frame, &points, k)
                + &series
                    .ending
                    .map_or_else(String::new, |ending| mark(&frame, &series.mean, ending));
            group(&mut text, series, wanted, k, &own);
        }
    }
    let (x, y) = CORNER;
    let _ = writeln!(
        text,
        "<rect class=\"frame\" x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\"/>",
        PLOT.0, PLOT.1
    );
    draw_labels(&mut text, figure, panel, &frame, palette);
    if let Some(word) = &figure.watermark {
        let _ = writeln!(
            text,
            "<text class=\"watermark\" x=\"{}\" y=\"{}\" textLength=\"{}\">{}</text>",
            x + PLOT.0 / 2.0,
            y + PLOT.1 / 2.0,
            PLOT.0 * 0.9,
            escape(word)
        );
    }
    text.push_str("<g class=\"probe off\"><path/><circle r=\"5\"/></g>\n</svg>\n");
    text
}

/// The width of every panel's viewBox: fits the longest name with a five-letter error.
fn width(figure: &Figure) -> f64 {
    let names = figure.panels.iter().flat_map(|panel| &panel.series);
    let longest = names.map(|series| series.network.chars().count()).max();
    let letters = longest.unwrap_or(0) as f64;
    let label = (letters + 6.0) * LETTER.0;
    (CORNER.0 + PLOT.0 + LEAD + label.max(letters * LETTER.1)).max(SIZE.0)
}

/// Unique names, in order.
fn unique_names(names: &[&str]) -> String {
    let mut different: Vec<&str> = Vec::new();
    for name in names {
        if !different.contains(name) {
            different.push(name);
        }
    }
    different.join(", ")
}

/// The attributes that narrow a title too long for its panel, also at a phone's font size.
fn fitting(title: &str) -> String {
    let room = CORNER.0 + PLOT.0;
    match title.chars().count() as f64 * TITLE_LETTER > room {
        true => format!(" textLength=\"{room}\" lengthAdjust=\"spacingAndGlyphs\""),
        false => String::new(),
    }
}

fn draw_axes(
    text: &mut String,
    frame: &Frame,
    (title, fitting): (&str, &str),
    chance: Option<f64>,
) {
    let (left, top) = CORNER;
    let (right, bottom) = (left + PLOT.0, top + PLOT.1);
    let middle = left + PLOT.0 / 2.0;
    let _ = writeln!(
        text,
        "<text class=\"title\" x=\"{middle}\" y=\"{}\"{fitting}>{title}</text>",
        top - 12.0
    );
    for (value, label) in &frame.x.ticks {
        let x = frame.place((*value, frame.y.low)).0;
        let _ = writeln!(
            text,
            "<path class=\"tick\" d=\"M{x:.1} {bottom}v5\"/><text class=\"middle\" x=\"{x:.1}\" y=\"{}\">{label}</text>",
            bottom + 20.0
        );
    }
    for (value, label) in &frame.y.ticks {
        let y = frame.place((frame.x.low, *value)).1;
        let _ = writeln!(
            text,
            "<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/><text class=\"end\" x=\"{}\" y=\"{:.1}\">{label}</text>",
            left - 8.0,
            y + 4.5
        );
    }
    if let Some(chance) = chance.filter(|chance| frame.y.within(*chance)) {
        let y = frame.place((frame.x.low, chance)).1;
        let _ = writeln!(
            text,
            "<path class=\"chance\" d=\"M{left} {y:.1}H{right}\"/><text class=\"chance\" x=\"{}\" y=\"{:.1}\">chance</text>",
            left + 6.0,
            y + if labels::above(y - top) { -5.0 } else { 14.0 }
        );
    }
    let (x, y) = (left - 40.0, top + PLOT.1 / 2.0);
    let _ = writeln!(
        text,
        "<text class=\"middle\" x=\"{middle}\" y=\"{}\">{}</text>\n<text class=\"middle\" transform=\"translate({x} {y}) rotate(-90)\">{}</text>",
        bottom + 42.0,
        escape(&frame.x.label),
        escape(&frame.y.label)
    );
}

/// Groups the elements of one network and kind, to be toggled together; nothing if `content` is empty.
fn group(text: &mut String, series: &Series, kind: &str, k: usize, content: &str) {
    if !content.is_empty() {
        let network = escape(&series.network);
        let _ = writeln!(
            text,
            "<g class=\"k{k}\" data-network=\"{network}\" data-kind=\"{kind}\">{content}</g>"
        );
    }
}

fn curve(path: &str, class: &str, title: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    format!(
        "<path class=\"{class}\" d=\"{path}\"><title>{}</title></path>",
        escape(title)
    )
}

fn band(frame: &Frame, series: &Series) -> String {
    let limit = |error: f64| error.clamp(frame.y.low, frame.y.high);
    let range = || {
        let seen = |range: &&Range| range.iteration as f64 >= frame.x.low;
        series.range.iter().filter(seen)
    };
    let lower = range().map(|range| (range.iteration as f64, limit(range.low)));
    let upper = range().map(|range| (range.iteration as f64, limit(range.high)));
    let mut path = String::new();
    for (point, letter) in lower
        .chain(upper.rev())
        .zip(std::iter::once('M').chain(std::iter::repeat('L')))
    {
        let (x, y) = frame.place(point);
        let _ = write!(path, "{letter}{x:.1} {y:.1}");
    }
    if path.is_empty() {
        return path;
    }
    format!("<path class=\"band\" d=\"{path}Z\"/>")
}

/// A network's markers along its curve, shifted from network to network so that they do not overlap.
fn signs(frame: &Frame, points: &[(f64, f64)], k: usize) -> String {
    let visible: Vec<&(f64, f64)> = points.iter().filter(|point| frame.inside(point)).collect();
    let step = visible.len().div_ceil(MARKED).max(1);
    let shift = if step > 1 {
        (k * step / SIGNS) % step
    } else {
        0
    };
    visible
        .into_iter()
        .skip(shift)
        .step_by(step)
        .map(|point| sign(k, frame.place(*point)))
        .collect()
}

/// A cross if the run diverged, a ring if it is unfinished.
fn mark(frame: &Frame, points: &[Point], ending: Ending) -> String {
    let Some(last) = points.last() else {
        return String::new();
    };
    let error = last.error.clamp(frame.y.low, frame.y.high);
    let (x, y) = frame.place((last.iteration as f64, error));
    match ending {
        Ending::Finished => String::new(),
        Ending::Diverged => {
            format!("<path class=\"ending\" d=\"M{x:.1} {y:.1}m-6-6l12 12m0-12l-12 12\"/>")
        }
        Ending::Partial => {
            format!("<circle class=\"ending\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\"/>")
        }
    }
}

/// Each network's name and number beside the plot, at the height of that number.
fn draw_labels(
    text: &mut String,
    figure: &Figure,
    panel: &Panel,
    frame: &Frame,
    palette: &Palette,
) {
    let end_labels = panel.end_labels(figure.quantity);
    let height = |number: f64| {
        let number = number.clamp(frame.y.low, frame.y.high);
        frame.place((frame.x.low, number)).1
    };
    let wanted: Vec<f64> = (end_labels.iter())
        .map(|label| height(label.number))
        .collect();
    let placed = labels::spread(&wanted, LABELS, CORNER.1 + 4.0, CORNER.1 + PLOT.1 - 4.0);
    let edge = CORNER.0 + PLOT.0;
    for (label, (from, to)) in end_labels.iter().zip(wanted.into_iter().zip(placed)) {
        let (k, name) = (palette.place(label.series), escape(&label.series.network));
        let lead = match label.meets_edge(&frame.x) {
            true => format!(
                "<path class=\"lead\" d=\"M{} {from:.1}L{} {to:.1}\"/>",
                edge + 2.0,
                edge + 12.0
            ),
            false => String::new(),
        };
        let _ = writeln!(
            text,
            "<g class=\"k{k}\" data-network=\"{name}\">{lead}{}<text x=\"{}\" y=\"{:.1}\">{name}<tspan class=\"value\" dx=\"5\">{}</tspan></text></g>",
            sign(k, (edge + 18.0, to)),
            edge + LEAD,
            to + 4.5,
            label.value()
        );
    }
}

fn pairs(points: &[Point]) -> Vec<(f64, f64)> {
    points
        .iter()
        .map(|point| (point.iteration as f64, point.error))
        .collect()
}
