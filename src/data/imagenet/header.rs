//! What has to be known of a JPEG before it is decoded: its size, and where its data are.

use std::mem;
use std::ops::Range;

use super::decode::Undecodable;

const END: [u8; 2] = [0xff, 0xd9];

/// More than a decoder reads ahead.
const READ_AHEAD: [u8; 16] = [0; 16];

/// The segments before the first scan.
pub(super) struct Header {
    pub width: usize,
    pub height: usize,
    /// The segments that decoding needs, markers included.
    needed: Vec<Range<usize>>,
    /// The marker of the first scan.
    scan: usize,
    /// A single scan without restart markers.
    pub single: bool,
    /// Of three components, how many blocks the first has across and down for one of the others.
    pub sampling: Option<(u8, u8)>,
}

impl Header {
    /// Reads up to the first scan, over stray bytes between segments, as libjpeg does.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Undecodable> {
        let mut header = Self {
            width: 0,
            height: 0,
            needed: Vec::new(),
            scan: 0,
            single: true,
            sampling: None,
        };
        let mut components = None;
        let mut at = 2;
        loop {
            let (marker, from) = next_marker(bytes, at).ok_or_else(|| cut_off(bytes))?;
            at = from + 2;
            // Markers without a segment.
            if matches!(marker, 0x01 | 0xd0..=0xd8) {
                continue;
            }
            if marker == END[1] {
                return Err(Undecodable::new("JPEG without an image"));
            }
            let length = bytes.get(at..at + 2).ok_or_else(|| cut_off(bytes))?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            let segment = bytes.get(at + 2..at + length);
            if length < 2 {
                return Err(Undecodable::new(format!(
                    "damaged JPEG: segment {marker:02x} of {length} bytes"
                )));
            }
            let segment = segment.ok_or_else(|| cut_off(bytes))?;
            match marker {
                // Start of a frame: precision, height, width, components.
                0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                    let &[precision, h0, h1, w0, w1, count, ..] = segment else {
                        return Err(Undecodable::new("damaged JPEG: short frame header"));
                    };
                    known(marker, precision, count)?;
                    header.height = usize::from(u16::from_be_bytes([h0, h1]));
                    header.width = usize::from(u16::from_be_bytes([w0, w1]));
                    header.single &= matches!(marker, 0xc0 | 0xc1);
                    components = Some(count);
                    // Of each component a name, its factors and the number of its table.
                    header.sampling = match *segment {
                        [_, _, _, _, _, 3, _, first, _, _, 0x11, _, _, 0x11, _] => {
                            Some((first >> 4, first & 15))
                        }
                        _ => None,
                    };
                }
                // Restart interval.
                0xdd => header.single &= segment == [0, 0],
                0xda => {
                    let Some(components) = components else {
                        return Err(Undecodable::new("damaged JPEG: no frame header"));
                    };
                    header.single &= segment.first() == Some(&components);
                    header.scan = from;
                    return Ok(header);
                }
                _ => {}
            }
            // Frames, tables, JFIF's and Adobe's segment. What programs and cameras add is often damaged.
            if matches!(marker, 0xc0..=0xcf | 0xdb | 0xdd | 0xe0 | 0xee) {
                header.needed.push(from..at + length);
            }
            at += length;
        }
    }

    /// The file without what decoding does not need.
    ///
    /// A decoder that meets the end marker too early goes on with zeros, which gives grey. So a single scan is followed by
    /// as many zeros as a decoder reads ahead and not by an end marker: where data are missing, it runs out of them.
    pub(super) fn stream(&self, bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
        let scans = &bytes[self.scan..];
        let end = scans.windows(2).rposition(|pair| pair == END);
        let data = &scans[..end.ok_or_else(|| cut_off(bytes))?];
        let mut stream = Vec::with_capacity(bytes.len() + READ_AHEAD.len());
        stream.extend_from_slice(&bytes[..2]);
        for segment in &self.needed {
            stream.extend_from_slice(&bytes[segment.clone()]);
        }
        stream.extend_from_slice(data);
        match self.single {
            true => stream.extend_from_slice(&READ_AHEAD),
            false => stream.extend_from_slice(&END),
        }
        Ok(stream)
    }

    /// The file with tables of quantisation that multiply all but the first coefficient of each block by 0.
    pub(super) fn untransformed(&self, bytes: &[u8]) -> Vec<u8> {
        let mut file = bytes.to_vec();
        for segment in &self.needed {
            let [_, 0xdb, _, _, tables @ ..] = &mut file[segment.clone()] else {
                continue;
            };
            let mut tables = tables;
            // Of each table its kind, and 64 numbers of one byte or two.
            while let Some((kind, rest)) = mem::take(&mut tables).split_first_mut() {
                let each = if *kind >> 4 == 0 { 1 } else { 2 };
                let (table, rest) = rest.split_at_mut(rest.len().min(64 * each));
                table.iter_mut().skip(each).for_each(|byte| *byte = 0);
                tables = rest;
            }
        }
        file
    }
}

/// Checks that a frame is of a kind that is decoded.
fn known(marker: u8, precision: u8, components: u8) -> Result<(), Undecodable> {
    let other = match marker {
        0xc3 | 0xc7 | 0xcb | 0xcf => "lossless",
        0xc5 | 0xc6 | 0xcd | 0xce => "hierarchical",
        0xc9 | 0xca => "arithmetic-coded",
        _ if precision != 8 => {
            return Err(Undecodable::new(format!(
                "JPEG of {precision} bits, where 8 are decoded"
            )));
        }
        _ if !matches!(components, 1 | 3 | 4) => {
            return Err(Undecodable::new(format!(
                "JPEG of {components} components, where 1, 3 or 4 are decoded"
            )));
        }
        _ => return Ok(()),
    };
    Err(Undecodable::new(format!(
        "{other} JPEG, where baseline and progressive ones are decoded"
    )))
}

fn cut_off(bytes: &[u8]) -> Undecodable {
    Undecodable::new(format!(
        "truncated JPEG: no end marker in its {} bytes",
        bytes.len()
    ))
}

/// The next marker at or after `at`, and where it is.
pub(super) fn next_marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let pair = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xff);
    let from = at + bytes.get(at..)?.windows(2).position(pair)?;
    Some((bytes[from + 1], from))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG's segment.
    fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() + 2) as u16;
        let mut segment = vec![0xff, marker];
        segment.extend(length.to_be_bytes());
        segment.extend(payload);
        segment
    }

    fn frame(marker: u8) -> Vec<u8> {
        segment(marker, &[8, 1, 2, 3, 4, 1, 1, 0x11, 0])
    }

    fn scan(data: &[u8]) -> Vec<u8> {
        let mut scan = segment(0xda, &[1, 1, 0, 0, 63, 0]);
        scan.extend(data);
        scan
    }

    /// EXIF with orientation 6, big or little endian.
    fn exif(little: bool) -> Vec<u8> {
        let block: &[u8] = match little {
            true => b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0",
            false => b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0",
        };
        [&b"Exif\0\0"[..], block].concat()
    }

    #[test]
    fn the_size_is_read_over_stray_bytes() {
        for little in [true, false] {
            let file = [
                vec![0xff, 0xd8, 1, 2, 3, 4, 5, 0xff, 0xff],
                segment(0xe1, &exif(little)),
                frame(0xc0),
                scan(&[7, 7, 0xff, 0xd9, 9]),
            ]
            .concat();
            let header = Header::read(&file).unwrap();
            assert_eq!((header.height, header.width), (0x0102, 0x0304));
            let stream = header.stream(&file).unwrap();
            let clean = [vec![0xff, 0xd8], frame(0xc0), scan(&[7, 7]), vec![0; 16]].concat();
            assert_eq!(stream, clean);
        }
    }

    #[test]
    fn scans_that_markers_divide_keep_their_end_marker() {
        let start = vec![0xff, 0xd8];
        let restart = segment(0xdd, &[0, 4]);
        let progressive = [start.clone(), frame(0xc2), scan(&[7, 0xff, 0xd9])].concat();
        let restarted = [start, restart, frame(0xc0), scan(&[7, 0xff, 0xd9])].concat();
        for file in [progressive, restarted] {
            let stream = Header::read(&file).unwrap().stream(&file).unwrap();
            assert_eq!(stream, file);
        }
    }

    #[test]
    fn every_truncation_is_noticed() {
        let file = [
            vec![0xff, 0xd8],
            segment(0xe1, &exif(true)),
            frame(0xc0),
            scan(&[7, 0xff, 0, 7, 0xff, 0xd9]),
        ]
        .concat();
        for length in 2..file.len() {
            let cut = &file[..length];
            let stream = Header::read(cut).and_then(|header| header.stream(cut));
            let error = stream.unwrap_err().to_string();
            assert!(error.contains("truncated"), "{length}: {error}");
        }
    }
}
