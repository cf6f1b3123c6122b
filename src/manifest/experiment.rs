//! An experiment at one profile, resolved and validated.

use std::path::PathBuf;

use serde::Serialize;

use super::evaluated::Evaluated;
use super::file::{Expectation, Kind, LayerOrder, Metric, Responses};
use crate::counted::counted;
use crate::exit::Exit;
use crate::nearest::remedy;
use crate::network::Network;
use crate::origin::{DataKind, DataName, Origin};
use crate::recipe::{Recipe, TrainingSplit};

/// A figure or table at one profile, created by [`Experiment::load`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Experiment {
    /// E.g. `fig6`; also the name of the report folder.
    pub name: String,
    pub title: String,
    /// What to produce from the runs.
    pub kind: Kind,
    /// The data set to train on.
    #[serde(skip_serializing_if = "DataName::is_default")]
    pub data: DataName,
    /// Path of the manifest.
    pub file: PathBuf,
    pub profile: String,
    /// One-line description of the profile.
    pub summary: String,
    /// The experiment that describes the runs, if not this one. Variants always belong to this one.
    pub runs_from: Option<String>,
    /// Panels with at least one network of this profile.
    pub panels: Vec<Panel>,
    /// In the manifest's order, then variants, then optional networks.
    pub networks: Vec<NetworkEntry>,
    /// The recipe shared by networks without exceptions.
    pub recipe: Recipe,
    pub seeds: Vec<u64>,
    /// Limits of the vertical axis in %; fitted to the data if `None`.
    pub error_axis: Option<[f64; 2]>,
    /// Mini-batches averaged into one training error.
    pub training_window: usize,
    /// Draw training curves dashed instead of solid.
    pub dashed_training: bool,
    /// Fall back to synthetic images if the data set is not available.
    pub synthetic: bool,
    pub expectations: Vec<Expectation>,
    pub claims: Vec<Claim>,
    /// How to measure responses; only for kind `responses`.
    pub responses: Option<Responses>,
    /// The `--set` arguments as given.
    pub overrides: Vec<String>,
    /// The networks of `--networks`, if it is only a part.
    pub part: Vec<String>,
}

/// One set of axes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Panel {
    pub title: String,
    /// Names in legend order.
    pub networks: Vec<String>,
    /// Curves to draw.
    pub shows: Vec<Metric>,
    /// Draw the panel only if this network has a run.
    pub only_with: Option<String>,
    /// Start of the horizontal axis.
    pub first_iteration: u64,
    /// Order of the layers; only for kind `responses`.
    pub order: LayerOrder,
    /// The paper's curves.
    pub reference: Option<Reference>,
    /// The paper's values, for kinds other than `curves`.
    pub values: Option<Reference>,
}

/// The paper's curves or values for a panel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reference {
    /// For curves, CSV with the columns figure, panel, network, split, iteration, error_percent, note; for responses, CSV
    /// with figure, panel, network, layer_index, std, note; for tables, TOML.
    pub file: PathBuf,
    /// Values of the column `panel` to include.
    pub panels: Vec<String>,
}

/// A network and its recipe.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkEntry {
    /// As in folders and on the command line: `resnet-20`.
    pub name: String,
    /// As in figures and in the column `network` of the paper's curves: `ResNet-20`.
    pub label: String,
    pub network: Network,
    pub recipe: Recipe,
    /// `#rrggbb`.
    pub colour: String,
    /// Train only on request.
    pub optional: bool,
    /// For variants, the base network: the same layers with another recipe.
    pub variant_of: Option<String>,
    /// The network whose final weights this one starts from (`recipe.init.from`).
    pub start: Option<Box<NetworkEntry>>,
}

/// An ordering claimed by the paper. It holds if every comparison does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Claim {
    /// The claim in words.
    pub says: String,
    pub data: DataKind,
    pub comparisons: Vec<Comparison>,
    /// Line in the manifest, counted from 1.
    pub line: Option<usize>,
}

/// `metric(higher) - metric(lower) >= margin`, in points.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    pub metric: Metric,
    pub higher: String,
    pub lower: String,
    /// Negative if `lower` may exceed `higher` by that much.
    pub margin: f64,
}

impl Comparison {
    /// `test error: plain-56 at least 5 points above plain-20`.
    pub fn text(&self) -> String {
        self.worded(self.metric.text())
    }

    /// The same with another name of the metric.
    pub fn worded(&self, metric: &str) -> String {
        let Self {
            higher,
            lower,
            margin,
            ..
        } = self;
        let points = |count: f64| {
            let noun = if count == 1.0 { "point" } else { "points" };
            format!("{count} {noun}")
        };
        if *margin > 0.0 {
            let points = points(*margin);
            format!("{metric}: {higher} at least {points} above {lower}")
        } else if *margin < 0.0 {
            let points = points(-margin);
            format!("{metric}: {lower} at most {points} above {higher}")
        } else {
            format!("{metric}: {lower} not above {higher}")
        }
    }

    /// Whether the comparison holds for these errors in %. False for NaN.
    pub fn holds(&self, higher: f64, lower: f64) -> bool {
        higher - lower >= self.margin
    }
}

impl NetworkEntry {
    /// The network of the paper with these layers: a variant is compared with the one that it is a variant of.
    pub fn papers_name(&self) -> &str {
        self.variant_of.as_deref().unwrap_or(&self.name)
    }

    /// The same for another number of classes. The manifest only knows that of the whole data set.
    pub fn with_classes(&self, classes: usize) -> Self {
        let mut entry = self.clone();
        entry.network.classes = classes;
        entry.start = self
            .start
            .as_ref()
            .map(|start| Box::new(start.with_classes(classes)));
        entry
    }
}

impl Experiment {
    /// The same for the number of classes of the data that is there.
    pub fn with_classes(&self, classes: usize) -> Self {
        let networks = self.networks.iter();
        Self {
            networks: networks.map(|entry| entry.with_classes(classes)).collect(),
            ..self.clone()
        }
    }

    /// The number of classes that the networks tell apart.
    pub fn classes(&self) -> usize {
        let classes = self.networks.iter().map(|entry| entry.network.classes);
        classes.max().unwrap_or(self.data.classes())
    }

    /// Images of this origin in words, with classes and resolution where the data set does not settle them:
    /// `a part of ImageNet, 10 classes, 64x64 pixels`.
    pub fn images(&self, origin: Origin) -> String {
        format!("{}{}", origin.name(), self.scale())
    }

    /// `, 10 classes, 64x64 pixels`; empty for CIFAR-10, whose networks say it by their recipe.
    pub fn scale(&self) -> String {
        match self.data {
            DataName::Cifar10 => String::new(),
            DataName::Imagenet => {
                let (classes, side) = (self.classes(), self.recipe.image_size);
                format!(", {}, {side}x{side} pixels", counted(classes, "class"))
            }
        }
    }

    /// Whether an expectation or a claim is about a metric.
    pub fn judges(&self, metric: Metric) -> bool {
        let mut compared = self.claims.iter().flat_map(|claim| &claim.comparisons);
        let mut expected = self.expectations.iter();
        compared.any(|comparison| comparison.metric == metric)
            || expected.any(|expectation| expectation.metric == metric)
            || self.listed().contains(&metric)
    }

    /// The errors that a table lists or columns show, in the order of the manifest.
    pub fn listed(&self) -> Vec<Metric> {
        let mut listed = Vec::new();
        if !self.kind.lists_errors() {
            return listed;
        }
        for &metric in self.panels.iter().flat_map(|panel| &panel.shows) {
            if metric != Metric::TrainingError && !listed.contains(&metric) {
                listed.push(metric);
            }
        }
        if listed.is_empty() {
            listed.push(Metric::TestError);
        }
        listed
    }

    /// Looks up a network by name.
    pub fn network(&self, name: &str) -> Option<&NetworkEntry> {
        self.networks.iter().find(|entry| entry.name == name)
    }

    /// Keeps only the named networks and makes them non-optional. Claims, expectations and panels stay, even if they refer
    /// to a removed network.
    ///
    /// # Errors
    /// [`Exit::Usage`] for an unknown network.
    pub fn only(&mut self, names: &[String]) -> anyhow::Result<()> {
        let wanted: Vec<String> = names.iter().map(|n| n.trim().to_lowercase()).collect();
        for name in &wanted {
            if self.network(name).is_none() {
                let known = self.networks.iter().map(|entry| entry.name.as_str());
                return Err(Exit::Usage.error(format!(
                    "no network \"{name}\" in {} at profile {}; {}",
                    self.file.display(),
                    self.profile,
                    remedy(name, known)
                )));
            }
        }
        self.networks.retain(|entry| wanted.contains(&entry.name));
        self.part = wanted;
        for entry in &mut self.networks {
            entry.optional = false;
        }
        Ok(())
    }

    /// Networks that are evaluated on held-out training images, by name.
    pub fn held_out(&self) -> Vec<String> {
        self.networks
            .iter()
            .filter(|entry| entry.recipe.split == TrainingSplit::HoldOut)
            .map(|entry| entry.name.clone())
            .collect()
    }

    /// The images that the networks of this name are evaluated on.
    pub fn evaluated(&self, network: impl Fn(&str) -> bool) -> Evaluated {
        let entries = self.networks.iter().filter(|entry| network(&entry.name));
        Evaluated::of(
            self.data,
            entries.map(|entry| entry.recipe.split == TrainingSplit::HoldOut),
        )
    }
}
