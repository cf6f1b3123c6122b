//! Renders a table: the first column left-aligned, numbers right-aligned.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::*;
use super::{font, labels};
use crate::figure::final_errors::Table;

/// Height of a row in pixels.
const ROW: f64 = 24.0;
/// Space between columns at least, in pixels.
const GAP: f64 = 30.0;
/// Title and line widen a table of narrow columns up to here, in pixels; longer ones are wrapped.
const WIDENED: f64 = 640.0;

/// The table as SVG. The same table gives the same text.
pub fn table(table: &Table) -> Result<String> {
    let widths: Vec<f64> = table
        .columns
        .iter()
        .enumerate()
        .map(|(column, head)| {
            let cells = table.rows.iter().filter_map(|row| row.cells.get(column));
            cells
                .chain([head])
                .map(|cell| font::width(cell, TEXT))
                .fold(0.0, f64::max)
        })
        .collect();
    let cells: f64 = widths.iter().sum();
    let above = font::width(&table.title, TITLE).max(font::width(&table.line, TEXT));
    let room = (cells + GAP * widths.len() as f64)
        .max(460.0)
        .max(above.min(WIDENED).ceil());
    let gap = (room - cells) / widths.len().max(1) as f64;
    let width = room + 2.0 * SIDE;
    let head = labels::wrapped(&table.line, TEXT, room);
    let title = labels::wrapped(&table.title, TITLE, room);
    let begin = 45.0 + title_height(&title);
    let notes: Vec<String> = table
        .notes
        .iter()
        .flat_map(|note| labels::wrapped(note, SMALL, room))
        .collect();
    let top = begin + 18.0 * head.len() as f64 + 18.0;
    let bottom = top + ROW * table.rows.len() as f64 + 16.0;
    let height = bottom + 14.0 + 17.0 * notes.len() as f64 + 8.0;

    let mut text = String::new();
    {
        let canvas =
            SVGBackend::with_string(&mut text, (units(width) as u32, units(height) as u32))
                .into_drawing_area();
        canvas.fill(&WHITE).map_err(failed)?;
        write_title(&canvas, &title)?;
        for (line, place) in head.iter().zip(0..) {
            let y = begin + 18.0 * f64::from(place);
            write(&canvas, line, (SIDE, y), TEXT, GREY, HPos::Left)?;
        }
        let rule = |y: f64| segment(&canvas, (SIDE, y), (SIDE + room, y), INK, FRAME);
        let cells = |cells: &[String], y: f64, colour: RGBColor| -> Result<()> {
            let mut right = SIDE;
            for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                right += width + gap;
                match column {
                    0 => write(&canvas, cell, (SIDE + 6.0, y), TEXT, colour, HPos::Left)?,
                    _ => write(&canvas, cell, (right - 10.0, y), TEXT, colour, HPos::Right)?,
                }
            }
            Ok(())
        };
        rule(top - 15.0)?;
        cells(&table.columns, top, INK)?;
        rule(top + 13.0)?;
        for (row, place) in table.rows.iter().zip(1..) {
            let y = top + 4.0 + ROW * f64::from(place);
            cells(&row.cells, y, if row.ours { INK } else { GREY })?;
        }
        rule(bottom)?;
        if let Some(word) = table.watermark.as_deref() {
            let size = (room * 0.8 / font::width(word, 1.0)).min(110.0);
            let style = text_style(size, INK.mix(0.13), HPos::Center);
            let place = (SIDE + room / 2.0, (top + bottom) / 2.0);
            canvas.draw_text(word, &style, at(place)).map_err(failed)?;
        }
        for (line, place) in notes.iter().zip(0..) {
            let y = bottom + 20.0 + 17.0 * f64::from(place);
            write(&canvas, line, (SIDE, y), SMALL, GREY, HPos::Left)?;
        }
        canvas.present().map_err(failed)?;
    }
    Ok(finished(&text, width, height))
}
