//! The images of ImageNet or of a part of it, in an order that depends on them alone, whatever their layout.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::Result;

use super::classes::{self, first};
use super::index::{self, Index};
use super::layout::{self, Layout, Place};
use super::listing::{self, Container, Found, Kind, Listing};
use super::pack;
use super::split::Split;
use super::unreadable;
use crate::counted::{counted, is_or_are};
use crate::data::progress::{Progress, Report};
use crate::data::sealed;
use crate::exit::Exit;

/// Training and validation images with their classes.
#[derive(Debug)]
pub struct Collection {
    /// Synsets, sorted; a label is an index into them.
    pub classes: Vec<String>,
    pub train: Split,
    pub test: Split,
    /// What kind of place the images are in.
    pub layout: &'static str,
    /// The place that was named.
    pub source: String,
    /// Files that are no images.
    pub skipped: u64,
    /// Names of images that cannot be decoded and were left out.
    pub unreadable: Vec<String>,
    /// The shorter side that larger pictures were shrunk to when they were packed.
    pub shrunk: Option<u32>,
}

impl Collection {
    /// Numbers the classes of a part of ImageNet as those of all of it are, for networks that tell all of them apart. False if
    /// one is none of ImageNet's; then nothing is changed.
    pub fn number_among_all(&mut self) -> bool {
        let all: Vec<&str> = classes::synsets().collect();
        let number = |class: &String| -> Option<u16> {
            let place = all.binary_search(&class.as_str()).ok()?;
            u16::try_from(place).ok()
        };
        let numbers: Option<Vec<u16>> = self.classes.iter().map(number).collect();
        let Some(numbers) = numbers else {
            return false;
        };
        self.train.renumber(&numbers);
        self.test.renumber(&numbers);
        self.classes = all.into_iter().map(str::to_owned).collect();
        true
    }
}

/// The images of the two parts, and where they are.
pub(super) const PARTS: [(&str, &str); 2] = [
    ("training", "`train`"),
    ("validation", "`val` or `validation`"),
];

/// Images left out that are named each time.
const NAMED: usize = 20;

/// How a place is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Whether files whose size and time have not changed are not read again.
    pub trust: bool,
    /// Whether images that cannot be decoded are left out.
    pub leave_out: bool,
}

/// Opens the images at `dir`, in whatever layout. What has not changed since the last time is not read again; `cache` keeps
/// an index for that.
///
/// # Errors
/// [`Exit::Data`] if there are no training or no validation images, if something cannot be read, if one of numbered Parquet
/// files is missing, or if nothing tells the classes of a flat folder.
pub fn open(dir: &Path, cache: &Path, progress: &mut Report) -> Result<Collection> {
    whole(dir, cache, false, progress)
}

/// As [`open`], without the images that cannot be decoded, as if they were not there: the digest is that of the others. They are
/// found by decoding all images once, before anything is trained, so that which ones are left out depends on nothing but
/// their bytes. It takes as long as computing the mean image does, and is kept in `cache`.
///
/// # Errors
/// As [`open`].
pub fn open_readable(dir: &Path, cache: &Path, progress: &mut Report) -> Result<Collection> {
    whole(dir, cache, true, progress)
}

/// A collection that has both parts.
fn whole(dir: &Path, cache: &Path, leave_out: bool, progress: &mut Report) -> Result<Collection> {
    let look = Look {
        trust: true,
        leave_out,
    };
    let collection = survey(dir, cache, look, progress)?;
    for (split, part) in [&collection.train, &collection.test].into_iter().zip(PARTS) {
        if split.is_empty() {
            return Err(lacks(part, &collection.source));
        }
    }
    Ok(collection)
}

/// The error for a place without one of [`PARTS`].
pub(super) fn lacks((what, names): (&str, &str), source: &str) -> anyhow::Error {
    Exit::Data.error(format!(
        "no {what} images in {source}: it holds no {names} with images; see what is there with `refig data verify imagenet`"
    ))
}

/// [`open`], but a part may be missing.
pub(super) fn survey(
    dir: &Path,
    cache: &Path,
    look: Look,
    progress: &mut Report,
) -> Result<Collection> {
    let Look { trust, leave_out } = look;
    let named = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let layout = layout::locate(&named)?;
    layout.check_complete()?;
    let path = index::path(cache, &named);
    let again = "reading all images again";
    let mut known: Index = sealed::usable(index::load(&path), &path, again, progress)?;
    let mut now = Index::default();
    let mut gathered = gather(
        &layout,
        layout.train.as_ref(),
        known.train.as_ref(),
        trust,
        &mut now.train,
        progress,
    );
    if gathered.is_ok() {
        gathered = gather(
            &layout,
            layout.test.as_ref(),
            known.test.as_ref(),
            trust,
            &mut now.test,
            progress,
        );
    }
    if gathered.is_err() {
        // What has been read so far is kept for the next time.
        now.train = now.train.or_else(|| known.train.take());
        now.test = now.test.or_else(|| known.test.take());
    }
    if now != known
        && let Err(error) = index::save(&path, &now)
    {
        progress(Progress::Note(format!(
            "cannot keep the index {}: {error}; the next start reads all images again (move the cache with REFIG_CACHE)",
            path.display()
        )))?;
    }
    gathered?;
    drop(known);
    let leave_out = leave_out.then_some(cache);
    collect(dir, &layout, now, leave_out, progress)
}

/// Lists and digests one part into `into`, with what is `known` from before.
fn gather(
    layout: &Layout,
    place: Option<&Place>,
    known: Option<&Listing>,
    trust: bool,
    into: &mut Option<Listing>,
    progress: &mut Report,
) -> Result<()> {
    let Some(place) = place else {
        return Ok(());
    };
    // First, because it is quick.
    let labels = layout.labels(place)?;
    let containers = place.containers().iter();
    let containers: Vec<Container> = containers
        .map(|path| listing::container(&layout.root, path))
        .collect::<Result<_>>()?;
    let unchanged =
        known.filter(|known| trust && known.kind != Kind::Files && known.containers == containers);
    let mut listing = match unchanged {
        Some(known) => known.clone(),
        None => place.list(&layout.root, progress)?,
    };
    if let Some(labels) = &labels {
        layout::apply(labels, &mut listing)?;
        progress(Progress::Note(format!(
            "the classes of the validation images are those of {}",
            labels.source.display()
        )))?;
    }
    let mut ended = Ok(());
    if unchanged.is_none() {
        if let Some(known) = known.filter(|_| trust && listing.kind == Kind::Files) {
            recall(known, &mut listing);
        }
        if listing.kind == Kind::Files {
            ended = listing::digest_files(&layout.root, &mut listing, progress);
        }
        if ended.is_ok()
            && let Some(known) = known
            && let Some(difference) = difference(known, &listing)
        {
            progress(Progress::Note(format!(
                "{} has changed since it was last read: {difference}",
                layout.root.display()
            )))?;
        }
    }
    *into = Some(listing);
    ended
}

/// Takes the digests of files whose size and time have not changed.
fn recall(known: &Listing, listing: &mut Listing) {
    let known = by_name(known);
    for image in &mut listing.images {
        let before = known.get(image.name.as_str());
        // Where the system does not tell the time, nothing is known.
        let same = before.filter(|before| {
            before.size == image.size && before.modified == image.modified && image.modified != 0
        });
        image.digest = same.and_then(|same| same.digest);
    }
}

fn by_name(listing: &Listing) -> HashMap<&str, &Found> {
    let images = listing.images.iter();
    images.map(|image| (image.name.as_str(), image)).collect()
}

/// How the images differ from those that are known, if any does.
fn difference(known: &Listing, listing: &Listing) -> Option<String> {
    let before = by_name(known);
    let (mut changed, mut new) = (Vec::new(), 0);
    for image in &listing.images {
        match before.get(image.name.as_str()) {
            Some(before) if before.digest != image.digest => changed.push(image.name.as_str()),
            Some(_) => {}
            None => new += 1,
        }
    }
    let gone = (before.len() + new).saturating_sub(listing.images.len());
    let mut parts = Vec::new();
    if !changed.is_empty() {
        parts.push(format!(
            "{} with other bytes ({})",
            counted(changed.len(), "image"),
            first(&changed)
        ));
    }
    if new > 0 {
        parts.push(format!("{new} new"));
    }
    if gone > 0 {
        parts.push(format!("{gone} gone"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Joins the parts: classes, labels and order. Images that cannot be decoded are left out if there is a cache folder to keep
/// them in.
fn collect(
    dir: &Path,
    layout: &Layout,
    found: Index,
    leave_out: Option<&Path>,
    progress: &mut Report,
) -> Result<Collection> {
    let empty = || Listing::new(Kind::Files, Vec::new());
    let train = found.train.unwrap_or_else(empty);
    let test = found.test.unwrap_or_else(empty);
    let source = dir.display().to_string();
    let names = |listing: &Listing| listing.groups.clone();
    let (train_names, test_names) = (names(&train), names(&test));
    let classes = classes::join(
        train_names.iter().map(String::as_str),
        test_names.iter().map(String::as_str),
        &source,
    )?;
    if let Some(doubt) = classes::doubt(&classes) {
        progress(Progress::Note(doubt))?;
    }
    if train.kind == Kind::Shards {
        progress(Progress::Note(
            "images in Parquet files are read a row group at a time: `refig data prepare imagenet` makes reading in random order faster".into(),
        ))?;
    }
    let skipped = train.skipped + test.skipped;
    let mut unreadable = Vec::new();
    let mut split = |listing: Listing| -> Result<Split> {
        let split = Split::new(&layout.root, &listing, &classes)?;
        let Some(cache) = leave_out else {
            return Ok(split);
        };
        let rest = without(&split, listing, cache, &mut unreadable, progress)?;
        Split::new(&layout.root, &rest, &classes)
    };
    let (train, test) = (split(train)?, split(test)?);
    Ok(Collection {
        train,
        test,
        classes,
        layout: layout.name(),
        source,
        skipped,
        unreadable,
        shrunk: pack::shrunk(&layout.root)?,
    })
}

/// The listing of a split without the images that cannot be decoded, whose names are added to `unreadable`.
fn without(
    split: &Split,
    mut listing: Listing,
    cache: &Path,
    unreadable: &mut Vec<String>,
    progress: &mut Report,
) -> Result<Listing> {
    let found = unreadable::find(split, cache, progress)?;
    for (place, image) in found.iter().enumerate() {
        let name = split.name(image.index);
        if place < NAMED {
            progress(Progress::Note(format!(
                "{name} cannot be decoded and is left out: {}",
                image.why
            )))?;
        }
        unreadable.push(name);
    }
    let more = found.len().saturating_sub(NAMED);
    if more > 0 {
        progress(Progress::Note(format!(
            "{more} more {} left out; `refig data verify imagenet --decode` names all",
            is_or_are(more)
        )))?;
    }
    let left_out: HashSet<_> = found.iter().map(|image| split.spot(image.index)).collect();
    listing
        .images
        .retain(|image| !left_out.contains(&(image.container, image.offset, image.name.as_str())));
    Ok(listing)
}
