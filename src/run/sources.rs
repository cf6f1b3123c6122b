//! The digest of the program's sources, computed by `build.rs` at build time and by the program at run time. If they
//! differ, the source folder no longer describes the program.

use std::io::{Error, Result};
use std::path::Path;

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use super::digest::hex;

/// The sources and the files that control the build.
pub const PARTS: [&str; 4] = ["src", "build.rs", "Cargo.toml", "Cargo.lock"];

/// sha256 (hex) of the names, lengths and contents of a package's sources, sorted by name. `root` is the folder of its
/// `Cargo.toml`.
///
/// # Errors
/// If a file cannot be read.
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
    fn the_digest_covers_contents_and_names_of_sources_only() {
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
