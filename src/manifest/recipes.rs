//! The recipe of each network: the manifest's, then the network's exceptions, then the profile and its exceptions, then
//! `--set`.

use anyhow::Result;
use serde::Deserialize;
use toml::{Table, Value};

use super::merge::{merge, subtable};
use super::overrides::Overrides;
use super::source::Source;
use super::validate;
use super::wording::plain;
use crate::exit::Exit;
use crate::origin::DataName;
use crate::recipe::{EvaluationRecipe, Init, Recipe};

/// The tables in a recipe.
const TABLES: [&str; 6] = [
    "warm_up",
    "initialisation",
    "augmentation",
    "batch_norm",
    "evaluation",
    "init",
];

/// The recipe of `network`, or the one shared by all networks if `None`.
pub(super) fn network_recipe(
    runs: &Source,
    network: Option<&str>,
    profile: &str,
    set: &Overrides,
) -> Result<Recipe> {
    let mut merged = merged(runs, network, profile);
    merge(&mut merged, &set.recipe);
    let recipe = complete(merged, runs.file.data).map_err(|why| {
        Exit::Usage.error(format!("{}: profile {profile}: {why}", runs.path.display()))
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
    let recipe = complete(merged, runs.file.data).map_err(|why| own.error(&place, &why))?;
    // `init` is allowed in variants; `validate::variants` checks it.
    let rest = Recipe {
        init: Init::default(),
        ..recipe.clone()
    };
    let Some(fault) = validate::recipe::fault(&rest) else {
        return Ok(recipe);
    };
    Err(match fault.given(set) {
        Some(given) => Exit::Usage.error(format!("--set {given}: {}", fault.message)),
        None => own.error(&place, &fault.message),
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

/// A recipe with the defaults for what is not set, or what is wrong with it.
fn complete(merged: Table, data: DataName) -> std::result::Result<Recipe, String> {
    match (data, merged.contains_key("crop")) {
        (DataName::Imagenet, false) => {
            return Err(
                "data = \"imagenet\" needs `crop`, because its images differ in size; add [recipe.crop]".into(),
            );
        }
        (DataName::Cifar10, true) => {
            return Err(
                "`crop` is for images of many sizes; remove it or set data = \"imagenet\"".into(),
            );
        }
        _ => {}
    }
    let interval_set = merged
        .get("evaluation")
        .is_some_and(|evaluation| evaluation.get("interval").is_some());
    // serde takes a list for a struct.
    if let Some(key) = TABLES
        .into_iter()
        .find(|key| merged.get(*key).is_some_and(Value::is_array))
    {
        return Err(format!("`{key}` is a list; expected a table"));
    }
    let mut recipe = Recipe::deserialize(merged).map_err(|error| plain(error.message()))?;
    if !interval_set {
        recipe.evaluation.interval = EvaluationRecipe::usual_interval(recipe.iterations);
    }
    Ok(recipe)
}
