//! All writes, syncs, renames and removals of runs, so that files are replaced atomically and tests can stop a run
//! between any two operations.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

use super::fault::Fault;
use crate::again::again;
use crate::exit::Exit;
use crate::temporaries;

/// How the names of temporary files end.
const TEMPORARY: &str = ".tmp";

/// The file system operations of runs. Clones share an injected fault.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    fault: Option<Arc<Fault>>,
}

impl Disk {
    /// A disk with an injected fault.
    pub fn with_fault(fault: Arc<Fault>) -> Self {
        Self { fault: Some(fault) }
    }

    /// Creates a folder and its parents.
    ///
    /// # Errors
    /// [`Exit::Storage`] with the path and the system's error, as in every operation here.
    pub fn create_dir(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        self.before("creating", path)?;
        annotated("creating", path, std::fs::create_dir_all(path))?;
        match path.parent() {
            Some(parent) => self.sync_dir(parent),
            None => Ok(()),
        }
    }

    /// Atomically replaces the contents of `path` through a temporary file. After a crash at any point the path holds
    /// either the old bytes or the new ones.
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        // A device or a pipe is written to, not replaced.
        if std::fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
            let written = OpenOptions::new().write(true).open(path);
            return annotated(
                "writing",
                path,
                written.and_then(|mut file| file.write_all(bytes)),
            );
        }
        let temporary = self.write_beside(path, bytes)?;
        // The temporary file means nothing to whoever reads of it.
        let renamed = self.renamed(&temporary, path, ("replacing", path));
        if renamed.is_err() {
            self.discard(&temporary);
        }
        renamed?;
        self.sync_parent(path)
    }

    /// Writes and syncs `bytes` to a temporary file next to `path`, and returns its path for [`Disk::rename`].
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn write_beside(&self, path: &Path, bytes: &[u8]) -> Result<PathBuf> {
        let (temporary, mut file) = annotated("creating", path, temporary(path))?;
        // An injected fault stands for a killed process, which removes nothing.
        if self.fault.is_none() {
            temporaries::add(&temporary);
        }
        let written = self.fill(&temporary, &mut file, bytes);
        if written.is_err() {
            self.discard(&temporary);
        }
        written.map(|()| temporary)
    }

    /// Removes a temporary file that could not be written or renamed and is only in the way.
    fn discard(&self, temporary: &Path) {
        if self.fault.is_none() {
            let _ = std::fs::remove_file(temporary);
            temporaries::forget(temporary);
        }
    }

    fn fill(&self, temporary: &Path, file: &mut File, bytes: &[u8]) -> Result<()> {
        // Two writes, so that tests can stop in between: a killed process may leave a partial file.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        annotated("writing", temporary, file.write_all(first))?;
        if let Some(fault) = &self.fault {
            fault.wrote(temporary);
        }
        self.before("writing", temporary)?;
        annotated("writing", temporary, file.write_all(second))?;
        self.before("syncing", temporary)?;
        annotated("syncing", temporary, file.sync_all())?;
        if let Some(fault) = &self.fault {
            fault.synced(temporary);
        }
        Ok(())
    }

    /// Removes temporary files that a killed process has left in a folder, which must be locked.
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn remove_temporaries(&self, folder: &Path) -> Result<()> {
        let Ok(entries) = std::fs::read_dir(folder) else {
            return Ok(());
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') && name.ends_with(TEMPORARY) {
                self.remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Renames, replacing an existing file. Durable only after [`Disk::sync_parent`].
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.renamed(from, to, ("renaming", from))
    }

    /// [`Disk::rename`]; an error says that this was being done to that path.
    fn renamed(&self, from: &Path, to: &Path, (doing, named): (&str, &Path)) -> Result<()> {
        self.before("renaming", from)?;
        if let Some(fault) = &self.fault {
            fault.renaming(from, to);
        }
        annotated(doing, named, temporaries::rename(from, to))
    }

    /// Removes a file, if it exists.
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn remove(&self, path: &Path) -> Result<()> {
        if std::fs::symlink_metadata(path).is_err() {
            return Ok(());
        }
        self.before("removing", path)?;
        if let Some(fault) = &self.fault {
            fault.removing(path);
        }
        annotated("removing", path, std::fs::remove_file(path))
    }

    /// Removes a folder and its contents, if it exists.
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn remove_dir(&self, path: &Path) -> Result<()> {
        let Ok(there) = std::fs::symlink_metadata(path) else {
            return Ok(());
        };
        self.before("removing", path)?;
        let removed = match there.is_dir() {
            true => std::fs::remove_dir_all(path),
            // A file or a link in its place.
            false => std::fs::remove_file(path),
        };
        annotated("removing", path, removed)
    }

    /// Appends a line to a text file without syncing; logs need not survive a crash.
    ///
    /// # Errors
    /// [`Exit::Storage`].
    pub fn append(&self, path: &Path, line: &str) -> Result<()> {
        self.before("writing", path)?;
        let write = || {
            let mut file = OpenOptions::new().create(true).append(true).open(path)?;
            file.write_all(format!("{line}\n").as_bytes())
        };
        annotated("writing", path, write())
    }

    /// Syncs the parent folder of `path`, which makes renames and removals in it durable.
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
        // Other systems cannot open a folder as a file, and order these operations themselves.
        #[cfg(unix)]
        match File::open(path).and_then(|folder| folder.sync_all()) {
            // Some network and user-space file systems cannot sync folders.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::InvalidInput | ErrorKind::Unsupported
                ) => {}
            synced => annotated("syncing", path, synced)?,
        }
        if let Some(fault) = &self.fault {
            fault.synced_dir(path);
        }
        Ok(())
    }

    fn before(&self, doing: &str, path: &Path) -> Result<()> {
        match &self.fault {
            Some(fault) => annotated(doing, path, fault.step()),
            None => Ok(()),
        }
    }
}

/// Creates a file next to `path` that no other process writes.
fn temporary(path: &Path) -> std::io::Result<(PathBuf, File)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let unique = format!(".{name}.{}-{count}{TEMPORARY}", std::process::id());
        let temporary = path.with_file_name(unique);
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
        {
            Ok(file) => return Ok((temporary, file)),
            // Of a process with this number on another machine, or before a restart.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

fn annotated<T>(doing: &str, path: &Path, result: std::io::Result<T>) -> Result<T> {
    result.map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                format!("; make room and {}", again())
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                "; choose a writable folder".into()
            }
            ErrorKind::FileTooLarge => "; raise the limit on file sizes (ulimit -f)".into(),
            ErrorKind::IsADirectory | ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
                "; move away what is there".into()
            }
            _ => String::new(),
        };
        Exit::Storage.error(format!(
            "{}: {doing} failed: {error}{remedy}",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_replaced_is_named_and_the_temporary_file_removed() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("run.tar");
        std::fs::create_dir(&there).unwrap();
        let error = Disk::default().replace(&there, b"bytes").unwrap_err();
        let expected = format!("{}: replacing failed: ", there.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
