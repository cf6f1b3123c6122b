//! Which images cannot be decoded: found by decoding all of them, in steps that survive an interruption, and kept in the cache
//! folder by the digest of the images. A file that cannot be read at all is an error instead: the disk may give it the next time.

use std::io;
use std::mem;
use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::budget;
use super::decode::{Picture, decode_into, weight};
use super::split::Split;
use super::workers;
use crate::data::progress::{Progress, Report};
use crate::data::sealed::{self, Magic};

/// Images of one unit of work.
const UNIT: usize = 64;
/// Images between two savings of what has been found.
const STEP: usize = 16_384;
/// Begins every file; the last byte changes whenever what the decoder accepts does.
const MAGIC: &Magic = b"refig-undecode\0\x02";
/// The most bytes of a file.
const MOST_BYTES: u64 = 1 << 30;

/// An image that cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Unreadable {
    pub index: usize,
    pub why: String,
}

/// What is known of a split.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Known {
    /// How many of its images have been decoded, from the first.
    decoded: usize,
    unreadable: Vec<Unreadable>,
}

/// The images of a split that cannot be decoded, in order.
///
/// # Errors
/// [`Exit::Data`](crate::exit::Exit::Data) for a file that cannot be read, by name; that of `progress`.
pub(super) fn find(split: &Split, cache: &Path, progress: &mut Report) -> Result<Vec<Unreadable>> {
    let path = cache.join(format!("unreadable-{}", &split.digest()[..16]));
    let total = split.len();
    let again = "decoding all images again";
    let mut known = sealed::usable(load(&path, total), &path, again, progress)?;
    if known.decoded < total && total > STEP {
        progress(Progress::Note(format!(
            "decoding {total} images once, to find those that cannot be decoded"
        )))?;
    }
    let mut told = false;
    while known.decoded < total {
        let end = (known.decoded + STEP).min(total);
        let mut found = decode_all(split, known.decoded..end, progress)?;
        found.sort();
        known.unreadable.append(&mut found);
        known.decoded = end;
        let mut kept = MAGIC.to_vec();
        serde_json::to_writer(&mut kept, &known)?;
        // Without tidying: workers of the same set do this at the same time.
        if let Err(error) = sealed::write(&path, kept)
            && !mem::replace(&mut told, true)
        {
            progress(Progress::Note(format!(
                "cannot keep which images cannot be decoded in {}: {error}; the next start decodes all again (move the cache with REFIG_CACHE)",
                path.display()
            )))?;
        }
    }
    Ok(known.unreadable)
}

/// What was kept of a split of so many images; none if nothing was.
///
/// # Errors
/// Of the system, or if the file is damaged or has another version.
fn load(path: &Path, total: usize) -> io::Result<Option<Known>> {
    let Some(kept) = sealed::read(path, MAGIC, MOST_BYTES)? else {
        return Ok(None);
    };
    let known: Known = serde_json::from_slice(&kept)?;
    let inside = |image: &Unreadable| image.index < known.decoded;
    match known.decoded <= total && known.unreadable.iter().all(inside) {
        true => Ok(Some(known)),
        false => Err(io::Error::other("it is damaged")),
    }
}

/// Those of a range, in no order.
fn decode_all(
    split: &Split,
    range: Range<usize>,
    progress: &mut Report,
) -> Result<Vec<Unreadable>> {
    let total = split.len() as u64;
    let mut done = range.start as u64;
    let mut unreadable = Vec::new();
    let decode = |unit: usize| -> Result<(usize, Vec<Unreadable>)> {
        let from = range.start + unit * UNIT;
        let images = from..(from + UNIT).min(range.end);
        let mut bytes = Vec::new();
        let mut found = Vec::new();
        for index in images.clone() {
            split.read(index, &mut bytes)?;
            let _share = budget::DECODED.take(weight(&bytes));
            let mut picture = Picture::default();
            if let Err(why) = decode_into(&bytes, &mut picture) {
                let why = why.to_string();
                found.push(Unreadable { index, why });
            }
        }
        Ok((images.len(), found))
    };
    let units = range.len().div_ceil(UNIT);
    workers::each(workers::cores(), units, decode, |part| match part {
        None => progress(Progress::Waiting),
        Some((_, (images, mut found))) => {
            done += images as u64;
            unreadable.append(&mut found);
            progress(Progress::Decode { done, total })
        }
    })?;
    Ok(unreadable)
}
