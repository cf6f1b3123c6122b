//! Plans an experiment's runs, and identifies them.
//!
//! Runs with the same identity give the same numbers. The identity is the sha256 of canonical JSON (keys sorted at every
//! level, no spaces) of the recipe without `evaluation`, the network, the seed, the digest of the training and test
//! records, the device with its instruction set, and [`NUMERICS_VERSION`]. `evaluation` has a separate hash.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::digest::sha256;
use crate::exit::Exit;
use crate::manifest::{Experiment, NetworkEntry};
use crate::network::Network;
use crate::plain_name::is_plain_name;
use crate::processor::Processor;
use crate::recipe::Recipe;

/// Raised by hand when the engine's arithmetic, the random streams or the order of images change, so that earlier runs
/// get other identities. Since 2, 3x3 convolutions use minimal filtering.
pub const NUMERICS_VERSION: u32 = 2;

/// The first version from which later ones differ only in the rounding of sums. As with another instruction set, such a
/// run is not resumed and has another identity, but counts as the same experiment.
pub const SAME_BUT_FOR_ROUNDING: u32 = 1;

/// A network, recipe and seed on given data and a kind of processor. The identity is always computed; a `run.toml` with
/// a different one is rejected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct RunPlan {
    pub network: Network,
    pub recipe: Recipe,
    pub seed: u64,
    /// Determines the folder but not the identity: profiles with the same recipe describe the same run.
    pub profile: String,
    pub data_digest: String,
    #[serde(flatten)]
    pub processor: Processor,
    pub numerics_version: u32,
    /// The identity of the run whose final weights it starts from, if any (`recipe.init.from`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    identity: String,
    measured: String,
}

/// A plan as read from a file, before its identity is verified.
#[derive(Deserialize)]
struct Written {
    network: Network,
    recipe: Recipe,
    seed: u64,
    profile: String,
    data_digest: String,
    #[serde(flatten)]
    processor: Processor,
    numerics_version: u32,
    start: Option<String>,
    identity: String,
    measured: String,
}

impl TryFrom<Written> for RunPlan {
    type Error = String;

    /// The file may come from anywhere: its names become paths, and its sizes are multiplied and allocated.
    fn try_from(written: Written) -> Result<Self, String> {
        for (what, name) in [
            ("profile", &written.profile),
            ("network name", &written.network.name),
        ] {
            if !is_plain_name(name) {
                return Err(format!(
                    "{what} {name:?} cannot be part of a path; use at most 100 letters, digits, `-`, `_` and `.`"
                ));
            }
        }
        if let Some(size) = written.recipe.outsized() {
            return Err(format!("recipe.{size}"));
        }
        if let Some(fault) = written.network.outsized() {
            return Err(fault);
        }
        let plan = Self {
            network: written.network,
            recipe: written.recipe,
            seed: written.seed,
            profile: written.profile,
            data_digest: written.data_digest,
            processor: written.processor,
            numerics_version: written.numerics_version,
            start: written.start,
            identity: String::new(),
            measured: String::new(),
        }
        .identified()
        .map_err(|error| error.to_string())?;
        for (what, found, computed) in [
            ("identity", &written.identity, &plan.identity),
            ("measured", &written.measured, &plan.measured),
        ] {
            if found != computed {
                return Err(format!(
                    "{what} = \"{found}\" does not match the run described, {computed}"
                ));
            }
        }
        Ok(plan)
    }
}

impl RunPlan {
    /// The run of an experiment's network.
    pub fn new(
        entry: &NetworkEntry,
        seed: u64,
        profile: &str,
        data_digest: &str,
        processor: Processor,
    ) -> Result<Self> {
        let made_on = (data_digest, processor);
        Self::of_version(NUMERICS_VERSION, entry, seed, profile, made_on)
    }

    /// As [`RunPlan::new`], with a numerics version.
    fn of_version(
        version: u32,
        entry: &NetworkEntry,
        seed: u64,
        profile: &str,
        (data_digest, processor): (&str, Processor),
    ) -> Result<Self> {
        let start = match &entry.start {
            None => None,
            Some(start) => {
                let made_on = (data_digest, processor);
                let start = Self::of_version(version, start, seed, profile, made_on)?;
                Some(start.identity)
            }
        };
        Self {
            network: entry.network.clone(),
            recipe: entry.recipe.clone(),
            seed,
            profile: profile.into(),
            data_digest: data_digest.into(),
            processor,
            numerics_version: version,
            start,
            identity: String::new(),
            measured: String::new(),
        }
        .identified()
    }

    /// The same run on another kind of processor.
    ///
    /// # Errors
    /// If a value cannot be serialised, which is a bug.
    pub fn on(&self, processor: Processor) -> Result<Self> {
        Self {
            processor,
            ..self.clone()
        }
        .identified()
    }

    /// The same run with another numerics version.
    ///
    /// # Errors
    /// If a value cannot be serialised, which is a bug.
    pub fn by_version(&self, numerics_version: u32) -> Result<Self> {
        Self {
            numerics_version,
            ..self.clone()
        }
        .identified()
    }

    /// Computes the hashes.
    fn identified(mut self) -> Result<Self> {
        self.identity = self.trajectory()?;
        self.measured = digest(&serde_json::to_value(&self.recipe.evaluation)?);
        Ok(self)
    }

    /// sha256 (hex) of everything that determines the trajectory.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// sha256 (hex) of `recipe.evaluation`.
    pub fn measured(&self) -> &str {
        &self.measured
    }

    /// `<profile>/<network>-s<seed>-<first 8 of the identity>`, in the results folder.
    pub fn folder(&self) -> String {
        format!("{}/{}", self.profile, self.name())
    }

    /// `<network>-s<seed>-<first 8 of the identity>`.
    pub fn name(&self) -> String {
        let hash = self.identity.get(..8).unwrap_or(&self.identity);
        format!("{}-s{}-{hash}", self.network.name, self.seed)
    }

    /// Whether the trajectory is the same, however it is evaluated.
    pub fn same_run(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Whether the run belongs to a network's curve in a figure: the same trajectory except for data and its number of
    /// classes, device, instruction set, rounding and seed.
    pub fn belongs_to(&self, entry: &NetworkEntry) -> bool {
        let entry = &entry.with_classes(self.network.classes);
        let mut ours = self.recipe.clone();
        ours.evaluation = entry.recipe.evaluation.clone();
        (SAME_BUT_FOR_ROUNDING..=NUMERICS_VERSION).contains(&self.numerics_version)
            && self.network == entry.network
            && ours == entry.recipe
            && self.starts_as(entry)
    }

    /// Whether it starts from the entry's start run, with the same seed, data, device and numerics version.
    fn starts_as(&self, entry: &NetworkEntry) -> bool {
        let wanted = entry.start.as_ref().map(|start| {
            let made_on = (&*self.data_digest, self.processor);
            let version = self.numerics_version;
            Self::of_version(version, start, self.seed, &self.profile, made_on)
        });
        match wanted {
            None => self.start.is_none(),
            Some(wanted) => wanted.is_ok_and(|run| Some(run.identity) == self.start),
        }
    }

    /// sha256 (hex) of network, recipe, evaluation and numerics except for rounding. Runs that share it have comparable
    /// errors, whatever their seeds, data and devices.
    ///
    /// # Errors
    /// If a value cannot be serialised, which is a bug.
    pub fn recipe_digest(&self) -> Result<String> {
        let arithmetic = match self.numerics_version {
            SAME_BUT_FOR_ROUNDING..=NUMERICS_VERSION => SAME_BUT_FOR_ROUNDING,
            other => other,
        };
        Ok(digest(&json!({
            "recipe": self.recipe,
            "network": self.network,
            "numerics_version": arithmetic,
        })))
    }

    fn trajectory(&self) -> Result<String> {
        let mut recipe = serde_json::to_value(&self.recipe)?;
        if let Value::Object(fields) = &mut recipe {
            fields.remove("evaluation");
        }
        let mut whole = json!({
            "recipe": recipe,
            "network": self.network,
            "seed": self.seed,
            "data": self.data_digest,
            "device": self.processor.device(),
            "instructions": self.processor.instructions(),
            "numerics_version": self.numerics_version,
        });
        // Omitted for runs from scratch, to keep the identities from before `start` existed.
        if let Some(start) = &self.start {
            whole["start"] = json!(start);
        }
        Ok(digest(&whole))
    }
}

/// An experiment's runs by seed, in the manifest's order, without optional networks. A run that another one starts from
/// comes before it, even if the experiment does not show it.
///
/// # Errors
/// [`Exit::Usage`] without seeds.
pub fn runs(
    experiment: &Experiment,
    seeds: &[u64],
    data_digest: &str,
    processor: Processor,
) -> Result<Vec<RunPlan>> {
    if seeds.is_empty() {
        return Err(Exit::Usage.error("no seeds; pass at least one, such as --seeds 1"));
    }
    let mut plans: Vec<RunPlan> = Vec::new();
    for &seed in seeds {
        for entry in experiment.networks.iter().filter(|entry| !entry.optional) {
            let profile = &experiment.profile;
            for entry in entry.start.as_deref().into_iter().chain([entry]) {
                let plan = RunPlan::new(entry, seed, profile, data_digest, processor)?;
                if !plans.iter().any(|other| other.same_run(&plan)) {
                    plans.push(plan);
                }
            }
        }
    }
    Ok(plans)
}

/// sha256 (hex) of canonical JSON.
fn digest(value: &Value) -> String {
    sha256(sorted(value).to_string().as_bytes())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort();
            let entries = keys
                .into_iter()
                .map(|key| (key.clone(), sorted(&fields[key])));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
