//! The images of one part of a collection, in their order, and reading them from wherever they are.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::listing::{self, Kind, Listing};
use super::shards;
use crate::console::one_line;
use crate::digest::hex;
use crate::exit::Exit;
use crate::record::foreign::{ForeignImage, ForeignImages};

/// Row groups of Parquet files that are kept for the next images.
const RECENT: usize = 4;

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
    shards: Vec<ForeignImages>,
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

impl Split {
    /// The images of a listing whose classes are all among `classes`.
    pub(super) fn new(root: &Path, listing: &Listing, classes: &[String]) -> Result<Self> {
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
        let shards: Vec<ForeignImages> = match listing.kind {
            Kind::Shards => containers
                .iter()
                .map(|path| shards::open(path))
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

    /// Gives each class another label, by that which it has.
    pub(super) fn renumber(&mut self, labels: &[u16]) {
        for label in &mut self.labels {
            *label = labels[usize::from(*label)];
        }
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

    /// The files that hold many images.
    pub(super) fn containers(&self) -> &[PathBuf] {
        &self.containers
    }

    /// Where image `index` is in its container, and its name: no two images of a listing share them.
    pub(super) fn spot(&self, index: usize) -> (u32, u64, &str) {
        let spot = self.spots[index];
        (spot.container, spot.offset, self.file(index))
    }

    /// Bytes of image `index`.
    pub(super) fn size(&self, index: usize) -> u64 {
        self.spots[index].size.into()
    }

    /// Bytes of all images.
    pub fn bytes(&self) -> u64 {
        self.spots.iter().map(|spot| u64::from(spot.size)).sum()
    }

    /// sha256 (hex) over the sorted digests of the images, each of its class and bytes: the same whatever the layout.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// All images as they lie on disk.
    pub(super) fn in_place(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&index| self.spot(index));
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
        let images = Arc::new(shards::read_group(&self.shards[container], group)?);
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
