//! What is rejected in a manifest beyond unknown keys and wrong types, each with file, line, value and remedy.
//!
//! `structure` looks at names and references before anything is merged, `experiment` at the result of merging one
//! profile. `recipe.rs` checks each merged recipe, `kind.rs` what only one kind of manifest may hold.

mod claims;
mod expectations;
mod kind;
mod lists;
mod name;
mod networks;
mod panels;
pub(super) mod recipe;
mod runs_from;
pub(super) mod variants;

use std::cmp::Ordering;

use anyhow::Result;

use super::experiment::Experiment;
use super::source::Source;

pub(super) use kind::bars;

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
    kind::check(own)?;
    claims::check(own, runs)?;
    colours(own)
}

fn profiles(own: &Source, runs: &Source) -> Result<()> {
    if runs.file.profiles.is_empty() {
        return Err(runs.error(&[], "no profiles; add at least one [profiles.NAME]"));
    }
    let known: Vec<&str> = runs.file.profiles.keys().map(String::as_str).collect();
    match (own.file.profiles.keys()).find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(own.error(
            &["profiles", name],
            &format!(
                "no profile \"{name}\" in {}; use one of {}",
                runs.path.display(),
                known.join(", ")
            ),
        )),
    }
}

fn colours(own: &Source) -> Result<()> {
    for (key, colour) in &own.file.style.colours {
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
        && low.partial_cmp(&high) != Some(Ordering::Less)
    {
        return Err(own.error(
            &["profiles", profile, "error_axis"],
            &format!("error_axis = [{low}, {high}] is empty; give the lower limit first"),
        ));
    }
    if experiment.training_window == 0 {
        return Err(own.error(
            &["profiles", profile, "training_window"],
            "training_window = 0; average over at least one mini-batch",
        ));
    }
    lists::check_seeds(own, &["seeds"], &experiment.seeds)
}
