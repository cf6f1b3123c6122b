//! A manifest with `runs_from` describes no runs of its own.

use anyhow::Result;

use super::super::source::Source;

pub(super) fn check(own: &Source, other: &Source) -> Result<()> {
    let refuse = |place: &[&str]| {
        own.error(
            place,
            &format!(
                "`{}` cannot be combined with runs_from = \"{}\"; set it in {} or remove it",
                place.last().unwrap_or(&""),
                other.file.name,
                other.path.display()
            ),
        )
    };
    for key in [
        "data",
        "stem",
        "stride_in",
        "networks",
        "optional_networks",
        "seeds",
        "recipe",
        "exceptions",
    ] {
        if own.table.contains_key(key) {
            return Err(refuse(&[key]));
        }
    }
    for name in own.file.profiles.keys() {
        for key in ["recipe", "exceptions", "networks", "seeds", "synthetic"] {
            if own.table["profiles"][name].get(key).is_some() {
                return Err(refuse(&["profiles", name, key]));
            }
        }
    }
    Ok(())
}
