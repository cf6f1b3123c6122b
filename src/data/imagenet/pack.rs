//! Copies images into a few large archives, for disks that are slow with many small files: the same bytes, the same digest.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use tar::{Builder, Header};

use super::collection::{Collection, Split, open};
use super::layout::PACKED;
use super::listing::entries;
use crate::data::progress::{Progress, Report};
use crate::data::temporary;
use crate::exit::Exit;

/// The size at which another archive is begun.
pub const PACK_BYTES: u64 = 2 << 30;
/// The version of [`Plan`].
const FORMAT: u32 = 1;
/// The most bytes of a plan.
const MOST_PLAN: u64 = 16 << 20;
/// Bytes that a tar takes for a member's header, and what it rounds sizes up to.
const BLOCK: u64 = 512;

/// What [`pack`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    pub archives: usize,
    pub images: usize,
}

/// Which archives belong together. Written before them, so that an interrupted packing is known and resumed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Plan {
    format: u32,
    train: String,
    test: String,
    archives: Vec<String>,
}

/// An archive to write.
struct Archive<'a> {
    name: String,
    split: &'a Split,
    /// Images with their names in it.
    members: Vec<(usize, String)>,
}

/// Packs the images at `dir` into archives of about `bytes` in the folder `out`, and checks that they are the same. After
/// an interruption, the archives that are complete stay.
///
/// # Errors
/// [`Exit::Data`] if the images cannot be read or `out` holds something else, [`Exit::Storage`] if it cannot be written.
pub fn pack(
    dir: &Path,
    out: &Path,
    cache: &Path,
    bytes: u64,
    progress: &mut Report,
) -> Result<Packed> {
    let collection = open(dir, cache, progress)?;
    let archives = plan(&collection, bytes);
    let own = Plan {
        format: FORMAT,
        train: collection.train.digest().to_owned(),
        test: collection.test.digest().to_owned(),
        archives: archives
            .iter()
            .map(|archive| archive.name.clone())
            .collect(),
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
        let written = write(archive, file, &path, &mut |size| {
            done += size;
            progress(Progress::Pack { done, total })
        })
        .and_then(|()| fs::rename(&own, &path).map_err(|error| storage(&path, &error)));
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
        if before.digest() != after.digest() {
            return Err(Exit::Data.error(format!(
                "the images in {} have another digest than those in {}: remove that folder and pack again",
                out.display(),
                dir.display()
            )));
        }
    }
    Ok(Packed {
        archives: archives.len(),
        images: collection.train.len() + collection.test.len(),
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
            "{} was begun for other images or with archives of another size: name another folder with --out, or remove that one",
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
    let written = temporary::file_beside(&path).and_then(|(mut file, own)| {
        file.write_all(text.as_bytes())?;
        temporary::sync(&file)?;
        fs::rename(own, &path)
    });
    written.map_err(|error| storage(&path, &error))
}

fn read_plan(path: &Path) -> Result<Plan> {
    let read = || {
        let size = fs::metadata(path)?.len();
        if size > MOST_PLAN {
            return Err(io::Error::other(format!("it has {size} bytes")));
        }
        let plan: Plan = serde_json::from_slice(&fs::read(path)?)?;
        if plan.format != FORMAT {
            return Err(io::Error::other(format!(
                "it has format {}, and this program knows {FORMAT}",
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
        "{} lacks {missing} of {} archives, because packing was interrupted: run the same `refig data prepare imagenet` again",
        path.parent().unwrap_or(path).display(),
        plan.archives.len()
    )))
}

/// Writes one archive. `tick` hears the bytes of each image.
fn write(
    archive: &Archive,
    file: File,
    path: &Path,
    tick: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let failed = |error: io::Error| storage(path, &error);
    let mut tar = Builder::new(BufWriter::with_capacity(1 << 20, file));
    let mut bytes = Vec::new();
    for (index, name) in &archive.members {
        archive.split.read(*index, &mut bytes)?;
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // The same images give the same archive.
        header.set_mtime(0);
        tar.append_data(&mut header, name, bytes.as_slice())
            .map_err(failed)?;
        tick(bytes.len() as u64)?;
    }
    let buffer = tar.into_inner().map_err(failed)?;
    let file = buffer
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    temporary::sync(&file).map_err(failed)
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
