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
    if seeds.is_empty() {
        return Err(source.error(place, "no seeds; list at least one, e.g. seeds = [1]"));
    }
    let distinct: BTreeSet<&u64> = seeds.iter().collect();
    if distinct.len() < seeds.len() {
        return Err(source.error(
            place,
            &format!("seeds = {seeds:?} lists a seed twice; remove the duplicate"),
        ));
    }
    Ok(())
}
