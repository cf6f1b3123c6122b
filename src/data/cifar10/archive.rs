//! Reads an official `.tar.gz`, of the binary or of the Python version. Nothing in it is trusted: not the sizes that it states, nor how much it unpacks to.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::Result;
use flate2::bufread::GzDecoder;

use super::layout::{ALL_BYTES, BATCH_BYTES, Format, Take, Tick};
use crate::console::one_line;
use crate::exit::Exit;

/// The most that an archive may unpack to: the batches, and room for other small files.
const MOST_BYTES: u64 = ALL_BYTES as u64 + (64 << 20);
/// The longest name or list of attributes of a member.
const MOST_DESCRIPTION: u64 = 64 << 10;

/// Hands the six batches of an archive to `take`, in whatever order they have in it, and skips other members.
pub(super) fn read(path: &Path, tick: &mut Tick, take: &mut Take) -> Result<()> {
    let shown = path.display();
    let damaged = |error: io::Error| {
        Exit::Data.error(format!(
            "{shown} is damaged or not a readable .tar.gz: {}; fetch it again with `refig data fetch cifar10`, or name another place with --data-dir",
            // The reader of archives quotes what it takes for a header.
            one_line(&error.to_string())
        ))
    };
    let file = File::open(path).map_err(|error| {
        Exit::Data.error(format!(
            "cannot open {shown}: {error}; check the path and its permissions"
        ))
    })?;
    let mut tar = tar::Archive::new(Unzipped::new(BufReader::with_capacity(1 << 16, file)));
    let mut seen = [false; 6];
    let mut found = Format::Binary;
    let mut done = 0;
    let mut batch = Vec::with_capacity(BATCH_BYTES);
    // Raw, because long names would be read into memory whatever their length.
    for member in tar.entries().map_err(damaged)?.raw(true) {
        let mut member = member.map_err(damaged)?;
        let kind = member.header().entry_type();
        let describes = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        if describes && member.size() > MOST_DESCRIPTION {
            return Err(damaged(io::Error::other(format!(
                "the name or attributes of a member take {} bytes",
                member.size()
            ))));
        }
        let inner = member.path().map_err(damaged)?.into_owned();
        let batch_file = inner.file_name().and_then(|own| {
            Format::ALL.into_iter().find_map(|format| {
                let number = format.files().position(|name| own == name)?;
                Some((format, number))
            })
        });
        let Some((format, number)) = batch_file.filter(|_| kind.is_file()) else {
            continue;
        };
        let name = format!("{} in {shown}", one_line(&inner.to_string_lossy()));
        if std::mem::replace(&mut seen[number], true) {
            return Err(Exit::Data.error(format!(
                "{name} occurs twice: not CIFAR-10's archive; fetch it with `refig data fetch cifar10`"
            )));
        }
        // A wrong size in the header is the clearest error, so check it before the contents.
        found = format;
        format.check_length(&name, member.size())?;
        format.read(&name, &mut member, &mut batch, &mut |bytes| {
            tick(done + bytes)
        })?;
        take(number, &batch)?;
        done += BATCH_BYTES as u64;
    }
    // To the end, where the checksum is.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(damaged)?;
    let missing: Vec<&str> = found
        .files()
        .zip(seen)
        .filter_map(|(name, seen)| (!seen).then_some(name))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Exit::Data.error(format!(
            "{shown} lacks {} of CIFAR-10's six batches: not its binary or Python archive; fetch it with `refig data fetch cifar10`",
            missing.join(", ")
        )))
    }
}

/// What the members of a gzip file unpack to, up to [`MOST_BYTES`].
struct Unzipped<R> {
    member: Option<GzDecoder<R>>,
    left: u64,
}

impl<R: BufRead> Unzipped<R> {
    fn new(zipped: R) -> Self {
        Self {
            member: Some(GzDecoder::new(zipped)),
            left: MOST_BYTES,
        }
    }
}

impl<R: BufRead> Read for Unzipped<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while let Some(mut member) = self.member.take() {
            let count = member.read(into)?;
            if count > 0 {
                self.member = Some(member);
                let left = self.left.checked_sub(count as u64);
                self.left = left.ok_or_else(|| {
                    io::Error::other(format!("it unpacks to more than {MOST_BYTES} bytes"))
                })?;
                return Ok(count);
            }
            // As gzip does: another member follows, or padding that is ignored.
            let mut rest = member.into_inner();
            if rest.fill_buf()?.first() == Some(&0x1f) {
                self.member = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}
