//! Files that are rare among photographs: other kinds of JPEG and PNG, kinds that are not decoded, which are refused by name, and
//! JPEGs that end early.

use std::io::Write;
use std::path::Path;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use jpeg_encoder::{ColorType, Encoder};
use refig::data::imagenet::{Picture, decode};

const END: [u8; 2] = [0xff, 0xd9];

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new("tests/fixtures/pictures").join(name)).unwrap()
}

fn refused(bytes: &[u8]) -> String {
    decode(bytes).unwrap_err().to_string()
}

/// Where the marker is first.
fn marker(bytes: &[u8], marker: u8) -> usize {
    let mut pairs = bytes.windows(2);
    pairs.position(|pair| pair == [0xff, marker]).unwrap()
}

/// Where the data of the first scan begin.
fn data(bytes: &[u8]) -> usize {
    let scan = marker(bytes, 0xda);
    scan + 2 + usize::from(bytes[scan + 3])
}

/// A picture with some detail.
fn jpeg(colour: ColorType, progressive: bool, restarts: u16) -> Vec<u8> {
    let (width, height) = (75, 41);
    let samples = match colour {
        ColorType::Luma => 1,
        _ => 3,
    };
    let level = |at: usize| (at * at / 50 % 230) as u8;
    let pixels: Vec<u8> = (0..samples * width * height).map(level).collect();
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 90);
    encoder.set_progressive(progressive);
    if restarts > 0 {
        encoder.set_restart_interval(restarts);
    }
    encoder
        .encode(&pixels, width as u16, height as u16, colour)
        .unwrap();
    bytes
}

#[test]
fn other_kinds_of_jpeg_show_the_same_picture() {
    for colour in [ColorType::Luma, ColorType::Rgb] {
        let plain = decode(&jpeg(colour, false, 0)).unwrap();
        assert_eq!((plain.width, plain.height), (75, 41));
        let different = plain.pixels.iter().any(|&level| level != plain.pixels[0]);
        assert!(different);
        for (progressive, restarts) in [(false, 1), (false, 7), (true, 0), (true, 3)] {
            let bytes = jpeg(colour, progressive, restarts);
            let picture = decode(&bytes).unwrap();
            // The same coefficients, but the decoder has several ways to round.
            let mut both = picture.pixels.iter().zip(&plain.pixels);
            let near = both.all(|(one, other)| one.abs_diff(*other) <= 3);
            assert!(near, "{colour:?} {progressive} {restarts}");
        }
    }
}

#[test]
fn four_components_without_adobes_marker_are_inks() {
    // What is YCCK by Adobe's marker is read as CMYK without it, as by Pillow.
    let bytes = fixture("ycck.JPEG");
    let adobe = marker(&bytes, 0xee);
    let bare = [&bytes[..adobe], &bytes[adobe + 16..]].concat();
    let picture = decode(&bare).unwrap();
    let (pixels, _) = picture.pixels.as_chunks::<3>();
    // The middles of the cells, as Pillow has them.
    let pillow: [[u8; 3]; 6] = [
        [0, 128, 128],
        [76, 84, 255],
        [104, 135, 58],
        [0, 0, 0],
        [74, 32, 88],
        [178, 171, 0],
    ];
    for (cell, expected) in pillow.iter().enumerate() {
        let found = pixels[48 * (8 + 16 * (cell / 3)) + 8 + 16 * (cell % 3)];
        let mut both = found.iter().zip(expected);
        let near = both.all(|(found, expected)| found.abs_diff(*expected) <= 2);
        assert!(near, "cell {cell}: {found:?}, expected {expected:?}");
    }
}

#[test]
fn kinds_that_are_not_decoded_are_refused_by_name() {
    let bytes = fixture("turned.JPEG");
    let frame = marker(&bytes, 0xc0);
    for (kind, name) in [
        (0xc3, "lossless JPEG"),
        (0xc5, "hierarchical JPEG"),
        (0xc9, "arithmetic-coded JPEG"),
        (0xca, "arithmetic-coded JPEG"),
        (0xcb, "lossless JPEG"),
    ] {
        let mut other = bytes.clone();
        other[frame + 1] = kind;
        let told = refused(&other);
        assert!(told.starts_with(name), "{kind:02x}: {told}");
    }
    let mut deep = bytes.clone();
    deep[frame + 4] = 12;
    assert_eq!(refused(&deep), "JPEG of 12 bits, where 8 are decoded");
    for components in [0, 2, 5] {
        let mut other = bytes.clone();
        other[frame + 9] = components;
        let told = refused(&other);
        let start = format!("JPEG of {components} components, ");
        assert!(told.starts_with(&start), "{told}");
    }
    for (start, kind) in [
        (&b"GIF89a\x01\0\x01\0"[..], "GIF"),
        (&b"RIFF\x1a\0\0\0WEBPVP8L"[..], "WebP"),
        (&b"BM\x3a\0\0\0"[..], "BMP"),
        (&b"II*\0\x08\0\0\0"[..], "TIFF"),
    ] {
        let told = refused(start);
        assert_eq!(told, format!("neither JPEG nor PNG but {kind}"));
    }
}

/// A PNG's chunk.
fn chunk(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut sum = Crc::new();
    sum.update(kind);
    sum.update(payload);
    let length = (payload.len() as u32).to_be_bytes();
    [&length[..], kind, payload, &sum.sum().to_be_bytes()].concat()
}

/// A PNG in RGB of filtered rows.
fn png(width: u32, height: u32, bits: u8, interlaced: bool, rows: &[u8]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([bits, 2, 0, 0, u8::from(interlaced)]);
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(rows).unwrap();
    let parts = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"IDAT", &packed.finish().unwrap()),
        chunk(b"IEND", &[]),
    ];
    parts.concat()
}

#[test]
fn deep_and_interlaced_pngs_are_decoded() {
    // The upper bytes are shown.
    let rows = [0, 1, 200, 2, 200, 3, 200, 4, 0, 5, 0, 6, 0];
    let picture = decode(&png(2, 1, 16, false, &rows)).unwrap();
    let expected = Picture {
        width: 2,
        height: 1,
        pixels: vec![1, 2, 3, 4, 5, 6],
    };
    assert_eq!(picture, expected);
    let side = 11;
    let pixel = |x: usize, y: usize| [x as u8, y as u8, 7];
    // Adam7: where a pass begins, and its steps.
    let passes = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ];
    let mut rows = Vec::new();
    for (left, top, across, down) in passes {
        for y in (top..side).step_by(down) {
            rows.push(0);
            rows.extend((left..side).step_by(across).flat_map(|x| pixel(x, y)));
        }
    }
    let picture = decode(&png(11, 11, 8, true, &rows)).unwrap();
    let pixels = (0..side).flat_map(|y| (0..side).flat_map(move |x| pixel(x, y)));
    assert_eq!(picture.pixels, pixels.collect::<Vec<u8>>());
}

#[test]
fn an_early_end_marker_is_noticed_where_restart_markers_divide_the_scan() {
    let mut files = vec![fixture("restarts.JPEG")];
    for interval in [1, 4, 100] {
        files.push(jpeg(ColorType::Rgb, false, interval));
        files.push(jpeg(ColorType::Luma, false, interval));
    }
    for bytes in files {
        for end in data(&bytes)..bytes.len() - 2 {
            let early = [&bytes[..end], &END[..]].concat();
            let told = refused(&early);
            assert!(told.contains("JPEG"), "{end}: {told}");
        }
        // In the middle, too: an interval that lacks a byte.
        let Some(restart) = bytes.windows(2).position(|pair| pair == [0xff, 0xd0]) else {
            continue;
        };
        let lacking = [&bytes[..restart - 1], &bytes[restart..]].concat();
        assert!(decode(&lacking).is_err());
    }
}

#[test]
fn an_early_end_marker_is_noticed_inside_a_scan_of_a_progressive_file() {
    let files = [
        fixture("progressive.JPEG"),
        jpeg(ColorType::Rgb, true, 0),
        jpeg(ColorType::Luma, true, 3),
    ];
    for bytes in files {
        let (mut noticed, mut coarse) = (0, 0);
        for end in data(&bytes)..bytes.len() - 2 {
            let early = [&bytes[..end], &END[..]].concat();
            if decode(&early).is_err() {
                noticed += 1;
                continue;
            }
            coarse += 1;
            // Behind a whole scan: a marker follows, or was just begun.
            let behind = |at: usize| bytes[at] == 0xff && bytes[at + 1] != 0;
            assert!(behind(end) || behind(end - 1), "cut at {end}");
        }
        assert!(noticed > 4 * coarse, "{noticed} noticed, {coarse} not");
    }
}

#[test]
fn a_component_without_a_scan_is_missing() {
    let bytes = jpeg(ColorType::Luma, false, 0);
    let frame = marker(&bytes, 0xc0);
    let &[name, _, table] = &bytes[frame + 10..frame + 13] else {
        unreachable!()
    };
    // A frame of three components in place of the one that has a scan.
    let mut three = bytes[frame..frame + 10].to_vec();
    (three[3], three[9]) = (17, 3);
    for other in 0..3 {
        three.extend([name + other, 0x11, table]);
    }
    let lacking = [&bytes[..frame], &three, &bytes[frame + 13..]].concat();
    assert!(refused(&lacking).contains("JPEG"));
}
