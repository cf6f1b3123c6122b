//! What is rejected in a manifest beyond unknown keys and wrong types, each with file, line, value and remedy.
//!
//! `structure` looks at names and references before anything is merged, `experiment` at the result of merging one
//! profile. `recipe.rs` checks each merged recipe, `kind.rs` what only one kind of manifest may hold.

pub(super) mod claims;
mod expectations;
mod kind;
mod lists;
mod name;
mod networks;
mod panels;
pub(super) mod recipe;
mod runs_from;
pub(super) mod variants;

use anyhow::Result;

use super::experiment::Experiment;
use super::source::Source;
use crate::nearest::{nearest, remedy};
use crate::plain_name::is_plain_name;
use crate::recipe::MOST_ITERATIONS;

pub(super) use kind::bars;
pub(super) use lists::seeds_fault;

/// The remedy for a name that cannot be part of a path.
const PLAIN: &str = "use at most 100 letters, digits, `-`, `_` and `.`, not `.` first";

/// Checks names and references. `runs` is the manifest named by `runs_from`.
pub(super) fn structure(own: &Source, runs: Option<&Source>) -> Result<()> {
    name::check(own)?;
    match runs {
        None => networks::check(own)?,
        Some(other) => {
            name::check(other)?;
            networks::check(other)?;
            runs_from::check(own, other)?;
        }
    }
    let runs = runs.unwrap_or(own);
    variants::check(own, runs)?;
    panels::check(own, runs)?;
    profiles(own, runs)?;
    kind::check(own, runs)?;
    claims::check(own, runs)?;
    colours(own, runs)
}

fn profiles(own: &Source, runs: &Source) -> Result<()> {
    let known = || runs.file.profiles.keys().map(String::as_str);
    if let Some(name) = known().find(|name| !is_plain_name(name)) {
        return Err(runs.error(
            &["profiles", name],
            &format!("profile name {name:?} is the name of a folder, too; {PLAIN}"),
        ));
    }
    if let Some(name) = (own.file.profiles.keys()).find(|name| known().all(|other| other != *name))
    {
        return Err(own.error(
            &["profiles", name],
            &format!(
                "no profile \"{name}\" in {}; {}",
                runs.path.display(),
                remedy(name, known())
            ),
        ));
    }
    if known().count() > 1 && !own.file.expectations.is_empty() {
        let list: Vec<&str> = known().collect();
        return Err(own.error(
            &["expectations"],
            &format!(
                "`expectations` of which profile? move them into one of [profiles.{}]",
                list.join("], [profiles.")
            ),
        ));
    }
    Ok(())
}

fn colours(own: &Source, runs: &Source) -> Result<()> {
    let networks = [&runs.file.networks, &runs.file.optional_networks];
    let mut known: Vec<&str> = (networks.into_iter().flatten())
        .chain(own.file.variants.keys())
        .map(String::as_str)
        .collect();
    let depths = networks.into_iter().flatten();
    known.extend(depths.filter_map(|name| name.split('-').nth(1)));
    for (key, colour) in &own.file.style.colours {
        if !known.contains(&key.as_str()) {
            return Err(own.error(
                &["style", "colours", key],
                &format!(
                    "colour of \"{key}\", which is neither a network nor the depth of one{}",
                    match nearest(key, known) {
                        Some(name) => format!("; did you mean \"{name}\"?"),
                        None => "; remove it".into(),
                    }
                ),
            ));
        }
        let digits = colour.strip_prefix('#').unwrap_or("");
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(own.error(
                &["style", "colours", key],
                &format!("\"{colour}\" is not a colour; use #rrggbb"),
            ));
        }
    }
    Ok(())
}

/// Checks the experiment at one profile.
pub(super) fn experiment(experiment: &Experiment, own: &Source) -> Result<()> {
    let profile = experiment.profile.as_str();
    expectations::check(experiment, own)?;
    if let Some([low, high]) = experiment.error_axis
        && !(low < high && low.is_finite() && high.is_finite())
    {
        return Err(own.error(
            &["profiles", profile, "error_axis"],
            &format!("error_axis = [{low}, {high}] is not a range; give the lower limit first"),
        ));
    }
    let window = experiment.training_window;
    if !(1..=MOST_ITERATIONS).contains(&(window as u64)) {
        return Err(own.error(
            &["profiles", profile, "training_window"],
            &format!("training_window = {window}; use 1 to {MOST_ITERATIONS} mini-batches"),
        ));
    }
    Ok(())
}
