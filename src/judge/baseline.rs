//! Baselines: a profile's errors as accepted by `check --accept NAME`, compared with later runs. Each is a small TOML
//! file next to the manifest, `baselines/<experiment>-<profile>-<name>.toml`. A baseline guards against change; it is
//! no evidence about the paper, and never compared with the runs it was recorded from.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::comparable::ROUNDING;
use super::rows::{BaselineRow, BaselineStatus};
use super::significance::default_tolerance;
use super::statistics::Measured;
use super::subject::Subject;
use crate::console::one_line;
use crate::exit::Exit;
use crate::manifest::{Experiment, Metric};
use crate::origin::Origin;
use crate::record::Ending;
use crate::run::disk::Disk;
use crate::run::is_plain_name;

/// Version of the file format.
const FORMAT: u32 = 3;
/// Fewest seeds accepted without `--allow-few-seeds`.
pub const FEWEST_SEEDS: usize = 3;

/// Accepted errors of an experiment at a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    pub format: u32,
    pub name: String,
    pub experiment: String,
    pub profile: String,
    /// The data the runs were made on.
    pub data: Origin,
    /// Identifies the images: sha256 (hex) over the digests of both sets. Empty in files of earlier versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub data_digest: String,
    /// The commit at which it was accepted.
    pub commit: String,
    /// The commits that made the runs, with `-dirty` if the tree was dirty.
    pub made_by: Vec<String>,
    pub seeds: Vec<u64>,
    /// `--set` arguments of the runs.
    pub overrides: Vec<String>,
    pub values: Vec<Value>,
}

/// A network's errors by one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Value {
    pub network: String,
    pub metric: Metric,
    /// sha256 (hex) of network, recipe and measurement.
    pub recipe: String,
    /// Identities of the runs it was recorded from.
    pub runs: Vec<String>,
    /// At the last iteration, %, one per seed in the order of `seeds`.
    pub errors: Vec<f64>,
    /// %.
    pub mean: f64,
    /// Over n - 1, points; none for one seed.
    pub deviation: Option<f64>,
}

impl Baseline {
    /// The path of an experiment's baseline `name`.
    ///
    /// # Errors
    /// [`Exit::Usage`] for an invalid name.
    pub fn path(experiment: &Experiment, name: &str) -> Result<PathBuf> {
        if !is_plain_name(name) {
            return Err(Exit::Usage.error(format!(
                "\"{name}\" does not name a baseline; use at most 100 letters, digits, `-`, `_` and `.`, for example 2026-11"
            )));
        }
        let file = format!("{}-{}-{name}.toml", experiment.name, experiment.profile);
        Ok(folder(experiment).join(file))
    }

    /// Every baseline of the experiment at its profile, by name, and why each of the others cannot be read.
    pub fn all(experiment: &Experiment) -> (Vec<Self>, Vec<String>) {
        let own = format!("{}-{}-", experiment.name, experiment.profile);
        let files = walkdir::WalkDir::new(folder(experiment))
            .max_depth(1)
            .sort_by_file_name()
            .into_iter()
            // A missing folder means no baselines.
            .filter_map(Result::ok)
            .filter(|entry| {
                let name = entry.file_name().to_string_lossy();
                name.starts_with(&own) && name.ends_with(".toml")
            });
        let (mut baselines, mut unread) = (Vec::new(), Vec::new());
        for file in files {
            match Self::read(file.path()) {
                // `a-b-c.toml` may be of profile `b-c`.
                Ok(baseline)
                    if baseline.experiment != experiment.name
                        || baseline.profile != experiment.profile => {}
                Ok(baseline) => baselines.push(baseline),
                Err(error) => unread.push(format!("{error:#}")),
            }
        }
        (baselines, unread)
    }

    /// Records the errors of `subjects`: every non-optional network with every seed, finished, all on the same data.
    ///
    /// # Errors
    /// [`Exit::Missing`] if a run is missing, unfinished or deviates from its recipe; [`Exit::Usage`] with fewer than
    /// three seeds, unless `few_seeds`.
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
                "{} seed(s) are too few to estimate the scatter of a baseline; pass {FEWEST_SEEDS} or more with --seeds, or --allow-few-seeds",
                seeds.len()
            )));
        }
        let missing = |what: String| {
            Exit::Missing.error(format!(
                "cannot accept a baseline of {} at profile {}: {what}",
                experiment.name, experiment.profile
            ))
        };
        let origins: BTreeSet<Origin> = subjects.iter().map(|run| run.origin).collect();
        if origins.len() > 1 {
            return Err(missing(
                "the runs are on different data; select with --data".into(),
            ));
        }
        let digests: BTreeSet<&str> = subjects
            .iter()
            .map(|run| run.data_digest.as_str())
            .collect();
        if digests.len() > 1 {
            return Err(missing(format!(
                "the runs are on different images, of {} digests; keep them in different folders with --results-dir",
                digests.len()
            )));
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
                // Without a commit nobody can make these errors again.
                if run.commit.is_empty() {
                    return Err(missing(format!(
                        "no commit holds the sources that made {network} seed {seed}; make it again with a program built from a commit"
                    )));
                }
                runs.push(run);
            }
            for metric in [Metric::TestError, Metric::TrainingError] {
                let errors: Option<Vec<f64>> = runs
                    .iter()
                    .map(|run| run.error(metric).filter(|error| error.is_finite()))
                    .collect();
                let errors = errors.ok_or_else(|| {
                    let evaluated = experiment.evaluated(|name| name == network);
                    missing(format!(
                        "a run of {network} recorded no {}",
                        evaluated.metric(metric)
                    ))
                })?;
                let measured = Measured::of(&errors);
                values.push(Value {
                    network: network.clone(),
                    metric,
                    recipe: runs
                        .first()
                        .map(|run| run.recipe.clone())
                        .unwrap_or_default(),
                    runs: runs.iter().map(|run| run.identity.clone()).collect(),
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
            data: origins.first().copied().unwrap_or_default(),
            data_digest: digests.first().copied().unwrap_or_default().into(),
            commit: commit.into(),
            made_by: made_by.into_iter().map(String::from).collect(),
            seeds: seeds.to_vec(),
            overrides: experiment.overrides.clone(),
            values,
        })
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    /// [`Exit::Storage`] if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self).context("cannot write the baseline as TOML")?;
        let about = "# Errors accepted with `refig check --accept`; they guard against change.\n";
        let disk = Disk::default();
        disk.create_dir(path.parent().unwrap_or(Path::new("")))?;
        disk.replace(path, format!("{about}{text}").as_bytes())
    }

    /// Reads a baseline.
    ///
    /// # Errors
    /// [`Exit::Missing`] if there is no such file, [`Exit::Storage`] if it is damaged or of a newer version.
    pub fn read(path: &Path) -> Result<Self> {
        // Opening a pipe would wait for its writer.
        if path.exists() && !path.is_file() {
            return Err(unreadable(path, &"not a file"));
        }
        let text = std::fs::read_to_string(path).map_err(|error| {
            if error.kind() != ErrorKind::NotFound {
                return unreadable(path, &error);
            }
            let folder = path.parent().unwrap_or(Path::new("."));
            let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let mut names: Vec<String> = names
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .filter(|name| name.ends_with(".toml"))
                .collect();
            names.sort();
            let there = match names.is_empty() {
                true => "there is none".into(),
                false => format!("there are {}", names.join(", ")),
            };
            Exit::Missing.error(format!(
                "cannot read the baseline {}: {error}; {there}; `refig check EXPERIMENT --accept NAME` records one",
                path.display()
            ))
        })?;
        let refuse = |error: toml::de::Error| unreadable(path, &error.message());
        let table: toml::Table = toml::from_str(&text).map_err(refuse)?;
        let format = table.get("format").and_then(toml::Value::as_integer);
        if format.is_some_and(|found| found > i64::from(FORMAT)) {
            return Err(Exit::Storage.error(format!(
                "{}: format {} is newer than {FORMAT}; use the version that wrote it",
                path.display(),
                format.unwrap_or_default()
            )));
        }
        table.try_into().map_err(refuse)
    }

    /// Compares the values of `networks` with the runs in `subjects` that they were not recorded from.
    pub(super) fn compare(&self, networks: &[String], subjects: &[Subject]) -> Vec<BaselineRow> {
        self.values
            .iter()
            .filter(|value| networks.contains(&value.network))
            .filter_map(|value| self.compare_value(value, subjects))
            .collect()
    }

    /// Why a run's images are not those that this was recorded on, if they are not known to be.
    fn other_data(&self, run: &Subject) -> Option<String> {
        let (made, recorded) = (run.origin.name(), self.data.name());
        if run.origin != self.data {
            return Some(format!("trained on {made}, recorded on {recorded}"));
        }
        match self.data_digest.as_str() {
            // There are many parts of ImageNet.
            "" if matches!(self.data, Origin::ImagenetPart | Origin::Other) => Some(format!(
                "recorded on {recorded}, without the digest of which; accept it again"
            )),
            "" => None,
            digest if digest != run.data_digest => Some(format!(
                "trained on {made} with the digest {}, recorded on images with {}",
                beginning(&run.data_digest),
                beginning(digest)
            )),
            _ => None,
        }
    }

    /// None if no run of the network has finished.
    fn compare_value(&self, value: &Value, subjects: &[Subject]) -> Option<BaselineRow> {
        let finished: Vec<&Subject> = subjects
            .iter()
            .filter(|run| run.network == value.network && run.ending == Ending::Finished)
            .collect();
        let others = finished
            .iter()
            .filter(|run| !value.runs.contains(&run.identity));
        let refused = others.clone().find_map(|run| {
            if let Some(difference) = self.other_data(run) {
                Some(difference)
            } else if let Some(fault) = run.faults.first() {
                Some(format!("deviates from its recipe: {fault}"))
            } else if run.recipe != value.recipe {
                Some("recipe differs from the baseline's".into())
            } else {
                None
            }
        });
        let errors: Vec<f64> = others
            .filter_map(|run| run.error(value.metric))
            .filter(|error| error.is_finite())
            .collect();
        let tolerance = default_tolerance(value.deviation, false);
        let measured = (!errors.is_empty()).then(|| Measured::of(&errors));
        let status = match (&refused, measured) {
            (Some(_), _) => BaselineStatus::NotComparable,
            (None, None) if finished.is_empty() => return None,
            (None, None) => BaselineStatus::OwnRuns,
            (None, Some(ours)) if (ours.mean - value.mean).abs() <= tolerance + ROUNDING => {
                BaselineStatus::Unchanged
            }
            (None, Some(_)) => BaselineStatus::Changed,
        };
        Some(BaselineRow {
            baseline: self.name.clone(),
            network: value.network.clone(),
            metric: value.metric,
            measured,
            expected: value.mean,
            expected_deviation: value.deviation,
            expected_runs: value.errors.len(),
            tolerance,
            status,
            note: refused.unwrap_or_default(),
        })
    }
}

/// Enough of a digest to tell it from others.
fn beginning(digest: &str) -> &str {
    digest.get(..8).unwrap_or(digest)
}

/// `baselines/` next to the manifest.
fn folder(experiment: &Experiment) -> PathBuf {
    experiment.file.with_file_name("baselines")
}

fn unreadable(path: &Path, error: &dyn Display) -> anyhow::Error {
    Exit::Storage.error(format!(
        "cannot read the baseline {}: {}; restore the file, or accept it again with --accept",
        path.display(),
        one_line(&error.to_string())
    ))
}
