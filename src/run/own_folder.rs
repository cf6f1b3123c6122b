//! Folders of the program's own in a results folder: hidden, and ignored by git.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Creates the folder `name`, which begins with a dot, in `results_dir`, and gives its path.
///
/// # Errors
/// Those of the system.
pub fn create(results_dir: &Path, name: &str) -> io::Result<PathBuf> {
    let folder = results_dir.join(name);
    fs::create_dir_all(&folder)?;
    let ignore = folder.join(".gitignore");
    // It is empty where a process could create it and no more.
    if !fs::metadata(&ignore).is_ok_and(|there| there.len() > 0) {
        fs::write(ignore, "*\n")?;
    }
    Ok(folder)
}

/// The name of a file about the run `folder` (see [`crate::plan::RunPlan::folder`]), in a folder of all runs.
pub fn flat_name(folder: &str) -> String {
    folder.replace('/', "--")
}
