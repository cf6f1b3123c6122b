//! Lines and text in pixels on a plotters canvas, and line styles.
//!
//! plotters draws at integer coordinates, so the canvas has [`UNITS`] per pixel and the SVG's `viewBox` scales them
//! back. Its backend supports neither dashes nor font files; both are added to the SVG text afterwards, dashes by
//! stroke widths reserved for dashed lines.

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::axes::Axis;
use super::font;
use crate::exit::Exit;
use crate::figure::curve_figure::Colour;
use crate::record::Ending;
use crate::record::curve::Point;

/// Coordinates per pixel.
pub(super) const UNITS: f64 = 10.0;

// Widths and heights in pixels.
pub(super) const PLOT: (f64, f64) = (440.0, 350.0);
pub(super) const LEFT: f64 = 58.0;
/// At least; see `legend::margin`.
pub(super) const RIGHT: f64 = 138.0;
pub(super) const SIDE: f64 = 16.0;
/// Height of a line of a figure's title.
pub(super) const TITLE_LINE: f64 = 22.0;

// Font sizes in pixels.
pub(super) const TITLE: f64 = 17.0;
pub(super) const TEXT: f64 = 13.0;
pub(super) const SMALL: f64 = 12.0;

// Stroke widths in coordinates. Those of dashed lines must be unique.
pub(super) const TEST: u32 = 26;
pub(super) const TRAINING: u32 = 13;
pub(super) const TRAINING_SOLID: u32 = 12;
pub(super) const REFERENCE_TRAINING_SOLID: u32 = 11;
pub(super) const REFERENCE_TEST: u32 = 15;
pub(super) const REFERENCE_TRAINING: u32 = 9;
pub(super) const SINGLE: u32 = 8;
pub(super) const GRID: u32 = 7;
pub(super) const CHANCE: u32 = 14;
pub(super) const FRAME: u32 = 10;
pub(super) const MARK: u32 = 18;
/// Dash pattern, in coordinates, for each dashed width.
pub(super) const DASHES: [(u32, &str); 4] = [
    (TRAINING, "55 30"),
    (REFERENCE_TRAINING, "40 25"),
    (GRID, "10 30"),
    (CHANCE, "70 25 15 25"),
];

/// The share of white in the paper's curves.
pub(super) const REFERENCE: f64 = 0.55;

pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
pub(super) const GREY: RGBColor = RGBColor(110, 110, 110);

pub(super) type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(super) fn mark(
    canvas: &Canvas,
    place: (f64, f64),
    ending: Ending,
    colour: RGBColor,
) -> Result<()> {
    let reach = 4.5;
    match ending {
        Ending::Finished => Ok(()),
        Ending::Diverged => {
            let (left, right) = (place.0 - reach, place.0 + reach);
            let (top, bottom) = (place.1 - reach, place.1 + reach);
            segment(canvas, (left, top), (right, bottom), colour, MARK)?;
            segment(canvas, (left, bottom), (right, top), colour, MARK)
        }
        Ending::Partial => {
            let ring = ShapeStyle {
                color: colour.to_rgba(),
                filled: false,
                stroke_width: MARK,
            };
            canvas
                .draw(&Circle::new(at(place), units(reach), ring))
                .map_err(failed)
        }
    }
}

/// The outline of a box. The backend's rectangles only have hairlines.
pub(super) fn outline(
    canvas: &Canvas,
    corner: (f64, f64),
    size: (f64, f64),
    colour: RGBColor,
) -> Result<()> {
    let (right, bottom) = (corner.0 + size.0, corner.1 + size.1);
    let path = [
        corner,
        (right, corner.1),
        (right, bottom),
        (corner.0, bottom),
        corner,
    ];
    let style = ShapeStyle {
        color: colour.to_rgba(),
        filled: false,
        stroke_width: FRAME,
    };
    canvas
        .draw(&PathElement::new(path.map(at).to_vec(), style))
        .map_err(failed)
}

pub(super) fn segment(
    canvas: &Canvas,
    from: (f64, f64),
    to: (f64, f64),
    colour: RGBColor,
    width: u32,
) -> Result<()> {
    let style = ShapeStyle {
        color: colour.to_rgba(),
        filled: false,
        stroke_width: width,
    };
    canvas
        .draw(&PathElement::new(vec![at(from), at(to)], style))
        .map_err(failed)
}

pub(super) fn write(
    canvas: &Canvas,
    text: &str,
    place: (f64, f64),
    size: f64,
    colour: RGBColor,
    anchor: HPos,
) -> Result<()> {
    let style = text_style(size, colour.to_rgba(), anchor);
    canvas
        .draw_text(&allowed(text), &style, at(place))
        .map_err(failed)
}

/// A text in an SVG: without the characters that XML forbids, which may come from a manifest.
pub(super) fn allowed(text: &str) -> String {
    text.chars()
        .filter(|letter| font::in_xml(*letter))
        .collect()
}

/// The lines of a figure's title from the top.
pub(super) fn write_title(canvas: &Canvas, lines: &[String]) -> Result<()> {
    for (line, row) in lines.iter().zip(0..) {
        let place = (SIDE, 22.0 + TITLE_LINE * f64::from(row));
        write(canvas, line, place, TITLE, INK, HPos::Left)?;
    }
    Ok(())
}

/// The height that the lines of a title after the first take.
pub(super) fn title_height(lines: &[String]) -> f64 {
    TITLE_LINE * lines.len().saturating_sub(1) as f64
}

pub(super) fn text_style(size: f64, colour: RGBAColor, anchor: HPos) -> TextStyle<'static> {
    // The backend divides sizes by 1.24.
    (font::FAMILY, size * UNITS * 1.24)
        .into_font()
        .color(&colour)
        .pos(Pos::new(anchor, VPos::Center))
}

pub(super) fn units(pixels: f64) -> i32 {
    (pixels * UNITS).round() as i32
}

pub(super) fn at(place: (f64, f64)) -> (i32, i32) {
    (units(place.0), units(place.1))
}

pub(super) fn rgb(colour: Colour) -> RGBColor {
    RGBColor(colour.0, colour.1, colour.2)
}

/// Mixes a colour with white by a share.
pub(super) fn pale(colour: Colour, share: f64) -> RGBColor {
    let move_up = |part: u8| (f64::from(part) + (255.0 - f64::from(part)) * share).round() as u8;
    RGBColor(move_up(colour.0), move_up(colour.1), move_up(colour.2))
}

pub(super) fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    Exit::Internal.error(format!("cannot draw the figure: {error}"))
}

/// Adds what the backend cannot write: the size on screen, the font, dashes, round joins.
pub(super) fn finished(text: &str, width: f64, height: f64) -> String {
    let from = format!("width=\"{}\" height=\"{}\"", units(width), units(height));
    let to = format!(
        "width=\"{width:.0}\" height=\"{height:.0}\" stroke-linejoin=\"round\" stroke-linecap=\"butt\""
    );
    let mut text = text.replacen(&from, &to, 1);
    if let Some(end) = text.find('>') {
        text.insert_str(end + 1, &format!("\n{}", font::style_element()));
    }
    for (width, dashes) in DASHES {
        text = text.replace(
            &format!("stroke-width=\"{width}\""),
            &format!("stroke-width=\"{width}\" stroke-dasharray=\"{dashes}\""),
        );
    }
    let (one, several) = (font::FAMILY, font::FAMILIES);
    text = text.replace(
        &format!("font-family=\"{one}\""),
        &format!("font-family=\"{several}\""),
    );
    // Half the cap height of Roboto: unlike `ex`, the same in every renderer.
    text.replace("dy=\"0.5ex\"", "dy=\"0.355em\"")
}

pub(super) fn pairs(points: &[Point]) -> Vec<(f64, f64)> {
    points
        .iter()
        .map(|point| (point.iteration as f64, point.error))
        .collect()
}

pub(super) fn fraction(axis: &Axis, value: f64) -> f64 {
    (value - axis.low) / (axis.high - axis.low)
}
