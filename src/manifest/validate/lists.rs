//! Lists of names and seeds: no duplicates, and at least one seed.

use std::collections::BTreeSet;

use anyhow::Result;

use super::super::source::Source;

pub(super) fn check_names(source: &Source, place: &[&str], names: &[String]) -> Result<()> {
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            let index = index.to_string();
            let place: Vec<&str> = place.iter().copied().chain([index.as_str()]).collect();
            return Err(source.error(&place, &format!("\"{name}\" is listed twice; remove one")));
        }
    }
    Ok(())
}

pub(super) fn check_seeds(source: &Source, place: &[&str], seeds: &[u64]) -> Result<()> {
    match seeds_fault(seeds) {
        None => Ok(()),
        Some(why) => Err(source.error(place, &why)),
    }
}

/// What is wrong with a list of seeds.
pub(in crate::manifest) fn seeds_fault(seeds: &[u64]) -> Option<String> {
    let distinct: BTreeSet<&u64> = seeds.iter().collect();
    if seeds.is_empty() {
        Some("no seeds; list at least one, e.g. seeds = [1]".into())
    } else if distinct.len() < seeds.len() {
        Some(format!(
            "seeds = {seeds:?} lists a seed twice; remove the duplicate"
        ))
    } else {
        None
    }
}
