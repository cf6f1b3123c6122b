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
