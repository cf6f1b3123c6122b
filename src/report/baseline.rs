//! A profile's accepted errors: recorded once by `check --accept NAME`, held against later runs by `check --against NAME`.
//! One small TOML file a baseline, `<results>/<profile>/<experiment>-<name>.baseline.toml`, beside the runs it was made of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::check::{BaselineValue, Ending, Subject, origin_name};
use super::statistics::Measured;
use crate::exit::Exit;
use crate::manifest::{DataKind, Expectation, Experiment, Metric};
use crate::run::disk::Disk;

/// Version of the file.
const FORMAT: u32 = 1;
/// Runs of a network below which a baseline is not accepted unasked.
pub const FEWEST_SEEDS: usize = 3;

/// Errors of an experiment at a profile, as they once were.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    pub format: u32,
    pub name: String,
    pub experiment: String,
    pub profile: String,
    /// What the runs were made on: `CIFAR-10`.
    pub data: String,
    /// The commit at which it was accepted.
    pub commit: String,
    /// The commits that made the runs, `-dirty` where the tree was.
    pub made_by: Vec<String>,
    pub seeds: Vec<u64>,
    /// `--set` arguments of the runs.
    pub overrides: Vec<String>,
    pub values: Vec<Value>,
}

/// One network's errors by one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    pub network: String,
    pub metric: Metric,
    /// sha256 (hex) of network, recipe and measurement.
    pub recipe: String,
    /// At the last iteration, %, one a seed in the order of `seeds`.
    pub errors: Vec<f64>,
    /// %.
    pub mean: f64,
    /// Over n - 1, points; none for one seed.
    pub deviation: Option<f64>,
}

/// Where the baseline `name` of an experiment lies.
///
/// # Errors
/// [`Exit::Usage`] for a name that is no file's name.
pub fn path(results_dir: &Path, experiment: &Experiment, name: &str) -> Result<PathBuf> {
    let usual = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(usual) {
        return Err(Exit::Usage.error(format!(
            "\"{name}\" does not name a baseline; use letters, digits, `-`, `_` and `.`, for example 2026-11"
        )));
    }
    let file = format!("{}-{name}.baseline.toml", experiment.name);
    Ok(results_dir.join(&experiment.profile).join(file))
}

impl Baseline {
    /// The errors of `subjects`: every network that is not optional, with every seed, finished, on one sort of images.
    ///
    /// # Errors
    /// [`Exit::Missing`] where one is missing, not finished or not of its recipe; with fewer than [`FEWEST_SEEDS`] seeds
    /// [`Exit::Usage`], unless `few_seeds`.
    pub fn of(
        name: &str,
        commit: &str,
        experiment: &Experiment,
        seeds: &[u64],
        subjects: &[Subject],
        few_seeds: bool,
    ) -> Result<Self> {
        if seeds.len() < FEWEST_SEEDS && !few_seeds {
            return Err(Exit::Usage.error(format!(
                "a baseline of {} seed(s) knows too little of their scatter; give {FEWEST_SEEDS} or more with --seeds, or --allow-few-seeds",
                seeds.len()
            )));
        }
        let missing = |what: String| {
            Exit::Missing.error(format!(
                "no baseline of {} at profile {}: {what}",
                experiment.name, experiment.profile
            ))
        };
        let origins: BTreeSet<&str> = subjects.iter().map(|s| origin_name(s.origin)).collect();
        if origins.len() > 1 {
            return Err(missing(
                "the runs are of different data; choose with --data".into(),
            ));
        }
        let mut values = Vec::new();
        for entry in experiment.networks.iter().filter(|entry| !entry.optional) {
            let network = &entry.name;
            let mut runs = Vec::new();
            for seed in seeds {
                let run = subjects
                    .iter()
                    .find(|run| run.network == *network && run.seed == *seed)
                    .ok_or_else(|| missing(format!("{network} seed {seed} has not been run")))?;
                if run.ending != Ending::Finished {
                    return Err(missing(format!("{network} seed {seed} did not finish")));
                }
                if let Some(fault) = run.faults.first() {
                    return Err(missing(format!("{network} seed {seed}: {fault}")));
                }
                runs.push(run);
            }
            for metric in [Metric::TestError, Metric::TrainingError] {
                let errors: Option<Vec<f64>> = runs
                    .iter()
                    .map(|run| run.error(metric).filter(|error| error.is_finite()))
                    .collect();
                let errors = errors.ok_or_else(|| {
                    missing(format!("a run of {network} recorded no {}", metric.text()))
                })?;
                let measured = Measured::of(&errors);
                values.push(Value {
                    network: network.clone(),
                    metric,
                    recipe: runs
                        .first()
                        .map(|run| run.recipe.clone())
                        .unwrap_or_default(),
                    errors,
                    mean: measured.mean,
                    deviation: measured.deviation,
                });
            }
        }
        let made_by: BTreeSet<&str> = subjects.iter().map(|run| run.commit.as_str()).collect();
        Ok(Self {
            format: FORMAT,
            name: name.into(),
            experiment: experiment.name.clone(),
            profile: experiment.profile.clone(),
            data: origins.first().copied().unwrap_or_default().into(),
            commit: commit.into(),
            made_by: made_by.into_iter().map(String::from).collect(),
            seeds: seeds.to_vec(),
            overrides: experiment.overrides.clone(),
            values,
        })
    }

    /// Writes the file whole.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self).context("a baseline does not fit TOML")?;
        let about = "# Errors accepted with `refig check --accept`; compare with `refig check --against`.\n";
        let disk = Disk::default();
        disk.create_dir(path.parent().unwrap_or(Path::new("")))?;
        disk.replace(path, format!("{about}{text}").as_bytes())
    }

    /// Reads a baseline.
    ///
    /// # Errors
    /// [`Exit::Missing`] where there is no such file, [`Exit::Storage`] where it is damaged or of a newer version.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Exit::Missing.error(format!(
                "cannot read the baseline {}: {error}; make it with `refig check --accept NAME`",
                path.display()
            ))
        })?;
        let table: toml::Table = toml::from_str(&text).map_err(|e| unreadable(path, &e))?;
        let format = table.get("format").and_then(toml::Value::as_integer);
        if format.is_some_and(|found| found > i64::from(FORMAT)) {
            return Err(Exit::Storage.error(format!(
                "{}: format {} is newer than {FORMAT}; use the version that wrote it",
                path.display(),
                format.unwrap_or_default()
            )));
        }
        table.try_into().map_err(|e| unreadable(path, &e))
    }

    /// Its values as expectations of these runs: with a run of another recipe or on other images they are refused.
    pub fn values_for(&self, subjects: &[Subject]) -> Vec<BaselineValue> {
        self.values
            .iter()
            .map(|value| {
                let of_network = subjects.iter().filter(|run| run.network == value.network);
                let refused = of_network.clone().find_map(|run| {
                    let origin = origin_name(run.origin);
                    if origin != self.data {
                        Some(format!("made on {origin}, the baseline on {}", self.data))
                    } else if run.recipe != value.recipe {
                        Some("the recipe is not the baseline's".into())
                    } else {
                        None
                    }
                });
                BaselineValue {
                    expectation: Expectation {
                        network: value.network.clone(),
                        metric: value.metric,
                        value: value.mean,
                        tolerance: None,
                        source: format!("baseline {}", self.name),
                        deviation: value.deviation,
                        runs: value.deviation.map(|_| value.errors.len()),
                        data: DataKind::Any,
                        line: None,
                    },
                    refused,
                }
            })
            .collect()
    }
}

fn unreadable(path: &Path, error: &toml::de::Error) -> anyhow::Error {
    Exit::Storage.error(format!(
        "{}: {}; accept the baseline again",
        path.display(),
        error.to_string().trim()
    ))
}
