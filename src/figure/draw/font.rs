//! The font of all figures: Roboto Regular (Apache License 2.0, `assets/Roboto-LICENSE.txt`), reduced to Latin letters,
//! digits and punctuation, and embedded in every SVG.

/// The TrueType file.
pub const DATA: &[u8] = include_bytes!("../../../assets/Roboto-Regular.ttf");

/// The embedded font's family.
pub const FAMILY: &str = "Roboto";

/// Families in the SVG: the embedded font, then what a viewer has that ignores it.
pub const FAMILIES: &str = "Roboto, Arial, Helvetica, sans-serif";

/// What stands in a PNG for a letter that the font lacks.
pub const REPLACEMENT: char = '?';

/// Units per em of the widths below.
const EM: f64 = 2048.0;

/// Advance widths of the characters from space to tilde.
#[rustfmt::skip]
const WIDTHS: [u16; 95] = [
    508, 528, 656, 1261, 1151, 1500, 1274, 358, 701, 713, 882, 1162, 403, 566, 540, 845, 1151, 1151, 1151, 1151,
    1151, 1151, 1151, 1151, 1151, 1151, 496, 433, 1041, 1124, 1071, 968, 1839, 1336, 1276, 1333, 1344, 1164, 1132,
    1395, 1461, 557, 1130, 1285, 1103, 1788, 1461, 1409, 1292, 1409, 1262, 1216, 1222, 1328, 1304, 1817, 1284, 1230,
    1227, 543, 841, 543, 856, 924, 633, 1114, 1150, 1072, 1155, 1086, 712, 1150, 1128, 498, 490, 1038, 498, 1796,
    1131, 1168, 1150, 1164, 694, 1057, 670, 1129, 992, 1539, 1016, 969, 1016, 693, 500, 693, 1393,
];

/// The width of a text in pixels at a font size in pixels. Characters outside the table count as wide letters, and
/// those of other fonts as squares.
pub fn width(text: &str, size: f64) -> f64 {
    let units: f64 = text
        .chars()
        .map(|letter| {
            (letter as usize)
                .checked_sub(' ' as usize)
                .and_then(|index| WIDTHS.get(index))
                .map_or(if has(letter) { 1300.0 } else { EM }, |width| {
                    f64::from(*width)
                })
        })
        .sum();
    units / EM * size
}

/// Whether the font has a letter. In an SVG, a viewer's own fonts show the others.
pub fn has(letter: char) -> bool {
    matches!(
        letter,
        ' '..='~' | '\n' | '\r' | '\t'
            | '\u{a0}'..='\u{17f}'
            | '\u{2010}'..='\u{2026}'
            | '\u{2030}' | '\u{2212}' | '\u{2248}' | '\u{2260}' | '\u{2264}' | '\u{2265}'
    )
}

/// The letters of a drawn figure that the font lacks, each once.
pub fn missing(svg: &str) -> Vec<char> {
    let mut letters: Vec<char> = svg.chars().filter(|letter| !has(*letter)).collect();
    letters.sort_unstable();
    letters.dedup();
    letters
}

/// Whether XML 1.0 allows a character.
pub fn in_xml(letter: char) -> bool {
    matches!(
        letter,
        '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}'
    )
}

/// The style element that embeds the font.
pub fn style_element() -> String {
    format!(
        "<style>@font-face{{font-family:\"{FAMILY}\";src:url(data:font/ttf;base64,{})}}</style>",
        base64(DATA)
    )
}

/// Base64 of RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |place: usize| u32::from(three.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            if place <= three.len() {
                let digit = bits >> (18 - 6 * place) & 63;
                text.push(char::from(DIGITS[digit as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_the_font_lacks_are_named() {
        assert_eq!(missing("<text>λ 中 µ ± – ≥ é λ</text>"), ['λ', '中']);
        assert!(missing("Fig. 6: 0.5 ± 0.1 · “quoted” … ‰ −1 ≈ 2 ≠ 3 ≤ 4").is_empty());
        assert!(width("中", 10.0) >= 10.0);
    }

    #[test]
    fn base64_matches_rfc_examples() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
