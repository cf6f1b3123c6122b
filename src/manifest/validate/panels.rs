//! Panels: titles, networks and reference files.

use anyhow::Result;

use super::super::file::ReferenceFile;
use super::super::source::Source;
use super::lists::check_names;
use crate::nearest::remedy;

pub(super) fn check(own: &Source, runs: &Source) -> Result<()> {
    let known: Vec<&str> = [&runs.file.networks, &runs.file.optional_networks]
        .into_iter()
        .flatten()
        .chain(own.file.variants.keys())
        .map(String::as_str)
        .collect();
    let unknown = |place: &[&str], name: &str| {
        own.error(
            place,
            &format!(
                "unknown network \"{name}\"; {}, or add it to `networks`",
                remedy(name, known.iter().copied())
            ),
        )
    };

    if own.file.panels.is_empty() {
        return Err(own.error(&["panels"], "no panels; add at least one [[panels]]"));
    }
    for (at, panel) in own.file.panels.iter().enumerate() {
        let at = at.to_string();
        if panel.networks.is_empty() {
            return Err(own.error(
                &["panels", &at],
                &format!(
                    "panel \"{}\" has no networks; list the ones to draw, e.g. networks = [\"plain-20\"]",
                    panel.title
                ),
            ));
        }
        check_names(own, &["panels", &at, "networks"], &panel.networks)?;
        for (index, name) in panel.networks.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(unknown(
                    &["panels", &at, "networks", &index.to_string()],
                    name,
                ));
            }
        }
        if let Some(name) = &panel.only_with
            && !known.contains(&name.as_str())
        {
            return Err(unknown(&["panels", &at, "only_with"], name));
        }
        if !(0.0..1.0).contains(&panel.begins_at) {
            return Err(own.error(
                &["panels", &at, "begins_at"],
                &format!(
                    "begins_at = {} is not a fraction of the iterations; use at least 0 and below 1",
                    panel.begins_at
                ),
            ));
        }
        if let Some(reference) = &panel.reference {
            check_reference(own, &at, reference)?;
        }
    }
    let titles: Vec<&str> = (own.file.panels.iter())
        .map(|panel| panel.title.as_str())
        .collect();
    for (at, title) in titles.iter().enumerate() {
        if titles[..at].contains(title) {
            return Err(own.error(
                &["panels", &at.to_string(), "title"],
                &format!("duplicate panel title \"{title}\"; give each panel its own"),
            ));
        }
    }
    Ok(())
}

/// Rejects a missing reference file of panel `at`.
pub(super) fn check_reference(own: &Source, at: &str, reference: &ReferenceFile) -> Result<()> {
    let file = own.sibling(&reference.file);
    if !file.is_file() {
        return Err(own.error(
            &["panels", at, "reference"],
            &format!(
                "file not found: {}; paths are relative to the manifest",
                file.display()
            ),
        ));
    }
    Ok(())
}
