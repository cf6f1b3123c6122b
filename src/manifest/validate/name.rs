//! A manifest is named like its file, and so are its reports.

use anyhow::Result;

use super::super::source::Source;
use super::PLAIN;
use crate::plain_name::is_plain_name;

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
    if !is_plain_name(&stem) {
        return Err(source.error(
            &["name"],
            &format!("name = {stem:?} is the name of a folder, too; {PLAIN}, and rename the file"),
        ));
    }
    Ok(())
}
