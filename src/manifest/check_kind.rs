//! What a manifest is refused for because of its kind.

use anyhow::Result;

use super::check::named_as_file;
use super::source::Source;
use super::{Kind, Metric};

/// What stands only in manifests of one kind.
pub(super) fn kind(own: &Source) -> Result<()> {
    let responses = own.file.kind == Kind::Responses;
    match &own.file.responses {
        None if responses => {
            return Err(own.error(
                &["kind"],
                "kind = \"responses\" without [responses]; say there which images, statistics and pooling are meant",
            ));
        }
        Some(_) if !responses => {
            return Err(own.error(
                &["responses"],
                "[responses] in a manifest of another kind; add kind = \"responses\" or remove it",
            ));
        }
        Some(how) if how.count == 0 => {
            return Err(own.error(
                &["responses", "count"],
                "count = 0; a deviation needs images",
            ));
        }
        _ => {}
    }
    for (at, panel) in own.file.panels.iter().enumerate() {
        let at = at.to_string();
        if panel.shows.contains(&Metric::Response) {
            return Err(own.error(
                &["panels", &at, "shows"],
                "responses are no curve over iterations; remove `shows`, or name errors",
            ));
        }
        if panel.axis.is_some() {
            return Err(own.error(
                &["panels", &at, "axis"],
                "`axis` names the axis of bars; remove it",
            ));
        }
        let table = own.table["panels"].get(at.parse::<usize>().unwrap_or(0));
        if !responses && table.is_some_and(|table| table.get("order").is_some()) {
            return Err(own.error(
                &["panels", &at, "order"],
                "`order` is of the layers of responses; remove it",
            ));
        }
    }
    Ok(())
}

/// A manifest of bars: panels with a file each and nothing that trains.
pub(super) fn bars(own: &Source) -> Result<()> {
    named_as_file(own)?;
    for key in [
        "runs_from",
        "networks",
        "optional_networks",
        "seeds",
        "recipe",
        "exceptions",
        "variants",
        "profiles",
        "claims",
        "responses",
        "style",
    ] {
        if own.table.contains_key(key) {
            return Err(own.error(
                &[key],
                &format!("`{key}` beside kind = \"bars\", which has no runs; remove it"),
            ));
        }
    }
    for (at, panel) in own.file.panels.iter().enumerate() {
        let at = at.to_string();
        let Some(reference) = &panel.reference else {
            return Err(own.error(
                &["panels", &at],
                &format!(
                    "the panel \"{}\" has no values; name their file in `reference`",
                    panel.title
                ),
            ));
        };
        let file = own.path.with_file_name(&reference.file);
        if !file.is_file() {
            return Err(own.error(
                &["panels", &at, "reference"],
                &format!(
                    "no file {}; paths are relative to the manifest",
                    file.display()
                ),
            ));
        }
        if !panel.networks.is_empty() {
            return Err(own.error(
                &["panels", &at, "networks"],
                "networks in a panel of bars; remove them",
            ));
        }
    }
    Ok(())
}
