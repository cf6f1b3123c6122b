//! What a program was built from: one digest of its sources. `build.rs` takes it when it builds, the program when it runs:
//! where they differ, the folder no longer says what the program is.

use std::io::{Error, Result};
use std::path::Path;

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use super::digest::hex;

/// What is compiled, and what decides how.
pub const PARTS: [&str; 4] = ["src", "build.rs", "Cargo.toml", "Cargo.lock"];

/// sha256 in hex of the names, lengths and bytes of a package's sources, by name. `root` holds its `Cargo.toml`.
///
/// # Errors
/// A file that cannot be read.
pub fn digest(root: &Path) -> Result<String> {
    let mut digest = Sha256::new();
    for part in PARTS {
        for entry in WalkDir::new(root.join(part)).sort_by_file_name() {
            let entry = entry.map_err(Error::from)?;
            if !entry.file_type().is_file() {
                continue;
            }
            let name = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let bytes = std::fs::read(entry.path())?;
            digest.update(format!("{} {}\n", name.display(), bytes.len()));
            digest.update(bytes);
        }
    }
    Ok(hex(&digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_name_counts_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |name: &str, text: &str| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for part in [
            "build.rs",
            "Cargo.toml",
            "Cargo.lock",
            "src/lib.rs",
            "src/a/b.rs",
        ] {
            write(part, "x");
        }
        let first = digest(root).unwrap();
        assert_eq!(first.len(), 64);
        write("results/run.toml", "x");
        assert_eq!(digest(root).unwrap(), first);
        write("src/a/b.rs", "y");
        let changed = digest(root).unwrap();
        assert_ne!(changed, first);
        std::fs::rename(root.join("src/a/b.rs"), root.join("src/a/c.rs")).unwrap();
        assert_ne!(digest(root).unwrap(), changed);
        std::fs::remove_file(root.join("Cargo.lock")).unwrap();
        assert!(digest(root).is_err());
    }
}
