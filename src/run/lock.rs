//! One process a run. The lock is the operating system's and dies with its owner; the file that carries it stays, outside
//! the run's folder, so that a run can be removed and begun anew under it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, Result};

use super::provenance::host;
use crate::exit::Exit;

/// Held as long as the value lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the run `folder` (as of [`crate::plan::RunPlan::folder`]) in `results_dir`.
    ///
    /// # Errors
    /// [`Exit::Storage`] if another process has it, with its number and machine, or if the file cannot be made.
    pub fn take(results_dir: &Path, folder: &str) -> Result<Self> {
        let locks = results_dir.join(".locks");
        let path = locks.join(folder.replace('/', "--"));
        let open = || -> std::io::Result<File> {
            std::fs::create_dir_all(&locks)?;
            let ignore = locks.join(".gitignore");
            if !ignore.exists() {
                std::fs::write(ignore, "*\n")?;
            }
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
        };
        let mut file = open().map_err(|error| {
            Exit::Storage.error(format!(
                "{}: the run's lock cannot be made: {error}; name a folder that can be written with --results-dir",
                path.display()
            ))
        })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Some systems let nobody read a locked file.
                file.read_to_string(&mut owner).ok();
                let owner = match owner.trim() {
                    "" => "another process",
                    known => known,
                };
                return Err(Exit::Storage.error(format!(
                    "{}: {owner} is at work on this run; wait for it or stop it, then start the same command again",
                    results_dir.join(folder).display()
                )));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Exit::Storage.error(format!(
                    "{}: the run cannot be locked: {error}; name a folder on a file system with locks with --results-dir",
                    path.display()
                )));
            }
        }
        let owner = format!("process {} on {}\n", std::process::id(), host());
        file.set_len(0)
            .and_then(|()| file.write_all(owner.as_bytes()))
            .with_context(|| format!("{}", path.display()))?;
        Ok(Self { _file: file })
    }
}

/// Who is at work on a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A process on this machine.
    AtWork,
    Nobody,
    /// The last one was on this other machine, which alone knows of its processes.
    Elsewhere(String),
}

/// Who is at work on the run `folder` (as of [`crate::plan::RunPlan::folder`]) in `results_dir`. The lock itself is tried
/// only where its last owner's process exists, so that looking does not get in the way of a run that is about to begin.
pub fn owner(results_dir: &Path, folder: &str) -> Owner {
    let path = results_dir.join(".locks").join(folder.replace('/', "--"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Owner::Nobody;
    };
    let mut words = text.split_whitespace();
    if let (Some("process"), Some(process), Some("on"), Some(machine)) =
        (words.next(), words.next(), words.next(), words.next())
    {
        if machine != host() {
            return Owner::Elsewhere(machine.into());
        }
        let processes = Path::new("/proc");
        if processes.join("self").exists() && !processes.join(process).exists() {
            return Owner::Nobody;
        }
    }
    let Ok(file) = File::open(&path) else {
        return Owner::Nobody;
    };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Owner::AtWork,
        _ => Owner::Nobody,
    }
}
