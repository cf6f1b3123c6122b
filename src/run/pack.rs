//! A run in one file, to move it to another machine: `pack` writes it, `unpack` checks every byte and puts the run in place.
//! A pack is a tar whose first member, `pack.json`, lists the others with their digests. Of a partial run it holds what a
//! resume needs: the newest checkpoint and the records up to it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::checkpoint;
use super::disk::Disk;
use super::format::{self, FORMAT};
use super::layout;
use super::layout::{
    CHECKPOINT, DONE, EVALUATIONS, ITERATIONS, LOG, PARTS, PREVIOUS, PROGRESS, RUN, VIEWS, WEIGHTS,
    is_plain_name,
};
use super::lock::Lock;
use super::parts::part_names;
use super::progress::Progress;
use super::refusals::refuse_lost;
use super::response_record::is_response_record;
use super::view::{RunView, usable};
use crate::console::one_line;
use crate::digest::sha256;
use crate::exit::Exit;
use crate::record::Ending;
use crate::regular;
use crate::temporaries;

/// The member that lists the others.
const CONTENTS: &str = "pack.json";
/// Bytes of the longest pack that is read: ten times that of a ResNet-1202.
const MOST_BYTES: u64 = 4 << 30;
/// What to do about a pack that cannot be unpacked.
const REMEDY: &str = "pack the run again";

/// What a pack holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Contents {
    format: u32,
    /// `<profile>/<name>`: the run's folder below the results.
    folder: String,
    identity: String,
    ending: Ending,
    iteration: u64,
    /// sha256 (hex) by path in the run's folder.
    files: BTreeMap<String, String>,
}

/// A pack that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    pub bytes: u64,
    /// The last iteration in it.
    pub iteration: u64,
    /// Why it does not hold the newest checkpoint, if so.
    pub damage: Option<String>,
}

/// Packs a run into `out`; an older pack there is replaced.
///
/// # Errors
/// [`Exit::Storage`] if another process is at work on the run, its files are damaged, or `out` cannot be written;
/// [`Exit::Usage`] if `out` is another file than a pack, or in the run's own folder.
pub fn pack(results_dir: &Path, folder: &Path, out: &Path) -> Result<Packed> {
    pack_on(&Disk::default(), results_dir, folder, out)
}

/// [`pack`] on a disk that a test can stop.
///
/// # Errors
/// As for [`pack`].
pub fn pack_on(disk: &Disk, results_dir: &Path, folder: &Path, out: &Path) -> Result<Packed> {
    let gone = || Exit::Storage.error(format!("{}: no run in this folder", folder.display()));
    let plan_folder = RunView::look(folder)?.ok_or_else(gone)?.plan().folder();
    let _lock = Lock::take(results_dir, &plan_folder)?;
    // It may have ended while the lock was waited for.
    let run = RunView::look(folder)?.ok_or_else(gone)?;
    let mut files = BTreeMap::new();
    let (mut reached, mut damage) = (run.iteration, None);
    let mut add = |name: &str, from: &str| -> Result<()> {
        let path = folder.join(from);
        if path.exists() {
            let bytes = regular::read(&path).map_err(|error| unreadable(&path, &error))?;
            files.insert(name.to_owned(), bytes);
        }
        Ok(())
    };
    for name in [RUN, LOG] {
        add(name, name)?;
    }
    let inside = out.parent().and_then(|parent| parent.canonicalize().ok());
    ensure!(
        inside.is_none() || inside != folder.canonicalize().ok(),
        Exit::Usage.error(format!(
            "{}: this is the run's own folder; write the pack elsewhere",
            out.display()
        ))
    );
    ensure!(
        !out.is_file() || is_pack(out),
        Exit::Usage.error(format!(
            "{}: this file is no pack, and would be lost; write the pack elsewhere",
            out.display()
        ))
    );
    if run.ending.is_final() {
        // Damage is found here, not on another machine.
        run.clone().read()?;
        run.load_weights()?;
        for name in [DONE, ITERATIONS, EVALUATIONS, WEIGHTS] {
            add(name, name)?;
        }
        for name in response_records(folder)? {
            add(&name, &name)?;
        }
    } else if let Some(found) = checkpoint::newest(folder, run.plan().identity())? {
        add(
            CHECKPOINT,
            if found.previous { PREVIOUS } else { CHECKPOINT },
        )?;
        for name in part_names(found.place.part) {
            add(&name, &name)?;
        }
        reached = found.checkpoint.iteration;
        damage = found.damage;
        if reached == run.plan().recipe.iterations {
            add(VIEWS, VIEWS)?;
        }
        let progress = Progress::new(run.plan().identity(), reached, found.place);
        files.insert(PROGRESS.into(), progress.to_bytes()?);
    } else {
        refuse_lost(folder, run.plan())?;
    }
    let contents = Contents {
        format: FORMAT,
        folder: plan_folder,
        identity: run.plan().identity().into(),
        ending: run.ending,
        iteration: reached,
        files: files
            .iter()
            .map(|(name, bytes)| (name.clone(), sha256(bytes)))
            .collect(),
    };
    let bytes = to_tar(&contents, &files)?;
    if let Some(parent) = out.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        disk.create_dir(parent)?;
    }
    disk.replace(out, &bytes)?;
    Ok(Packed {
        bytes: bytes.len() as u64,
        iteration: reached,
        damage,
    })
}

/// Whether a file begins as a pack does, or is empty.
fn is_pack(path: &Path) -> bool {
    let Ok(file) = regular::open(path) else {
        return false;
    };
    let mut header = Vec::new();
    let named = |header: &[u8]| header.strip_prefix(CONTENTS.as_bytes())?.first().copied();
    match file
        .take(CONTENTS.len() as u64 + 1)
        .read_to_end(&mut header)
    {
        // A tar begins with its first member's name, filled up with zeros.
        Ok(_) => header.is_empty() || named(&header) == Some(0),
        Err(_) => false,
    }
}

/// The names of a run's measured layer responses.
fn response_records(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let all = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    for file in all {
        let file = file.map_err(|error| unreadable(folder, &error))?;
        let name = file.file_name().to_string_lossy().into_owned();
        if is_response_record(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The same files give the same bytes.
fn to_tar(contents: &Contents, files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let list = serde_json::to_vec_pretty(contents)?;
    let members = files.iter().map(|(name, bytes)| (name.as_str(), bytes));
    for (name, bytes) in std::iter::once((CONTENTS, &list)).chain(members) {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes.as_slice())
            .with_context(|| format!("cannot pack {name}"))?;
    }
    tar.into_inner().context("cannot finish the pack")
}

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
        let mut member = member.map_err(|error| refuse(&error))?;
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

fn is_file_of_a_run(name: &str) -> bool {
    let files = [
        RUN,
        DONE,
        PROGRESS,
        VIEWS,
        LOG,
        ITERATIONS,
        EVALUATIONS,
        WEIGHTS,
        CHECKPOINT,
    ];
    let of_parts = name
        .strip_prefix(PARTS)
        .and_then(|rest| rest.strip_prefix('/'));
    files.contains(&name)
        || is_response_record(name)
        || of_parts.is_some_and(|part| is_plain_name(part) && part.ends_with(".parquet"))
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> anyhow::Error {
    // The reader of archives quotes what it takes for a header.
    let text = error.to_string();
    let first = text
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches(':');
    format::unreadable(path, &first, REMEDY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_runs_own_files_are_taken() {
        for name in [
            RUN,
            VIEWS,
            WEIGHTS,
            "responses-38c3beb1.toml",
            "parts/iterations-000001.parquet",
        ] {
            assert!(is_file_of_a_run(name), "{name}");
        }
        for name in [
            "../run.toml",
            "/etc/passwd",
            "parts/../../x.parquet",
            "parts/.x.parquet",
            "parts/sub/x.parquet",
            "responses-../../x.toml",
            "notes",
        ] {
            assert!(!is_file_of_a_run(name), "{name}");
        }
        assert!(
            is_plain_name("resnet-20-s1-5118218e") && !is_plain_name("..") && !is_plain_name("")
        );
    }
}
