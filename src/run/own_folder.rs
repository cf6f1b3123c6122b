//! Folders of the program's own in a results folder: hidden, and ignored by git.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Creates the folder `name`, which begins with a dot, in `results_dir`, and gives its path.
///
/// # Errors
/// Those of the system.
pub fn create(results_dir: &Path, name: &str) -> io::Result<PathBuf> {
    let folder = results_dir.join(name);
    std::fs::create_dir_all(&folder)?;
    // Fails if it is there.
    if let Ok(mut ignore) = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(folder.join(".gitignore"))
    {
        ignore.write_all(b"*\n")?;
    }
    Ok(folder)
}

/// The name of a file about the run `folder` (see [`crate::plan::RunPlan::folder`]), in a folder of all runs.
pub fn flat_name(folder: &str) -> String {
    folder.replace('/', "--")
}
