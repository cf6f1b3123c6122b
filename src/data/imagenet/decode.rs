//! From the bytes of a file to pixels.
//!
//! A file that cannot be decoded to its end is an error and not a picture that is partly grey. One kind goes unnoticed: a
//! progressive file that has its end marker behind a whole scan although others followed once. It is coarse, not grey.

use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use flate2::read::GzDecoder;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::header::Header;
use super::scans;
use crate::console::{self, one_line};
use crate::data::image_size::ImageSize;
use crate::exit::Exit;

/// The most pixels of a picture, as many as Pillow takes without a warning. A file that claims more is damaged or an attack.
pub const MOST_PIXELS: usize = 89_478_485;

/// The most pixels that a byte of a JPEG can stand for: a block of 64 takes at least a bit.
const JPEG_PIXELS: usize = 64 * 8;

/// The same of a PNG: eight to a byte, of which deflate makes at most 1032 from one.
const PNG_PIXELS: usize = 8 * 1032;

/// The most bytes that a compressed file may unpack to.
const MOST_UNPACKED: u64 = 1 << 26;

const GZIP: [u8; 2] = [0x1f, 0x8b];
pub(super) const JPEG: [u8; 2] = [0xff, 0xd8];
const PNG: [u8; 4] = *b"\x89PNG";

/// A decoded image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    /// `[height][width][3]`: red, green, blue.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// Height and width.
    pub fn size(&self) -> ImageSize {
        ImageSize {
            height: self.height,
            width: self.width,
        }
    }
}

/// Why a file has no pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable(String);

impl Undecodable {
    pub(super) fn new(why: impl Into<String>) -> Self {
        let why: String = why.into();
        // A decoder's words may quote the file.
        Self(one_line(&why))
    }
}

impl std::fmt::Display for Undecodable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Undecodable {}

/// The error for image `name`.
pub(super) fn cannot_decode(name: &str, why: &dyn std::fmt::Display) -> anyhow::Error {
    Exit::Data.error(format!(
        "cannot decode {name}: {why}; get the image again, remove it from the set, or leave out all that cannot be decoded with --skip-unreadable"
    ))
}

/// Decodes a JPEG, or one of the files among ImageNet's that only are called JPEG: a PNG, and either of them in a gzip file.
/// Grey becomes RGB, and so does CMYK, which is taken as Adobe stores it, inverted. The orientation in a JPEG's EXIF is
/// ignored, as by Pillow, torchvision and OpenCV before 3.1, with which Caffe read images.
pub fn decode(bytes: &[u8]) -> Result<Picture, Undecodable> {
    let mut picture = Picture::default();
    decode_into(bytes, &mut picture)?;
    Ok(picture)
}

/// Like [`decode`], into the memory of another picture. After an error the picture is empty.
pub fn decode_into(bytes: &[u8], picture: &mut Picture) -> Result<(), Undecodable> {
    let decoded = if bytes.starts_with(&GZIP) {
        unpack(bytes).and_then(|bytes| unpacked(&bytes, picture))
    } else {
        unpacked(bytes, picture)
    };
    if decoded.is_err() {
        clear(picture);
    }
    decoded
}

/// About how many bytes decoding takes; none if that cannot be told beforehand.
pub(super) fn weight(bytes: &[u8]) -> Option<usize> {
    let (size, each) = announced(bytes)?;
    let pixels = size.width.saturating_mul(size.height);
    Some(pixels.saturating_mul(each))
}

/// The size of the picture that a file has, by its header; none if that does not tell it.
pub(super) fn size(bytes: &[u8]) -> Option<ImageSize> {
    let (size, _) = announced(bytes)?;
    Some(size).filter(|size| size.height > 0 && size.width > 0)
}

/// The size that a file's header announces, and about how many bytes a pixel takes while it is decoded.
fn announced(bytes: &[u8]) -> Option<(ImageSize, usize)> {
    // Of several scans a decoder keeps the coefficients, two bytes for each sample.
    let (width, height, each) = if bytes.starts_with(&JPEG) {
        let header = Header::read(bytes).ok()?;
        let each = if header.single { 3 } else { 9 };
        (header.width, header.height, each)
    } else if bytes.starts_with(&PNG) {
        let side = |at: usize| {
            let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_be_bytes(bytes)).ok()
        };
        (side(16)?, side(20)?, 7)
    } else {
        return None;
    };
    Some((ImageSize { height, width }, each))
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
    let mut unpacked = Vec::new();
    GzDecoder::new(bytes)
        .take(MOST_UNPACKED + 1)
        .read_to_end(&mut unpacked)
        .map_err(|error| Undecodable::new(format!("damaged gzip file: {error}")))?;
    if unpacked.len() as u64 > MOST_UNPACKED {
        return Err(Undecodable::new(format!(
            "gzip file of more than {MOST_UNPACKED} bytes"
        )));
    }
    Ok(unpacked)
}

fn unpacked(bytes: &[u8], picture: &mut Picture) -> Result<(), Undecodable> {
    if bytes.starts_with(&JPEG) {
        return jpeg(bytes, picture);
    }
    if bytes.starts_with(&PNG) {
        return png(bytes, picture);
    }
    if bytes.is_empty() {
        return Err(Undecodable::new("empty file"));
    }
    let kinds: [(&[u8], &str); 4] = [
        (b"GIF8", "GIF"),
        (b"RIFF", "WebP"),
        (b"BM", "BMP"),
        (b"II*\0", "TIFF"),
    ];
    if let Some((_, kind)) = kinds.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(Undecodable::new(format!("neither JPEG nor PNG but {kind}")));
    }
    let first = &bytes[..bytes.len().min(4)];
    Err(Undecodable::new(format!(
        "neither JPEG nor PNG: begins with {first:02x?}"
    )))
}

fn jpeg(bytes: &[u8], picture: &mut Picture) -> Result<(), Undecodable> {
    let header = Header::read(bytes)?;
    let most = bytes.len().saturating_mul(JPEG_PIXELS);
    allocate(picture, header.width, header.height, most)?;
    let stream = header.stream(bytes)?;
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        // Room was made for these, whatever a later header says.
        .set_max_width(header.width)
        .set_max_height(header.height)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&stream[..]), options);
    let pixels = &mut picture.pixels[..];
    // The decoder is written for speed, and its arithmetic overflows in some damaged files.
    let decoded = console::without_panic_message(|| {
        catch_unwind(AssertUnwindSafe(|| decoder.decode_into(pixels)))
    });
    match decoded {
        Ok(Ok(())) => {
            // Else the decoder has noticed by itself what is missing.
            if !header.single {
                scans::check(&stream)?;
            }
            Ok(())
        }
        Ok(Err(error)) => Err(Undecodable::new(format!("damaged JPEG: {error}"))),
        Err(_) => Err(Undecodable::new(
            "damaged JPEG: its data make no sense to the decoder",
        )),
    }
}

fn png(bytes: &[u8], picture: &mut Picture) -> Result<(), Undecodable> {
    let damaged = |error: png::DecodingError| Undecodable::new(format!("damaged PNG: {error}"));
    let limits = png::Limits {
        bytes: 4 * MOST_PIXELS,
    };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(damaged)?;
    let (width, height) = reader.info().size();
    let most = bytes.len().saturating_mul(PNG_PIXELS);
    allocate(picture, width as usize, height as usize, most)?;
    let size = reader.output_buffer_size();
    let mut samples = vec![
        0;
        size.ok_or(png::DecodingError::LimitsExceeded)
            .map_err(damaged)?
    ];
    let frame = reader.next_frame(&mut samples).map_err(damaged)?;
    let channels = frame.color_type.samples();
    let (pixels, _) = picture.pixels.as_chunks_mut::<3>();
    for (pixel, samples) in pixels.iter_mut().zip(samples.chunks_exact(channels)) {
        // Grey or RGB, with or without alpha, which is dropped.
        *pixel = match *samples {
            [red, green, blue, ..] => [red, green, blue],
            [grey, ..] => [grey; 3],
            [] => [0; 3],
        };
    }
    Ok(())
}

fn clear(picture: &mut Picture) {
    picture.width = 0;
    picture.height = 0;
    picture.pixels.clear();
}

/// Makes the picture black. A file whose bytes can hold `most` pixels gets no memory for more.
fn allocate(
    picture: &mut Picture,
    width: usize,
    height: usize,
    most: usize,
) -> Result<(), Undecodable> {
    clear(picture);
    let pixels = width.saturating_mul(height);
    let most = most.min(MOST_PIXELS);
    if pixels == 0 || pixels > most {
        return Err(Undecodable::new(format!(
            "claims {width} x {height} pixels, where 1 to {most} can be decoded"
        )));
    }
    picture.width = width;
    picture.height = height;
    picture.pixels.resize(3 * pixels, 0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of three pixels, numbered.
    fn numbered() -> Picture {
        Picture {
            width: 3,
            height: 2,
            pixels: (1..=6).flat_map(|number| [number; 3]).collect(),
        }
    }

    #[test]
    fn sizes_are_limited_before_anything_is_allocated() {
        let mut picture = numbered();
        for (width, height) in [(0, 5), (5, 0), (65_535, 65_535), (usize::MAX, 2)] {
            let error = allocate(&mut picture, width, height, usize::MAX).unwrap_err();
            assert!(error.to_string().contains("claims"), "{error}");
            assert_eq!(picture, Picture::default());
        }
        assert!(allocate(&mut picture, 4, 5, 19).is_err());
        allocate(&mut picture, 4, 5, 20).unwrap();
        assert_eq!(picture.pixels, [0; 60]);
    }

    #[test]
    fn the_weight_is_told_by_the_header() {
        let fixture = |name: &str| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pictures");
            std::fs::read(format!("{folder}/{name}")).unwrap()
        };
        for (name, each) in [
            ("turned.JPEG", 3),
            ("progressive.JPEG", 9),
            ("restarts.JPEG", 9),
            ("png.JPEG", 7),
        ] {
            assert_eq!(weight(&fixture(name)), Some(48 * 32 * each), "{name}");
        }
        assert_eq!(weight(b"\x1f\x8bxyz"), None);
        assert_eq!(weight(b"\x89PNG\r\n\x1a\n"), None);
    }

    #[test]
    fn what_is_no_picture_says_how_it_begins() {
        let error = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();
        assert_eq!(error(b""), "empty file");
        assert_eq!(
            error(b"<html>"),
            "neither JPEG nor PNG: begins with [3c, 68, 74, 6d]"
        );
        assert!(error(b"\x1f\x8bxyz").starts_with("damaged gzip file: "));
        assert!(error(b"\x89PNG\r\n\x1a\n").starts_with("damaged PNG: "));
    }
}
