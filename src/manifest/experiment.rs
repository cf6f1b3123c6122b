//! An experiment at one profile: everything filled in, everything checked.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::{DataKind, Expectation, Init, Kind, LayerOrder, Metric, Recipe, Responses, WarmUp};
use crate::exit::Exit;
use crate::network::{Family, Network, Shortcut};

/// A figure or table at one profile. [`Experiment::load`] makes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Experiment {
    /// `fig6`: the name on the command line and of the folder of reports.
    pub name: String,
    pub title: String,
    /// What is made of the runs.
    pub kind: Kind,
    /// The manifest that it was read from.
    pub file: PathBuf,
    pub profile: String,
    /// What the profile is for, in one line.
    pub summary: String,
    /// The experiment whose runs these are, if they are another's; variants are this one's own.
    pub runs_from: Option<String>,
    /// Only networks of this profile; panels without any are left out.
    pub panels: Vec<Panel>,
    /// In the manifest's order, the optional ones last.
    pub networks: Vec<NetworkEntry>,
    /// The recipe of a network without exceptions.
    pub recipe: Recipe,
    pub seeds: Vec<u64>,
    /// Limits of the vertical axis, %; what fits if there are none.
    pub error_axis: Option<[f64; 2]>,
    /// Mini-batches in the mean that is drawn and judged as the training error.
    pub training_window: usize,
    /// Training curves dashed rather than solid.
    pub dashed_training: bool,
    /// May go on with the synthetic set where no CIFAR-10 can be had.
    pub synthetic: bool,
    pub expectations: Vec<Expectation>,
    pub claims: Vec<Claim>,
    /// Of kind `responses`: how they are measured.
    pub responses: Option<Responses>,
    /// What was given with `--set`, as it was given.
    pub overrides: Vec<String>,
}

/// One set of axes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Panel {
    pub title: String,
    /// Names, in the order of the legend.
    pub networks: Vec<String>,
    /// Which curves are drawn.
    pub shows: Vec<Metric>,
    /// Drawn only where a run of this network exists.
    pub only_with: Option<String>,
    /// The iteration at which the horizontal axis begins.
    pub first_iteration: u64,
    /// Of kind `responses`.
    pub order: LayerOrder,
    /// The paper's own curves.
    pub reference: Option<Reference>,
    /// Of other kinds than curves: the paper's own values.
    pub values: Option<Reference>,
}

/// The paper's own curves or values for a panel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reference {
    /// CSV with the columns figure, panel, network, split, iteration, error_percent, note; for responses figure, panel,
    /// network, layer_index, std, note; for a table TOML.
    pub file: PathBuf,
    /// Rows with one of these in the column `panel`.
    pub panels: Vec<String>,
}

/// A network with its recipe.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkEntry {
    /// `resnet-20`: in folders and on the command line.
    pub name: String,
    /// `ResNet-20`: in figures, and in the column `network` of the paper's curves.
    pub label: String,
    pub network: Network,
    pub recipe: Recipe,
    /// `#rrggbb`.
    pub colour: String,
    /// Trained only when asked for by name.
    pub optional: bool,
    /// The network that it is a variant of: the same layers, another recipe.
    pub variant_of: Option<String>,
    /// The network whose final weights it starts from, with its recipe (`recipe.init.from`).
    pub start: Option<Box<NetworkEntry>>,
}

/// An ordering that the paper asserts; it holds where all comparisons do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// In words.
    pub says: String,
    pub data: DataKind,
    pub comparisons: Vec<Comparison>,
    /// Where it stands in its manifest, counted from 1.
    pub line: Option<usize>,
}

/// `metric(higher) - metric(lower) >= margin`, in points.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    pub metric: Metric,
    pub higher: String,
    pub lower: String,
    /// Below 0 where `lower` may lie above `higher` by as much.
    pub margin: f64,
}

impl Comparison {
    /// `test error: plain-56 at least 5 points above plain-20`.
    pub fn text(&self) -> String {
        let Self {
            metric,
            higher,
            lower,
            margin,
        } = self;
        let metric = metric.text();
        if *margin > 0.0 {
            format!("{metric}: {higher} at least {margin} points above {lower}")
        } else if *margin < 0.0 {
            format!(
                "{metric}: {lower} at most {} points above {higher}",
                -margin
            )
        } else {
            format!("{metric}: {lower} not above {higher}")
        }
    }

    /// Whether it holds for these errors, %. Never for NaN.
    pub fn holds(&self, higher: f64, lower: f64) -> bool {
        higher - lower >= self.margin
    }
}

impl Experiment {
    /// The entry of a network by its name.
    pub fn network(&self, name: &str) -> Option<&NetworkEntry> {
        self.networks.iter().find(|entry| entry.name == name)
    }

    /// Keeps these networks alone, the optional ones among them no longer optional. Claims, expectations and panels stay:
    /// what is missing for them is missing.
    ///
    /// # Errors
    /// [`Exit::Usage`] for a network that the experiment does not have.
    pub fn only(&mut self, names: &[String]) -> anyhow::Result<()> {
        let wanted: Vec<String> = names.iter().map(|n| n.trim().to_lowercase()).collect();
        for name in &wanted {
            if self.network(name).is_none() {
                let there: Vec<&str> = self.networks.iter().map(|e| e.name.as_str()).collect();
                return Err(Exit::Usage.error(format!(
                    "no network \"{name}\" in {} at profile {}; there are {}",
                    self.file.display(),
                    self.profile,
                    there.join(", ")
                )));
            }
        }
        self.networks.retain(|entry| wanted.contains(&entry.name));
        for entry in &mut self.networks {
            entry.optional = false;
        }
        Ok(())
    }

    /// Whether nothing of the recipe differs from the paper's.
    pub fn is_papers_recipe(&self) -> bool {
        self.departures().is_empty()
    }

    /// What differs from the paper, one short phrase each: `batch 64 (paper: 128)`. How often and on how many images the
    /// error is measured is not the recipe, but fewer images for the statistics are named.
    pub fn departures(&self) -> Vec<String> {
        let entries: Vec<_> = (self.networks.iter())
            .filter(|entry| !entry.optional)
            .map(|entry| (entry, departures(entry)))
            .collect();
        let mut phrases: Vec<String> = Vec::new();
        for (entry, own) in &entries {
            for phrase in own {
                let sharing = (entries.iter())
                    .filter(|(_, other)| other.contains(phrase))
                    .count();
                // What most networks have needs no names.
                let phrase = match 2 * sharing > entries.len() {
                    true => phrase.clone(),
                    false => format!("{}: {phrase}", entry.label),
                };
                if !phrases.contains(&phrase) {
                    phrases.push(phrase);
                }
            }
        }
        phrases
    }
}

/// The depth from which the paper's recipe has a warm-up (section 4.2).
const WARM_UP_DEPTH: usize = 110;

fn departures(entry: &NetworkEntry) -> Vec<String> {
    let mut paper = Recipe::default();
    if entry.network.family == Family::Resnet && entry.network.depth() >= WARM_UP_DEPTH {
        paper.warm_up = Some(WarmUp::default());
    }
    // These are not the recipe.
    paper.evaluation.interval = entry.recipe.evaluation.interval;
    paper.evaluation.statistics_batch = entry.recipe.evaluation.statistics_batch;
    paper.evaluation.clean_images = entry.recipe.evaluation.clean_images;
    let mut ours = entry.recipe.clone();
    if entry.variant_of.is_some() {
        // What a variant is about, and its label says.
        ours.shortcut = Shortcut::A;
        ours.init = Init::default();
    }
    let mut phrases = Vec::new();
    if let (Ok(ours), Ok(theirs)) = (serde_json::to_value(&ours), serde_json::to_value(&paper)) {
        differences("", &ours, &theirs, &mut phrases);
    }
    phrases
}

fn differences(path: &str, ours: &Value, theirs: &Value, phrases: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                differences(&path, value, b.get(key).unwrap_or(&Value::Null), phrases);
            }
        }
        (a, b) if a == b => {}
        (a, b) => phrases.push(format!("{path} {} (paper: {})", short(a), short(b))),
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(short).collect();
            format!("[{}]", items.join(", "))
        }
        // A warm-up, the only table that may be absent.
        Value::Object(_) => "warm-up".into(),
        other => other.to_string(),
    }
}
