//! Small files in the cache folder that are only believed whole: a line that says what they are, the sha256 of the rest, and
//! the rest.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::data::temporary;
use crate::digest::sha256;
use crate::temporaries;

/// Hexadecimal digits of a digest.
const DIGEST: usize = 64;

/// What a file with this first line holds; none if there is none, or it is damaged.
pub(super) fn load(path: &Path, head: &str) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).ok()?;
    let sealed = bytes.strip_prefix(head.as_bytes())?.strip_prefix(b"\n")?;
    let (digest, rest) = sealed.split_at_checked(DIGEST)?;
    (sha256(rest).as_bytes() == digest).then(|| rest.to_vec())
}

/// Writes a file in place of an older one.
///
/// # Errors
/// Of the system, with the path.
pub(super) fn save(path: &Path, head: &str, rest: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let (mut file, beside) = temporary::file_beside(path)?;
        let _held = temporaries::hold(&beside);
        file.write_all(format!("{head}\n{}", sha256(rest)).as_bytes())?;
        file.write_all(rest)?;
        temporary::sync(&file)?;
        std::fs::rename(beside, path)
    };
    write().with_context(|| format!("{}", path.display()))
}
