//! The error for data that cannot be written.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::exit::Exit;

/// An error for `path` that could not be written, with its own message for a full disk.
pub(super) fn storage_error(path: &Path, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Exit::Storage.error(format!(
            "the disk is full at {}: {error}; CIFAR-10 needs 360 MB while unpacking and 185 MB afterwards: make room, or move the cache with REFIG_CACHE",
            path.display()
        )),
        _ => Exit::Storage.error(format!(
            "cannot write {}: {error}; check its permissions, or move the cache with REFIG_CACHE",
            path.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_its_own_message() {
        let full = storage_error(Path::new("x.part"), &ErrorKind::StorageFull.into());
        assert!(
            full.to_string().contains("disk is full at x.part"),
            "{full}"
        );
        assert_eq!(Exit::of(&full), Exit::Storage);
        let other = storage_error(Path::new("x.part"), &ErrorKind::PermissionDenied.into());
        assert!(other.to_string().contains("cannot write x.part"), "{other}");
    }
}
