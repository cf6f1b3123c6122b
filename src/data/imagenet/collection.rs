//! The images of ImageNet or of a part of it, in an order that depends on them alone, whatever their layout.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::classes::{self, first};
use super::index::{self, Index};
use super::layout::{self, Layout, Place};
use super::listing::{self, Container, Found, Kind, Listing};
use super::shards;
use crate::console::one_line;
use crate::data::progress::{Progress, Report};
use crate::digest::hex;
use crate::exit::Exit;
use crate::record::parquet::{ForeignFile, ForeignImage};

/// Row groups of Parquet files that are kept for the next images.
const RECENT: usize = 4;

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
}

/// The images of one part, sorted by the sha256 of their class and bytes.
#[derive(Debug)]
pub struct Split {
    root: PathBuf,
    kind: Kind,
    containers: Vec<PathBuf>,
    spots: Vec<Spot>,
    labels: Vec<u16>,
    names: Names,
    digest: String,
    shards: Vec<ForeignFile>,
    recent: Mutex<Vec<Recent>>,
}

/// Where an image is in its container.
#[derive(Clone, Copy, Debug)]
struct Spot {
    container: u32,
    size: u32,
    offset: u64,
}

/// A row group that was read.
#[derive(Clone, Debug)]
struct Recent {
    container: usize,
    group: usize,
    images: Arc<Vec<ForeignImage>>,
}

/// Many names in little memory.
#[derive(Debug, Default)]
struct Names {
    text: String,
    ends: Vec<usize>,
}

/// Opens the images at `dir`, in whatever layout. What has not changed since the last time is not read again; `cache` keeps
/// an index for that.
///
/// # Errors
/// [`Exit::Data`] if there are no training or no validation images, if something cannot be read, or if nothing tells the
/// classes of a flat folder.
pub fn open(dir: &Path, cache: &Path, progress: &mut Report) -> Result<Collection> {
    let collection = survey(dir, cache, true, progress)?;
    for (split, what, names) in [
        (&collection.train, "training", "`train`"),
        (&collection.test, "validation", "`val` or `validation`"),
    ] {
        if split.is_empty() {
            return Err(Exit::Data.error(format!(
                "no {what} images in {}: it holds no {names} with images; see what is there with `refig data verify imagenet`",
                collection.source
            )));
        }
    }
    Ok(collection)
}

/// [`open`], but a part may be missing. Without `trust`, every image is read.
pub(super) fn survey(
    dir: &Path,
    cache: &Path,
    trust: bool,
    progress: &mut Report,
) -> Result<Collection> {
    let named = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let layout = layout::locate(&named)?;
    let path = index::path(cache, &named);
    let mut known = match index::load(&path) {
        Ok(known) => known.unwrap_or_default(),
        Err(error) => {
            progress(Progress::Note(format!(
                "reading all images again, because the index {} cannot be used: {error}",
                path.display()
            )))?;
            Index::default()
        }
    };
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
    collect(dir, &layout, now, progress)
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
                "{} is not as it was when it was last read: {difference}",
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
            "images that have changed: {} ({})",
            changed.len(),
            first(&changed)
        ));
    }
    if new > 0 {
        parts.push(format!("new: {new}"));
    }
    if gone > 0 {
        parts.push(format!("gone: {gone}"));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Joins the parts: classes, labels and order.
fn collect(dir: &Path, layout: &Layout, found: Index, progress: &mut Report) -> Result<Collection> {
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
    let name = layout.train.as_ref().or(layout.test.as_ref());
    Ok(Collection {
        train: Split::new(&layout.root, train, &classes)?,
        test: Split::new(&layout.root, test, &classes)?,
        classes,
        layout: name.map_or("nothing", Place::name),
        source,
        skipped,
    })
}

impl Split {
    fn new(root: &Path, listing: Listing, classes: &[String]) -> Result<Self> {
        let labels: Vec<Option<u16>> = listing
            .groups
            .iter()
            .map(|group| classes.binary_search(group).ok())
            .map(|label| label.and_then(|label| u16::try_from(label).ok()))
            .collect();
        let mut images = Vec::with_capacity(listing.images.len());
        for image in &listing.images {
            let label = labels.get(image.group as usize).copied().flatten();
            let class = listing.class(image);
            let (Some(label), Some(class), Some(digest)) = (label, class, image.digest) else {
                return Err(Exit::Internal.error(format!("{} has no class", one_line(&image.name))));
            };
            let key = Sha256::new()
                .chain_update(class)
                .chain_update("\n")
                .chain_update(digest)
                .finalize();
            images.push((<[u8; 32]>::from(key), label, image));
        }
        images.sort_unstable_by(|(key, _, one), (other_key, _, other)| {
            // The same bytes twice are in any order the same, but names should not change places.
            match key.cmp(other_key) {
                Ordering::Equal => one.name.cmp(&other.name),
                order => order,
            }
        });
        let mut whole = Sha256::new();
        let mut names = Names::default();
        let mut spots = Vec::with_capacity(images.len());
        for (key, _, image) in &images {
            whole.update(key);
            names.push(&image.name);
            let size = u32::try_from(image.size);
            spots.push(Spot {
                container: image.container,
                size: size.map_err(|_| {
                    Exit::Data.error(format!("{} is absurdly large", one_line(&image.name)))
                })?,
                offset: image.offset,
            });
        }
        let containers = listing.containers.iter();
        let containers: Vec<PathBuf> = containers
            .map(|container| root.join(&container.path))
            .collect();
        let shards: Vec<ForeignFile> = match listing.kind {
            Kind::Shards => containers
                .iter()
                .map(|path| ForeignFile::open(path))
                .collect::<Result<_>>()?,
            Kind::Files | Kind::Archives => Vec::new(),
        };
        Ok(Self {
            root: root.to_owned(),
            kind: listing.kind,
            containers,
            spots,
            labels: images.iter().map(|&(_, label, _)| label).collect(),
            names,
            digest: hex(&whole.finalize()),
            shards,
            recent: Mutex::default(),
        })
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of image `index`.
    pub fn label(&self, index: usize) -> u16 {
        self.labels[index]
    }

    /// Where image `index` is, for messages.
    pub fn name(&self, index: usize) -> String {
        let name = self.file(index);
        match self.containers.get(self.spots[index].container as usize) {
            Some(container) => format!("{} in {}", one_line(name), container.display()),
            None => one_line(&self.root.join(name).display().to_string()),
        }
    }

    /// The name of image `index` below the root or in its container.
    pub(super) fn file(&self, index: usize) -> &str {
        self.names.get(index)
    }

    /// Bytes of image `index`.
    pub(super) fn size(&self, index: usize) -> u64 {
        self.spots[index].size.into()
    }

    /// sha256 (hex) over the sorted digests of the images, each of its class and bytes: the same whatever the layout.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// All images as they lie on disk.
    pub(super) fn in_place(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&index| {
            let spot = self.spots[index];
            (spot.container, spot.offset, self.file(index))
        });
        order
    }

    /// Reads the encoded bytes of image `index`. Threads may read at the same time.
    ///
    /// # Errors
    /// [`Exit::Data`] if the file cannot be read or has changed its size.
    pub fn read(&self, index: usize, into: &mut Vec<u8>) -> Result<()> {
        let spot = self.spots[index];
        match self.kind {
            Kind::Files => {
                let path = self.root.join(self.file(index));
                listing::read_file(&path, spot.size.into(), into)
            }
            Kind::Archives => self.read_slice(index, spot, into),
            Kind::Shards => self.read_row(index, spot, into),
        }
    }

    fn read_slice(&self, index: usize, spot: Spot, into: &mut Vec<u8>) -> Result<()> {
        let path = &self.containers[spot.container as usize];
        into.clear();
        let read = File::open(path).and_then(|mut file| {
            file.seek(SeekFrom::Start(spot.offset))?;
            file.take(spot.size.into()).read_to_end(into)
        });
        match read {
            Ok(count) if count == spot.size as usize => Ok(()),
            Ok(_) => Err(self.changed(index)),
            Err(error) => Err(Exit::Data.error(format!(
                "cannot read {}: {error}; check the file and its permissions",
                self.name(index)
            ))),
        }
    }

    fn read_row(&self, index: usize, spot: Spot, into: &mut Vec<u8>) -> Result<()> {
        let container = spot.container as usize;
        let (group, row) = shards::group_and_row(spot.offset);
        let images = self.group(container, group)?;
        let image = images
            .get(row)
            .filter(|image| image.bytes.len() == spot.size as usize);
        let image = image.ok_or_else(|| self.changed(index))?;
        into.clear();
        into.extend_from_slice(&image.bytes);
        Ok(())
    }

    /// A row group, which may have been read a moment ago.
    fn group(&self, container: usize, group: usize) -> Result<Arc<Vec<ForeignImage>>> {
        let recent = || self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let found = recent()
            .iter()
            .find(|recent| (recent.container, recent.group) == (container, group))
            .map(|recent| recent.images.clone());
        if let Some(images) = found {
            return Ok(images);
        }
        // Unlocked, so that others can read meanwhile.
        let images = Arc::new(self.shards[container].read(group)?);
        let mut recent = recent();
        recent.insert(
            0,
            Recent {
                container,
                group,
                images: images.clone(),
            },
        );
        recent.truncate(RECENT);
        Ok(images)
    }

    fn changed(&self, index: usize) -> anyhow::Error {
        Exit::Data.error(format!(
            "{} has changed since it was indexed; start again once nothing writes to it",
            self.name(index)
        ))
    }
}

impl Names {
    fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len());
    }

    fn get(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[index]]
    }
}
