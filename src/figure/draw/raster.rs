//! Pixels from the SVG, with resvg and the embedded font alone.

use anyhow::Result;
use resvg::{tiny_skia, usvg};

use super::font;
use crate::exit::Exit;

/// Pixels of the PNG for one of the SVG: sharp on dense screens and in print.
const DENSITY: f32 = 2.0;

/// Parses an SVG with no font but the embedded one.
fn parse(svg: &str) -> Result<usvg::Tree> {
    let mut options = usvg::Options {
        font_family: font::FAMILY.into(),
        ..usvg::Options::default()
    };
    options.fontdb_mut().load_font_data(font::DATA.to_vec());
    usvg::Tree::from_str(svg, &options).map_err(|error| {
        Exit::Internal.error(format!("the drawn svg cannot be read back: {error}"))
    })
}

/// The bytes of a PNG that shows the SVG.
pub fn png(svg: &str) -> Result<Vec<u8>> {
    let tree = parse(svg)?;
    let size = tree.size();
    let width = (size.width() * DENSITY).ceil() as u32;
    let height = (size.height() * DENSITY).ceil() as u32;
    let mut pixels = tiny_skia::Pixmap::new(width, height).ok_or_else(|| {
        Exit::Internal.error(format!("no image of {width}x{height} pixels can be made"))
    })?;
    let scale = tiny_skia::Transform::from_scale(DENSITY, DENSITY);
    resvg::render(&tree, scale, &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| {
        Exit::Internal.error(format!("the figure cannot be encoded as png: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Width of a text as resvg lays it out.
    fn laid_out(text: &str) -> f64 {
        let family = font::FAMILY;
        let svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="2000" height="200"><text y="100" font-size="100" font-family="{family}">{text}</text></svg>"#
        );
        let tree = parse(&svg).unwrap();
        f64::from(tree.root().bounding_box().width())
    }

    #[test]
    fn the_embedded_font_is_found_and_its_widths_are_known() {
        for text in ["ResNet-110", "error (%)", "iter. (1e4)"] {
            let (real, known) = (laid_out(text), font::width(text, 100.0));
            // Ink against advances: side bearings and kerning are left.
            assert!((real - known).abs() < 20.0, "{text}: {real} and {known}");
        }
    }
}
