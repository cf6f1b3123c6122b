//! Random changes of files, of the kinds that transfers, disks and attackers make.

use refig::random::Stream;

/// The most changes of a file, and the most bytes of one.
const CHANGES: u64 = 4;
const MOST: usize = 8 << 20;
/// Bytes that are at the limit of something.
const EXTREME: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
/// Numbers at the limit of something, as text.
const NUMBERS: [&str; 9] = [
    "0",
    "-1",
    "255",
    "65536",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "1e308",
    "nan",
];
/// What opens something, in one format or another.
const OPENING: [&[u8]; 5] = [b"[", b"{", b"(", b"{\"a\":", b"a=["];
/// Letters that end a line or control a terminal.
const CONTROLS: [&[u8]; 5] = [b"\n", b"\r", b"\x1b[31m", b"\0", "\u{202e}".as_bytes()];

/// One of the files with a few changes.
pub fn mutate(files: &[Vec<u8>], which: usize, random: &mut Stream) -> Vec<u8> {
    let mut bytes = files[which].clone();
    for _ in 0..=random.below(CHANGES) {
        change(&mut bytes, files, random);
    }
    bytes.truncate(MOST);
    bytes
}

fn below(random: &mut Stream, bound: usize) -> usize {
    random.below(bound as u64) as usize
}

fn change(bytes: &mut Vec<u8>, files: &[Vec<u8>], random: &mut Stream) {
    if bytes.is_empty() {
        bytes.push(random.below(256) as u8);
        return;
    }
    let place = below(random, bytes.len());
    match random.below(13) {
        0 | 1 => bytes[place] ^= 1 << random.below(8),
        2 => bytes[place] = random.below(256) as u8,
        3 => bytes[place] = EXTREME[below(random, EXTREME.len())],
        4 => bytes.truncate(place),
        5 => {
            let count = below(random, 16) + 1;
            let new: Vec<u8> = (0..count).map(|_| random.below(256) as u8).collect();
            insert(bytes, place, &new);
        }
        6 => {
            let end = (place + below(random, 64) + 1).min(bytes.len());
            bytes.drain(place..end);
        }
        7 => {
            let end = (place + below(random, 512) + 1).min(bytes.len());
            let copy = bytes[place..end].to_vec();
            let to = below(random, bytes.len() + 1);
            insert(bytes, to, &copy);
        }
        8 => {
            let other = &files[below(random, files.len())];
            let from = below(random, other.len() + 1);
            bytes.truncate(place);
            bytes.extend_from_slice(&other[from..]);
        }
        9 => length(bytes, place, random),
        10 => number(bytes, place, random),
        11 => {
            let depth = below(random, 2000) + 1;
            let new = OPENING[below(random, OPENING.len())].repeat(depth);
            insert(bytes, place, &new);
        }
        _ => insert(bytes, place, CONTROLS[below(random, CONTROLS.len())]),
    }
}

fn insert(bytes: &mut Vec<u8>, place: usize, new: &[u8]) {
    bytes.splice(place..place, new.iter().copied());
}

/// Overwrites what may be a length with one at the limit.
fn length(bytes: &mut [u8], place: usize, random: &mut Stream) {
    let width = [2, 4, 8][below(random, 3)];
    let end = (place + width).min(bytes.len());
    let value = match random.below(5) {
        0 => 0,
        1 => u64::MAX,
        2 => u64::MAX >> 1,
        3 => 1 << random.below(64),
        _ => bytes.len() as u64 + random.below(3) - 1,
    };
    let mut value = value.to_le_bytes();
    if random.below(2) == 0 {
        value[..width].reverse();
    }
    bytes[place..end].copy_from_slice(&value[..end - place]);
}

/// Replaces the number at or after a place by another, as text.
fn number(bytes: &mut Vec<u8>, place: usize, random: &mut Stream) {
    let Some(skipped) = bytes[place..].iter().position(u8::is_ascii_digit) else {
        return;
    };
    let from = place + skipped;
    let digits = bytes[from..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let to = from + digits.count();
    let new = NUMBERS[below(random, NUMBERS.len())];
    bytes.splice(from..to, new.bytes());
}
