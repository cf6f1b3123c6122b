//! Every write, sync, rename and removal in a run's directory, in one place: so that files appear whole or not at all,
//! and so that tests can stop a run between any two of these operations.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::fault::Fault;
use crate::exit::Exit;

/// The file system, as far as runs change it. Clones share the fault of a test.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    fault: Option<Arc<Fault>>,
}

impl Disk {
    /// A disk that stops as the fault says.
    pub fn with_fault(fault: Arc<Fault>) -> Self {
        Self { fault: Some(fault) }
    }

    /// Creates a folder and those above it.
    ///
    /// # Errors
    /// [`Exit::Storage`], as for every other operation here, with the path and what the system says.
    pub fn create_dir(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        self.before("creating", path)?;
        failing("creating", path, std::fs::create_dir_all(path))?;
        match path.parent() {
            Some(parent) => self.sync_dir(parent),
            None => Ok(()),
        }
    }

    /// Puts `bytes` under `path`: first whole under another name, which then replaces what was there. After a stop at any
    /// moment the path holds the old bytes or the new ones.
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let temporary = self.write_beside(path, bytes)?;
        self.rename(&temporary, path)?;
        self.sync_parent(path)
    }

    /// Writes and syncs `bytes` under a temporary name beside `path`, which is given back for [`Disk::rename`].
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn write_beside(&self, path: &Path, bytes: &[u8]) -> Result<PathBuf> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".tmp");
        let temporary = path.with_file_name(name);
        let mut file = failing("creating", &temporary, File::create(&temporary))?;
        // A process that is killed may leave any part of what it was writing.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        failing("writing", &temporary, file.write_all(first))?;
        if let Some(fault) = &self.fault {
            fault.wrote(&temporary);
        }
        self.before("writing", &temporary)?;
        failing("writing", &temporary, file.write_all(second))?;
        self.before("syncing", &temporary)?;
        failing("syncing", &temporary, file.sync_all())?;
        if let Some(fault) = &self.fault {
            fault.synced(&temporary);
        }
        Ok(temporary)
    }

    /// Renames; a file that is there is replaced. Lasting only after [`Disk::sync_parent`].
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.before("renaming", from)?;
        if let Some(fault) = &self.fault {
            fault.renaming(from, to);
        }
        failing("renaming", from, std::fs::rename(from, to))
    }

    /// Removes a file that may be there.
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn remove(&self, path: &Path) -> Result<()> {
        if !path.exists() {
            return Ok(());
        }
        self.before("removing", path)?;
        if let Some(fault) = &self.fault {
            fault.removing(path);
        }
        failing("removing", path, std::fs::remove_file(path))
    }

    /// Removes a folder that may be there with all that is in it.
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn remove_dir(&self, path: &Path) -> Result<()> {
        if !path.exists() {
            return Ok(());
        }
        self.before("removing", path)?;
        failing("removing", path, std::fs::remove_dir_all(path))
    }

    /// Adds a line to a text file. Not synced: the log is for people.
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn append(&self, path: &Path, line: &str) -> Result<()> {
        self.before("writing", path)?;
        let write = || {
            let mut file = OpenOptions::new().create(true).append(true).open(path)?;
            file.write_all(format!("{line}\n").as_bytes())
        };
        failing("writing", path, write())
    }

    /// Makes renames and removals in the path's folder last.
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn sync_parent(&self, path: &Path) -> Result<()> {
        self.sync_dir(path.parent().unwrap_or(Path::new(".")))
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        self.before("syncing", path)?;
        // Elsewhere a folder cannot be opened as a file, and the system looks after its order itself.
        #[cfg(unix)]
        failing(
            "syncing",
            path,
            File::open(path).and_then(|folder| folder.sync_all()),
        )?;
        if let Some(fault) = &self.fault {
            fault.synced_dir(path);
        }
        Ok(())
    }

    fn before(&self, doing: &str, path: &Path) -> Result<()> {
        match &self.fault {
            Some(fault) => failing(doing, path, fault.step()),
            None => Ok(()),
        }
    }
}

fn failing<T>(doing: &str, path: &Path, result: std::io::Result<T>) -> Result<T> {
    result.map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "; make room and start the same command again: it goes on from the last checkpoint"
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "; name a folder that can be written with --results-dir"
            }
            _ => "",
        };
        Exit::Storage.error(format!(
            "{}: {doing} failed: {error}{remedy}",
            path.display()
        ))
    })
}
