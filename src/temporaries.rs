//! The files and folders that this process has begun under names of its own and that are renamed once they are complete. A
//! signal that ends the program removes them first; a process that is killed outright leaves them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// Those of this process.
static BEGUN: Begun = Begun::new();
/// The longest time that is spent on removing them: a file system may never answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Times that a folder is removed, in which other threads go on writing.
const TRIES: usize = 5;

/// Says that a file or folder was begun.
pub(crate) fn add(path: &Path) {
    BEGUN.add(path);
}

/// Says that it was renamed or removed.
pub(crate) fn forget(path: &Path) {
    BEGUN.forget(path);
}

/// Renames a file or folder, which is no longer begun then. Once the program is ending, this waits for ever: a folder must not
/// get its name while it is being removed.
///
/// # Errors
/// Of the system.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    BEGUN.rename(from, to)
}

/// Says that a file or folder was begun, and when this is dropped, that it was renamed or removed.
pub(crate) fn hold(path: &Path) -> Held {
    add(path);
    Held(path.into())
}

/// See [`hold`].
#[derive(Debug)]
pub(crate) struct Held(PathBuf);

impl Drop for Held {
    fn drop(&mut self) {
        forget(&self.0);
    }
}

/// Removes what is begun, for the end of the process. From then on nothing is renamed by [`rename`].
pub(crate) fn remove_all() {
    let (sender, receiver) = mpsc::channel();
    let removing = thread::Builder::new().name("tidy".into()).spawn(move || {
        BEGUN.remove();
        // Nobody waits any more if it took too long.
        let _ = sender.send(());
    });
    if removing.is_ok() {
        let _ = receiver.recv_timeout(PATIENCE);
    }
}

struct Begun(Mutex<Vec<PathBuf>>);

impl Begun {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn paths(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, path: &Path) {
        self.paths().push(path.into());
    }

    fn forget(&self, path: &Path) {
        self.paths().retain(|other| other != path);
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut paths = self.paths();
        std::fs::rename(from, to)?;
        paths.retain(|other| other != from);
        Ok(())
    }

    fn remove(&self) {
        let paths = self.paths();
        for path in paths.iter() {
            for _ in 0..TRIES {
                let removed = match std::fs::symlink_metadata(path) {
                    Ok(there) if there.is_dir() => std::fs::remove_dir_all(path),
                    Ok(_) => std::fs::remove_file(path),
                    Err(_) => break,
                };
                if removed.is_ok() {
                    break;
                }
            }
        }
        // The process ends now, and no other thread is to rename anything before it does.
        std::mem::forget(paths);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_still_begun_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let begun = Begun::new();
        for name in ["begun", "kept", "renamed"] {
            std::fs::write(at(name), "half").unwrap();
            begun.add(&at(name));
        }
        std::fs::create_dir_all(at("folder/inside")).unwrap();
        begun.add(&at("folder"));
        begun.add(&at("gone already"));
        begun.forget(&at("kept"));
        begun.rename(&at("renamed"), &at("complete")).unwrap();
        begun.remove();
        assert!(!at("begun").exists() && !at("folder").exists());
        assert!(at("kept").exists() && at("complete").exists());
        // Nothing is renamed any more.
        assert!(begun.0.try_lock().is_err());
    }

    #[test]
    fn what_is_held_is_begun_until_it_is_dropped() {
        let path = Path::new("held by this test alone");
        let is_begun = || BEGUN.paths().iter().any(|other| other == path);
        let held = hold(path);
        assert!(is_begun());
        drop(held);
        assert!(!is_begun());
    }
}
