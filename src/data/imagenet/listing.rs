//! The images of one split as they were found, and the listing of folders.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use anyhow::Result;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use super::classes::first;
use super::workers::{cores, each};
use crate::counted::counted;
use crate::data::progress::{Progress, Report};
use crate::exit::Exit;

/// The most bytes of an image. The largest of ImageNet has 15 MB.
pub(super) const MOST_BYTES: u64 = 64 << 20;
/// Images that one thread reads at a time.
const UNIT: usize = 128;
/// How deep images may lie in a class folder.
const DEPTH: usize = 4;

/// How images are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Each in a file of its own.
    Files,
    /// At an offset in an archive.
    Archives,
    /// In rows of Parquet files.
    Shards,
}

/// A file that holds many images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    /// Below the root, or absolute.
    pub path: String,
    pub size: u64,
    pub modified: i64,
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Below the root with `/`, or as its archive or shard names it.
    pub name: String,
    /// Index into [`Listing::groups`]; [`NO_GROUP`] before a flat set has its labels.
    pub group: u32,
    /// Index into [`Listing::containers`]; 0 for files.
    pub container: u32,
    /// In an archive the first byte; in a shard the row group (upper half) and the row in it; 0 for files.
    pub offset: u64,
    pub size: u64,
    /// When the file was changed; 0 in containers.
    pub modified: i64,
    /// sha256 of the bytes, once they have been read.
    pub digest: Option<[u8; 32]>,
}

/// [`Found::group`] of an image whose class is not known yet.
pub(super) const NO_GROUP: u32 = u32::MAX;

/// The images of one split, in no order that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    pub kind: Kind,
    pub containers: Vec<Container>,
    /// Names of classes.
    pub groups: Vec<String>,
    pub images: Vec<Found>,
    /// Files that are no images, or hidden.
    pub skipped: u64,
}

impl Listing {
    pub fn new(kind: Kind, containers: Vec<Container>) -> Self {
        Self {
            kind,
            containers,
            groups: Vec::new(),
            images: Vec::new(),
            skipped: 0,
        }
    }

    /// The number of a class, which may be new. Classes come in runs, so the last one is tried first.
    pub fn group(&mut self, name: &str) -> u32 {
        let at = self.groups.iter().rposition(|group| group == name);
        at.unwrap_or_else(|| {
            self.groups.push(name.to_owned());
            self.groups.len() - 1
        }) as u32
    }

    /// The class of an image, once it is known.
    pub fn class(&self, image: &Found) -> Option<&str> {
        self.groups.get(image.group as usize).map(String::as_str)
    }
}

/// Whether a file may hold an image, by its name below the root: hidden files and folders and other kinds are left out.
pub(super) fn is_image(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let ending = file.rsplit_once('.').map(|(_, ending)| ending);
    !name.split('/').any(|part| part.starts_with('.'))
        && ending.is_some_and(|ending| {
            ["jpeg", "jpg", "png"]
                .iter()
                .any(|known| ending.eq_ignore_ascii_case(known))
        })
}

/// Nanoseconds since 1970 of a file's last change. 0 where the system does not tell.
pub(super) fn modified(metadata: &Metadata) -> i64 {
    let since = metadata
        .modified()
        .ok()
        .map(|time| match time.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i64,
            Err(before) => -(before.duration().as_nanos() as i64),
        });
    since.unwrap_or(0)
}

/// Lists the class folders in `root/part`.
pub(super) fn class_folders(root: &Path, part: &Path, progress: &mut Report) -> Result<Listing> {
    let mut listing = Listing::new(Kind::Files, Vec::new());
    let mut folders = Vec::new();
    for (name, path) in entries(part)? {
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            folders.push((name, path));
        } else if path.is_symlink() && !path.exists() {
            return Err(nowhere(&path));
        } else {
            listing.skipped += 1;
        }
    }
    folders.sort();
    let mut found: Vec<Vec<Found>> = vec![Vec::new(); folders.len()];
    each(
        cores(),
        folders.len(),
        |unit| folder(root, &folders[unit].1),
        |done| {
            if let Some((unit, (images, skipped))) = done {
                found[unit] = images;
                listing.skipped += skipped;
            }
            progress(Progress::Waiting)
        },
    )?;
    let mut empty = Vec::new();
    for ((name, _), images) in folders.iter().zip(found) {
        if images.is_empty() {
            empty.push(name.as_str());
            continue;
        }
        listing.groups.push(name.clone());
        let group = listing.groups.len() as u32 - 1;
        let images = images.into_iter().map(|image| Found { group, ..image });
        listing.images.extend(images);
    }
    if !empty.is_empty() && !listing.images.is_empty() {
        progress(Progress::Note(format!(
            "no images in {} of {} in {} ({})",
            empty.len(),
            counted(folders.len(), "class folder"),
            part.display(),
            first(&empty)
        )))?;
    }
    Ok(listing)
}

/// Lists the images in the folder `part`, whose classes something else tells.
pub(super) fn flat_folder(root: &Path, part: &Path) -> Result<Listing> {
    let (images, skipped) = folder(root, part)?;
    Ok(Listing {
        images,
        skipped,
        ..Listing::new(Kind::Files, Vec::new())
    })
}

/// The images below a folder, and how many files are none.
fn folder(root: &Path, folder: &Path) -> Result<(Vec<Found>, u64)> {
    let (mut images, mut skipped) = (Vec::new(), 0);
    // Following links, walkdir refuses one that leads back to where it came from.
    let walk = WalkDir::new(folder)
        .follow_links(true)
        .max_depth(DEPTH)
        .sort_by_file_name();
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().filter(|_| error.depth() > 0);
                let Some(link) = path.filter(|path| path.is_symlink()) else {
                    return Err(Exit::Data.error(format!(
                        "cannot list {}: {error}; check its permissions",
                        folder.display()
                    )));
                };
                let named = relative(root, link).is_some_and(|name| is_image(&name));
                if named && !link.exists() {
                    return Err(nowhere(link));
                }
                // A link back is no image.
                skipped += 1;
                continue;
            }
        };
        if entry.file_type().is_dir() {
            continue;
        }
        let name = relative(root, entry.path());
        let Some(name) = name.filter(|name| entry.file_type().is_file() && is_image(name)) else {
            skipped += 1;
            continue;
        };
        let metadata = entry.metadata().map_err(|error| {
            Exit::Data.error(format!("cannot read {}: {error}", entry.path().display()))
        })?;
        images.push(Found {
            name,
            group: NO_GROUP,
            container: 0,
            offset: 0,
            size: metadata.len(),
            modified: modified(&metadata),
            digest: None,
        });
    }
    Ok((images, skipped))
}

/// Refuses a link to an image or a class that is not there: without it, the set would be a smaller one.
fn nowhere(link: &Path) -> anyhow::Error {
    Exit::Data.error(format!(
        "{} is a link that leads nowhere; restore what it names, or remove it",
        link.display()
    ))
}

/// A path below `root`, with `/` on every system. None if it is not UTF-8.
fn relative(root: &Path, path: &Path) -> Option<String> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let name = below.to_str()?;
    Some(if cfg!(windows) {
        name.replace('\\', "/")
    } else {
        name.to_owned()
    })
}

/// A container in `root`, with its size and time.
pub(super) fn container(root: &Path, path: &Path) -> Result<Container> {
    let unreadable =
        |why: String| Exit::Data.error(format!("cannot read {}: {why}", path.display()));
    let metadata = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    // A pipe would be waited for.
    if !metadata.is_file() {
        return Err(unreadable("it is not a regular file".into()));
    }
    Ok(Container {
        path: relative(root, path).ok_or_else(|| unreadable("its name is not UTF-8".into()))?,
        size: metadata.len(),
        modified: modified(&metadata),
    })
}

/// The entries of a folder with their names, as far as they are UTF-8.
pub(super) fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let unreadable = |error: io::Error| {
        Exit::Data.error(format!(
            "cannot list {}: {error}; check the path and its permissions",
            folder.display()
        ))
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if let Ok(name) = entry.file_name().into_string() {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Reads the images of a listing of files that have no digest yet. What was read before an error stays.
pub(super) fn digest_files(
    root: &Path,
    listing: &mut Listing,
    progress: &mut Report,
) -> Result<()> {
    let unread: Vec<usize> = (0..listing.images.len())
        .filter(|&index| listing.images[index].digest.is_none())
        .collect();
    let images = std::mem::take(&mut listing.images);
    let total: u64 = unread.iter().map(|&index| images[index].size).sum();
    let units: Vec<&[usize]> = unread.chunks(UNIT).collect();
    let done = AtomicU64::new(0);
    let mut digests = Vec::with_capacity(unread.len());
    let ended = each(
        cores(),
        units.len(),
        |unit| {
            let mut bytes = Vec::new();
            let mut digests = Vec::with_capacity(units[unit].len());
            for &index in units[unit] {
                let image = &images[index];
                read_file(&root.join(&image.name), image.size, &mut bytes)?;
                done.fetch_add(image.size, Ordering::Relaxed);
                digests.push((index, <[u8; 32]>::from(Sha256::digest(&bytes))));
            }
            Ok(digests)
        },
        |unit| {
            digests.extend(unit.into_iter().flat_map(|(_, digests)| digests));
            let done = done.load(Ordering::Relaxed);
            progress(Progress::Read { done, total })
        },
    );
    listing.images = images;
    for (index, digest) in digests {
        listing.images[index].digest = Some(digest);
    }
    ended
}

/// Reads a file that has `size` bytes.
pub(super) fn read_file(path: &Path, size: u64, into: &mut Vec<u8>) -> Result<()> {
    let shown = path.display();
    if size > MOST_BYTES {
        return Err(Exit::Data.error(format!(
            "{shown} has {size} bytes, more than the {MOST_BYTES} that an image may have; remove it"
        )));
    }
    into.clear();
    let read = File::open(path).and_then(|file| file.take(size + 1).read_to_end(into));
    match read {
        Ok(count) if count as u64 == size => Ok(()),
        Ok(_) => Err(Exit::Data.error(format!(
            "{shown} no longer has the {size} bytes that it had when it was listed; start again once nothing writes to it"
        ))),
        Err(error) => Err(Exit::Data.error(format!(
            "cannot read {shown}: {error}; check the file and its permissions"
        ))),
    }
}
