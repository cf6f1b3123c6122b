//! A run in one file, to move it to another machine: written here, put in place by `unpack.rs`.
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
use super::layout::{
    CHECKPOINT, DONE, EVALUATIONS, ITERATIONS, LOG, PARTS, PREVIOUS, PROGRESS, RUN, VIEWS, WEIGHTS,
    is_plain_name,
};
use super::lock::Lock;
use super::parts::part_names;
use super::progress::Progress;
use super::refusals::refuse_lost;
use super::response_record::is_response_record;
use super::view::RunView;
use crate::digest::sha256;
use crate::exit::Exit;
use crate::record::Ending;
use crate::regular;

/// The member that lists the others.
pub(super) const CONTENTS: &str = "pack.json";
/// What to do about a pack that cannot be unpacked.
pub(super) const REMEDY: &str = "pack the run again";

/// What a pack holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents {
    pub format: u32,
    /// `<profile>/<name>`: the run's folder below the results.
    pub folder: String,
    pub identity: String,
    pub ending: Ending,
    pub iteration: u64,
    /// sha256 (hex) by path in the run's folder.
    pub files: BTreeMap<String, String>,
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
pub(super) fn is_pack(path: &Path) -> bool {
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

/// Whether a pack may hold a file of this name.
pub(super) fn is_file_of_a_run(name: &str) -> bool {
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

pub(super) fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> anyhow::Error {
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
