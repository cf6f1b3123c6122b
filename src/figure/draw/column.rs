//! Renders a network as a column of layers with shortcuts on the side, as in the paper's Fig. 3.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::*;
use super::font;
use crate::figure::curve_figure::Colour;
use crate::network::{Cited, CitedLayer, Convolution, Join, Network, Stem, grouped};

/// Size of a layer's box and distance to the next, in pixels.
const BOX: (f64, f64) = (196.0, 22.0);
const STEP: f64 = 38.0;
/// How far shortcuts extend from the column, in pixels.
const REACH: f64 = 48.0;
/// Margin of a plain column, in pixels.
const MARGIN: f64 = 40.0;
const HEAD: f64 = 62.0;

/// The stages' colours, repeated if there are more stages.
const STAGES: [Colour; 5] = [
    (200, 190, 225),
    (178, 210, 180),
    (240, 205, 170),
    (170, 205, 232),
    (235, 185, 190),
];
/// A box of the column.
struct Row {
    text: String,
    /// Stage, from 0; none for layers without weights or outside the stages.
    stage: Option<usize>,
}

/// A shortcut: from above one box to below another.
struct Arc {
    first: usize,
    last: usize,
    dotted: bool,
    label: String,
}

/// The network for images of `image_size` pixels as SVG. The same network gives the same text.
pub fn column(network: &Network, image_size: usize) -> Result<String> {
    let (rows, arcs) = lay_out(network, image_size);
    let line = format!(
        "{} weighted layers, {} parameters",
        network.depth(),
        grouped(network.parameter_count())
    );
    draw(&network.name, &line, &rows, &arcs)
}

/// A network that the paper cites, as SVG.
pub fn cited_column(network: &Cited) -> Result<String> {
    let described = network.describe();
    let size = described.image_size;
    let outside = |text: String| Row { text, stage: None };
    let mut rows = vec![outside(format!("image, {size} x {size}"))];
    let mut stage = 0;
    for (layer, _) in network.layers() {
        if let CitedLayer::Pool { .. } = layer {
            stage += 1;
            rows.push(outside(layer.text()));
        } else {
            rows.push(Row {
                text: layer.text(),
                stage: Some(stage),
            });
        }
    }
    let line = format!(
        "{} weighted layers, {} parameters",
        described.depth,
        grouped(described.parameters)
    );
    draw(network.name, &line, &rows, &[])
}

fn draw(title: &str, line: &str, rows: &[Row], arcs: &[Arc]) -> Result<String> {
    let labels = arcs
        .iter()
        .map(|arc| font::width(&arc.label, SMALL - 1.0))
        .fold(0.0, f64::max);
    let side = if arcs.is_empty() {
        MARGIN
    } else {
        REACH + labels + SIDE
    };
    let room = font::width(line, SMALL).max(font::width(title, TITLE));
    let width = (MARGIN + BOX.0 + side).max(room + 2.0 * SIDE);
    let height = HEAD + STEP * rows.len() as f64 + 12.0;
    let middle = MARGIN + BOX.0 / 2.0;
    let top = |row: usize| HEAD + STEP * row as f64;
    let mut text = String::new();
    {
        let canvas =
            SVGBackend::with_string(&mut text, (units(width) as u32, units(height) as u32))
                .into_drawing_area();
        canvas.fill(&WHITE).map_err(failed)?;
        write(&canvas, title, (SIDE, 20.0), TITLE, INK, HPos::Left)?;
        write(&canvas, line, (SIDE, 41.0), SMALL, GREY, HPos::Left)?;
        for (row, place) in rows.iter().zip(0..) {
            let y = top(place);
            if place > 0 {
                arrow(&canvas, (middle, y - STEP + BOX.1), (middle, y))?;
            }
            if let Some(stage) = row.stage {
                let fill = STAGES[stage % STAGES.len()];
                let corners = [at((MARGIN, y)), at((MARGIN + BOX.0, y + BOX.1))];
                canvas
                    .draw(&Rectangle::new(corners, rgb(fill).filled()))
                    .map_err(failed)?;
                outline(&canvas, (MARGIN, y), BOX, INK)?;
            }
            let place = (middle, y + BOX.1 / 2.0);
            write(&canvas, &row.text, place, SMALL, INK, HPos::Center)?;
        }
        for arc in arcs {
            // Its ends are on the arrows before the block's first layer and after its last.
            let gap = (STEP - BOX.1) / 2.0;
            let (from, to) = (top(arc.first) - gap, top(arc.last) + BOX.1 + gap);
            shortcut(&canvas, (middle, from), (middle, to), arc)?;
        }
        canvas.present().map_err(failed)?;
    }
    Ok(finished(&text, width, height))
}

fn lay_out(network: &Network, image_size: usize) -> (Vec<Row>, Vec<Arc>) {
    let outside = |text: String| Row { text, stage: None };
    let mut rows = vec![outside(format!("image, {image_size} x {image_size}"))];
    let mut arcs = Vec::new();
    let stem = network.stem_convolution();
    rows.push(Row {
        text: layer(&stem),
        stage: Some(0),
    });
    if network.stem == Stem::Imagenet {
        rows.push(outside("3x3 max-pool, /2".into()));
    }
    let stages = network
        .blocks
        .iter()
        .enumerate()
        .flat_map(|(stage, &count)| std::iter::repeat_n(stage, count));
    for (block, stage) in network.blocks().iter().zip(stages) {
        let first = rows.len();
        for convolution in &block.convolutions {
            rows.push(Row {
                text: layer(convolution),
                stage: Some(stage),
            });
        }
        let label = match &block.join {
            Join::None => continue,
            Join::Identity => String::new(),
            Join::Subsample { stride } => format!("/{stride}, zeros"),
            Join::Projection(by) => format!("1x1 conv, {}{}", by.outputs, stride(by)),
        };
        arcs.push(Arc {
            first,
            last: rows.len() - 1,
            dotted: !label.is_empty(),
            label,
        });
    }
    rows.push(outside("global average pool".into()));
    rows.push(Row {
        text: format!("fc, {}", network.classes),
        stage: Some(0),
    });
    (rows, arcs)
}

fn stride(convolution: &Convolution) -> String {
    match convolution.stride {
        1 => String::new(),
        stride => format!(", /{stride}"),
    }
}

fn layer(convolution: &Convolution) -> String {
    let (kernel, outputs) = (convolution.kernel, convolution.outputs);
    format!("{kernel}x{kernel} conv, {outputs}{}", stride(convolution))
}

fn arrow(canvas: &Canvas, from: (f64, f64), to: (f64, f64)) -> Result<()> {
    segment(canvas, from, to, INK, FRAME)?;
    head(canvas, to, (0.0, 1.0))
}

/// An arrowhead at `tip`, pointing along the unit vector `way`.
fn head(canvas: &Canvas, tip: (f64, f64), way: (f64, f64)) -> Result<()> {
    let back = (tip.0 - 6.0 * way.0, tip.1 - 6.0 * way.1);
    let across = (3.0 * way.1, 3.0 * way.0);
    let corners = [
        at(tip),
        at((back.0 + across.0, back.1 - across.1)),
        at((back.0 - across.0, back.1 + across.1)),
    ];
    canvas
        .draw(&Polygon::new(corners.to_vec(), INK.filled()))
        .map_err(failed)
}

/// A curve on the right from one arrow of the column to a later one; dotted if the shape changes, as in the paper.
fn shortcut(canvas: &Canvas, from: (f64, f64), to: (f64, f64), arc: &Arc) -> Result<()> {
    // Horizontally to the boxes' edge, then half an ellipse.
    let edge = from.0 + BOX.0 / 2.0;
    let (centre, half) = ((from.1 + to.1) / 2.0, (to.1 - from.1) / 2.0);
    let mut points = vec![from];
    for step in 0..=48 {
        let angle = std::f64::consts::PI * (f64::from(step) / 48.0 - 0.5);
        points.push((edge + REACH * angle.cos(), centre + half * angle.sin()));
    }
    // The last part is the arrowhead.
    points.push((to.0 + 5.0, to.1));
    let width = if arc.dotted {
        TRAINING
    } else {
        REFERENCE_TRAINING_SOLID
    };
    let style = ShapeStyle {
        color: INK.to_rgba(),
        filled: false,
        stroke_width: width,
    };
    let line: Vec<(i32, i32)> = points.into_iter().map(at).collect();
    canvas
        .draw(&PathElement::new(line, style))
        .map_err(failed)?;
    head(canvas, to, (-1.0, 0.0))?;
    if arc.label.is_empty() {
        return Ok(());
    }
    let place = (edge + REACH + 5.0, centre);
    write(canvas, &arc.label, place, SMALL - 1.0, GREY, HPos::Left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Family, Shortcut};

    fn drawn(family: Family, shortcut: Shortcut) -> String {
        column(&Network::cifar(family, 20, shortcut, 10).unwrap(), 32).unwrap()
    }

    #[test]
    fn cited_networks_are_columns_without_shortcuts() {
        let svg = cited_column(&Cited::named("vgg-19").unwrap()).unwrap();
        assert_eq!(svg.matches("3x3 conv, 512").count(), 8);
        assert_eq!(svg.matches("2x2 max-pool, /2").count(), 5);
        assert!(svg.contains("19 weighted layers") && svg.contains("fc, 1000"));
    }

    #[test]
    fn draws_every_layer_and_shortcut() {
        let count = |text: &str, what: &str| text.matches(what).count();
        let plain = drawn(Family::Plain, Shortcut::A);
        assert_eq!(count(&plain, "3x3 conv, 16\n"), 7);
        assert_eq!(count(&plain, "3x3 conv, 32, /2"), 1);
        assert_eq!(count(&plain, "3x3 conv, 32\n"), 5);
        assert_eq!(count(&plain, "zeros"), 0);
        // Two of the nine shortcuts change the shape.
        let a = drawn(Family::Resnet, Shortcut::A);
        assert_eq!(count(&a, "/2, zeros"), 2);
        assert_eq!(count(&drawn(Family::Resnet, Shortcut::B), "1x1 conv"), 2);
        assert_eq!(count(&drawn(Family::Resnet, Shortcut::C), "1x1 conv"), 9);
        let network = Network::cifar(Family::Resnet, 20, Shortcut::A, 10).unwrap();
        let (_, arcs) = lay_out(&network, 32);
        assert_eq!(arcs.len(), 9);
        assert!(arcs.iter().all(|arc| arc.last == arc.first + 1));
    }
}
