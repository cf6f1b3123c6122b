//! Reads uncompressed tars in place: the official ones (a tar of a tar for each class; a flat tar), and tars of a tree of
//! class folders. Nothing in them is trusted: neither sizes nor names.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use sha2::{Digest, Sha256};
use tar::{Archive, Entries, Entry, PaxExtensions};

use super::classes;
use super::listing::{Container, Found, Kind, Listing, MOST_BYTES, NO_GROUP, container, is_image};
use super::workers::{cores, each};
use crate::console::one_line;
use crate::data::progress::{Progress, Report};
use crate::exit::Exit;

/// The longest name or list of attributes of a member.
const MOST_DESCRIPTION: u64 = 64 << 10;
/// The most archives inside an archive.
const MOST_INNER: usize = 1 << 16;
/// How the archive of a class ends.
const TAR: &str = ".tar";

/// What the members of an archive are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Members {
    /// Images of the class that the archive is named for.
    OneClass,
    /// Images without class folders.
    Flat,
    /// Class folders below a folder with one of these names.
    Tree(&'static [&'static str]),
}

/// A stretch of a file that is a tar.
struct Section {
    container: u32,
    path: PathBuf,
    start: u64,
    size: u64,
    /// The class, if the archive has one.
    class: Option<String>,
}

/// Lists and digests the images in `archives`. `nested` ones hold an archive for each class.
pub(super) fn list(
    root: &Path,
    archives: &[PathBuf],
    nested: bool,
    members: Members,
    progress: &mut Report,
) -> Result<Listing> {
    let mut containers: Vec<Container> = Vec::new();
    let mut sections = Vec::new();
    for path in archives {
        let found = container(root, path)?;
        let number = containers.len() as u32;
        if nested {
            progress(Progress::Waiting)?;
            inner(path, number, found.size, &mut sections)?;
        } else {
            let name = path.file_name().and_then(|name| name.to_str());
            sections.push(Section {
                container: number,
                path: path.clone(),
                start: 0,
                size: found.size,
                class: name
                    .and_then(|name| name.strip_suffix(TAR))
                    .map(str::to_owned),
            });
        }
        containers.push(found);
    }
    let mut listing = Listing::new(Kind::Archives, containers);
    let total: u64 = sections.iter().map(|section| section.size).sum();
    let done = AtomicU64::new(0);
    let mut parts: Vec<Option<Part>> = Vec::new();
    parts.resize_with(sections.len(), || None);
    each(
        cores(),
        sections.len(),
        |unit| read(&sections[unit], members, &done),
        |unit| {
            if let Some((unit, part)) = unit {
                parts[unit] = Some(part);
            }
            let done = done.load(Ordering::Relaxed).min(total);
            progress(Progress::Read { done, total })
        },
    )?;
    for part in parts.into_iter().flatten() {
        listing.skipped += part.skipped;
        for (class, image) in part.images {
            let group = class.map_or(NO_GROUP, |class| listing.group(&class));
            if listing.groups.len() > classes::MOST {
                // Each name is looked for among all others.
                return Err(classes::too_many(&root.display().to_string()));
            }
            listing.images.push(Found { group, ..image });
        }
    }
    progress(Progress::Read { done: total, total })?;
    once(&listing)?;
    Ok(listing)
}

/// Checks that no archive has an image twice, of which one is meant to replace the other.
fn once(listing: &Listing) -> Result<()> {
    let key = |image: &Found| (image.container, image.group);
    let mut images: Vec<&Found> = listing.images.iter().collect();
    images.sort_unstable_by(|one, other| {
        let names = || one.name.cmp(&other.name);
        key(one).cmp(&key(other)).then_with(names)
    });
    let same = |pair: &&[&Found]| key(pair[0]) == key(pair[1]) && pair[0].name == pair[1].name;
    match images.windows(2).find(same) {
        Some(pair) => Err(Exit::Data.error(format!(
            "{} is twice in {}; make the archive anew, with one of them",
            one_line(&pair[0].name),
            listing.containers[pair[0].container as usize].path
        ))),
        None => Ok(()),
    }
}

/// The archives of classes in an archive.
fn inner(path: &Path, container: u32, size: u64, sections: &mut Vec<Section>) -> Result<()> {
    let file = File::open(path).map_err(|error| damaged(path, &error))?;
    let mut archive = Archive::new(file);
    let members = archive
        .entries_with_seek()
        .map_err(|error| damaged(path, &error))?;
    walk(members, path, &mut |name, member| {
        let file = name.rsplit('/').next().unwrap_or(name);
        let Some(class) = file
            .strip_suffix(TAR)
            .filter(|class| !class.starts_with('.'))
        else {
            return Ok(());
        };
        let (start, length) = (member.raw_file_position(), member.size());
        // Seeking beyond the end succeeds, so compare with the size of the file.
        if start.checked_add(length).is_none_or(|end| end > size) {
            return Err(truncated(path, name));
        }
        if sections.len() >= MOST_INNER {
            return Err(damaged(
                path,
                &io::Error::other("it holds too many archives"),
            ));
        }
        sections.push(Section {
            container,
            path: path.to_owned(),
            start,
            size: length,
            class: Some(class.to_owned()),
        });
        Ok(())
    })
}

/// The images of a section with their classes.
#[derive(Debug, Default)]
struct Part {
    images: Vec<(Option<String>, Found)>,
    skipped: u64,
}

/// Reads a section from its beginning to its end, once.
fn read(section: &Section, members: Members, done: &AtomicU64) -> Result<Part> {
    let path = &section.path;
    let opened = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(section.start))?;
        Ok(file.take(section.size))
    });
    let file = opened.map_err(|error| damaged(path, &error))?;
    let mut archive = Archive::new(BufReader::with_capacity(1 << 18, file));
    let entries = archive.entries().map_err(|error| damaged(path, &error))?;
    let (mut part, mut bytes, mut counted) = (Part::default(), Vec::new(), 0);
    walk(entries, path, &mut |name, member| {
        let start = member.raw_file_position();
        let class = match members {
            Members::OneClass => section.class.as_deref(),
            Members::Flat => None,
            Members::Tree(parts) => match class_in(name, parts) {
                Some(class) => Some(class),
                // Those of the other split are not skipped.
                None => return Ok(()),
            },
        };
        if !is_image(name) {
            part.skipped += 1;
            return Ok(());
        }
        let size = member.size();
        if size > MOST_BYTES {
            return Err(Exit::Data.error(format!(
                "{} in {} has {size} bytes, more than the {MOST_BYTES} that an image may have",
                one_line(name),
                path.display()
            )));
        }
        bytes.clear();
        member
            .read_to_end(&mut bytes)
            .map_err(|error| damaged(path, &error))?;
        if bytes.len() as u64 != size {
            return Err(truncated(path, name));
        }
        let end = start + size;
        done.fetch_add(end - counted, Ordering::Relaxed);
        counted = end;
        part.images.push((
            class.map(str::to_owned),
            Found {
                name: name.to_owned(),
                group: NO_GROUP,
                container: section.container,
                offset: section.start + start,
                size,
                modified: 0,
                digest: Some(Sha256::digest(&bytes).into()),
            },
        ));
        Ok(())
    })?;
    done.fetch_add(section.size.saturating_sub(counted), Ordering::Relaxed);
    Ok(part)
}

/// The class of a member of a tree: the folder below one that is named like one of `parts`.
fn class_in<'a>(name: &'a str, parts: &[&str]) -> Option<&'a str> {
    let folders: Vec<&str> = name.split('/').collect();
    let at = folders.iter().position(|folder| parts.contains(folder))?;
    // The class, and a file in it.
    (folders.len() >= at + 3).then(|| folders[at + 1])
}

type Take<'f, 'a, R> = dyn FnMut(&str, &mut Entry<'a, R>) -> Result<()> + 'f;

/// Calls `take` for each file of an archive with its whole name.
fn walk<'a, R: Read>(
    entries: Entries<'a, R>,
    path: &Path,
    take: &mut Take<'_, 'a, R>,
) -> Result<()> {
    let mut long: Option<String> = None;
    // Raw, because long names would be read into memory whatever their length.
    for member in entries.raw(true) {
        let mut member = member.map_err(|error| damaged(path, &error))?;
        let kind = member.header().entry_type();
        if kind.is_gnu_longname() || kind.is_pax_local_extensions() {
            if member.size() > MOST_DESCRIPTION {
                return Err(damaged(
                    path,
                    &io::Error::other("the name of a member is absurdly long"),
                ));
            }
            let mut described = Vec::new();
            member
                .read_to_end(&mut described)
                .map_err(|error| damaged(path, &error))?;
            if kind.is_gnu_longname() {
                let name = described.split(|&byte| byte == 0).next();
                long = name.map(|name| String::from_utf8_lossy(name).into_owned());
            } else if let Some(name) = path_of(&described) {
                long = Some(name);
            }
            continue;
        }
        if kind.is_gnu_longlink() || kind.is_pax_global_extensions() {
            continue;
        }
        let name = long
            .take()
            .unwrap_or_else(|| String::from_utf8_lossy(&member.path_bytes()).into_owned());
        if kind.is_file()
            && let Some(name) = clean(&name)
        {
            take(&name, &mut member)?;
        }
    }
    Ok(())
}

/// The name in a member's attributes.
fn path_of(attributes: &[u8]) -> Option<String> {
    PaxExtensions::new(attributes)
        .flatten()
        .filter(|attribute| attribute.key() == Ok("path"))
        .find_map(|attribute| attribute.value().ok().map(str::to_owned))
}

/// A member's name without `./` and doubled slashes. None for one that leads out of the archive.
fn clean(name: &str) -> Option<String> {
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    (!parts.is_empty() && !parts.contains(&"..")).then(|| parts.join("/"))
}

/// Whether an archive has images below a folder with one of the names `parts` that lie in no class folder.
pub(super) fn has_flat(path: &Path, parts: &[&str]) -> Result<bool> {
    let file = File::open(path).map_err(|error| damaged(path, &error))?;
    let mut archive = Archive::new(file);
    let entries = archive
        .entries_with_seek()
        .map_err(|error| damaged(path, &error))?;
    let mut flat = false;
    walk(entries, path, &mut |name, _| {
        let folder = name.rsplit('/').nth(1);
        flat |= is_image(name) && folder.is_some_and(|folder| parts.contains(&folder));
        Ok(())
    })?;
    Ok(flat)
}

fn damaged(path: &Path, error: &io::Error) -> anyhow::Error {
    Exit::Data.error(format!(
        "{} is damaged or not a readable tar: {}; compare its size with the source's and copy it again",
        path.display(),
        // The reader of archives quotes what it takes for a header.
        one_line(&error.to_string())
    ))
}

fn truncated(path: &Path, name: &str) -> anyhow::Error {
    Exit::Data.error(format!(
        "{} is truncated: it ends inside {}; copy it again",
        path.display(),
        one_line(name)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found_below_the_part() {
        const VAL: &[&str] = &["val", "validation"];
        for (name, class) in [
            ("imagenette2/val/n01440764/a.JPEG", Some("n01440764")),
            ("validation/n01440764/images/a.JPEG", Some("n01440764")),
            ("val/a.JPEG", None),
            ("train/n01440764/a.JPEG", None),
        ] {
            assert_eq!(class_in(name, VAL), class, "{name}");
        }
        assert_eq!(clean("./a//b"), Some("a/b".into()));
        assert_eq!(clean("a/../../b"), None);
        assert_eq!(clean("./"), None);
    }
}
