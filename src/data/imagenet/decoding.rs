//! Where the time of decoding a JPEG goes. The decoder does everything together, so two more files are decoded that lack a part of
//! the work. One has the same codes, but its tables let nothing come of them besides the first coefficient of each block, which
//! needs no transform. The other has as many blocks, each of one colour, and so hardly any codes either.

use std::time::Instant;

use jpeg_encoder::SamplingFactor;
use serde::Serialize;

use super::decode::{JPEG, Picture, decode, decode_into};
use super::header::Header;
use super::shrink::sampled;

/// Times that each file is decoded; the fastest counts.
const ROUNDS: usize = 5;
const QUALITY: u8 = 90;

/// Shares of the time of decoding some files, estimated. The rest goes into pixels: upsampling, conversion to RGB, writing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Decoding {
    /// How many files: those with one scan of three components.
    pub images: usize,
    /// Of reading codes.
    pub entropy: f64,
    /// Of the inverse DCT, at least: a block with at most ten coefficients goes the same way with and without values, which is
    /// counted as reading.
    pub transform: f64,
}

/// The times of some files.
#[derive(Default)]
pub(super) struct Stopwatch {
    images: usize,
    /// Seconds of the files, of those without transforms, and of those without codes.
    seconds: [f64; 3],
}

impl Stopwatch {
    /// Adds a file, unless it is of another kind or cannot be decoded.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let Some([untransformed, plain]) = lacking(bytes) else {
            return;
        };
        let mut picture = Picture::default();
        let mut least = [f64::INFINITY; 3];
        // In turn, so that whatever else goes on slows all of them.
        for _ in 0..ROUNDS {
            for (least, file) in least.iter_mut().zip([bytes, &untransformed, &plain]) {
                let start = Instant::now();
                if decode_into(file, &mut picture).is_err() {
                    return;
                }
                *least = least.min(start.elapsed().as_secs_f64());
            }
        }
        self.images += 1;
        for (sum, least) in self.seconds.iter_mut().zip(least) {
            *sum += least;
        }
    }

    /// The shares; none without files.
    pub(super) fn shares(&self) -> Option<Decoding> {
        let [whole, untransformed, plain] = self.seconds;
        let share = |seconds: f64| (seconds / whole).clamp(0.0, 1.0);
        (whole > 0.0).then(|| Decoding {
            images: self.images,
            entropy: share(untransformed - plain),
            transform: share(whole - untransformed),
        })
    }
}

/// The file without work for the inverse DCT, and one that has no codes to read either.
fn lacking(bytes: &[u8]) -> Option<[Vec<u8>; 2]> {
    if !bytes.starts_with(&JPEG) {
        return None;
    }
    let header = Header::read(bytes).ok()?;
    let (across, down) = header.sampling.filter(|_| header.single)?;
    // With a factor of 4 the encoder makes several scans.
    let sampling = SamplingFactor::from_factors(across, down).filter(|_| across.max(down) < 4)?;
    let picture = decode(bytes).ok()?;
    let plain = plain(&picture, 8 * usize::from(across), 8 * usize::from(down));
    let plain = sampled(&plain, QUALITY, sampling).ok()?;
    Some([header.untransformed(bytes), plain])
}

/// A picture whose blocks have the colour of their first pixel.
fn plain(picture: &Picture, across: usize, down: usize) -> Picture {
    let (from, _) = picture.pixels.as_chunks::<3>();
    let mut pixels = Vec::with_capacity(picture.pixels.len());
    for y in 0..picture.height {
        for x in 0..picture.width {
            let (row, column) = (y - y % down, x - x % across);
            pixels.extend_from_slice(&from[row * picture.width + column]);
        }
    }
    Picture {
        width: picture.width,
        height: picture.height,
        pixels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::imagenet::shrink::jpeg;
    use crate::random::{Purpose, Stream};

    /// Noise, so that every block has all of its coefficients.
    fn noise(width: usize, height: usize) -> Picture {
        let mut stream = Stream::new(1, Purpose::Synthetic, 0, 0);
        let values = 3 * width * height;
        Picture {
            width,
            height,
            pixels: (0..values).map(|_| stream.below(256) as u8).collect(),
        }
    }

    #[test]
    fn what_lacks_a_part_is_a_picture_of_the_same_size_without_it() {
        let bytes = jpeg(&noise(64, 48), 90).unwrap();
        let [untransformed, plain] = lacking(&bytes).unwrap();
        // All but the tables is the same.
        let differing = bytes.iter().zip(&untransformed).filter(|(a, b)| a != b);
        assert_eq!(untransformed.len(), bytes.len());
        assert_eq!(differing.count(), 2 * 63);
        assert!(plain.len() < bytes.len() / 2);
        // Bright and dark next to each other, or not. At the edges of blocks chroma is interpolated.
        let edges = |bytes: &[u8]| {
            let picture = decode(bytes).unwrap();
            assert_eq!((picture.width, picture.height), (64, 48));
            let (pixels, _) = picture.pixels.as_chunks::<3>();
            let pairs = pixels.iter().zip(&pixels[1..]).enumerate();
            let within = pairs.filter(|(at, _)| (1..6).contains(&(at % 8)));
            let far = within.filter(|(_, (a, b))| a[1].abs_diff(b[1]) > 24);
            far.count()
        };
        assert!(edges(&bytes) > 500);
        assert_eq!((edges(&untransformed), edges(&plain)), (0, 0));
    }

    #[test]
    fn shares_are_those_of_the_files_that_can_be_told_apart() {
        let mut stopwatch = Stopwatch::default();
        assert_eq!(stopwatch.shares(), None);
        stopwatch.add(&jpeg(&noise(64, 48), 90).unwrap());
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pictures");
        for name in ["progressive.JPEG", "restarts.JPEG", "grey.JPEG", "png.JPEG"] {
            stopwatch.add(&std::fs::read(format!("{folder}/{name}")).unwrap());
        }
        assert_eq!(stopwatch.shares().map(|shares| shares.images), Some(1));
        stopwatch.seconds = [10.0, 9.0, 3.0];
        let shares = stopwatch.shares().unwrap();
        assert!((shares.entropy - 0.6).abs() < 1e-9 && (shares.transform - 0.1).abs() < 1e-9);
    }
}
