//! Puts a packed run in place, after a check of every byte.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::disk::Disk;
use super::layout::{self, DONE, PARTS, is_plain_name};
use super::lock::Lock;
use super::pack::{CONTENTS, Contents, REMEDY, is_file_of_a_run, is_pack, unreadable};
use super::view::{RunView, usable};
use super::{checkpoint, format};
use crate::console::one_line;
use crate::digest::sha256;
use crate::exit::Exit;
use crate::record::Ending;
use crate::regular;
use crate::temporaries;

/// Bytes of the longest pack that is read: ten times that of a ResNet-1202.
const MOST_BYTES: u64 = 4 << 30;

/// Unpacks a run below `results_dir`. A less advanced copy of the same run that is there is replaced.
///
/// # Errors
/// [`Exit::Storage`] if the pack is damaged or of a newer version, if the same run is there and as far along or cannot be read, or if
/// another process is at work on it.
pub fn unpack(pack: &Path, results_dir: &Path) -> Result<RunView> {
    unpack_on(&Disk::default(), pack, results_dir)
}

/// [`unpack`] on a disk that a test can stop.
///
/// # Errors
/// As for [`unpack`].
pub fn unpack_on(disk: &Disk, pack: &Path, results_dir: &Path) -> Result<RunView> {
    let (contents, files) = from_tar(pack)?;
    let damaged = |what: &str| Exit::Storage.error(format!("{}: {what}; {REMEDY}", pack.display()));
    let (profile, name) = contents
        .folder
        .split_once('/')
        .filter(|(profile, name)| is_plain_name(profile) && is_plain_name(name))
        .ok_or_else(|| {
            damaged(&format!(
                "no run's folder: \"{}\"",
                one_line(&contents.folder)
            ))
        })?;
    let _lock = Lock::take(results_dir, &contents.folder)?;
    let folder = results_dir.join(profile).join(name);
    // One that cannot be read may be further along.
    if let Some(there) = usable(&folder)? {
        ensure!(
            there.plan().identity() == contents.identity,
            Exit::Storage.error(format!(
                "{}: the folder holds another run, {}; rename it to that first",
                folder.display(),
                there.plan().folder()
            ))
        );
        let ours = (there.ending.is_final(), there.iteration);
        let theirs = (contents.ending.is_final(), contents.iteration);
        ensure!(
            ours < theirs,
            Exit::Storage.error(format!(
                "{}: the existing run is at iteration {}, the pack at {}; remove the run first to replace it",
                folder.display(),
                there.iteration,
                contents.iteration
            ))
        );
    }
    let (fresh, removed) = (layout::unpacked(&folder), layout::removed(&folder));
    for leftover in [&fresh, &removed] {
        disk.remove_dir(leftover)?;
    }
    let held = temporaries::hold(&fresh);
    let unpacked = write(disk, &fresh, &files)
        .and_then(|()| verify(&fresh, &contents).with_context(|| pack.display().to_string()));
    if unpacked.is_err() {
        // Half of a run takes room, perhaps the last.
        disk.remove_dir(&fresh).ok();
    }
    unpacked?;
    // It is whole, and soon the only one.
    drop(held);
    if folder.exists() {
        disk.rename(&folder, &removed)?;
    }
    disk.rename(&fresh, &folder)?;
    disk.sync_parent(&folder)?;
    disk.remove_dir(&removed)?;
    RunView::look(&folder)?.ok_or_else(|| damaged("it holds no run.toml"))
}

/// Writes the files of a run into a folder.
fn write(disk: &Disk, folder: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    disk.create_dir(folder)?;
    if !files.contains_key(DONE) {
        disk.create_dir(&folder.join(PARTS))?;
    }
    for (name, bytes) in files {
        disk.replace(&folder.join(name), bytes)?;
    }
    Ok(())
}

/// Whether the unpacked files are the run that the contents name, whole.
fn verify(folder: &Path, contents: &Contents) -> Result<()> {
    let run = RunView::look(folder)?;
    let same = run.as_ref().is_some_and(|run| {
        let plan = run.plan();
        (plan.identity(), plan.folder()) == (&contents.identity, contents.folder.clone())
            && (run.ending, run.iteration) == (contents.ending, contents.iteration)
    });
    ensure!(
        same,
        Exit::Storage.error(format!("not the run that it names; {REMEDY}"))
    );
    match run {
        Some(run) if run.ending == Ending::Partial && run.iteration > 0 => {
            checkpoint::newest(folder, &contents.identity).map(drop)
        }
        Some(run) => {
            run.load_weights()?;
            run.read().map(drop)
        }
        None => Ok(()),
    }
}

fn from_tar(pack: &Path) -> Result<(Contents, BTreeMap<String, Vec<u8>>)> {
    let refuse = |error: &dyn std::fmt::Display| unreadable(pack, error);
    let file = regular::open(pack).map_err(|error| {
        Exit::Usage.error(format!(
            "cannot read {}: {error}; name a file that `refig run pack` wrote",
            pack.display()
        ))
    })?;
    let mut archive = tar::Archive::new(file.take(MOST_BYTES));
    let mut members: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    // Raw, because long names would be read into memory whatever their length. A pack has none.
    let all = archive.entries().map_err(|error| refuse(&error))?;
    for member in all.raw(true) {
        let mut member = member.map_err(|error| match is_pack(pack) {
            true => refuse(&error),
            false => refuse(&"it is no pack"),
        })?;
        let name = member.path().map_err(|error| refuse(&error))?;
        let name = name.to_string_lossy().into_owned();
        let plain = member.header().entry_type().is_file();
        if !plain || !(name == CONTENTS || is_file_of_a_run(&name)) || members.contains_key(&name) {
            return Err(refuse(&format!("\"{name}\" is no file of a run")));
        }
        let mut bytes = Vec::new();
        member
            .read_to_end(&mut bytes)
            .map_err(|error| refuse(&error))?;
        members.insert(name, bytes);
    }
    let (mut rest, mut some) = (archive.into_inner(), [0; 1 << 16]);
    loop {
        match rest.read(&mut some).map_err(|error| refuse(&error))? {
            0 => break,
            read if some[..read].iter().all(|&byte| byte == 0) => {}
            _ => return Err(refuse(&"something follows its end")),
        }
    }
    let list = members
        .remove(CONTENTS)
        .ok_or_else(|| refuse(&format!("no {CONTENTS}")))?;
    let contents: Contents = format::parse_json(pack, &list, REMEDY)?;
    for (name, digest) in &contents.files {
        let bytes = members
            .get(name)
            .ok_or_else(|| refuse(&format!("{name} is missing")))?;
        if sha256(bytes) != *digest {
            return Err(refuse(&format!("the sha256 of {name} differs")));
        }
    }
    if members.len() != contents.files.len() {
        return Err(refuse(&"it holds files that it does not list"));
    }
    Ok((contents, members))
}
