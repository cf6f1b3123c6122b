//! From a manifest to the experiment at one profile.

use std::path::Path;

use anyhow::Result;

use super::colours::colours;
use super::experiment::{Claim, Comparison, Experiment, NetworkEntry, Panel, Reference};
use super::file::{Expectation, Kind, PanelFile, ProfileFile};
use super::overrides::Overrides;
use super::recipes::{network_recipe, variant_recipe};
use super::source::Source;
use super::validate;
use crate::exit::Exit;
use crate::nearest::remedy;
use crate::network::Family;
use crate::origin::{DataKind, DataName};
use crate::plain_name::is_plain_name;
use crate::recipe::TRAINING_WINDOW;

const BLACK: &str = "#000000";

/// A manifest that is valid at every profile.
pub(super) struct Valid {
    own: Source,
    /// The manifest in its `runs_from`.
    other: Option<Source>,
}

impl Valid {
    pub fn new(own: Source) -> Result<Self> {
        if own.file.kind == Kind::Bars {
            return Err(own.error(
                &["kind"],
                &format!(
                    "kind = \"bars\" has no runs or profiles; draw it with `refig render {}`",
                    own.file.name
                ),
            ));
        }
        let other = match &own.file.runs_from {
            None => None,
            Some(name) => Some(runs_of(&own, name)?),
        };
        validate::structure(&own, other.as_ref())?;
        let valid = Self { own, other };
        for profile in valid.runs().file.profiles.keys() {
            resolve(&valid.own, valid.runs(), profile, &Overrides::default())?;
        }
        Ok(valid)
    }

    fn runs(&self) -> &Source {
        self.other.as_ref().unwrap_or(&self.own)
    }

    /// The names of the profiles.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.runs().file.profiles.keys().map(String::as_str)
    }
}

impl Experiment {
    /// Reads the manifest at `path`, validates all of its profiles and resolves `profile`, with `overrides` such as
    /// `recipe.batch=64` or `seeds=[1, 2]` applied last.
    ///
    /// # Errors
    /// [`Exit::Usage`] with file, line, value and remedy.
    pub fn load(path: &Path, profile: &str, overrides: &[String]) -> Result<Self> {
        let valid = Valid::new(Source::read(path)?)?;
        if valid.profiles().all(|known| known != profile) {
            return Err(Exit::Usage.error(format!(
                "{}: no profile \"{profile}\"; {}",
                path.display(),
                remedy(profile, valid.profiles())
            )));
        }
        let changes = Overrides::parse(overrides)?;
        resolve(&valid.own, valid.runs(), profile, &changes)
    }

    /// The data set of the manifest at `path`, and its profiles, sorted.
    ///
    /// # Errors
    /// As for [`Experiment::load`].
    pub fn profiles(path: &Path) -> Result<(DataName, Vec<String>)> {
        let valid = Valid::new(Source::read(path)?)?;
        let names = valid.profiles().map(str::to_owned).collect();
        Ok((valid.runs().file.data, names))
    }
}

/// The manifest that `runs_from` refers to.
fn runs_of(own: &Source, name: &str) -> Result<Source> {
    if !is_plain_name(name) {
        return Err(own.error(
            &["runs_from"],
            &format!(
                "runs_from = {name:?} is not the name of an experiment; name one in the same folder, e.g. \"fig6\""
            ),
        ));
    }
    let path = own.sibling(&format!("{name}.toml"));
    if !path.is_file() {
        return Err(own.error(
            &["runs_from"],
            &format!(
                "runs_from = \"{name}\", but {} does not exist; name an experiment in the same folder",
                path.display()
            ),
        ));
    }
    Source::read(&path)
}

/// `own` at `profile`, with the runs that `runs` describes: `own` itself, or the manifest in its `runs_from`.
fn resolve(own: &Source, runs: &Source, profile: &str, set: &Overrides) -> Result<Experiment> {
    let scale = &runs.file.profiles[profile];
    let none = ProfileFile::default();
    let view = own.file.profiles.get(profile).unwrap_or(&none);
    let recipe = network_recipe(runs, None, profile, set)?;
    let networks = networks(own, runs, profile, set)?;

    let experiment = Experiment {
        name: own.file.name.clone(),
        title: own.file.title.clone(),
        kind: own.file.kind,
        data: runs.file.data,
        file: own.path.clone(),
        profile: profile.into(),
        summary: if view.summary.is_empty() {
            &scale.summary
        } else {
            &view.summary
        }
        .clone(),
        runs_from: own.file.runs_from.clone(),
        panels: panels(own, &networks, recipe.iterations),
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
            .unwrap_or(TRAINING_WINDOW),
        dashed_training: own.file.style.dashed_training,
        synthetic: scale.synthetic,
        expectations: expectations(own, runs.file.data, profile),
        claims: claims(own, runs, profile),
        responses: own.file.responses.clone(),
        overrides: set.given.clone(),
        part: Vec::new(),
    };
    validate::experiment(&experiment, own)?;
    Ok(experiment)
}

/// In the manifest's order, then variants, then optional networks.
fn networks(
    own: &Source,
    runs: &Source,
    profile: &str,
    set: &Overrides,
) -> Result<Vec<NetworkEntry>> {
    let scale = &runs.file.profiles[profile];
    let trained = scale.networks.as_ref().unwrap_or(&runs.file.networks);
    let colours = colours(own, runs);
    // Only what is drawn has a colour; the start of a variant need not be.
    let colour = |name: &String| colours.get(name).cloned().unwrap_or_else(|| BLACK.into());
    let entry = |name: &String, optional: bool| -> Result<NetworkEntry> {
        let recipe = network_recipe(runs, Some(name), profile, set)?;
        let network = runs.network(name, recipe.shortcut)?;
        Ok(NetworkEntry {
            name: name.clone(),
            label: match network.family {
                Family::Plain => format!("plain-{}", network.depth()),
                Family::Resnet => format!("ResNet-{}", network.depth()),
            },
            colour: colour(name),
            network,
            recipe,
            optional,
            variant_of: None,
            start: None,
        })
    };
    let mut networks = Vec::new();
    for name in trained.iter().filter(|name| own.draws(name)) {
        networks.push(entry(name, false)?);
    }
    for (name, variant) in &own.file.variants {
        let recipe = variant_recipe(own, runs, name, profile, set)?;
        let start = match &recipe.init.from {
            None => None,
            // A variant is trained only if the network that it starts from is.
            Some(from) if !trained.contains(from) => continue,
            Some(from) => Some(Box::new(entry(from, false)?)),
        };
        if !trained.contains(&variant.of) {
            continue;
        }
        let mut network = runs.network(&variant.of, recipe.shortcut)?;
        validate::variants::check_start(own, name, &network, start.as_deref())?;
        network.name = name.clone();
        networks.push(NetworkEntry {
            name: name.clone(),
            label: variant.label.clone().unwrap_or_else(|| name.clone()),
            colour: colour(name),
            network,
            recipe,
            optional: false,
            variant_of: Some(variant.of.clone()),
            start,
        });
    }
    for name in &runs.file.optional_networks {
        if own.draws(name) {
            networks.push(entry(name, true)?);
        }
    }
    Ok(networks)
}

/// Panels with at least one of `networks`.
fn panels(own: &Source, networks: &[NetworkEntry], iterations: u64) -> Vec<Panel> {
    let known = |name: &String| networks.iter().any(|entry| entry.name == *name);
    own.file
        .panels
        .iter()
        .map(|panel| Panel {
            title: panel.title.clone(),
            networks: panel
                .networks
                .iter()
                .filter(|name| known(name))
                .cloned()
                .collect(),
            shows: panel.shows.clone(),
            only_with: panel.only_with.clone(),
            first_iteration: (panel.begins_at * iterations as f64).round() as u64,
            order: panel.order,
            reference: reference(own, panel).filter(|_| own.file.kind == Kind::Curves),
            values: reference(own, panel).filter(|_| own.file.kind != Kind::Curves),
        })
        .filter(|panel| !panel.networks.is_empty())
        .collect()
}

fn reference(own: &Source, panel: &PanelFile) -> Option<Reference> {
    panel.reference.as_ref().map(|reference| Reference {
        file: own.sibling(&reference.file),
        panels: reference.panels.clone(),
    })
}

/// The expectations at `profile`, first those beside the profiles.
fn expectations(own: &Source, set: DataName, profile: &str) -> Vec<Expectation> {
    // The default of the format, where another data set is meant.
    let data = |given: DataKind| match given {
        DataKind::Cifar10 => set.kind(),
        other => other,
    };
    let lined = |place: &[&str], list: &[Expectation]| -> Vec<Expectation> {
        let with_line = |(index, expectation): (usize, &Expectation)| {
            let index = index.to_string();
            Expectation {
                line: own.line_of(&[place, &[index.as_str()]].concat()),
                data: data(expectation.data),
                ..expectation.clone()
            }
        };
        list.iter().enumerate().map(with_line).collect()
    };
    let mut all = lined(&["expectations"], &own.file.expectations);
    if let Some(scale) = own.file.profiles.get(profile) {
        let place = ["profiles", profile, "expectations"];
        all.extend(lined(&place, &scale.expectations));
    }
    all
}

/// The claims made at `profile`.
fn claims(own: &Source, runs: &Source, profile: &str) -> Vec<Claim> {
    own.file
        .claims
        .iter()
        .enumerate()
        .filter_map(|(index, claim)| {
            let margin = validate::claims::margin(own, runs, claim, profile)?;
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
        .collect()
}
