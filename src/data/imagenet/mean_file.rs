//! The mean image of a set: computed once, in steps that survive an interruption, and kept in the cache folder.

use std::fs::{self, File};
use std::io;
use std::mem;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::collection::Collection;
use super::mean::PixelSums;
use super::pictures::Desk;
use super::views::View;
use super::workers;
use crate::data::image_size::ImageSize;
use crate::data::lock;
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
/// 2012, section 2). `threads` decode. Of several processes, one computes it while the others wait.
///
/// # Errors
/// [`Exit::Data`] for an image that cannot be read or decoded, by name; that of `progress`.
pub(in crate::data) fn mean_image(
    collection: &Collection,
    (side, size): (u32, usize),
    cache: &Path,
    threads: usize,
    progress: &mut Report,
) -> Result<MeanImage> {
    in_steps(STEP, collection, (side, size), cache, threads, progress)
}

/// [`mean_image`], saved after every `step` images.
fn in_steps(
    step: usize,
    collection: &Collection,
    (side, size): (u32, usize),
    cache: &Path,
    threads: usize,
    progress: &mut Report,
) -> Result<MeanImage> {
    let path = path(collection, side, size, cache);
    let total = collection.train.len();
    let lacks = |sums: &PixelSums| (sums.images as usize) < total;
    let mut sums = load(&path, size).ok().flatten().unwrap_or_default();
    let mut lock = None;
    if lacks(&sums) {
        lock = alone(&path, progress)?;
        if lock.is_some() {
            sealed::tidy(&path);
        }
        // Another process may have come further.
        let again = "computing the mean image again";
        sums = sealed::usable(load(&path, size), &path, again, progress)?;
    }
    if lacks(&sums) && total > step {
        progress(Progress::Note(format!(
            "computing the mean image of {total} training images, once"
        )))?;
    }
    let mut told = false;
    while lacks(&sums) {
        let from = sums.images as usize;
        let to = (from + step).min(total);
        let part = (side, size);
        add(collection, part, from..to, threads, &mut sums, progress)?;
        if let Err(error) = save(&path, &sums) {
            // The others would wait for nothing.
            lock = None;
            if !mem::replace(&mut told, true) {
                progress(Progress::Note(format!(
                    "cannot keep the mean image {}: {error}; the next start computes it again (move the cache with REFIG_CACHE)",
                    path.display()
                )))?;
            }
        }
    }
    drop(lock);
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
    let summed = kept.ok().flatten().map_or(0, |sums| sums.images as usize);
    collection.train.len().saturating_sub(summed)
}

/// Waits until no other process computes the same. Where nothing can be locked, several do so at the same time, with the same
/// result.
fn alone(path: &Path, progress: &mut Report) -> Result<Option<File>> {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    let Ok(file) = folder.and_then(|()| lock::open(&path.with_extension("lock"))) else {
        return Ok(None);
    };
    let waiting = || {
        format!(
            "waiting for another process that is computing the mean image {}",
            path.display()
        )
    };
    lock::wait(file, waiting, progress)
}

fn add(
    collection: &Collection,
    (side, size): (u32, usize),
    range: Range<usize>,
    threads: usize,
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
            let centre = View::centre(side, ImageSize::square(size));
            let draw = centre.draw(index as u32);
            sums.add(desk.crop(images, &draw, centre.size)?);
        }
        Ok(sums)
    };
    let units = range.len().div_ceil(UNIT);
    workers::each(threads, units, sum, |part| match part {
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

/// The sums that were kept; none if there are none.
///
/// # Errors
/// Of the system, or if the file is damaged or has another version.
fn load(path: &Path, size: usize) -> io::Result<Option<PixelSums>> {
    let Some(kept) = sealed::read(path, MAGIC, MOST_BYTES)? else {
        return Ok(None);
    };
    let (numbers, rest) = kept.as_chunks::<8>();
    let mut numbers = numbers.iter().map(|&bytes| u64::from_le_bytes(bytes));
    let images = numbers.next();
    let sums: Vec<u64> = numbers.collect();
    match images.filter(|_| rest.is_empty() && sums.len() == 3 * size * size) {
        Some(images) => Ok(Some(PixelSums { images, sums })),
        None => Err(io::Error::other("it is damaged")),
    }
}

/// Without tidying: where nothing can be locked, several processes do this at the same time.
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::data::imagenet::{open, synthetic_pictures};

    const SIDE: u32 = 36;
    const SIZE: usize = 32;
    /// Of 600 images.
    const STEP: usize = 128;

    fn pictures(folder: &Path) -> Collection {
        let images = synthetic_pictures(&folder.join("pictures")).unwrap();
        open(&images, &folder.join("index"), &mut |_| Ok(())).unwrap()
    }

    /// The bits of the mean image, and how many images were summed after each unit.
    fn mean(collection: &Collection, cache: &Path, threads: usize) -> (Vec<u32>, Vec<u64>) {
        let mut seen = Vec::new();
        let mut progress = |progress: Progress| -> Result<()> {
            if let Progress::Mean { done, .. } = progress {
                seen.push(done);
            }
            Ok(())
        };
        let of = (SIDE, SIZE);
        let mean = in_steps(STEP, collection, of, cache, threads, &mut progress).unwrap();
        let bits = mean.mean.iter().map(|value| value.to_bits()).collect();
        (bits, seen)
    }

    #[test]
    fn an_interrupted_mean_goes_on_from_its_last_step_to_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        let collection = pictures(folder.path());
        let total = collection.train.len() as u64;
        let (whole, seen) = mean(&collection, &folder.path().join("whole"), 3);
        assert_eq!(seen.last(), Some(&total));
        let cache = folder.path().join("interrupted");
        let mut interrupt = |progress: Progress| match progress {
            Progress::Mean { done, .. } if done > 2 * STEP as u64 => {
                Err(Exit::Interrupted.error("stopped"))
            }
            _ => Ok(()),
        };
        let of = (SIDE, SIZE);
        let stopped = in_steps(STEP, &collection, of, &cache, 2, &mut interrupt).unwrap_err();
        assert_eq!(Exit::of(&stopped), Exit::Interrupted);
        let (resumed, seen) = mean(&collection, &cache, 1);
        assert!(seen[0] > 2 * STEP as u64, "{seen:?}");
        assert_eq!(seen.last(), Some(&total));
        assert!(resumed == whole);
        // Then it is there.
        let (kept, seen) = mean(&collection, &cache, 1);
        assert!(kept == whole && seen.is_empty(), "{seen:?}");
    }

    #[test]
    fn a_damaged_file_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let collection = pictures(folder.path());
        let cache = folder.path().join("cache");
        let (whole, _) = mean(&collection, &cache, 2);
        let path = path(&collection, SIDE, SIZE, &cache);
        let good = fs::read(&path).unwrap();
        let mut flipped = good.clone();
        flipped[MAGIC.len() + 100] ^= 1;
        for damaged in [&flipped[..], &good[..good.len() / 2], &[]] {
            fs::write(&path, damaged).unwrap();
            let (again, seen) = mean(&collection, &cache, 2);
            assert!(again == whole && seen[0] <= UNIT as u64, "{seen:?}");
            assert!(fs::read(&path).unwrap() == good);
        }
    }

    #[test]
    fn why_a_kept_one_is_made_again_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let collection = pictures(folder.path());
        let cache = folder.path().join("cache");
        mean(&collection, &cache, 2);
        let path = path(&collection, SIDE, SIZE, &cache);
        let mut older = fs::read(&path).unwrap();
        older[MAGIC.len() - 1] -= 1;
        fs::write(&path, older).unwrap();
        let mut notes = Vec::new();
        let mut progress = |progress: Progress| -> Result<()> {
            if let Progress::Note(note) = progress {
                notes.push(note);
            }
            Ok(())
        };
        mean_image(&collection, (SIDE, SIZE), &cache, 2, &mut progress).unwrap();
        let why = format!(
            "computing the mean image again, because {} cannot be used: it has the format of another version",
            path.display()
        );
        assert_eq!(notes, [why]);
    }

    #[test]
    fn one_process_computes_what_the_others_wait_for() {
        let folder = tempfile::tempdir().unwrap();
        let collection = pictures(folder.path());
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        let (whole, _) = mean(&collection, &first, 2);
        let at = |cache: &Path| path(&collection, SIDE, SIZE, cache);
        let held = alone(&at(&second), &mut |_| Ok(())).unwrap().unwrap();
        let (send, notes) = mpsc::channel();
        thread::scope(|scope| {
            let waits = scope.spawn(|| {
                let mut summed = 0;
                let mut progress = |progress: Progress| -> Result<()> {
                    match progress {
                        Progress::Note(note) => send.send(note).unwrap(),
                        Progress::Mean { .. } => summed += 1,
                        _ => {}
                    }
                    Ok(())
                };
                let of = (SIDE, SIZE);
                let mean = in_steps(STEP, &collection, of, &second, 1, &mut progress).unwrap();
                (mean, summed)
            });
            let note = notes.recv_timeout(Duration::from_secs(60)).unwrap();
            assert!(note.starts_with("waiting for another process"), "{note}");
            fs::copy(at(&first), at(&second)).unwrap();
            drop(held);
            let (mean, summed) = waits.join().unwrap();
            assert_eq!(summed, 0);
            let bits: Vec<u32> = mean.mean.iter().map(|value| value.to_bits()).collect();
            assert!(bits == whole);
        });
    }
}
