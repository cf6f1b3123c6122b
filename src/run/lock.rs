//! Locks a run for one process. The operating system releases the lock when its owner dies. The lock file stays, outside
//! the run's folder, so that the run can be removed and restarted while locked.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::own_folder;
use super::provenance::host;
use crate::exit::Exit;

/// A run's lock, released on drop.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The folder of all lock files.
const LOCKS: &str = ".locks";
/// Bytes of the longest owner that is read.
const MOST_OWNER: u64 = 1000;
/// Times that a lock of this very process is tried again. A program that this process starts at the moment holds all its files
/// until it runs, also a lock that was just released.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// The lock file of the run `folder`.
fn lock_path(results_dir: &Path, folder: &str) -> PathBuf {
    let name = own_folder::flat_name(folder);
    results_dir.join(LOCKS).join(name)
}

/// Opens a lock file, which may be new. A link would be followed to a file of somebody else, and a pipe would wait.
fn open(path: &Path) -> io::Result<File> {
    let created = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path);
    match created {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            match std::fs::symlink_metadata(path)?.is_file() {
                true => OpenOptions::new().read(true).write(true).open(path),
                false => Err(io::Error::other("it is not a regular file; remove it")),
            }
        }
        created => created,
    }
}

impl Lock {
    /// Locks the run `folder` (see [`crate::plan::RunPlan::folder`]) in `results_dir`.
    ///
    /// # Errors
    /// [`Exit::Busy`] if another process holds the lock, with its id and host; [`Exit::Storage`] if the file cannot be written.
    pub fn take(results_dir: &Path, folder: &str) -> Result<Self> {
        let path = lock_path(results_dir, folder);
        let refuse = |doing: &str, error: &io::Error| {
            Exit::Storage.error(format!(
                "{}: cannot {doing} the run's lock: {error}; make room, or name a writable folder with --results-dir",
                path.display()
            ))
        };
        let prepared = || -> io::Result<File> {
            own_folder::create(results_dir, LOCKS)?;
            open(&path)
        };
        let mut file = prepared().map_err(|error| refuse("create", &error))?;
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    let owner = read_owner(&mut file);
                    if owner == own_name() && tries < TRIES {
                        tries += 1;
                        std::thread::sleep(PAUSE);
                        continue;
                    }
                    let owner = match owner.as_str() {
                        "" => "another process",
                        known => known,
                    };
                    return Err(Exit::Busy.error(format!(
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
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", own_name()).as_bytes()))
            .map_err(|error| refuse("write", &error))?;
        Ok(Self { _file: file })
    }
}

/// What a lock file says of this process.
fn own_name() -> String {
    format!("process {} on {}", std::process::id(), host())
}

/// The owner in a lock file, as one line. Some systems do not allow reading a locked file.
fn read_owner(file: &mut File) -> String {
    let mut owner = String::new();
    let read = file
        .rewind()
        .and_then(|()| file.take(MOST_OWNER).read_to_string(&mut owner));
    match read {
        Ok(_) => owner.split_whitespace().collect::<Vec<_>>().join(" "),
        Err(_) => String::new(),
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
    // A pipe would be waited for.
    if !std::fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
        return Owner::Nobody;
    }
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
