//! The mean image of a set: computed once, in steps that survive an interruption, and kept in the cache folder.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::collection::Collection;
use super::mean::PixelSums;
use super::pictures::Desk;
use super::views::Views;
use super::workers;
use crate::data::mean_image::MeanImage;
use crate::data::normalise::PIXEL_SCALE;
use crate::data::progress::{Progress, Report};
use crate::data::sealed::{self, Magic};
use crate::digest::sha256;
use crate::exit::Exit;

/// Images of one unit of work.
const UNIT: usize = 64;
/// Images between two savings of what has been summed.
const STEP: usize = 16_384;
/// Begins every file; the last byte is the version of the format.
const MAGIC: &Magic = b"refig-mean-img\0\x01";
/// The most bytes of a file.
const MOST_BYTES: u64 = 1 << 30;

/// The mean of the central crops of `size` pixels, from training images scaled to a shorter side of `side` (Krizhevsky et al.
/// 2012, section 2).
///
/// # Errors
/// [`Exit::Data`] for an image that cannot be read or decoded, by name; that of `progress`.
pub(in crate::data) fn mean_image(
    collection: &Collection,
    side: u32,
    size: usize,
    cache: &Path,
    progress: &mut Report,
) -> Result<MeanImage> {
    let path = path(collection, side, size, cache);
    let total = collection.train.len();
    let mut sums = load(&path, size).unwrap_or_default();
    if (sums.images as usize) < total && total > STEP {
        progress(Progress::Note(format!(
            "computing the mean image of {total} training images, once"
        )))?;
    }
    while (sums.images as usize) < total {
        let from = sums.images as usize;
        let to = (from + STEP).min(total);
        add(collection, (side, size), from..to, &mut sums, progress)?;
        if let Err(error) = save(&path, &sums) {
            progress(Progress::Note(format!(
                "cannot keep the mean image {}: {error}; the next start computes it again (move the cache with REFIG_CACHE)",
                path.display()
            )))?;
        }
    }
    Ok(sums.mean([PIXEL_SCALE; 3]))
}

/// The training images that [`mean_image`] has yet to sum: none if the mean image is kept.
pub(in crate::data) fn mean_left(
    collection: &Collection,
    side: u32,
    size: usize,
    cache: &Path,
) -> usize {
    let kept = load(&path(collection, side, size, cache), size);
    let summed = kept.map_or(0, |sums| sums.images as usize);
    collection.train.len().saturating_sub(summed)
}

fn add(
    collection: &Collection,
    (side, size): (u32, usize),
    range: std::ops::Range<usize>,
    sums: &mut PixelSums,
    progress: &mut Report,
) -> Result<()> {
    let images = &collection.train;
    let total = images.len() as u64;
    let mut done = range.start as u64;
    let sum = |unit: usize| -> Result<PixelSums> {
        let mut desk = Desk::default();
        let mut sums = PixelSums::default();
        let from = range.start + unit * UNIT;
        for index in from..(from + UNIT).min(range.end) {
            let centre = Views::Centre.draws(side, index as u32)[0];
            sums.add(desk.crop(images, &centre, size)?);
        }
        Ok(sums)
    };
    workers::each(range.len().div_ceil(UNIT), sum, |part| match part {
        None => progress(Progress::Waiting),
        Some((_, part)) => {
            done += part.images;
            sums.merge(&part);
            progress(Progress::Mean { done, total })
        }
    })
}

/// A file for each set, side and size.
fn path(collection: &Collection, side: u32, size: usize, cache: &Path) -> PathBuf {
    let of = format!("{}\n{side}\n{size}\n", collection.train.digest());
    cache.join(format!("mean-{}", &sha256(of.as_bytes())[..16]))
}

/// The sums that were kept; none if there are none, or they are damaged.
fn load(path: &Path, size: usize) -> Option<PixelSums> {
    let kept = sealed::read(path, MAGIC, MOST_BYTES).ok()??;
    let (numbers, []) = kept.as_chunks::<8>() else {
        return None;
    };
    let mut numbers = numbers.iter().map(|&bytes| u64::from_le_bytes(bytes));
    let images = numbers.next()?;
    let sums: Vec<u64> = numbers.collect();
    (sums.len() == 3 * size * size).then_some(PixelSums { images, sums })
}

/// Without tidying: workers of the same set do this at the same time.
fn save(path: &Path, sums: &PixelSums) -> io::Result<()> {
    let mut kept = MAGIC.to_vec();
    kept.extend(sums.images.to_le_bytes());
    kept.extend(sums.sums.iter().flat_map(|sum| sum.to_le_bytes()));
    sealed::write(path, kept)
}

/// The published mean and deviation of ImageNet's pixels, for weights that were trained with them (torchvision's models).
pub(in crate::data) fn channel_mean(size: usize) -> MeanImage {
    let scaled = |values: [f32; 3]| values.map(|value| 255.0 * value);
    MeanImage {
        size,
        mean: scaled([0.485, 0.456, 0.406]).repeat(size * size),
        divisor: scaled([0.229, 0.224, 0.225]),
    }
}

/// Refuses a recipe without a crop.
pub(in crate::data) fn no_crop() -> anyhow::Error {
    Exit::Usage
        .error("recipe.crop is missing: pictures of many sizes need it; see experiments/fig4.toml")
}
