//! Copies images into a few large archives, for disks that are slow with many small files: the same bytes, the same digest. Or
//! shrinks them, which makes other images of them.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tar::{Builder, Header};

use super::collection::{Collection, open, open_readable};
use super::decode::cannot_decode;
use super::layout::PACKED;
use super::listing::entries;
use super::shrink::shrink;
use super::split::Split;
use super::workers;
use crate::counted::counted;
use crate::data::progress::{Progress, Report};
use crate::data::temporary;
use crate::exit::Exit;
use crate::temporaries;

/// The version of [`Plan`]: one for the images as they are, one for shrunk ones, which earlier programs would take for originals.
const PLAIN: u32 = 1;
const SHRUNK: u32 = 2;
/// The most bytes of a plan.
const MOST_PLAN: u64 = 16 << 20;
/// Bytes that a tar takes for a member's header, and what it rounds sizes up to.
const BLOCK: u64 = 512;

/// Images that are prepared at a time, on all cores.
const UNIT: usize = 64;

/// How images are packed.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    /// The size at which another archive is begun.
    pub bytes: u64,
    /// The shorter side that larger pictures are shrunk to.
    pub shrink: Option<u32>,
    /// Whether images that cannot be decoded are left out.
    pub skip_unreadable: bool,
}

impl Default for Packing {
    fn default() -> Self {
        Self {
            bytes: 2 << 30,
            shrink: None,
            skip_unreadable: false,
        }
    }
}

/// What [`pack`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    pub archives: usize,
    pub images: usize,
    /// The shorter side that larger pictures have been shrunk to, now or before.
    pub shrunk: Option<u32>,
    /// Images that were left out.
    pub unreadable: usize,
}

/// Which archives belong together. Written before them, so that an interrupted packing is known and resumed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Plan {
    format: u32,
    /// Digests of the images that are packed, before they are shrunk.
    train: String,
    test: String,
    archives: Vec<String>,
    /// The shorter side that larger pictures are shrunk to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shrunk: Option<u32>,
}

/// An archive to write.
struct Archive<'a> {
    name: String,
    split: &'a Split,
    /// Images with their names in it.
    members: Vec<(usize, String)>,
}

/// Packs the images at `dir` into archives in the folder `out`, and checks that they are the same; shrunk ones, that none is
/// missing. After an interruption, the archives that are complete stay.
///
/// # Errors
/// [`Exit::Data`] if the images cannot be read or `out` holds something else, [`Exit::Storage`] if it cannot be written.
pub fn pack(
    dir: &Path,
    out: &Path,
    cache: &Path,
    packing: Packing,
    progress: &mut Report,
) -> Result<Packed> {
    let collection = match packing.skip_unreadable {
        true => open_readable(dir, cache, progress)?,
        false => open(dir, cache, progress)?,
    };
    let sides = packing.shrink.into_iter().chain(collection.shrunk);
    let shrunk = sides.min();
    let archives = plan(&collection, packing.bytes);
    let own = Plan {
        format: shrunk.map_or(PLAIN, |_| SHRUNK),
        train: collection.train.digest().to_owned(),
        test: collection.test.digest().to_owned(),
        archives: archives
            .iter()
            .map(|archive| archive.name.clone())
            .collect(),
        shrunk,
    };
    begin(out, &own)?;
    let sizes = |archive: &Archive| -> u64 {
        let members = archive.members.iter();
        members.map(|(index, _)| archive.split.size(*index)).sum()
    };
    let total: u64 = archives.iter().map(sizes).sum();
    let is_there = |archive: &Archive| out.join(&archive.name).is_file();
    let missing = archives.iter().filter(|archive| !is_there(archive));
    let needed: u64 = missing.map(sizes).sum();
    if let Some(free) = fs4::available_space(out).ok().filter(|&free| free < needed) {
        return Err(Exit::Storage.error(format!(
            "{}: {} MB free, but the images take {} MB: make room, or name another folder with --out",
            out.display(),
            free >> 20,
            needed.div_ceil(1 << 20)
        )));
    }
    let mut done = 0;
    for archive in &archives {
        let path = out.join(&archive.name);
        // Renamed when it was complete.
        if is_there(archive) {
            done += sizes(archive);
            progress(Progress::Pack { done, total })?;
            continue;
        }
        for old in temporary::leftovers(&path) {
            fs::remove_file(old).ok();
        }
        let (file, own) = temporary::file_beside(&path).map_err(|error| storage(&path, &error))?;
        let _held = temporaries::hold(&own);
        let written = write(archive, packing.shrink, file, &path, &mut |size| {
            done += size;
            progress(Progress::Pack { done, total })
        })
        .and_then(|()| temporaries::rename(&own, &path).map_err(|error| storage(&path, &error)));
        if written.is_err() {
            fs::remove_file(&own).ok();
        }
        written?;
    }
    let packed = open(out, cache, progress)?;
    for (before, after) in [
        (&collection.train, &packed.train),
        (&collection.test, &packed.test),
    ] {
        let same = match packing.shrink {
            None => before.digest() == after.digest(),
            Some(_) => before.len() == after.len(),
        };
        if !same {
            return Err(Exit::Data.error(format!(
                "the images in {} are not those in {}: remove that folder and pack again",
                out.display(),
                dir.display()
            )));
        }
    }
    Ok(Packed {
        archives: archives.len(),
        images: collection.train.len() + collection.test.len(),
        shrunk,
        unreadable: collection.unreadable.len(),
    })
}

/// Distributes the images over archives, in the order in which they lie on disk.
fn plan(collection: &Collection, bytes: u64) -> Vec<Archive<'_>> {
    let mut archives = Vec::new();
    for (part, split) in [("train", &collection.train), ("val", &collection.test)] {
        let mut names = HashSet::new();
        let (mut number, mut size) = (0, 0);
        for index in split.in_place() {
            let class = &collection.classes[usize::from(split.label(index))];
            let file = split.file(index);
            let file = file.rsplit('/').next().unwrap_or(file);
            let mut name = format!("{part}/{class}/{file}");
            let mut copy = 1;
            while !names.insert(name.clone()) {
                copy += 1;
                name = format!("{part}/{class}/{copy}-{file}");
            }
            let member = BLOCK + split.size(index).next_multiple_of(BLOCK);
            if number == 0 || size + member > bytes {
                archives.push(Archive {
                    name: format!("{part}-{number:04}.tar"),
                    split,
                    members: Vec::new(),
                });
                number += 1;
                size = 0;
            }
            size += member;
            if let Some(archive) = archives.last_mut() {
                archive.members.push((index, name));
            }
        }
    }
    archives
}

/// Makes `out` ready for the archives of `plan`.
fn begin(out: &Path, plan: &Plan) -> Result<()> {
    let path = out.join(PACKED);
    fs::create_dir_all(out).map_err(|error| storage(out, &error))?;
    if path.exists() {
        if read_plan(&path)? == *plan {
            return Ok(());
        }
        return Err(Exit::Data.error(format!(
            "{} was begun for other images, with archives of another size, or to shrink them otherwise: name another folder with --out, or remove that one",
            out.display()
        )));
    }
    if entries(out)?
        .iter()
        .any(|(name, _)| !name.starts_with(PACKED))
    {
        return Err(Exit::Data.error(format!(
            "{} is not empty, and nothing in it says that it was packed: name a new folder with --out",
            out.display()
        )));
    }
    for old in temporary::leftovers(&path) {
        fs::remove_file(old).ok();
    }
    let text = serde_json::to_string_pretty(plan)?;
    temporary::replace(&path, text.as_bytes()).map_err(|error| storage(&path, &error))
}

fn read_plan(path: &Path) -> Result<Plan> {
    let read = || {
        let size = fs::metadata(path)?.len();
        if size > MOST_PLAN {
            return Err(io::Error::other(format!("it has {size} bytes")));
        }
        let plan: Plan = serde_json::from_slice(&fs::read(path)?)?;
        if !(PLAIN..=SHRUNK).contains(&plan.format) {
            return Err(io::Error::other(format!(
                "it has format {}, and this program knows {PLAIN} and {SHRUNK}",
                plan.format
            )));
        }
        Ok(plan)
    };
    read().map_err(|error: io::Error| {
        Exit::Data.error(format!(
            "{}: {error}; remove the folder and pack again",
            path.display()
        ))
    })
}

/// The shorter side that the pictures in `root` were shrunk to when they were packed; none if they were not.
///
/// # Errors
/// [`Exit::Data`] if what packing left there cannot be read.
pub(super) fn shrunk(root: &Path) -> Result<Option<u32>> {
    let path = root.join(PACKED);
    match path.is_file() {
        true => Ok(read_plan(&path)?.shrunk),
        false => Ok(None),
    }
}

/// Refuses a folder whose packing was interrupted.
pub(super) fn check_complete(path: &Path, inside: &[(String, PathBuf)]) -> Result<()> {
    let plan = read_plan(path)?;
    let there: HashSet<&str> = inside.iter().map(|(name, _)| name.as_str()).collect();
    let missing = plan
        .archives
        .iter()
        .filter(|name| !there.contains(name.as_str()))
        .count();
    if missing == 0 {
        return Ok(());
    }
    Err(Exit::Data.error(format!(
        "{} lacks {missing} of {}, because packing was interrupted: run the same `refig data prepare imagenet` again",
        path.parent().unwrap_or(path).display(),
        counted(plan.archives.len(), "archive")
    )))
}

/// Writes one archive. `tick` hears the bytes of each image, before it is shrunk.
fn write(
    archive: &Archive,
    shrink: Option<u32>,
    file: File,
    path: &Path,
    tick: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let failed = |error: io::Error| storage(path, &error);
    let mut tar = Builder::new(BufWriter::with_capacity(1 << 20, file));
    for members in archive.members.chunks(UNIT) {
        let images = prepare(archive.split, members, shrink, tick)?;
        for ((_, name), bytes) in members.iter().zip(images) {
            let mut header = Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            // The same images give the same archive.
            header.set_mtime(0);
            tar.append_data(&mut header, name, bytes.as_slice())
                .map_err(failed)?;
        }
    }
    let buffer = tar.into_inner().map_err(failed)?;
    let file = buffer
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    temporary::sync(&file).map_err(failed)
}

/// The bytes of some members of an archive, read and shrunk on all cores.
fn prepare(
    split: &Split,
    members: &[(usize, String)],
    side: Option<u32>,
    tick: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Vec<Vec<u8>>> {
    let read = |unit: usize| -> Result<Vec<u8>> {
        let (index, _) = members[unit];
        let mut bytes = Vec::new();
        split.read(index, &mut bytes)?;
        if let Some(side) = side {
            let smaller =
                shrink(&bytes, side).map_err(|why| cannot_decode(&split.name(index), &why))?;
            bytes = smaller.unwrap_or(bytes);
        }
        Ok(bytes)
    };
    let mut images = vec![Vec::new(); members.len()];
    workers::each(workers::cores(), members.len(), read, |done| {
        if let Some((unit, bytes)) = done {
            images[unit] = bytes;
            tick(split.size(members[unit].0))?;
        }
        Ok(())
    })?;
    Ok(images)
}

fn storage(path: &Path, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Exit::Storage.error(format!(
            "the disk is full at {}: {error}; make room and run the same command again, it resumes",
            path.display()
        )),
        _ => Exit::Storage.error(format!(
            "cannot write {}: {error}; check its permissions, or name another folder with --out",
            path.display()
        )),
    }
}
