//! Files and folders under names that no other process uses. They are created exclusively, so that no link that waits
//! under the name is followed. What nobody resumes is held in [`crate::temporaries`], so that a signal removes it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::temporaries;

/// Ends the names that this module gives.
const ENDING: &str = ".part";

/// Creates a file beside `path`, and gives its path.
pub(super) fn file_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    beside(path, create_new)
}

/// Creates a folder beside `path`, and gives its path.
pub(super) fn folder_beside(path: &Path) -> io::Result<PathBuf> {
    let created = beside(path, |own| DirBuilder::new().create(own));
    created.map(|((), folder)| folder)
}

/// Creates a file that must not exist, for reading and writing.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
}

/// Writes a file that must not exist, for a folder that gets its name later. It is then not cut short by a power cut.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_new(path)?;
    file.write_all(bytes)?;
    sync(&file)
}

/// Writes a file in place of an older one. After a crash there is either; of several that write at a time, one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (mut file, own) = file_beside(path)?;
    let _held = temporaries::hold(&own);
    let written = file
        .write_all(bytes)
        .and_then(|()| sync(&file))
        .and_then(|()| temporaries::rename(&own, path));
    if written.is_err() {
        fs::remove_file(&own).ok();
    }
    written
}

/// Syncs a file. Some file systems cannot; the digest of the data is verified anyway.
pub(super) fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

/// What this module created beside `path` and was not removed, by whichever process.
pub(super) fn leftovers(path: &Path) -> Vec<PathBuf> {
    let Some((folder, name)) = path.parent().zip(path.file_name()) else {
        return Vec::new();
    };
    let name = name.to_string_lossy();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let found = entry.file_name();
            let found = found.to_string_lossy();
            found
                .strip_prefix(&*name)
                .and_then(|rest| rest.strip_prefix('.')?.strip_suffix(ENDING))
                .is_some_and(|own| {
                    own.chars()
                        .all(|letter| letter.is_ascii_digit() || letter == '-')
                })
        })
        .map(|entry| entry.path())
        .collect()
}

fn beside<T>(path: &Path, create: impl Fn(&Path) -> io::Result<T>) -> io::Result<(T, PathBuf)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}-{count}{ENDING}", std::process::id()));
        let own = path.with_file_name(name);
        match create(&own) {
            // A process on another machine may have the same id.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            created => return created.map(|created| (created, own)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_names_are_the_same_and_all_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive");
        for other in [
            "archive",
            "archive.part",
            "archive.x.part",
            "other.1-2.part",
        ] {
            std::fs::write(folder.path().join(other), "").unwrap();
        }
        let (_, file) = file_beside(&path).unwrap();
        let mut own = vec![file, folder_beside(&path).unwrap()];
        let mut found = leftovers(&path);
        own.sort();
        found.sort();
        assert_eq!(found, own);
    }
}
