//! Photographs: every kind of file that ImageNet has gives Pillow's pixels, and so do scaled crops.
//!
//! The files of `fixtures/pictures` have six cells of 16 x 16 pixels, and what Pillow makes of their middles is written
//! below. With Pillow at hand, whole pictures are compared that are made for the test.
#![allow(clippy::print_stdout, reason = "skipped tests say so")]

mod common;

use std::io::Write;
use std::path::Path;
use std::process::Command;

use common::python;
use refig::data::ImageSize;
use refig::data::imagenet::{Draw, Picture, Scratch, View, decode, decode_into, frame};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new("tests/fixtures/pictures").join(name)).unwrap()
}

fn middles(picture: &Picture) -> Vec<[u8; 3]> {
    assert_eq!((picture.width, picture.height), (48, 32));
    let (pixels, _) = picture.pixels.as_chunks::<3>();
    (0..6)
        .map(|cell| pixels[48 * (8 + 16 * (cell / 3)) + 8 + 16 * (cell % 3)])
        .collect()
}

/// Asserts that the middles of the cells are within two levels.
fn shows(name: &str, bytes: &[u8], expected: [[u8; 3]; 6]) {
    let picture = decode(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    let found = middles(&picture);
    let near = |(found, expected): (&u8, &u8)| found.abs_diff(*expected) <= 2;
    assert!(
        found
            .as_flattened()
            .iter()
            .zip(expected.as_flattened())
            .all(near),
        "{name}: {found:?}, expected {expected:?}"
    );
}

/// The cells of the files in colour.
const COLOURS: [[u8; 3]; 6] = [
    [200, 30, 40],
    [20, 180, 60],
    [30, 50, 210],
    [128, 128, 128],
    [250, 240, 10],
    [0, 0, 0],
];

#[test]
fn colour_grey_progressive_and_png() {
    // Chroma at a quarter and at half the resolution, the latter with a restart marker after every block.
    for name in [
        "turned.JPEG",
        "progressive.JPEG",
        "restarts.JPEG",
        "png.JPEG",
    ] {
        shows(name, &fixture(name), COLOURS);
    }
    let grey = [10, 60, 110, 160, 210, 250].map(|level| [level; 3]);
    shows("grey.JPEG", &fixture("grey.JPEG"), grey);
}

#[test]
fn four_inks_are_stored_inverted() {
    // By hand: ink (c, m, y, k) is stored as (255 - c, ...) and shows (255 - c)(255 - k) / 255 and so on. The inks are none,
    // (255, 0, 0, 0), (0, 128, 255, 51), (0, 0, 0, 255), (100, 50, 200, 102), (255, 255, 255, 0).
    let inks = [
        [255, 255, 255],
        [0, 255, 255],
        [204, 102, 0],
        [0, 0, 0],
        [93, 123, 33],
        [0, 0, 0],
    ];
    // With Adobe's marker and without.
    shows("cmyk-adobe.JPEG", &fixture("cmyk-adobe.JPEG"), inks);
    shows("cmyk-bare.JPEG", &fixture("cmyk-bare.JPEG"), inks);
    // The complements of these colours as YCbCr, and black at 255, 255, 204, 0, 128, 255: (200, 100, 50) shows four fifths.
    let colours = [
        [255, 255, 255],
        [1, 255, 255],
        [162, 80, 42],
        [0, 0, 0],
        [21, 60, 111],
        [255, 0, 1],
    ];
    shows("ycck.JPEG", &fixture("ycck.JPEG"), colours);
}

#[test]
fn orientation_is_ignored() {
    let bytes = fixture("turned.JPEG");
    // Orientation 6: the picture lies on its left side.
    let entry = b"\x01\x12\0\x03\0\0\0\x01\0\x06";
    assert!(bytes.windows(entry.len()).any(|window| window == entry));
    shows("turned.JPEG", &bytes, COLOURS);
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

#[test]
fn gzip_inside_is_unpacked_up_to_a_limit() {
    shows("packed", &packed(&fixture("progressive.JPEG")), COLOURS);
    shows("packed", &packed(&fixture("png.JPEG")), COLOURS);
    // Once only, and no more than can be held.
    let twice = packed(&packed(&fixture("png.JPEG")));
    let error = decode(&twice).unwrap_err().to_string();
    assert!(error.contains("neither JPEG nor PNG"), "{error}");
    let zeros = vec![0; (1 << 26) + 1];
    let error = decode(&packed(&zeros)).unwrap_err().to_string();
    assert!(error.contains("gzip file of more than"), "{error}");
}

#[test]
fn a_truncated_file_is_an_error_wherever_it_ends() {
    let mut picture = decode(&fixture("png.JPEG")).unwrap();
    for name in [
        "turned.JPEG",
        "progressive.JPEG",
        "restarts.JPEG",
        "grey.JPEG",
        "cmyk-adobe.JPEG",
        "ycck.JPEG",
    ] {
        let bytes = fixture(name);
        for length in 0..bytes.len() {
            let decoded = decode_into(&bytes[..length], &mut picture);
            let error = decoded.expect_err(name).to_string();
            assert!(length < 2 || error.contains("truncated JPEG"), "{error}");
            assert_eq!(picture, Picture::default());
        }
        decode_into(&bytes, &mut picture).unwrap();
        // What follows the end does not matter.
        let longer = [bytes, vec![0, 1, 2, 0xff]].concat();
        assert_eq!(decode(&longer).unwrap(), picture);
    }
    let bytes = packed(&fixture("turned.JPEG"));
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err());
    }
    let bytes = fixture("png.JPEG");
    assert!(decode(&bytes[..bytes.len() / 2]).is_err());
}

#[test]
fn an_early_end_marker_does_not_leave_grey() {
    for name in ["turned.JPEG", "grey.JPEG", "cmyk-adobe.JPEG"] {
        let bytes = fixture(name);
        let early = [&bytes[..bytes.len() - 14], &[0xff, 0xd9][..]].concat();
        let error = decode(&early).expect_err(name).to_string();
        assert!(error.contains("damaged JPEG"), "{name}: {error}");
    }
}

#[test]
fn stray_bytes_and_damaged_segments_do_not_matter() {
    let bytes = fixture("turned.JPEG");
    let expected = decode(&bytes).unwrap();
    // A colour profile that is none, an EXIF block that says nothing, and bytes between segments.
    let stray = b"\xff\xe2\x00\x04\x01\x02\xff\xe1\x00\x0aExif\0\0II junk between segments";
    let damaged = [&bytes[..2], &stray[..], &bytes[2..]].concat();
    assert_eq!(decode(&damaged).unwrap(), expected);
}

#[test]
fn a_claim_of_many_pixels_is_refused() {
    let mut bytes = fixture("turned.JPEG");
    let frame = bytes
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    bytes[frame + 5..frame + 9].fill(0xff);
    let error = decode(&bytes).unwrap_err().to_string();
    assert!(error.contains("claims 65535 x 65535 pixels"), "{error}");
}

#[test]
fn ten_crops_of_a_picture_are_where_they_should_be() {
    // Each pixel says where it is.
    let picture = Picture {
        width: 30,
        height: 20,
        pixels: (0..20)
            .flat_map(|y| (0..30).flat_map(move |x| [x, y, 0]))
            .collect(),
    };
    let mut scratch = Scratch::default();
    let mut made = |view: &View| {
        let mut into = vec![0; 3 * view.size.pixels()];
        frame(&picture, &view.draw(0), view.size, &mut scratch, &mut into);
        into
    };
    // The shorter side stays at 20.
    let views = View::ten_crops(20, ImageSize::square(16));
    let views: Vec<Vec<u8>> = views.iter().map(&mut made).collect();
    let places = [(0, 0), (14, 0), (0, 4), (14, 4), (7, 2)];
    for ((plain, mirrored), (left, top)) in views[..5].iter().zip(&views[5..]).zip(places) {
        assert_eq!(plain[..3], [left, top, 0]);
        assert_eq!(plain[3 * 255..], [left + 15, top + 15, 0]);
        assert_eq!(mirrored[..3], [left + 15, top, 0]);
        assert_eq!(mirrored[3 * 255..], [left, top + 15, 0]);
    }
    assert_eq!(made(&View::whole(20, picture.size())), picture.pixels);
    // What is too long is cut off at both ends alike.
    let long = ImageSize {
        height: 20,
        width: 21,
    };
    let middle = made(&View::centre(20, long));
    assert_eq!(
        (&middle[..3], &middle[3 * 419..]),
        (&[4, 0, 0][..], &[24, 19, 0][..])
    );
}

/// Writes NAME.file and NAME.rgb, what Pillow makes of it, into a folder.
const MAKER: &str = r#"
import io, math, os, sys
from PIL import Image, ImageOps
folder = sys.argv[1]
def keep(name, file, image):
    for end, data in (("file", file), ("rgb", image.convert("RGB").tobytes())):
        with open(os.path.join(folder, name + "." + end), "wb") as f:
            f.write(data)
def saved(image, format="JPEG", **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()
def opened(data):
    return Image.open(io.BytesIO(data))
seed = 1
pixels = bytearray()
for y in range(131):
    for x in range(173):
        for c in range(3):
            seed = (seed * 1103515245 + 12345) % 2**31
            wave = math.sin(x / (7 + 3 * c)) * math.cos(y / (11 - 2 * c))
            pixels.append(max(0, min(255, int(128 + 110 * wave + (seed >> 16) % 31 - 15))))
photo = Image.frombytes("RGB", (173, 131), bytes(pixels))
exif = Image.Exif()
exif[0x0112] = 8
for name, data in {
    "420": saved(photo, quality=90, subsampling="4:2:0"),
    "422": saved(photo, quality=90, subsampling="4:2:2"),
    "444": saved(photo, quality=97, subsampling="4:4:4"),
    "rough": saved(photo, quality=30),
    "progressive": saved(photo, quality=90, progressive=True),
    "restarts": saved(photo, quality=90, restart_marker_blocks=3),
    "optimised": saved(photo, quality=80, optimize=True),
    "rgb": saved(photo, quality=90, keep_rgb=True),
    "grey": saved(photo.convert("L"), quality=90),
    "thin": saved(photo.crop((0, 0, 13, 131)), quality=90),
    "exif": saved(photo, quality=90, exif=exif),
    "png": saved(photo, "PNG"),
    "palette": saved(photo.quantize(64), "PNG"),
    "alpha": saved(photo.convert("RGBA"), "PNG"),
    "grey-png": saved(photo.convert("L"), "PNG"),
    "bilevel-png": saved(photo.convert("1"), "PNG"),
}.items():
    keep(name, data, opened(data))
inks = Image.merge("CMYK", (*photo.split(), photo.convert("L").rotate(180)))
cmyk = saved(inks, quality=92)
keep("cmyk", cmyk, opened(cmyk))
at = cmyk.index(b"\xff\xee")
bare = cmyk[:at] + cmyk[at + 16:]
keep("cmyk-bare", bare, opened(bare))
y, cb, cr = ImageOps.invert(photo).convert("YCbCr").split()
ycck = Image.merge("CMYK", [ImageOps.invert(band) for band in (y, cb, cr, photo.convert("L"))])
ycck = bytearray(saved(ycck, quality=92))
ycck[ycck.index(b"\xff\xee") + 15] = 2
keep("ycck", bytes(ycck), opened(bytes(ycck)))
original = saved(photo, "PNG")
for side in (32, 97, 131, 200, 301):
    whole = photo.resize((side * 173 // 131, side), Image.BILINEAR)
    for end in (0, 1):
        left, top = end * (whole.width - 32), end * (side - 32)
        crop = whole.crop((left, top, left + 32, top + 32))
        keep(f"crop-{side}-{end}", original, ImageOps.mirror(crop) if end else crop)
"#;

/// Makes the files, where there is a Python with Pillow.
fn made(folder: &Path) -> bool {
    let Some(python) = python::with("PIL") else {
        println!(
            "SKIPPED: no Pillow here; `pip install pillow`, or name a Python that has it with PYTHON"
        );
        return false;
    };
    let output = Command::new(python)
        .args(["-c", MAKER])
        .arg(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    true
}

/// The largest and the mean difference.
fn difference(found: &[u8], expected: &[u8]) -> (u8, f64) {
    assert_eq!(found.len(), expected.len());
    let each = found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = each.clone().map(u64::from).sum();
    (each.max().unwrap_or(0), sum as f64 / found.len() as f64)
}

#[test]
fn whole_pictures_are_pillows() {
    let folder = tempfile::tempdir().unwrap();
    if !made(folder.path()) {
        return;
    }
    let read =
        |name: &str, end: &str| std::fs::read(folder.path().join(format!("{name}.{end}"))).unwrap();
    for (name, most, mean) in [
        // The inverse cosine transform, the interpolation of chroma and the conversion to RGB each may round otherwise.
        ("420", 5, 0.5),
        ("422", 5, 0.5),
        ("444", 4, 0.5),
        ("rough", 5, 0.5),
        ("progressive", 5, 0.5),
        ("restarts", 5, 0.5),
        ("optimised", 5, 0.5),
        ("rgb", 2, 0.3),
        ("grey", 2, 0.3),
        ("thin", 5, 0.5),
        ("exif", 5, 0.5),
        ("cmyk", 3, 0.5),
        ("cmyk-bare", 3, 0.5),
        ("ycck", 5, 0.5),
        ("png", 0, 0.0),
        ("palette", 0, 0.0),
        ("alpha", 0, 0.0),
        ("grey-png", 0, 0.0),
        ("bilevel-png", 0, 0.0),
    ] {
        let picture = decode(&read(name, "file")).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (largest, average) = difference(&picture.pixels, &read(name, "rgb"));
        println!("{name}: at most {largest} levels from Pillow, {average:.3} on average");
        assert!(
            largest <= most && average <= mean,
            "{name}: {largest}, {average}"
        );
    }
    for side in [32, 97, 131, 200, 301] {
        for end in [0, 1] {
            let name = format!("crop-{side}-{end}");
            let picture = decode(&read(&name, "file")).unwrap();
            let draw = Draw {
                index: 0,
                shorter_side: side,
                down: end * u32::MAX,
                across: end * u32::MAX,
                flip: end == 1,
                shift: [0.0; 3],
            };
            let mut crop = vec![0; 3 * 32 * 32];
            let size = ImageSize::square(32);
            frame(&picture, &draw, size, &mut Scratch::default(), &mut crop);
            let (largest, average) = difference(&crop, &read(&name, "rgb"));
            println!("{name}: at most {largest} levels from Pillow, {average:.3} on average");
            assert!(largest <= 1, "{name}: {largest}, {average}");
        }
    }
}
