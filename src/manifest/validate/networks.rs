//! The networks that a manifest trains, with their exceptions and seeds, at every profile.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::super::source::Source;
use super::lists::{check_names, check_seeds};
use crate::nearest::{nearest, remedy};
use crate::recipe::{Recipe, Shortcut};

pub(super) fn check(source: &Source) -> Result<()> {
    let file = &source.file;
    if let Some(other) = &file.runs_from {
        return Err(source.error(
            &["runs_from"],
            &format!(
                "{} itself draws the runs of \"{other}\"; use runs_from = \"{other}\"",
                file.name
            ),
        ));
    }
    if file.networks.is_empty() {
        return Err(source.error(
            &["networks"],
            "no networks; list the ones to train, e.g. networks = [\"plain-20\"]",
        ));
    }
    let lists = [
        ("networks", &file.networks),
        ("optional_networks", &file.optional_networks),
    ];
    for (key, names) in lists {
        for (index, name) in names.iter().enumerate() {
            canonical(source, &[key, &index.to_string()], name)?;
        }
        check_names(source, &[key], names)?;
    }
    if let Some(index) = file
        .optional_networks
        .iter()
        .position(|n| file.networks.contains(n))
    {
        let name = &file.optional_networks[index];
        return Err(source.error(
            &["optional_networks", &index.to_string()],
            &format!("\"{name}\" is also in `networks`; remove it from one of the lists"),
        ));
    }
    let known: BTreeSet<&String> = file
        .networks
        .iter()
        .chain(&file.optional_networks)
        .collect();
    exceptions(source, &known, &file.exceptions, &[])?;
    check_seeds(source, &["seeds"], &file.seeds)?;
    for (profile, scale) in &file.profiles {
        exceptions(source, &known, &scale.exceptions, &["profiles", profile])?;
        if let Some(names) = &scale.networks {
            check_names(source, &["profiles", profile, "networks"], names)?;
            for (index, name) in names.iter().enumerate() {
                if !file.networks.contains(name) {
                    return Err(source.error(
                        &["profiles", profile, "networks", &index.to_string()],
                        &format!(
                            "\"{name}\" is not in `networks`; add it there, or {}",
                            remedy(name, file.networks.iter().map(String::as_str))
                        ),
                    ));
                }
            }
        }
        if let Some(seeds) = &scale.seeds {
            check_seeds(source, &["profiles", profile, "seeds"], seeds)?;
        }
    }
    Ok(())
}

/// Rejects exceptions for networks that are not `known`. `place` is the table that holds them.
fn exceptions(
    source: &Source,
    known: &BTreeSet<&String>,
    exceptions: &BTreeMap<String, Recipe>,
    place: &[&str],
) -> Result<()> {
    let Some(name) = exceptions.keys().find(|name| !known.contains(name)) else {
        return Ok(());
    };
    let meant = nearest(name, known.iter().map(|known| known.as_str()));
    Err(source.error(
        &[place, &["exceptions", name]].concat(),
        &match meant {
            Some(meant) => format!(
                "exception for \"{name}\", which is not trained; did you mean \"{meant}\"?"
            ),
            None => format!(
                "exception for \"{name}\", which is not trained; add it to `networks` or remove the exception"
            ),
        },
    ))
}

fn canonical(source: &Source, place: &[&str], name: &str) -> Result<()> {
    let network = source
        .network(name, Shortcut::A)
        .map_err(|error| source.error(place, &error.to_string()))?;
    if network.name != name {
        return Err(source.error(
            place,
            &format!("write \"{}\" instead of \"{name}\"", network.name),
        ));
    }
    Ok(())
}
