//! Whether the scans of a JPEG have all of their data.
//!
//! A decoder that meets a marker too early goes on with zeros, which gives grey. In a single scan without restart markers that is
//! noticed without a second look (`header.rs`). Here are all others: progressive files, a scan for each component, and scans that
//! restart markers divide. Their codes are read once more, and not one bit may be missing.
//!
//! A progressive file that ends behind a whole scan goes unnoticed: it is coarse, and a file may be meant to be.

use super::decode::Undecodable;
use super::header::next_marker;

/// The most scans that are read: a decoder takes no more.
const MOST_SCANS: usize = 100;
/// Coefficients of a block.
const BLOCK: usize = 64;

/// Why the reading ended early.
enum Stop {
    /// Data are missing.
    Short,
    /// Something makes no sense, of which the decoder is the judge.
    Senseless,
}

type Step<T> = Result<T, Stop>;

/// Checks a JPEG that was decoded, from its first marker to its end marker.
///
/// # Errors
/// If data are missing.
pub(super) fn check(stream: &[u8]) -> Result<(), Undecodable> {
    let mut image = Image::default();
    match image.read(stream) {
        Err(Stop::Short) => Err(Undecodable::new(format!(
            "truncated JPEG: data are missing in or after scan {}",
            image.scans
        ))),
        Ok(()) | Err(Stop::Senseless) => Ok(()),
    }
}

/// What the segments so far have said.
#[derive(Default)]
struct Image {
    width: usize,
    height: usize,
    progressive: bool,
    components: Vec<Component>,
    /// The largest of the components' factors.
    most_across: usize,
    most_down: usize,
    /// For the first coefficients of blocks, and for the others.
    codes: [[Option<Codes>; 4]; 2],
    /// MCUs between two restart markers; 0 without any.
    interval: usize,
    /// Scans so far.
    scans: usize,
}

struct Component {
    name: u8,
    /// Blocks of an MCU.
    across: usize,
    down: usize,
    /// Blocks in a row.
    stride: usize,
    /// The coefficients of each block that are known not to be 0, a bit each. Only progressive files need it.
    known: Vec<u64>,
    /// Whether a scan has had its first coefficients.
    seen: bool,
}

/// A component in a scan, with its codes.
struct Part {
    component: usize,
    codes: [usize; 2],
}

/// What a scan has of each block.
struct Band {
    first: usize,
    last: usize,
    /// Whether it adds a bit to what an earlier scan had.
    refines: bool,
}

impl Image {
    fn read(&mut self, stream: &[u8]) -> Step<()> {
        let mut at = 2;
        loop {
            let (marker, from) = next_marker(stream, at).ok_or(Stop::Short)?;
            at = from + 2;
            match marker {
                0x01 | 0xd0..=0xd8 => continue,
                0xd9 if self.components.iter().all(|component| component.seen) => return Ok(()),
                0xd9 => return Err(Stop::Short),
                _ => {}
            }
            let length = stream.get(at..at + 2).ok_or(Stop::Short)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            if length < 2 {
                return Err(Stop::Senseless);
            }
            let segment = stream.get(at + 2..at + length).ok_or(Stop::Short)?;
            at += length;
            match marker {
                0xc0..=0xc2 => self.frame(segment, marker == 0xc2)?,
                0xc4 => self.define(segment)?,
                0xdd => {
                    let &[high, low] = segment else {
                        return Err(Stop::Senseless);
                    };
                    self.interval = usize::from(u16::from_be_bytes([high, low]));
                }
                0xda => {
                    self.scans += 1;
                    if self.scans > MOST_SCANS {
                        return Err(Stop::Senseless);
                    }
                    at += self.scan(segment, &stream[at..])?;
                }
                _ => {}
            }
        }
    }

    fn frame(&mut self, segment: &[u8], progressive: bool) -> Step<()> {
        let &[_, h0, h1, w0, w1, _, ref components @ ..] = segment else {
            return Err(Stop::Senseless);
        };
        self.height = usize::from(u16::from_be_bytes([h0, h1]));
        self.width = usize::from(u16::from_be_bytes([w0, w1]));
        self.progressive = progressive;
        let (components, _) = components.as_chunks::<3>();
        let factors = |factors: u8| (usize::from(factors >> 4), usize::from(factors & 15));
        let all = components.iter().map(|&[_, both, _]| factors(both));
        let valid = all.clone().all(|(across, down)| {
            let factor = 1..=4;
            factor.contains(&across) && factor.contains(&down)
        });
        if !valid || !self.components.is_empty() {
            return Err(Stop::Senseless);
        }
        self.most_across = all.clone().map(|(across, _)| across).max().unwrap_or(1);
        self.most_down = all.map(|(_, down)| down).max().unwrap_or(1);
        let (columns, rows) = self.units();
        for &[name, both, _] in components {
            let (across, down) = factors(both);
            let blocks = columns * across * rows * down;
            self.components.push(Component {
                name,
                across,
                down,
                stride: columns * across,
                known: vec![0; if progressive { blocks } else { 0 }],
                seen: false,
            });
        }
        Ok(())
    }

    /// The MCUs in a row and in a column of a scan of several components.
    fn units(&self) -> (usize, usize) {
        let columns = self.width.div_ceil(8 * self.most_across);
        (columns, self.height.div_ceil(8 * self.most_down))
    }

    /// Takes the tables of a segment.
    fn define(&mut self, mut segment: &[u8]) -> Step<()> {
        while let [place, rest @ ..] = segment {
            let (counts, rest) = rest.split_first_chunk().ok_or(Stop::Senseless)?;
            let (codes, rest) = Codes::new(counts, rest).ok_or(Stop::Senseless)?;
            let kind = self.codes.get_mut(usize::from(place >> 4));
            let into = kind.and_then(|kind| kind.get_mut(usize::from(place & 15)));
            *into.ok_or(Stop::Senseless)? = Some(codes);
            segment = rest;
        }
        Ok(())
    }

    /// Reads a scan, and returns how many bytes its data have.
    fn scan(&mut self, segment: &[u8], data: &[u8]) -> Step<usize> {
        let (&count, rest) = segment.split_first().ok_or(Stop::Senseless)?;
        let named = rest.get(..2 * usize::from(count)).ok_or(Stop::Senseless)?;
        let &[first, last, bits] = &rest[named.len()..] else {
            return Err(Stop::Senseless);
        };
        let band = Band {
            first: usize::from(first),
            last: usize::from(last),
            refines: bits >> 4 > 0,
        };
        let (named, _) = named.as_chunks::<2>();
        let mut parts = Vec::new();
        for &[name, codes] in named {
            let mut all = self.components.iter();
            let component = all.position(|component| component.name == name);
            let component = component.ok_or(Stop::Senseless)?;
            self.components[component].seen |= first == 0;
            parts.push(Part {
                component,
                codes: [codes >> 4, codes & 15].map(usize::from),
            });
        }
        // The last coefficients of several components never share a scan.
        let valid = match self.progressive {
            true if band.first == 0 => band.last == 0,
            true => band.last >= band.first && band.last < BLOCK && parts.len() == 1,
            false => true,
        };
        if !valid || parts.is_empty() {
            return Err(Stop::Senseless);
        }
        let mut bits = Bits {
            data,
            at: 0,
            buffer: 0,
            count: 0,
        };
        self.blocks(&parts, &band, &mut bits)?;
        Ok(bits.at)
    }

    /// Reads all blocks of a scan.
    fn blocks(&mut self, parts: &[Part], band: &Band, bits: &mut Bits) -> Step<()> {
        let alone = parts.len() == 1;
        let (columns, rows) = match parts {
            // A component alone has no blocks that only fill up an MCU.
            [part] => {
                let own = &self.components[part.component];
                (
                    (self.width * own.across).div_ceil(8 * self.most_across),
                    (self.height * own.down).div_ceil(8 * self.most_down),
                )
            }
            _ => self.units(),
        };
        let mut run = 0;
        for unit in 0..columns * rows {
            if self.interval > 0 && unit > 0 && unit.is_multiple_of(self.interval) {
                bits.restart()?;
                run = 0;
            }
            for part in parts {
                let component = &mut self.components[part.component];
                let (across, down) = match alone {
                    true => (1, 1),
                    false => (component.across, component.down),
                };
                let codes = |which: usize| {
                    let table = self.codes[which].get(part.codes[which]);
                    table.and_then(Option::as_ref).ok_or(Stop::Senseless)
                };
                for block in 0..across * down {
                    if !self.progressive {
                        bits.sequential(codes(0)?, codes(1)?)?;
                    } else if band.first > 0 {
                        let column = unit % columns * across + block % across;
                        let row = unit / columns * down + block / across;
                        let known = component.known.get_mut(row * component.stride + column);
                        let known = known.ok_or(Stop::Senseless)?;
                        match band.refines {
                            true => bits.refined(codes(1)?, band, &mut run, known)?,
                            false => bits.later(codes(1)?, band, &mut run, known)?,
                        }
                    } else if band.refines {
                        bits.take(1)?;
                    } else {
                        bits.first(codes(0)?)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Huffman codes.
struct Codes {
    /// By length, with the codes left-aligned in 16 bits: what the codes up to this length lie below.
    limits: [usize; 17],
    /// By length: the first code, and the place of its symbol.
    firsts: [(usize, usize); 17],
    symbols: Vec<u8>,
}

impl Codes {
    /// The codes of which there are so many of each length, and what follows them. None if there cannot be so many.
    fn new<'a>(counts: &[u8; 16], rest: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let all = counts.iter().map(|&count| usize::from(count)).sum();
        let (symbols, rest) = rest.split_at_checked(all)?;
        let mut codes = Self {
            limits: [0; 17],
            firsts: [(0, 0); 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0, 0);
        for (length, &count) in (1..=16).zip(counts) {
            codes.firsts[length] = (code, place);
            code += usize::from(count);
            place += usize::from(count);
            if code > 1 << length {
                return None;
            }
            codes.limits[length] = code << (16 - length);
            code <<= 1;
        }
        Some((codes, rest))
    }

    /// The symbol at the beginning of 16 bits, and the length of its code.
    fn find(&self, bits: usize) -> Option<(u8, usize)> {
        let length = (1..=16).find(|&length| bits < self.limits[length])?;
        let (first, place) = self.firsts[length];
        let symbol = self.symbols.get(place + (bits >> (16 - length)) - first)?;
        Some((*symbol, length))
    }
}

/// The bits of a scan.
struct Bits<'a> {
    data: &'a [u8],
    /// The next byte to take into `buffer`, never behind a marker.
    at: usize,
    buffer: u64,
    /// Bits at the end of `buffer`.
    count: usize,
}

impl Bits<'_> {
    /// Takes as many bytes as there is room for, up to the next marker.
    fn fill(&mut self) {
        while self.count < 56 {
            let Some(&byte) = self.data.get(self.at) else {
                return;
            };
            let mut next = self.at + 1;
            if byte == 0xff {
                while self.data.get(next) == Some(&0xff) {
                    next += 1;
                }
                if self.data.get(next) != Some(&0) {
                    return;
                }
                next += 1;
            }
            self.at = next;
            self.buffer = (self.buffer << 8) | u64::from(byte);
            self.count += 8;
        }
    }

    /// Goes behind the restart marker that has to be here.
    fn restart(&mut self) -> Step<()> {
        self.count = 0;
        match next_marker(self.data, self.at) {
            Some((0xd0..=0xd7, from)) => {
                self.at = from + 2;
                Ok(())
            }
            _ => Err(Stop::Short),
        }
    }

    /// The next `count` bits, at most 16.
    fn take(&mut self, count: usize) -> Step<usize> {
        if self.count < count {
            self.fill();
        }
        self.count = self.count.checked_sub(count).ok_or(Stop::Short)?;
        Ok((self.buffer >> self.count) as usize & ((1 << count) - 1))
    }

    fn symbol(&mut self, codes: &Codes) -> Step<usize> {
        if self.count < 16 {
            self.fill();
        }
        // Zeros where there are no bits: if there is a code that begins with what is left, then there is one with zeros behind it.
        let next = match self.count {
            16.. => self.buffer >> (self.count - 16),
            _ => self.buffer << (16 - self.count),
        };
        let (symbol, length) = codes.find(next as usize & 0xffff).ok_or(Stop::Senseless)?;
        self.count = self.count.checked_sub(length).ok_or(Stop::Short)?;
        Ok(usize::from(symbol))
    }

    /// A block's first coefficient.
    fn first(&mut self, codes: &Codes) -> Step<()> {
        let size = self.symbol(codes)?;
        if size > 16 {
            return Err(Stop::Senseless);
        }
        self.take(size).map(drop)
    }

    /// A whole block.
    fn sequential(&mut self, first: &Codes, others: &Codes) -> Step<()> {
        self.first(first)?;
        let mut at = 1;
        while at < BLOCK {
            let symbol = self.symbol(others)?;
            match (symbol >> 4, symbol & 15) {
                (15, 0) => at += 16,
                (_, 0) => break,
                (zeros, size) => {
                    self.take(size)?;
                    at += zeros + 1;
                }
            }
        }
        Ok(())
    }

    /// How many blocks have no more coefficients, of a symbol that says so.
    fn run(&mut self, size: usize) -> Step<usize> {
        Ok((1 << size) + self.take(size)?)
    }

    /// A block's coefficients in a band that no scan has had. `run` blocks have none, this one among them.
    fn later(&mut self, codes: &Codes, band: &Band, run: &mut usize, known: &mut u64) -> Step<()> {
        if *run > 0 {
            *run -= 1;
            return Ok(());
        }
        let mut at = band.first;
        while at <= band.last {
            let symbol = self.symbol(codes)?;
            match (symbol >> 4, symbol & 15) {
                (15, 0) => at += 16,
                (size, 0) => {
                    *run = self.run(size)? - 1;
                    break;
                }
                (zeros, size) => {
                    self.take(size)?;
                    at += zeros;
                    if at >= BLOCK {
                        return Err(Stop::Senseless);
                    }
                    *known |= 1 << at;
                    at += 1;
                }
            }
        }
        Ok(())
    }

    /// Another bit of a block's coefficients: one for each that is known not to be 0, in between new ones.
    fn refined(
        &mut self,
        codes: &Codes,
        band: &Band,
        run: &mut usize,
        known: &mut u64,
    ) -> Step<()> {
        let mut at = band.first;
        while *run == 0 && at <= band.last {
            let symbol = self.symbol(codes)?;
            let (mut zeros, size) = (symbol >> 4, symbol & 15);
            if size > 0 {
                // The sign of the new one.
                self.take(1)?;
            } else if zeros < 15 {
                *run = self.run(zeros)?;
                break;
            }
            while at <= band.last {
                if (*known >> at) & 1 == 1 {
                    self.take(1)?;
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                at += 1;
            }
            if size > 0 {
                if at >= BLOCK {
                    return Err(Stop::Senseless);
                }
                *known |= 1 << at;
            }
            at += 1;
        }
        if *run > 0 {
            for at in at..=band.last {
                if (*known >> at) & 1 == 1 {
                    self.take(1)?;
                }
            }
            *run -= 1;
        }
        Ok(())
    }
}
