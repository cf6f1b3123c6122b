//! The circumstances under which runs are judged.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::manifest::{Claim, DataName, Evaluated, Metric};

/// Whose value an expectation or claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Yardstick {
    /// The paper's; comparable only with the paper's recipe on the paper's data.
    Paper,
    /// Our own at this profile.
    Profile,
}

/// The circumstances under which runs are judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Circumstances {
    pub experiment: String,
    /// The experiment's file.
    pub manifest: String,
    pub title: String,
    pub profile: String,
    /// Networks in the order of the figure.
    pub networks: Vec<String>,
    /// Seeds required of every network.
    pub seeds: Vec<u64>,
    /// `--set` arguments.
    pub overrides: Vec<String>,
    /// Differences from the paper's recipe, a phrase each.
    pub differences: Vec<String>,
    /// The same of each network, which keep it from being compared with the paper.
    pub departures: BTreeMap<String, Vec<String>>,
    /// Other readings than the default ones of what the paper leaves open, a phrase each.
    pub readings: Vec<String>,
    /// Whether this profile's claims are the paper's own, with the paper's margins.
    pub papers_profile: bool,
    /// The command that reproduces these results.
    pub command: String,
    /// Whether the figure shows layer responses; every finished run must then have them.
    pub responses: bool,
    /// The error of guessing, %.
    pub chance: f64,
    /// The data set of the experiment.
    pub data: DataName,
    /// Classes and resolution of the images, to follow their name; may be empty.
    pub scale: String,
    /// Networks that are evaluated on held-out training images instead of the test set.
    pub held_out: Vec<String>,
    /// Mini-batches behind a training error.
    pub training_window: usize,
}

impl Circumstances {
    /// `--set` arguments that change more than the recipe, whose departures and readings are known, and the seeds, which are named.
    pub(super) fn other_overrides(&self) -> Vec<&str> {
        let known = |change: &&str| change.starts_with("recipe.") || change.starts_with("seeds=");
        let changes = self.overrides.iter().map(String::as_str);
        changes.filter(|change| !known(change)).collect()
    }

    /// What a metric of these networks is called.
    pub(super) fn metric(&self, metric: Metric, networks: &[&str]) -> &'static str {
        let held_out = |name: &&str| self.held_out.iter().any(|other| other == name);
        Evaluated::of(self.data, networks.iter().map(held_out)).metric(metric)
    }

    /// A claim in words.
    pub(super) fn reworded(&self, claim: &Claim) -> String {
        let networks = claim.comparisons.iter().flat_map(|c| [&c.higher, &c.lower]);
        let held_out = networks.map(|name| self.held_out.contains(name));
        Evaluated::of(self.data, held_out).reworded(&claim.says)
    }
}
