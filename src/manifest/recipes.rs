//! The recipe of each network: the manifest's, then the network's exceptions, then the profile and its exceptions, then
//! `--set`.

use anyhow::Result;
use serde::Deserialize;
use toml::Table;

use super::merge::{merge, subtable};
use super::overrides::Overrides;
use super::source::{Source, plain};
use super::validate;
use crate::exit::Exit;
use crate::recipe::{Init, Recipe};

/// The recipe of `network`, or the one shared by all networks if `None`.
pub(super) fn network_recipe(
    runs: &Source,
    network: Option<&str>,
    profile: &str,
    set: &Overrides,
) -> Result<Recipe> {
    let mut merged = merged(runs, network, profile);
    merge(&mut merged, &set.recipe);
    let recipe = Recipe::deserialize(merged).map_err(|error| {
        Exit::Usage.error(format!(
            "{}: profile {profile}: {}",
            runs.path.display(),
            plain(error.message())
        ))
    })?;
    validate::recipe::check(&recipe, runs, network, profile, set)?;
    Ok(recipe)
}

/// The recipe of a variant: that of its base network, then its own changes, then `--set`.
pub(super) fn variant_recipe(
    own: &Source,
    runs: &Source,
    name: &str,
    profile: &str,
    set: &Overrides,
) -> Result<Recipe> {
    let of = own.file.variants[name].of.as_str();
    let place = ["variants", name, "recipe"];
    let mut merged = merged(runs, Some(of), profile);
    merge(&mut merged, &subtable(&own.table, &place));
    merge(&mut merged, &set.recipe);
    let recipe =
        Recipe::deserialize(merged).map_err(|error| own.error(&place, &plain(error.message())))?;
    // `init` is allowed in variants; `validate::variants` checks it.
    let rest = Recipe {
        init: Init::default(),
        ..recipe.clone()
    };
    let Some((field, message)) = validate::recipe::fault(&rest) else {
        return Ok(recipe);
    };
    Err(match set.of(field) {
        Some(given) => Exit::Usage.error(format!("--set {given}: {message}")),
        None => own.error(&place, &message),
    })
}

/// Everything but `--set`.
fn merged(runs: &Source, network: Option<&str>, profile: &str) -> Table {
    let mut merged = subtable(&runs.table, &["recipe"]);
    if let Some(network) = network {
        let exceptions = subtable(&runs.table, &["exceptions", network]);
        merge(&mut merged, &exceptions);
    }
    let scale = subtable(&runs.table, &["profiles", profile, "recipe"]);
    merge(&mut merged, &scale);
    if let Some(network) = network {
        let place = ["profiles", profile, "exceptions", network];
        merge(&mut merged, &subtable(&runs.table, &place));
    }
    merged
}
