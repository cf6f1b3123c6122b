//! Files as large as photographs and as hard to decode, for measuring the loader where there is no ImageNet: patterns of all
//! scales with grain, 500x375 pixels in about 110 kB as ImageNet's are on average, and a few of 4000x3000.

use super::decode::Picture;
use super::shrink::jpeg;
use crate::random::{Purpose, Stream};

/// Width and height of most, and of every [`LARGE_EVERY`]th.
const USUAL: [usize; 2] = [500, 375];
const LARGE: [usize; 2] = [4000, 3000];
const LARGE_EVERY: usize = 256;
/// The most bytes of a usual one. The first of these qualities that gives no more is taken.
const BYTES: usize = 112_000;
const QUALITIES: [u8; 8] = [98, 97, 96, 95, 93, 90, 85, 80];
/// That of a large one.
const LARGE_QUALITY: u8 = 90;

/// Pixels between two points of the coarsest pattern; the next has half as many.
const COARSEST: usize = 128;
/// Grey levels by which a pattern may differ from the mean, and colours from grey.
const CONTRAST: f32 = 20.0;
const TINT: f32 = 5.0;
/// The same for each pixel by itself.
const GRAIN: f32 = 16.0;
const COLOUR_GRAIN: f32 = 8.0;

/// Distinguishes these from the synthetic set.
const PART: u64 = 2;

/// Photograph number `index` as a JPEG.
///
/// # Errors
/// Those of the encoder.
pub(super) fn photograph(index: usize) -> anyhow::Result<Vec<u8>> {
    if is_large(index) {
        return jpeg(&picture(index, LARGE), LARGE_QUALITY);
    }
    let picture = picture(index, USUAL);
    let mut bytes = Vec::new();
    for quality in QUALITIES {
        bytes = jpeg(&picture, quality)?;
        if bytes.len() <= BYTES {
            break;
        }
    }
    Ok(bytes)
}

/// The first `count` in words.
pub(super) fn description(count: usize) -> String {
    let large = (0..count).filter(|&index| is_large(index)).count();
    let size = |[width, height]: [usize; 2]| format!("{width}x{height}");
    let mut text = format!(
        "SYNTHETIC photographs: {} of {}",
        count - large,
        size(USUAL)
    );
    if large > 0 {
        text += &format!(" and {large} of {}", size(LARGE));
    }
    text + " pixels"
}

fn is_large(index: usize) -> bool {
    index % LARGE_EVERY == LARGE_EVERY / 2
}

fn picture(index: usize, [width, height]: [usize; 2]) -> Picture {
    let mut stream = Stream::new(0, Purpose::Synthetic, PART, index as u64);
    let mut levels = vec![128.0_f32; 3 * width * height];
    let mut cell = COARSEST;
    while cell > 1 {
        add_pattern(&mut levels, width, cell, &mut stream);
        cell /= 2;
    }
    let mut pixels = Vec::with_capacity(levels.len());
    let (colours, _) = levels.as_chunks::<3>();
    for colour in colours {
        let [red, green, blue, grey, ..] = stream.next_u64().to_le_bytes().map(swing);
        let grains = [red, green, blue].map(|own| grey * GRAIN + own * COLOUR_GRAIN);
        // Rounded towards zero, and kept from 0 to 255.
        pixels.extend(
            colour
                .iter()
                .zip(grains)
                .map(|(level, grain)| (level + grain) as u8),
        );
    }
    Picture {
        width,
        height,
        pixels,
    }
}

/// From -1 to 1.
fn swing(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}

/// Adds random colours at the corners of a grid of `cell` pixels, blended in between.
fn add_pattern(levels: &mut [f32], width: usize, cell: usize, stream: &mut Stream) {
    let height = levels.len() / (3 * width);
    let columns = width / cell + 2;
    let mut corner = || {
        let [red, green, blue, grey, ..] = stream.next_u64().to_le_bytes().map(swing);
        [red, green, blue].map(|own| grey * CONTRAST + own * TINT)
    };
    let corners: Vec<[f32; 3]> = (0..columns * (height / cell + 2))
        .map(|_| corner())
        .collect();
    let share = |at: usize| (at % cell) as f32 / cell as f32;
    let blend = |a: f32, b: f32, share: f32| a + (b - a) * share;
    for (y, row) in levels.chunks_exact_mut(3 * width).enumerate() {
        for (x, colour) in row.chunks_exact_mut(3).enumerate() {
            let at = y / cell * columns + x / cell;
            let (above, below) = (&corners[at..at + 2], &corners[at + columns..][..2]);
            for (channel, level) in colour.iter_mut().enumerate() {
                let upper = blend(above[0][channel], above[1][channel], share(x));
                let lower = blend(below[0][channel], below[1][channel], share(x));
                *level += blend(upper, lower, share(y));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::imagenet::decode;

    #[test]
    fn photographs_have_the_size_of_imagenets() {
        let first = photograph(0).unwrap();
        assert!((60_000..=BYTES).contains(&first.len()), "{}", first.len());
        let picture = decode(&first).unwrap();
        assert_eq!([picture.width, picture.height], USUAL);
        let levels = picture.pixels.iter().map(|&level| f64::from(level));
        let mean = levels.sum::<f64>() / picture.pixels.len() as f64;
        assert!((100.0..156.0).contains(&mean), "{mean}");
        assert_ne!(photograph(1).unwrap(), first);
        assert_eq!(photograph(0).unwrap(), first);
        assert_eq!(
            description(300),
            "SYNTHETIC photographs: 299 of 500x375 and 1 of 4000x3000 pixels"
        );
        assert_eq!(description(3), "SYNTHETIC photographs: 3 of 500x375 pixels");
    }
}
