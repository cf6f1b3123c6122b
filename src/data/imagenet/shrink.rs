//! Makes a picture smaller and encodes it again: other pixels than the original's, in fewer bytes that decode faster.

use anyhow::{Context, Result};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

use super::budget;
use super::decode::{Picture, Undecodable, decode, weight};
use super::resize::{Scratch, whole};

/// As FFCV's published data sets.
const QUALITY: u8 = 90;

/// The picture with a shorter side of at most `side` pixels, as a JPEG; none if it is no larger than that, and stays as it is.
///
/// # Errors
/// [`Undecodable`] if the bytes are no picture.
pub(super) fn shrink(bytes: &[u8], side: u32) -> Result<Option<Vec<u8>>> {
    let _share = budget::DECODED.take(weight(bytes));
    let picture = decode(bytes)?;
    if picture.width.min(picture.height) <= side as usize {
        return Ok(None);
    }
    let smaller = whole(&picture, side, &mut Scratch::default());
    jpeg(&smaller, QUALITY).map(Some)
}

/// A picture as a JPEG with chroma at half the resolution, as most photographs have it.
///
/// # Errors
/// If a side has more than 65,535 pixels.
pub(super) fn jpeg(picture: &Picture, quality: u8) -> Result<Vec<u8>> {
    sampled(picture, quality, SamplingFactor::F_2_2)
}

/// A picture as a JPEG with chroma at a part of the resolution.
///
/// # Errors
/// As [`jpeg`].
pub(super) fn sampled(picture: &Picture, quality: u8, sampling: SamplingFactor) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(sampling);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    let sides = [picture.width, picture.height].map(u16::try_from);
    let [Ok(width), Ok(height)] = sides else {
        return Err(Undecodable::new("too wide or too high for a JPEG").into());
    };
    encoder
        .encode(&picture.pixels, width, height, ColorType::Rgb)
        .context("cannot encode the picture")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slope from dark to bright.
    fn slope(width: usize, height: usize) -> Picture {
        let level = |at: usize| [(at % width * 255 / width) as u8; 3];
        Picture {
            width,
            height,
            pixels: (0..width * height).flat_map(level).collect(),
        }
    }

    #[test]
    fn larger_pictures_become_smaller_and_others_stay() {
        let bytes = jpeg(&slope(300, 200), 95).unwrap();
        let smaller = shrink(&bytes, 100).unwrap().unwrap();
        let found = decode(&smaller).unwrap();
        assert_eq!((found.width, found.height), (150, 100));
        let expected = slope(150, 100);
        let pairs = found.pixels.iter().zip(&expected.pixels);
        let most = pairs.map(|(a, b)| a.abs_diff(*b)).max();
        assert!(most.is_some_and(|most| most <= 6), "{most:?}");
        assert_eq!(shrink(&bytes, 200).unwrap(), None);
        assert_eq!(shrink(&bytes, 100).unwrap().unwrap(), smaller);
        assert!(shrink(&bytes[..99], 100).is_err());
    }
}
