//! From the file to the experiment: recipe, then a network's exceptions, then the profile and its exceptions, then
//! `--set`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Deserialize;
use toml::{Table, Value};

use super::experiment::{Claim, Comparison, Experiment, NetworkEntry, Panel, Reference};
use super::file::{PanelFile, ProfileFile};
use super::source::{Source, one_line};
use super::{Init, Kind, Recipe, recipe::DEFAULT_TRAINING_WINDOW};
use super::{check, check_recipe, check_variant};
use crate::exit::Exit;
use crate::network::{Family, Network};

/// CIFAR-10's.
const CLASSES: usize = 10;

impl Experiment {
    /// Reads the manifest at `path`, checks all of its profiles and gives the experiment at `profile`, with `overrides`
    /// such as `recipe.batch=64` or `seeds=[1, 2]` applied last.
    ///
    /// # Errors
    /// [`Exit::Usage`] with file, line, value and remedy.
    pub fn load(path: &Path, profile: &str, overrides: &[String]) -> Result<Self> {
        let own = Source::read(path)?;
        if own.file.kind == Kind::Bars {
            return Err(own.error(
                &["kind"],
                &format!(
                    "kind = \"bars\" has no runs and no profiles; draw it with `refig render {}`",
                    own.file.name
                ),
            ));
        }
        let other = match &own.file.runs_from {
            None => None,
            Some(name) => Some(runs_of(&own, name)?),
        };
        check::structure(&own, other.as_ref())?;
        let runs = other.as_ref().unwrap_or(&own);
        let none = Overrides::default();
        for name in runs.file.profiles.keys() {
            resolve(&own, runs, name, &none)?;
        }
        if !runs.file.profiles.contains_key(profile) {
            let there: Vec<&str> = runs.file.profiles.keys().map(String::as_str).collect();
            return Err(Exit::Usage.error(format!(
                "{}: no profile \"{profile}\"; there are {}",
                path.display(),
                there.join(", ")
            )));
        }
        let changes = Overrides::parse(overrides)?;
        resolve(&own, runs, profile, &changes)
    }
}

fn runs_of(own: &Source, name: &str) -> Result<Source> {
    let path = sibling(&own.path, &format!("{name}.toml"));
    if !path.is_file() {
        return Err(own.error(
            &["runs_from"],
            &format!(
                "runs_from = \"{name}\", but there is no {}; name an experiment beside this one",
                path.display()
            ),
        ));
    }
    Source::read(&path)
}

pub(super) fn sibling(manifest: &Path, name: &str) -> PathBuf {
    manifest.parent().unwrap_or(Path::new("")).join(name)
}

/// What `--set` changes.
#[derive(Default)]
pub(super) struct Overrides {
    given: Vec<String>,
    recipe: Table,
    seeds: Option<Vec<u64>>,
}

/// What may be changed with `--set`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OverrideFile {
    #[serde(default)]
    #[allow(dead_code, reason = "read for its types; merging takes the table")]
    recipe: Recipe,
    seeds: Option<Vec<u64>>,
}

impl Overrides {
    fn parse(given: &[String]) -> Result<Self> {
        let mut all = Self {
            given: given.to_vec(),
            ..Self::default()
        };
        for text in given {
            let refuse = |why: &str| {
                Exit::Usage.error(format!(
                    "--set {text}: {}; write for example --set recipe.batch=64 or --set seeds=[1,2]",
                    one_line(why)
                ))
            };
            let (key, value) = text.split_once('=').ok_or_else(|| refuse("no value"))?;
            let (key, value) = (key.trim(), value.trim());
            // A word that is no TOML value by itself is a string: recipe.shortcut=B.
            let table: Table = toml::from_str(&format!("{key} = {value}"))
                .or_else(|_| toml::from_str(&format!("{key} = {}", Value::String(value.into()))))
                .map_err(|error| refuse(error.message()))?;
            let checked = OverrideFile::deserialize(table.clone())
                .map_err(|error| refuse(error.message()))?;
            if let Some(Value::Table(recipe)) = table.get("recipe") {
                merge(&mut all.recipe, recipe);
            }
            all.seeds = checked.seeds.or(all.seeds);
        }
        Ok(all)
    }

    /// The `--set` that gave this field of the recipe, if one did.
    pub fn of(&self, field: &str) -> Option<&str> {
        let wanted = format!("recipe.{field}");
        self.given
            .iter()
            .rev()
            .find(|text| {
                text.split_once('=').is_some_and(|(key, _)| {
                    let rest = wanted.strip_prefix(key.trim());
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                })
            })
            .map(String::as_str)
    }
}

/// `change` laid over `base`: tables key by key, everything else replaced.
fn merge(base: &mut Table, change: &Table) {
    for (key, value) in change {
        match (base.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

fn part(table: &Table, path: &[&str]) -> Table {
    let mut at = table;
    for key in path {
        match at.get(*key) {
            Some(Value::Table(next)) => at = next,
            _ => return Table::new(),
        }
    }
    at.clone()
}

/// The recipe as the file has it, a network's exceptions, the profile and its exceptions laid over it.
fn merged(runs: &Source, network: Option<&str>, profile: &str) -> Table {
    let mut merged = part(&runs.table, &["recipe"]);
    if let Some(network) = network {
        merge(&mut merged, &part(&runs.table, &["exceptions", network]));
    }
    let scale = ["profiles", profile];
    merge(
        &mut merged,
        &part(&runs.table, &[scale.as_slice(), &["recipe"]].concat()),
    );
    if let Some(network) = network {
        let place = [scale.as_slice(), &["exceptions", network]].concat();
        merge(&mut merged, &part(&runs.table, &place));
    }
    merged
}

fn recipe_of(
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
            one_line(error.message())
        ))
    })?;
    check_recipe::recipe(&recipe, runs, network, profile, set)?;
    Ok(recipe)
}

fn resolve(own: &Source, runs: &Source, profile: &str, set: &Overrides) -> Result<Experiment> {
    let scale = &runs.file.profiles[profile];
    let none = ProfileFile::default();
    let view = own.file.profiles.get(profile).unwrap_or(&none);

    let recipe = recipe_of(runs, None, profile, set)?;
    let trained = scale.networks.as_ref().unwrap_or(&runs.file.networks);
    let drawn = |name: &String| {
        own.file.runs_from.is_none() || own.file.panels.iter().any(|p| p.networks.contains(name))
    };
    let entry = |name: &String, optional: bool| -> Result<NetworkEntry> {
        let recipe = recipe_of(runs, Some(name), profile, set)?;
        let network = Network::parse_cifar(name, recipe.shortcut, CLASSES)?;
        Ok(NetworkEntry {
            name: name.clone(),
            label: match network.family {
                Family::Plain => format!("plain-{}", network.depth()),
                Family::Resnet => format!("ResNet-{}", network.depth()),
            },
            colour: colour(own, runs, name, network.depth()),
            network,
            recipe,
            optional,
            variant_of: None,
            start: None,
        })
    };
    let mut networks = Vec::new();
    for name in trained.iter().filter(|name| drawn(name)) {
        networks.push(entry(name, false)?);
    }
    for (name, variant) in &own.file.variants {
        let recipe = variant_recipe(own, runs, name, profile, set)?;
        let start = match &recipe.init.from {
            None => None,
            // Where the network that it starts from is not trained, neither is the variant.
            Some(from) if !trained.contains(from) => continue,
            Some(from) => Some(Box::new(entry(from, false)?)),
        };
        if !trained.contains(&variant.of) {
            continue;
        }
        let mut network = Network::parse_cifar(&variant.of, recipe.shortcut, CLASSES)?;
        check_variant::start(own, name, &network, start.as_deref())?;
        network.name = name.clone();
        networks.push(NetworkEntry {
            name: name.clone(),
            label: variant.label.clone().unwrap_or_else(|| name.clone()),
            colour: colour(own, runs, name, network.depth()),
            network,
            recipe,
            optional: false,
            variant_of: Some(variant.of.clone()),
            start,
        });
    }
    for name in &runs.file.optional_networks {
        if drawn(name) {
            networks.push(entry(name, true)?);
        }
    }

    let there = |name: &String| networks.iter().any(|entry| entry.name == *name);
    let panels = own
        .file
        .panels
        .iter()
        .map(|panel| Panel {
            title: panel.title.clone(),
            networks: panel
                .networks
                .iter()
                .filter(|n| there(n))
                .cloned()
                .collect(),
            shows: panel.shows.clone(),
            only_with: panel.only_with.clone(),
            first_iteration: (panel.begins_at * recipe.iterations as f64).round() as u64,
            order: panel.order,
            reference: reference(own, panel).filter(|_| own.file.kind == Kind::Curves),
            values: reference(own, panel).filter(|_| own.file.kind != Kind::Curves),
        })
        .filter(|panel| !panel.networks.is_empty())
        .collect();

    let claims = own
        .file
        .claims
        .iter()
        .enumerate()
        .filter_map(|(index, claim)| {
            let margin = *claim.margin.get(profile)?;
            let steps = claim.falls.iter().flat_map(|chain| chain.windows(2));
            Some(Claim {
                says: claim.says.clone(),
                data: claim.data,
                line: own.line_of(&["claims", &index.to_string()]),
                comparisons: steps
                    .flat_map(|step| {
                        claim.metrics.iter().map(|&metric| Comparison {
                            metric,
                            higher: step[0].clone(),
                            lower: step[1].clone(),
                            margin,
                        })
                    })
                    .collect(),
            })
        })
        .collect();

    let mut expectations = view.expectations.clone();
    for (index, expectation) in expectations.iter_mut().enumerate() {
        let place = ["profiles", profile, "expectations", &index.to_string()];
        expectation.line = own.line_of(&place);
    }

    let experiment = Experiment {
        name: own.file.name.clone(),
        title: own.file.title.clone(),
        kind: own.file.kind,
        file: own.path.clone(),
        profile: profile.into(),
        summary: if view.summary.is_empty() {
            &scale.summary
        } else {
            &view.summary
        }
        .clone(),
        runs_from: own.file.runs_from.clone(),
        panels,
        networks,
        recipe,
        seeds: set
            .seeds
            .clone()
            .or_else(|| scale.seeds.clone())
            .unwrap_or_else(|| runs.file.seeds.clone()),
        error_axis: view.error_axis.or(scale.error_axis),
        training_window: view
            .training_window
            .or(scale.training_window)
            .unwrap_or(DEFAULT_TRAINING_WINDOW),
        dashed_training: own.file.style.dashed_training,
        synthetic: scale.synthetic,
        expectations,
        claims,
        responses: own.file.responses.clone(),
        overrides: set.given.clone(),
    };
    check::experiment(&experiment, own)?;
    Ok(experiment)
}

fn reference(own: &Source, panel: &PanelFile) -> Option<Reference> {
    panel.reference.as_ref().map(|reference| Reference {
        file: sibling(&own.path, &reference.file),
        panels: reference.panels.clone(),
    })
}

/// The recipe of a variant: that of the network that it is of, then its own changes, then `--set`.
fn variant_recipe(
    own: &Source,
    runs: &Source,
    name: &str,
    profile: &str,
    set: &Overrides,
) -> Result<Recipe> {
    let of = own.file.variants[name].of.as_str();
    let mut merged = merged(runs, Some(of), profile);
    merge(
        &mut merged,
        &part(&own.table, &["variants", name, "recipe"]),
    );
    merge(&mut merged, &set.recipe);
    let place = ["variants", name, "recipe"];
    let recipe = Recipe::deserialize(merged)
        .map_err(|error| own.error(&place, &one_line(error.message())))?;
    // Its start is looked at apart from the rest.
    let rest = Recipe {
        init: Init::default(),
        ..recipe.clone()
    };
    match check_recipe::fault(&rest) {
        Some((field, message)) if set.of(field).is_none() => Err(own.error(&place, &message)),
        Some((_, message)) => Err(Exit::Usage.error(format!("--set: {message}"))),
        None => Ok(recipe),
    }
}

/// By name, else by depth, in this manifest and then in the one whose runs are drawn; black where none is given.
fn colour(own: &Source, runs: &Source, name: &str, depth: usize) -> String {
    let depth = depth.to_string();
    [own, runs]
        .iter()
        .flat_map(|source| {
            [
                source.file.style.colours.get(name),
                source.file.style.colours.get(&depth),
            ]
        })
        .flatten()
        .next()
        .map_or("#000000", String::as_str)
        .to_owned()
}
