//! The verdict on an experiment: its overall status, headline and exit code.

use anyhow::Context;
use serde::Serialize;

use super::circumstances::Circumstances;
use super::distance::CurveRow;
use super::headline::Headline;
use super::response_distance::ResponseRow;
use super::rows::{BaselineRow, ClaimRow, ExpectationRow, NetworkRow, RunRow};
use super::status::{Counts, Status};
use super::subject::Subject;
use super::unclaimed;
use crate::exit::Exit;
use crate::manifest::{DataName, Evaluated, Metric};
use crate::origin::Origin;
use crate::recipe::TRAINING_WINDOW;

/// Version of `verdict.json`, raised when a field is removed or changes its meaning.
pub const VERDICT_FORMAT: u32 = 2;

/// The verdict on an experiment at a profile. Serialised, it is `verdict.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    pub format: u32,
    pub experiment: String,
    /// The experiment's file, as given.
    pub manifest: String,
    pub title: String,
    pub profile: String,
    /// The runs' data, in words; SYNTHETIC in capitals.
    pub data: String,
    pub synthetic: bool,
    pub seeds: Vec<u64>,
    pub status: Status,
    /// One sentence: whether it reproduced.
    pub headline: String,
    /// Counts of the expectations.
    pub errors: Counts,
    /// Counts of the claims.
    pub claim_counts: Counts,
    /// The error of guessing, %.
    pub chance: f64,
    /// Networks whose mean test error is less than a tenth of the way from chance to zero.
    pub hardly_learned: Vec<String>,
    pub networks: Vec<NetworkRow>,
    pub expectations: Vec<ExpectationRow>,
    pub claims: Vec<ClaimRow>,
    /// Our earlier errors. They guard against change and are no evidence about the paper.
    pub baselines: Vec<BaselineRow>,
    /// Distances to the paper's curves. Shown, never judged.
    pub curves: Vec<CurveRow>,
    /// Distances to the paper's layer responses. Shown, never judged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub responses: Vec<ResponseRow>,
    pub runs: Vec<RunRow>,
    pub overrides: Vec<String>,
    /// Differences from the paper's recipe and data.
    pub differences: Vec<String>,
    /// Other readings than the default ones of what the paper leaves open. They are no differences from it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<String>,
    pub command: String,
    /// Networks that are evaluated on held-out training images instead of the test set: their `test_error` is a
    /// validation error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_out: Vec<String>,
    /// The data set of the experiment.
    #[serde(skip_serializing_if = "DataName::is_default")]
    pub data_set: DataName,
    /// Mini-batches behind a training error.
    #[serde(skip_serializing_if = "is_the_papers_window")]
    pub training_window: usize,
}

impl Verdict {
    pub(super) fn new(
        circumstances: &Circumstances,
        networks: Vec<NetworkRow>,
        expectations: Vec<ExpectationRow>,
        claims: Vec<ClaimRow>,
        subjects: &[Subject],
    ) -> Self {
        let errors = Counts::of(expectations.iter().map(|row| row.status));
        let claim_counts = Counts::of(claims.iter().map(|row| row.status));
        let (of_networks, of_runs): (Vec<&ClaimRow>, Vec<&ClaimRow>) =
            claims.iter().partition(|row| row.is_computed());
        let of_networks: Vec<Status> = of_networks.iter().map(|row| row.status).collect();
        let statuses: Vec<Status> = expectations
            .iter()
            .map(|row| row.status)
            .chain(of_runs.iter().map(|row| row.status))
            .collect();
        let mut origins: Vec<Origin> = Vec::new();
        for subject in subjects {
            if !origins.contains(&subject.origin) {
                origins.push(subject.origin);
            }
        }
        let (paper, scale) = (circumstances.data.origin(), &circumstances.scale);
        let mut names: Vec<String> = Vec::new();
        for subject in subjects {
            let name = format!("{}{scale}{}", subject.origin.name(), subject.treated);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let synthetic = origins.contains(&Origin::Synthetic);
        let mut differences = circumstances.differences.clone();
        for origin in origins.iter().filter(|&&origin| origin != paper) {
            let (ours, theirs) = (origin.name(), paper.name());
            differences.insert(0, format!("data: {ours} (paper: {theirs})"));
        }
        let (status, reason) = match statuses.is_empty() {
            true => unclaimed::status(circumstances, subjects),
            false => (Status::of_all(statuses), String::new()),
        };
        // Claims that need no runs can fail, but are not what is missing or not comparable.
        let failed = of_networks.iter().any(|status| status.fails());
        let (status, reason) = match status {
            _ if failed => (Status::of_all(of_networks), String::new()),
            Status::NothingClaimed if !of_networks.is_empty() => {
                (Status::of_all(of_networks), reason)
            }
            status => (status, reason),
        };
        let mut verdict = Self {
            format: VERDICT_FORMAT,
            experiment: circumstances.experiment.clone(),
            manifest: circumstances.manifest.clone(),
            title: circumstances.title.clone(),
            profile: circumstances.profile.clone(),
            data: if names.is_empty() {
                "no data yet".into()
            } else {
                names.join(" and ")
            },
            synthetic,
            seeds: circumstances.seeds.clone(),
            status,
            headline: String::new(),
            errors,
            claim_counts,
            chance: circumstances.chance,
            hardly_learned: hardly_learned(&networks, circumstances.chance),
            networks,
            expectations,
            claims,
            baselines: Vec::new(),
            curves: Vec::new(),
            responses: Vec::new(),
            runs: subjects.iter().map(RunRow::of).collect(),
            overrides: circumstances.overrides.clone(),
            differences,
            readings: circumstances.readings.clone(),
            command: circumstances.command.clone(),
            held_out: circumstances.held_out.clone(),
            data_set: circumstances.data,
            training_window: circumstances.training_window,
        };
        verdict.headline = Headline {
            experiment: &verdict.experiment,
            profile: &verdict.profile,
            changed: !verdict.overrides.is_empty(),
            status,
            errors,
            claims: claim_counts,
            papers_scale: circumstances.papers_profile
                && verdict.differences.is_empty()
                && circumstances.other_overrides().is_empty(),
            synthetic,
            seeds: verdict.seeds.len(),
            readings: verdict.readings.len(),
            reason: &reason,
        }
        .text();
        verdict
    }

    /// [`Exit::Success`] if everything judged holds, or nothing is claimed and the runs are complete;
    /// [`Exit::CheckFailed`] if something does not hold; [`Exit::Missing`] if something is missing or nothing is
    /// comparable.
    pub fn exit(&self) -> Exit {
        match self.status {
            status if status.holds() || status == Status::NothingClaimed => Exit::Success,
            status if status.fails() => Exit::CheckFailed,
            _ => Exit::Missing,
        }
    }

    /// As [`Verdict::exit`], but with `strict`, `better` fails: an error far below the expected one is as suspicious as
    /// one above.
    pub fn exit_when(&self, strict: bool) -> Exit {
        let better = self.errors.better > 0 && self.status != Status::Missing;
        if strict && better {
            Exit::CheckFailed
        } else {
            self.exit()
        }
    }

    /// The images that the networks of this name are evaluated on.
    pub fn evaluated(&self, network: impl Fn(&str) -> bool) -> Evaluated {
        let names = self.networks.iter().map(|row| &row.network);
        let of_these = names.filter(|name| network(name));
        let held_out = of_these.map(|name| self.held_out.contains(name));
        Evaluated::of(self.data_set, held_out)
    }

    /// What a metric of a network is called.
    pub fn metric(&self, metric: Metric, network: &str) -> &'static str {
        let held_out = self.held_out.iter().any(|name| name == network);
        Evaluated::of(self.data_set, [held_out]).metric(metric)
    }

    /// Networks that have barely learned, with their errors; none if all have.
    pub fn near_chance(&self) -> Option<String> {
        let each: Vec<String> = self
            .networks
            .iter()
            .filter(|row| self.hardly_learned.contains(&row.network))
            .filter_map(|row| {
                let error = row.test_error.or(row.training_error)?;
                Some(format!("{} ({:.1} %)", row.network, error.mean))
            })
            .collect();
        (!each.is_empty()).then(|| {
            format!(
                "barely learned (chance is {:.0} %): {}",
                self.chance,
                each.join(", ")
            )
        })
    }

    /// `verdict.json`, indented, with a trailing newline.
    ///
    /// # Errors
    /// If a value cannot be serialised, which is a bug.
    pub fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self).context("cannot write the verdict as JSON")? + "\n")
    }
}

fn is_the_papers_window(window: &usize) -> bool {
    *window == TRAINING_WINDOW
}

/// The fraction of the way from chance to zero below which a network has barely learned.
const BARELY: f64 = 0.1;

fn hardly_learned(networks: &[NetworkRow], chance: f64) -> Vec<String> {
    networks
        .iter()
        .filter(|row| {
            let error = row.test_error.or(row.training_error);
            error.is_some_and(|error| error.mean > chance * (1.0 - BARELY))
        })
        .map(|row| row.network.clone())
        .collect()
}
