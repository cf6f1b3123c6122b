//! What a manifest is refused for, beyond keys and types: each with file, line, value and remedy.

use std::collections::BTreeSet;

use anyhow::Result;

use super::experiment::Experiment;
use super::resolve::Overrides;
use super::source::Source;
use super::{Precision, Recipe};
use crate::exit::Exit;
use crate::network::{Network, Shortcut};

/// Training images of CIFAR-10.
const TRAINING_IMAGES: usize = 50_000;

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
    let known = |name: &String| {
        runs.file.networks.contains(name) || runs.file.optional_networks.contains(name)
    };
    let all: Vec<&str> = [&runs.file.networks, &runs.file.optional_networks]
        .into_iter()
        .flatten()
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
    claims(own, runs)?;
    colours(own)
}

fn named_as_file(source: &Source) -> Result<()> {
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
    for name in file.exceptions.keys() {
        if !known.contains(name) {
            return Err(source.error(
                &["exceptions", name],
                &format!("an exception for \"{name}\", which is not trained; add it to `networks` or remove the exception"),
            ));
        }
    }
    seeds(source, &["seeds"], &file.seeds)?;
    for (profile, scale) in &file.profiles {
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
        for key in ["recipe", "networks", "seeds", "synthetic"] {
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
            let trained = scale.networks.as_ref().unwrap_or(&runs.file.networks);
            for (chain, names) in claim.falls.iter().enumerate() {
                for (index, name) in names.iter().enumerate() {
                    if !trained.contains(name) {
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
        if !(0.0..=100.0).contains(&expectation.value) || !(expectation.tolerance > 0.0) {
            return Err(own.error(
                &place,
                &format!(
                    "value {} with tolerance {} for {network}; an error lies between 0 and 100 % and a tolerance above 0",
                    expectation.value, expectation.tolerance
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
        && !(low < high)
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

/// A recipe that is merged: the error names the place that the value came from.
pub(super) fn recipe(
    recipe: &Recipe,
    runs: &Source,
    network: Option<&str>,
    profile: &str,
    set: &Overrides,
) -> Result<()> {
    let Some((field, message)) = fault(recipe) else {
        return Ok(());
    };
    if let Some(given) = set.of(field) {
        return Err(Exit::Usage.error(format!("--set {given}: {message}")));
    }
    let keys: Vec<&str> = field.split('.').collect();
    let mut places: Vec<Vec<&str>> = vec![vec!["profiles", profile, "recipe"]];
    if let Some(network) = network {
        places.push(vec!["exceptions", network]);
    }
    places.push(vec!["recipe"]);
    let place = places
        .into_iter()
        .map(|prefix| [prefix, keys.clone()].concat())
        .find(|place| runs.line_of(place).is_some())
        .unwrap_or_default();
    Err(runs.error(&place, &message))
}

/// The first field whose value makes no sense, and why.
fn fault(recipe: &Recipe) -> Option<(&'static str, String)> {
    let r = recipe;
    let positive = |value: f64| value.is_finite() && value > 0.0;
    let share = |value: f64| (0.0..1.0).contains(&value);
    let sorted = r.drops.windows(2).all(|pair| pair[0] < pair[1]) && r.drops.first() != Some(&0);
    let group = r.batch_norm.group;
    let e = &r.evaluation;
    let faults: &[(bool, &'static str, String)] = &[
        (
            r.batch == 0,
            "batch",
            "batch = 0; a mini-batch has at least one image".into(),
        ),
        (
            r.batch > TRAINING_IMAGES,
            "batch",
            format!(
                "batch = {}, more than the {TRAINING_IMAGES} training images",
                r.batch
            ),
        ),
        (
            r.iterations == 0,
            "iterations",
            "iterations = 0; at least one mini-batch is trained".into(),
        ),
        (
            !positive(r.learning_rate),
            "learning_rate",
            format!("learning_rate = {}; give a number above 0", r.learning_rate),
        ),
        (
            !sorted,
            "drops",
            format!(
                "drops = {:?} are not in ascending order above 0; sort them and remove repetitions",
                r.drops
            ),
        ),
        (
            !positive(r.drop_factor),
            "drop_factor",
            format!(
                "drop_factor = {}; give a number above 0, the paper has 0.1",
                r.drop_factor
            ),
        ),
        (
            !share(r.momentum),
            "momentum",
            format!("momentum = {}; give 0 or more and less than 1", r.momentum),
        ),
        (
            !(r.weight_decay.is_finite() && r.weight_decay >= 0.0),
            "weight_decay",
            format!("weight_decay = {}; give 0 or more", r.weight_decay),
        ),
        (
            ![8, 16, 32].contains(&r.image_size),
            "image_size",
            format!("image_size = {}; there are 32, 16 and 8", r.image_size),
        ),
        (
            r.augmentation.pad > r.image_size,
            "augmentation.pad",
            format!(
                "augmentation.pad = {}, more than the image's {} pixels",
                r.augmentation.pad, r.image_size
            ),
        ),
        (
            group > 0 && r.batch % group != 0,
            "batch_norm.group",
            format!(
                "batch_norm.group = {group} does not divide the batch of {}; give a divisor, or 0 for the whole mini-batch",
                r.batch
            ),
        ),
        (
            !(r.batch_norm.momentum > 0.0 && r.batch_norm.momentum <= 1.0),
            "batch_norm.momentum",
            format!(
                "batch_norm.momentum = {}; give more than 0 and at most 1",
                r.batch_norm.momentum
            ),
        ),
        (
            !positive(r.batch_norm.epsilon),
            "batch_norm.epsilon",
            format!(
                "batch_norm.epsilon = {}; give a number above 0",
                r.batch_norm.epsilon
            ),
        ),
        (
            e.interval == 0,
            "evaluation.interval",
            "evaluation.interval = 0; give iterations between evaluations".into(),
        ),
        (
            e.statistics_images == 0 || e.statistics_images > TRAINING_IMAGES,
            "evaluation.statistics_images",
            format!(
                "evaluation.statistics_images = {}; give 1 to {TRAINING_IMAGES}",
                e.statistics_images
            ),
        ),
        (
            e.statistics_batch == 0,
            "evaluation.statistics_batch",
            "evaluation.statistics_batch = 0; statistics need images".into(),
        ),
        (
            e.clean_images > TRAINING_IMAGES,
            "evaluation.clean_images",
            format!(
                "evaluation.clean_images = {}; give at most {TRAINING_IMAGES}",
                e.clean_images
            ),
        ),
        (
            r.precision != Precision::Fp32,
            "precision",
            format!(
                "precision = {:?} is reserved for devices with tensor cores; use \"fp32\"",
                r.precision
            ),
        ),
        (
            r.init.from.is_some(),
            "init.from",
            format!(
                "init.from = {:?} is reserved; remove it",
                r.init.from.as_deref().unwrap_or("")
            ),
        ),
        (
            r.warm_up.as_ref().is_some_and(|w| w.window == 0),
            "warm_up.window",
            "warm_up.window = 0; a mean needs at least one mini-batch".into(),
        ),
        (
            r.warm_up
                .as_ref()
                .is_some_and(|w| !positive(w.learning_rate)),
            "warm_up.learning_rate",
            "warm_up.learning_rate must be above 0; the paper has 0.01".into(),
        ),
        (
            r.warm_up
                .as_ref()
                .is_some_and(|w| !(w.until_error_below > 0.0 && w.until_error_below <= 100.0)),
            "warm_up.until_error_below",
            "warm_up.until_error_below must be above 0 and at most 100 %; the paper has 80".into(),
        ),
    ];
    faults
        .iter()
        .find(|(wrong, ..)| *wrong)
        .map(|(_, field, message)| (*field, message.clone()))
}
