//! What names, panels, claims and expectations are refused for, beyond keys and types: each with file, line, value and
//! remedy.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::experiment::Experiment;
use super::source::Source;
use super::{Kind, Metric, Recipe, check_kind, check_variant};
use crate::network::{Network, Shortcut};

/// Names and what refers to them, before anything is merged.
pub(super) fn structure(own: &Source, runs: Option<&Source>) -> Result<()> {
    named_as_file(own)?;
    match runs {
        None => networks(own)?,
        Some(other) => {
            named_as_file(other)?;
            networks(other)?;
            draws_only(own, other)?;
        }
    }
    let runs = runs.unwrap_or(own);
    check_variant::variants(own, runs)?;
    let known = |name: &String| {
        runs.file.networks.contains(name)
            || runs.file.optional_networks.contains(name)
            || own.file.variants.contains_key(name)
    };
    let all: Vec<&str> = [&runs.file.networks, &runs.file.optional_networks]
        .into_iter()
        .flatten()
        .chain(own.file.variants.keys())
        .map(String::as_str)
        .collect();
    let unknown = |place: &[&str], name: &str| {
        own.error(
            place,
            &format!(
                "\"{name}\" is not among the networks of this experiment; name one of {} or add it to `networks`",
                all.join(", ")
            ),
        )
    };

    if own.file.panels.is_empty() {
        return Err(own.error(
            &["panels"],
            "no panels; a figure needs at least one [[panels]]",
        ));
    }
    for (at, panel) in own.file.panels.iter().enumerate() {
        let at = at.to_string();
        if panel.networks.is_empty() {
            return Err(own.error(
                &["panels", &at],
                &format!(
                    "the panel \"{}\" has no networks; name what it shows, for example networks = [\"plain-20\"]",
                    panel.title
                ),
            ));
        }
        unique(own, &["panels", &at, "networks"], &panel.networks)?;
        for (index, name) in panel.networks.iter().enumerate() {
            if !known(name) {
                return Err(unknown(
                    &["panels", &at, "networks", &index.to_string()],
                    name,
                ));
            }
        }
        if let Some(name) = panel.only_with.as_ref().filter(|name| !known(name)) {
            return Err(unknown(&["panels", &at, "only_with"], name));
        }
        if !(0.0..1.0).contains(&panel.begins_at) {
            return Err(own.error(
                &["panels", &at, "begins_at"],
                &format!(
                    "begins_at = {} is no share of the iterations; give 0 or more and less than 1",
                    panel.begins_at
                ),
            ));
        }
        if let Some(reference) = &panel.reference {
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
        }
    }
    let titles: Vec<String> = own.file.panels.iter().map(|p| p.title.clone()).collect();
    for (at, title) in titles.iter().enumerate() {
        if titles[..at].contains(title) {
            return Err(own.error(
                &["panels", &at.to_string(), "title"],
                &format!("a second panel \"{title}\"; give each its own title"),
            ));
        }
    }
    for name in own.file.profiles.keys() {
        if !runs.file.profiles.contains_key(name) {
            return Err(own.error(
                &["profiles", name],
                &format!(
                    "profile \"{name}\" is not in {}, whose runs are drawn",
                    runs.path.display()
                ),
            ));
        }
    }
    if runs.file.profiles.is_empty() {
        return Err(runs.error(
            &[],
            "no profiles; an experiment needs at least one [profiles.NAME]",
        ));
    }
    check_kind::kind(own)?;
    claims(own, runs)?;
    colours(own)
}

pub(super) fn named_as_file(source: &Source) -> Result<()> {
    let stem = source
        .path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    if source.file.name != stem {
        return Err(source.error(
            &["name"],
            &format!(
                "name = \"{}\" in a file called {stem}.toml; they must agree",
                source.file.name
            ),
        ));
    }
    Ok(())
}

fn networks(source: &Source) -> Result<()> {
    let file = &source.file;
    if let Some(other) = &file.runs_from {
        return Err(source.error(
            &["runs_from"],
            &format!("draws the runs of \"{other}\" and has none to lend; name \"{other}\" itself"),
        ));
    }
    if file.networks.is_empty() {
        return Err(source.error(
            &["networks"],
            "no networks; list what is trained, for example networks = [\"plain-20\"]",
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
        unique(source, &[key], names)?;
    }
    if let Some(index) = file
        .optional_networks
        .iter()
        .position(|n| file.networks.contains(n))
    {
        let name = &file.optional_networks[index];
        return Err(source.error(
            &["optional_networks", &index.to_string()],
            &format!("\"{name}\" is among `networks` too; keep one of the two"),
        ));
    }
    let known: BTreeSet<&String> = file
        .networks
        .iter()
        .chain(&file.optional_networks)
        .collect();
    exceptions(source, &known, &file.exceptions, &[])?;
    seeds(source, &["seeds"], &file.seeds)?;
    for (profile, scale) in &file.profiles {
        exceptions(source, &known, &scale.exceptions, &["profiles", profile])?;
        if let Some(names) = &scale.networks {
            unique(source, &["profiles", profile, "networks"], names)?;
            for (index, name) in names.iter().enumerate() {
                if !file.networks.contains(name) {
                    return Err(source.error(
                        &["profiles", profile, "networks", &index.to_string()],
                        &format!(
                            "\"{name}\" is not among `networks`; add it there or name one of {}",
                            file.networks.join(", ")
                        ),
                    ));
                }
            }
        }
        if let Some(list) = &scale.seeds {
            seeds(source, &["profiles", profile, "seeds"], list)?;
        }
    }
    Ok(())
}

/// Exceptions, those below `place`, are for networks that are trained.
fn exceptions(
    source: &Source,
    known: &BTreeSet<&String>,
    exceptions: &BTreeMap<String, Recipe>,
    place: &[&str],
) -> Result<()> {
    match exceptions.keys().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => Err(source.error(
            &[place, &["exceptions", name]].concat(),
            &format!(
                "an exception for \"{name}\", which is not trained; add it to `networks` or remove the exception"
            ),
        )),
    }
}

/// A manifest with `runs_from` has nothing that would train.
fn draws_only(own: &Source, other: &Source) -> Result<()> {
    let refuse = |place: &[&str]| {
        own.error(
            place,
            &format!(
                "`{}` beside runs_from = \"{}\"; runs are described in {} alone, remove it here",
                place.last().unwrap_or(&""),
                other.file.name,
                other.path.display()
            ),
        )
    };
    for key in [
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

fn canonical(source: &Source, place: &[&str], name: &str) -> Result<()> {
    let network = Network::parse_cifar(name, Shortcut::A, 10)
        .map_err(|error| source.error(place, &error.to_string()))?;
    if network.name != name {
        return Err(source.error(
            place,
            &format!("\"{name}\" is written \"{}\" in manifests", network.name),
        ));
    }
    Ok(())
}

fn unique(source: &Source, place: &[&str], names: &[String]) -> Result<()> {
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            let index = index.to_string();
            let place: Vec<&str> = place.iter().copied().chain([index.as_str()]).collect();
            return Err(source.error(&place, &format!("\"{name}\" is listed twice; remove one")));
        }
    }
    Ok(())
}

fn seeds(source: &Source, place: &[&str], list: &[u64]) -> Result<()> {
    if list.is_empty() {
        return Err(source.error(
            place,
            "no seeds; give at least one, for example seeds = [1]",
        ));
    }
    let distinct: BTreeSet<&u64> = list.iter().collect();
    if distinct.len() < list.len() {
        return Err(source.error(
            place,
            &format!("seeds = {list:?} has one twice; a run is made once for each seed"),
        ));
    }
    Ok(())
}

fn claims(own: &Source, runs: &Source) -> Result<()> {
    for (at, claim) in own.file.claims.iter().enumerate() {
        let at = at.to_string();
        if claim.falls.iter().any(|chain| chain.len() < 2) || claim.falls.is_empty() {
            return Err(own.error(
                &["claims", &at, "falls"],
                &format!(
                    "falls = {:?} compares nothing; each chain needs two networks or more",
                    claim.falls
                ),
            ));
        }
        if claim.metrics.contains(&Metric::Response) && own.file.kind != Kind::Responses {
            return Err(own.error(
                &["claims", &at, "metrics"],
                "a claim about responses, which are measured only of kind = \"responses\"",
            ));
        }
        for (profile, margin) in &claim.margin {
            let Some(scale) = runs.file.profiles.get(profile) else {
                let there: Vec<&str> = runs.file.profiles.keys().map(String::as_str).collect();
                return Err(own.error(
                    &["claims", &at, "margin", profile],
                    &format!(
                        "a margin for profile \"{profile}\", which is not there; there are {}",
                        there.join(", ")
                    ),
                ));
            };
            if !margin.is_finite() {
                return Err(own.error(
                    &["claims", &at, "margin", profile],
                    &format!("a margin of {margin}; give points"),
                ));
            }
            let networks = scale.networks.as_ref().unwrap_or(&runs.file.networks);
            let trained = |name: &String| {
                let variant = own.file.variants.get(name);
                networks.contains(name)
                    || variant.is_some_and(|variant| {
                        let from = variant.recipe.init.from.as_ref();
                        networks.contains(&variant.of)
                            && from.is_none_or(|from| networks.contains(from))
                    })
            };
            for (chain, names) in claim.falls.iter().enumerate() {
                for (index, name) in names.iter().enumerate() {
                    if !trained(name) {
                        return Err(own.error(
                            &["claims", &at, "falls", &chain.to_string(), &index.to_string()],
                            &format!(
                                "the claim \"{}\" names \"{name}\", which is not trained at profile {profile}; train it or take {profile} out of the claim's margins",
                                claim.says
                            ),
                        ));
                    }
                }
            }
        }
    }
    Ok(())
}

fn colours(own: &Source) -> Result<()> {
    for (key, colour) in &own.file.style.colours {
        let digits = colour.strip_prefix('#').unwrap_or("");
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(own.error(
                &["style", "colours", key],
                &format!("\"{colour}\" is no colour; write #rrggbb"),
            ));
        }
    }
    Ok(())
}

/// What is only seen in the resolved experiment.
pub(super) fn experiment(experiment: &Experiment, own: &Source) -> Result<()> {
    let profile = experiment.profile.as_str();
    let mut seen = Vec::new();
    for (index, expectation) in experiment.expectations.iter().enumerate() {
        let index = index.to_string();
        let place = ["profiles", profile, "expectations", index.as_str()];
        let network = &expectation.network;
        if experiment.network(network).is_none() {
            return Err(own.error(
                &place,
                &format!("an expectation of \"{network}\", which is not trained at profile {profile}; train it or remove the expectation"),
            ));
        }
        if !(0.0..=100.0).contains(&expectation.value)
            || expectation
                .tolerance
                .is_some_and(|points| points.is_nan() || points <= 0.0)
        {
            return Err(own.error(
                &place,
                &format!(
                    "value {} with tolerance {} for {network}; an error lies between 0 and 100 % and a tolerance above 0",
                    expectation.value,
                    expectation
                        .tolerance
                        .map_or("by default".into(), |points| points.to_string())
                ),
            ));
        }
        let scatter = (expectation.deviation, expectation.runs);
        if !matches!(scatter, (None, _) | (Some(0.0..=100.0), Some(2..))) {
            return Err(own.error(
                &place,
                &format!(
                    "deviation {:?} over {:?} runs for {network}; give the deviation in points and `runs`, 2 or more",
                    scatter.0, scatter.1
                ),
            ));
        }
        let key = (
            network,
            expectation.metric.text(),
            format!("{:?}", expectation.data),
        );
        if seen.contains(&key) {
            return Err(own.error(
                &place,
                &format!(
                    "a second expectation of the {} of {network}; keep one",
                    key.1
                ),
            ));
        }
        seen.push(key);
    }
    if let Some([low, high]) = experiment.error_axis
        && low.partial_cmp(&high) != Some(Ordering::Less)
    {
        return Err(own.error(
            &["profiles", profile, "error_axis"],
            &format!("error_axis = [{low}, {high}] has no extent; give the lower limit first"),
        ));
    }
    if experiment.training_window == 0 {
        return Err(own.error(
            &["profiles", profile, "training_window"],
            "training_window = 0; a mean needs at least one mini-batch",
        ));
    }
    seeds(own, &["seeds"], &experiment.seeds)
}
