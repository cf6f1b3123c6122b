//! A manifest is named like its file.

use anyhow::Result;

use super::super::source::Source;

pub(super) fn check(source: &Source) -> Result<()> {
    let stem = source
        .path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    if source.file.name != stem {
        return Err(source.error(
            &["name"],
            &format!(
                "name = \"{}\" does not match the file name {stem}.toml; rename one of them",
                source.file.name
            ),
        ));
    }
    Ok(())
}
