//! Paths as words of a command.

use std::path::Path;

use anyhow::Result;

use crate::exit::Exit;

/// A path from the root, as a word.
///
/// # Errors
/// [`Exit::Usage`] if it is not UTF-8 or has control characters, which scripts cannot carry.
pub fn path(path: &Path) -> Result<String> {
    let refuse = |why: &str| {
        Exit::Usage.error(format!(
            "{}: {why}, so it cannot be named in a script; use another path",
            path.display()
        ))
    };
    let whole = std::path::absolute(path).map_err(|error| refuse(&error.to_string()))?;
    let text = whole.to_str().ok_or_else(|| refuse("it is not UTF-8"))?;
    match text.chars().any(char::is_control) {
        true => Err(refuse("it has control characters")),
        false => Ok(text.to_owned()),
    }
}
