//! Locks a run for one process. The operating system releases the lock when its owner dies. The lock file stays, outside
//! the run's folder, so that the run can be removed and restarted while locked.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::provenance::host;
use crate::exit::Exit;

/// A run's lock, released on drop.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The lock file of the run `folder`.
fn lock_path(results_dir: &Path, folder: &str) -> PathBuf {
    results_dir.join(".locks").join(folder.replace('/', "--"))
}

impl Lock {
    /// Locks the run `folder` (see [`crate::plan::RunPlan::folder`]) in `results_dir`.
    ///
    /// # Errors
    /// [`Exit::Storage`] if another process holds the lock, with its id and host, or if the file cannot be created.
    pub fn take(results_dir: &Path, folder: &str) -> Result<Self> {
        let locks = results_dir.join(".locks");
        let path = lock_path(results_dir, folder);
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
                "{}: cannot create the run's lock: {error}; name a writable folder with --results-dir",
                path.display()
            ))
        })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Some systems do not allow reading a locked file.
                file.read_to_string(&mut owner).ok();
                let owner = match owner.trim() {
                    "" => "another process",
                    known => known,
                };
                return Err(Exit::Storage.error(format!(
                    "{}: {owner} is working on this run; wait for it or stop it, then run the same command again",
                    results_dir.join(folder).display()
                )));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Exit::Storage.error(format!(
                    "{}: cannot lock the run: {error}; name a folder on a file system that supports locks with --results-dir",
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

/// Who is working on a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A process on this machine.
    AtWork,
    Nobody,
    /// The last owner was a process on this other host, whose processes are not visible here.
    Elsewhere(String),
}

/// Who is working on the run `folder` (see [`crate::plan::RunPlan::folder`]) in `results_dir`. Tries the lock only if the
/// process of its last owner exists, so that the check does not interfere with a run that is about to start.
pub(super) fn owner(results_dir: &Path, folder: &str) -> Owner {
    let path = lock_path(results_dir, folder);
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
