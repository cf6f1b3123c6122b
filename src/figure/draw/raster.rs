//! Rasterises SVG with resvg and the embedded font only.

use anyhow::Result;
use resvg::{tiny_skia, usvg};

use super::font;
use crate::exit::Exit;

/// PNG pixels per SVG pixel: sharp on high-density screens and in print.
const DENSITY: f32 = 2.0;

/// Parses an SVG with only the embedded font.
fn parse(svg: &str) -> Result<usvg::Tree> {
    let mut options = usvg::Options {
        font_family: font::FAMILY.into(),
        ..usvg::Options::default()
    };
    options.fontdb_mut().load_font_data(font::DATA.to_vec());
    usvg::Tree::from_str(svg, &options)
        .map_err(|error| Exit::Internal.error(format!("cannot parse the drawn SVG: {error}")))
}

/// Renders the SVG as PNG. A letter that the embedded font lacks is a question mark.
pub fn png(svg: &str) -> Result<Vec<u8>> {
    let known: String = svg
        .chars()
        .map(|letter| {
            if font::has(letter) {
                letter
            } else {
                font::REPLACEMENT
            }
        })
        .collect();
    let tree = parse(&known)?;
    let size = tree.size();
    let width = (size.width() * DENSITY).ceil() as u32;
    let height = (size.height() * DENSITY).ceil() as u32;
    let mut pixels = tiny_skia::Pixmap::new(width, height).ok_or_else(|| {
        Exit::Internal.error(format!("cannot create an image of {width}x{height} pixels"))
    })?;
    let scale = tiny_skia::Transform::from_scale(DENSITY, DENSITY);
    resvg::render(&tree, scale, &mut pixels.as_mut());
    pixels
        .encode_png()
        .map_err(|error| Exit::Internal.error(format!("cannot encode the figure as PNG: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The width of a text in resvg's layout.
    fn laid_out(text: &str) -> f64 {
        let family = font::FAMILY;
        let svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="2000" height="200"><text y="100" font-size="100" font-family="{family}">{text}</text></svg>"#
        );
        let tree = parse(&svg).unwrap();
        f64::from(tree.root().bounding_box().width())
    }

    #[test]
    fn a_letter_that_the_font_lacks_is_visible() {
        let of = |text: &str| {
            png(&format!(
                r#"<svg xmlns="http://www.w3.org/2000/svg" width="60" height="60"><text x="5" y="50" font-size="50" font-family="{}">{text}</text></svg>"#,
                font::FAMILIES
            ))
            .unwrap()
        };
        assert_eq!(of("λ"), of("?"));
        assert_ne!(of("λ"), of(""));
    }

    #[test]
    fn embedded_font_is_found_and_widths_match() {
        for text in ["ResNet-110", "error (%)", "iter. (1e4)"] {
            let (real, known) = (laid_out(text), font::width(text, 100.0));
            // Ink and advances differ by side bearings and kerning.
            assert!((real - known).abs() < 20.0, "{text}: {real} and {known}");
        }
    }
}
