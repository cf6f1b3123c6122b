//! Scaling, bilinear with antialiasing, of the pixels of a crop alone.
//!
//! The weights are Pillow's. Pillow blends along rows, rounds to bytes, and blends along columns; here columns come first,
//! as there are fewer of the slower blends along rows then, and bits below a grey level are kept in between. The results
//! differ by one level at most. All is done with integers, so that every machine gives the same bytes.

use std::array;
use std::ops::Range;

use multiversion::multiversion;

use super::decode::Picture;
use super::views::{Draw, scaled};
use crate::data::image_size::ImageSize;

/// Bits of a weight: 1 fits into 16 bits with a sign.
const WEIGHT_BITS: u32 = 14;

/// Bits below a grey level that are kept between the passes: 255 fits into 16 bits with a sign.
const KEPT_BITS: u32 = 7;

/// Rows that are blended along columns together, a vector's lane each: neighbours in a row have other weights.
const ROWS: usize = 8;

/// Memory for [`frame`] to use again.
#[derive(Debug, Default)]
pub struct Scratch {
    down: Taps,
    across: Taps,
    /// `[ROWS][level of a line]`
    lines: Vec<i16>,
    sums: Vec<i32>,
    /// `[level of a line][ROWS]`
    turned: Vec<[i16; ROWS]>,
    /// `[level of an output][ROWS]`
    blended: Vec<[u8; ROWS]>,
}

/// Fills `into`, `[height][width][3]`, with a crop of this size of the picture scaled so that its shorter side is that of `draw`.
/// The result is that of cropping the whole scaled picture, but only the crop is computed.
///
/// # Panics
/// If the picture is empty, would be smaller than the crop, or `into` has another length.
pub fn frame(
    picture: &Picture,
    draw: &Draw,
    size: ImageSize,
    scratch: &mut Scratch,
    into: &mut [u8],
) {
    let whole = scaled(picture.size(), draw.shorter_side);
    assert!(
        size.height <= whole.height && size.width <= whole.width,
        "a crop of {size} from a picture of {whole}"
    );
    let (top, left) = (
        place(draw.down, whole.height - size.height),
        place(draw.across, whole.width - size.width),
    );
    let crop = [top..top + size.height, left..left + size.width];
    resize(picture, whole, crop, draw.flip, scratch, into);
}

/// The whole picture, scaled so that its shorter side is `side`.
///
/// # Panics
/// If the picture is empty.
pub(super) fn whole(picture: &Picture, side: u32, scratch: &mut Scratch) -> Picture {
    let size = scaled(picture.size(), side);
    let mut pixels = vec![0; 3 * size.pixels()];
    let all = [0..size.height, 0..size.width];
    resize(picture, size, all, false, scratch, &mut pixels);
    Picture {
        width: size.width,
        height: size.height,
        pixels,
    }
}

/// The position from 0 to `room` at a fraction of 2^32.
fn place(fraction: u32, room: usize) -> usize {
    ((u64::from(fraction) * (room as u64 + 1)) >> 32) as usize
}

/// Fills `into` with `rows` and `columns` of the picture scaled to `size`, or with their mirror image.
fn resize(
    picture: &Picture,
    size: ImageSize,
    [rows, columns]: [Range<usize>; 2],
    flip: bool,
    scratch: &mut Scratch,
    into: &mut [u8],
) {
    let (across, count) = (columns.len(), rows.len());
    assert_eq!(into.len(), 3 * across * count, "bytes of a crop");
    scratch.down.fit(picture.height, size.height, rows);
    scratch.across.fit(picture.width, size.width, columns);
    blend(picture, flip, scratch, (3 * across, into));
}

/// Fills the output, rows of `across` bytes, with what the taps blend, or with its mirror image.
#[multiversion(targets = "simd")]
fn blend(picture: &Picture, flip: bool, scratch: &mut Scratch, (across, into): (usize, &mut [u8])) {
    let Scratch {
        down,
        across: taps,
        lines,
        sums,
        turned,
        blended,
    } = scratch;
    let (Some(&left), Some(&last)) = (taps.first.first(), taps.first.last()) else {
        return;
    };
    let length = 3 * (last + taps.count - left);
    lines.resize(ROWS * length, 0);
    turned.resize(length, [0; ROWS]);
    blended.resize(across, [0; ROWS]);
    let stride = 3 * picture.width;
    let firsts = down.first.chunks(ROWS);
    let weights = down.weights.chunks(ROWS * down.count);
    for ((rows, firsts), weights) in into.chunks_mut(ROWS * across).zip(firsts).zip(weights) {
        let weights = weights.chunks_exact(down.count);
        let each = lines.chunks_exact_mut(length).zip(firsts).zip(weights);
        for ((line, &first), weights) in each {
            let source = &picture.pixels[first * stride + 3 * left..];
            blend_rows(source, stride, weights, sums, line);
        }
        let lines: [&[i16]; ROWS] = array::from_fn(|row| &lines[row * length..][..length]);
        for (at, turned) in turned.iter_mut().enumerate() {
            *turned = array::from_fn(|row| lines[row][at]);
        }
        blend_columns(turned, left, taps, blended);
        for (row, output) in rows.chunks_exact_mut(across).enumerate() {
            if flip {
                let (output, _) = output.as_chunks_mut::<3>();
                let (blended, _) = blended.as_chunks::<3>();
                for (pixel, [red, green, blue]) in output.iter_mut().rev().zip(blended) {
                    *pixel = [red[row], green[row], blue[row]];
                }
            } else {
                for (level, from) in output.iter_mut().zip(&*blended) {
                    *level = from[row];
                }
            }
        }
    }
}

/// Which pixels of a row or column are blended into each output, and with what weights.
#[derive(Debug, Default)]
struct Taps {
    /// The first pixel of each output, in ascending order.
    first: Vec<usize>,
    /// `[output][count]`; those of an output sum to 1.
    weights: Vec<i16>,
    count: usize,
}

impl Taps {
    /// The taps of the outputs `wanted` when `inputs` pixels are scaled to `outputs`.
    fn fit(&mut self, inputs: usize, outputs: usize, wanted: Range<usize>) {
        let scale = inputs as f64 / outputs as f64;
        // When the picture shrinks, the triangle of weights widens, so that no pixel is left out.
        let reach = scale.max(1.0);
        let span = |output: usize| {
            let centre = (output as f64 + 0.5) * scale;
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let end = ((centre + reach + 0.5) as usize).min(inputs);
            (centre, first..end)
        };
        let counts = wanted.clone().map(|output| span(output).1.len());
        self.count = counts.max().unwrap_or(0);
        self.first.clear();
        self.weights.clear();
        for output in wanted {
            let (centre, taps) = span(output);
            let weight = |tap: usize| (1.0 - ((tap as f64 - centre + 0.5) / reach).abs()).max(0.0);
            let total: f64 = taps.clone().map(weight).sum();
            let (mut sum, mut given) = (0.0, 0);
            // Every output has as many taps as the one with most; the others' have weight 0.
            let first = taps.start.min(inputs - self.count);
            self.first.push(first);
            for tap in first..first + self.count {
                if taps.contains(&tap) {
                    sum += weight(tap);
                }
                // Differences of a rounded running sum, so that they sum to exactly 1 and even areas stay even.
                let so_far = (sum / total * f64::from(1i32 << WEIGHT_BITS)).round() as i32;
                self.weights.push((so_far - given) as i16);
                given = so_far;
            }
        }
    }
}

/// A line of pixels, each blended from those below one another in rows of `stride` bytes.
#[inline(always)]
fn blend_rows(
    source: &[u8],
    stride: usize,
    weights: &[i16],
    sums: &mut Vec<i32>,
    line: &mut [i16],
) {
    match *weights {
        [a, b] => blend_few_rows(source, stride, [a, b], line),
        [a, b, c] => blend_few_rows(source, stride, [a, b, c], line),
        [a, b, c, d] => blend_few_rows(source, stride, [a, b, c, d], line),
        [a, b, c, d, e] => blend_few_rows(source, stride, [a, b, c, d, e], line),
        _ => blend_many_rows(source, stride, weights, sums, line),
    }
}

const LINE_BITS: u32 = WEIGHT_BITS - KEPT_BITS;
const LINE_HALF: i32 = 1 << (LINE_BITS - 1);

/// Nothing here can overflow: a sum is at most 255 << `WEIGHT_BITS`. Checks would keep the loops from being vectorised.
#[inline(always)]
fn blended(sum: i32, weight: i16, level: impl Into<i32>) -> i32 {
    sum.wrapping_add(i32::from(weight).wrapping_mul(level.into()))
}

#[inline(always)]
fn blend_few_rows<const N: usize>(
    source: &[u8],
    stride: usize,
    weights: [i16; N],
    line: &mut [i16],
) {
    let rows: [&[u8]; N] = array::from_fn(|row| &source[row * stride..][..line.len()]);
    for (at, output) in line.iter_mut().enumerate() {
        let mut sum = LINE_HALF;
        for (row, &weight) in rows.iter().zip(&weights) {
            sum = blended(sum, weight, row[at]);
        }
        *output = (sum >> LINE_BITS) as i16;
    }
}

#[inline(always)]
fn blend_many_rows(
    source: &[u8],
    stride: usize,
    weights: &[i16],
    sums: &mut Vec<i32>,
    line: &mut [i16],
) {
    sums.clear();
    sums.resize(line.len(), LINE_HALF);
    for (row, &weight) in weights.iter().enumerate() {
        let row = &source[row * stride..][..line.len()];
        for (sum, &level) in sums.iter_mut().zip(row) {
            *sum = blended(*sum, weight, level);
        }
    }
    for (output, &sum) in line.iter_mut().zip(&*sums) {
        *output = (sum >> LINE_BITS) as i16;
    }
}

/// Pixels of some rows, each blended from some of lines that begin with the picture's column `left`.
#[inline(always)]
fn blend_columns(lines: &[[i16; ROWS]], left: usize, taps: &Taps, output: &mut [[u8; ROWS]]) {
    let (output, _) = output.as_chunks_mut::<3>();
    match taps.count {
        2 => blend_few_columns::<2>(lines, left, taps, output),
        3 => blend_few_columns::<3>(lines, left, taps, output),
        4 => blend_few_columns::<4>(lines, left, taps, output),
        5 => blend_few_columns::<5>(lines, left, taps, output),
        count => {
            let weights = taps.weights.chunks_exact(count);
            for ((output, &first), weights) in output.iter_mut().zip(&taps.first).zip(weights) {
                *output = pixels(&lines[3 * (first - left)..][..3 * count], weights);
            }
        }
    }
}

#[inline(always)]
fn blend_few_columns<const N: usize>(
    lines: &[[i16; ROWS]],
    left: usize,
    taps: &Taps,
    output: &mut [[[u8; ROWS]; 3]],
) {
    let (weights, _) = taps.weights.as_chunks::<N>();
    for ((output, &first), weights) in output.iter_mut().zip(&taps.first).zip(weights) {
        *output = pixels(&lines[3 * (first - left)..][..3 * N], weights);
    }
}

/// A pixel of each row. Loops instead of `map`, which is compiled on its own, without the instructions of [`blend`].
#[inline(always)]
fn pixels(lines: &[[i16; ROWS]], weights: &[i16]) -> [[u8; ROWS]; 3] {
    const BITS: u32 = WEIGHT_BITS + KEPT_BITS;
    let (taps, _) = lines.as_chunks::<3>();
    let mut sums = [[1 << (BITS - 1); ROWS]; 3];
    for (levels, &weight) in taps.iter().zip(weights) {
        for (sums, levels) in sums.iter_mut().zip(levels) {
            for (sum, &level) in sums.iter_mut().zip(levels) {
                *sum = blended(*sum, weight, level);
            }
        }
    }
    let mut pixels = [[0; ROWS]; 3];
    for (pixels, sums) in pixels.iter_mut().zip(sums) {
        for (pixel, sum) in pixels.iter_mut().zip(sums) {
            *pixel = (sum >> BITS) as u8;
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    fn noise(width: usize, height: usize) -> Picture {
        let mut stream = Stream::new(5, Purpose::Synthetic, 0, 0);
        let pixels = (0..3 * width * height).map(|_| stream.below(256) as u8);
        Picture {
            width,
            height,
            pixels: pixels.collect(),
        }
    }

    fn resized(
        picture: &Picture,
        [width, height]: [usize; 2],
        crop: [Range<usize>; 2],
        flip: bool,
    ) -> Vec<u8> {
        let size = ImageSize { height, width };
        let mut into = vec![0; 3 * crop[0].len() * crop[1].len()];
        resize(
            picture,
            size,
            crop,
            flip,
            &mut Scratch::default(),
            &mut into,
        );
        into
    }

    #[test]
    fn weights_sum_to_one_and_reach_as_far_as_pillows() {
        let mut taps = Taps::default();
        // 4 pixels to 2: the triangle of 2 pixels either side of the centres 1 and 3, cut off at the edges.
        taps.fit(4, 2, 0..2);
        assert_eq!((taps.count, &taps.first[..]), (3, &[0, 1][..]));
        // 3/7, 3/7 and 1/7 of 16384 are 7021.7, 7021.7 and 2340.6.
        assert_eq!(taps.weights[..3], [7022, 7021, 2341]);
        for (inputs, outputs) in [
            (1, 1),
            (1, 9),
            (500, 368),
            (375, 375),
            (9000, 7),
            (100, 480),
        ] {
            taps.fit(inputs, outputs, 0..outputs);
            for (weights, first) in taps.weights.chunks(taps.count).zip(&taps.first) {
                let sum: i32 = weights.iter().map(|&weight| i32::from(weight)).sum();
                assert_eq!(sum, 1 << WEIGHT_BITS);
                assert!(weights.iter().all(|&weight| weight >= 0));
                assert!(first + taps.count <= inputs);
            }
        }
    }

    #[test]
    fn hand_computed_pixels() {
        // Along a row, 0 and 255 doubled: centres 0.25, 0.75, 1.25, 1.75 give 0, 1/4, 3/4 and 1 of the way.
        let picture = Picture {
            width: 2,
            height: 1,
            pixels: vec![0, 0, 0, 255, 255, 255],
        };
        let found = resized(&picture, [4, 1], [0..1, 0..4], false);
        let expected: Vec<u8> = [0, 64, 191, 255]
            .into_iter()
            .flat_map(|level| [level; 3])
            .collect();
        assert_eq!(found, expected);
        // Its mean, when it shrinks to a pixel.
        assert_eq!(resized(&picture, [1, 1], [0..1, 0..1], false), [128; 3]);
        // The same size is the same picture, and its mirror image.
        let picture = noise(7, 5);
        assert_eq!(
            resized(&picture, [7, 5], [0..5, 0..7], false),
            picture.pixels
        );
        let mirrored = resized(&picture, [7, 5], [2..3, 0..7], true);
        let row = &picture.pixels[2 * 21..3 * 21];
        let expected: Vec<u8> = row.rchunks(3).flatten().copied().collect();
        assert_eq!(mirrored, expected);
    }

    #[test]
    fn a_crop_is_a_part_of_the_whole_scaled_picture() {
        for (picture, size) in [
            (noise(61, 40), [48, 31]),
            (noise(61, 40), [90, 59]),
            (noise(97, 150), [17, 26]),
            (noise(300, 211), [22, 16]),
            (noise(1, 3), [5, 15]),
        ] {
            let [width, height] = size;
            let whole = resized(&picture, size, [0..height, 0..width], false);
            for (top, left, side) in [(0, 0, 5), (height - 5, width - 5, 5), (3, 0, 4)] {
                let crop = [top..top + side, left..left + side];
                let found = resized(&picture, size, crop, false);
                let rows = whole.chunks(3 * width).skip(top).take(side);
                let expected: Vec<u8> = rows
                    .flat_map(|row| &row[3 * left..3 * (left + side)])
                    .copied()
                    .collect();
                assert_eq!(found, expected, "{size:?} at {top}, {left}");
            }
        }
    }

    #[test]
    fn the_shorter_side_is_scaled_and_the_crop_placed() {
        let picture = noise(500, 375);
        let size = |width, height| ImageSize { height, width };
        assert_eq!(scaled(picture.size(), 256), size(341, 256));
        assert_eq!(scaled(size(3, 4), 256), size(256, 341));
        assert_eq!(scaled(size(4, 4), 224), size(224, 224));
        let half = 1 << 31;
        for (fraction, room, expected) in [
            (0, 32, 0),
            (u32::MAX, 32, 32),
            (half - 1, 32, 16),
            (half - 1, 117, 58),
            (half, 117, 59),
            (u32::MAX, 0, 0),
        ] {
            assert_eq!(place(fraction, room), expected, "{fraction} of {room}");
        }
        // The same scratch memory for another picture gives the same bytes as new memory.
        let draw = Draw {
            index: 0,
            shorter_side: 256,
            down: 7,
            across: half,
            flip: true,
            shift: [0.0; 3],
        };
        let (mut scratch, mut first, mut second) = (
            Scratch::default(),
            vec![1; 3 * 32 * 32],
            vec![2; 3 * 32 * 32],
        );
        let square = ImageSize::square(32);
        frame(&picture, &draw, square, &mut scratch, &mut first);
        let long = noise(9, 3000);
        frame(&long, &draw, square, &mut scratch, &mut second);
        frame(&picture, &draw, square, &mut scratch, &mut second);
        assert_eq!(first, second);
        // A crop need not be square: all of the picture.
        let plain = Draw {
            flip: false,
            ..draw
        };
        let mut all = vec![3; 3 * 341 * 256];
        frame(&picture, &plain, size(341, 256), &mut scratch, &mut all);
        assert_eq!(all, whole(&picture, 256, &mut scratch).pixels);
    }
}
