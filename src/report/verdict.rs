//! The verdict on an experiment: its overall status, headline and exit code, and its files.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::check::{Circumstances, Subject, origin_name};
use super::distance::CurveRow;
use super::rows::{ClaimRow, Counts, ExpectationRow, NetworkRow, RunRow, Status};
use super::{formats, table, unclaimed};
use crate::data::Origin;
use crate::exit::Exit;
use crate::run::disk::Disk;

/// Version of `verdict.json`, raised when a field changes its meaning or goes.
pub const VERDICT_FORMAT: u32 = 1;

/// The verdict on one experiment at one profile. Serialised, it is `verdict.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    pub format: u32,
    pub experiment: String,
    /// The experiment's file, as it was named.
    pub manifest: String,
    pub title: String,
    pub profile: String,
    /// What the runs were made on, in words; SYNTHETIC in capitals.
    pub data: String,
    pub synthetic: bool,
    pub seeds: Vec<u64>,
    pub status: Status,
    /// One sentence: did it reproduce.
    pub headline: String,
    pub counts: Counts,
    pub networks: Vec<NetworkRow>,
    pub expectations: Vec<ExpectationRow>,
    pub claims: Vec<ClaimRow>,
    /// Distances to the paper's curves. Shown, never judged.
    pub curves: Vec<CurveRow>,
    pub runs: Vec<RunRow>,
    pub overrides: Vec<String>,
    /// What differs from the paper's recipe and data.
    pub differences: Vec<String>,
    pub command: String,
}

impl Verdict {
    pub(super) fn new(
        circumstances: &Circumstances,
        networks: Vec<NetworkRow>,
        expectations: Vec<ExpectationRow>,
        claims: Vec<ClaimRow>,
        subjects: &[Subject],
    ) -> Self {
        let statuses: Vec<Status> = expectations
            .iter()
            .map(|row| row.status)
            .chain(claims.iter().map(|row| row.status))
            .collect();
        let count = |status| statuses.iter().filter(|&&other| other == status).count();
        let counts = Counts {
            pass: count(Status::Pass),
            fail: count(Status::Fail),
            better: count(Status::Better),
            missing: count(Status::Missing),
            not_comparable: count(Status::NotComparable),
        };
        let mut origins: Vec<Origin> = Vec::new();
        for subject in subjects {
            if !origins.contains(&subject.origin) {
                origins.push(subject.origin);
            }
        }
        let names: Vec<&str> = origins.iter().map(|&origin| origin_name(origin)).collect();
        let synthetic = origins.contains(&Origin::Synthetic);
        let mut differences = circumstances.differences.clone();
        for origin in origins.iter().filter(|&&origin| origin != Origin::Cifar10) {
            differences.insert(
                0,
                format!("data: {} (paper: CIFAR-10)", origin_name(*origin)),
            );
        }
        let (status, reason) = if statuses.is_empty() {
            unclaimed::status(circumstances, subjects)
        } else {
            (Status::of_all(statuses), String::new())
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
            counts,
            networks,
            expectations,
            claims,
            curves: Vec::new(),
            runs: subjects.iter().map(RunRow::of).collect(),
            overrides: circumstances.overrides.clone(),
            differences,
            command: circumstances.command.clone(),
        };
        verdict.headline = verdict.say(&reason);
        verdict
    }

    /// 0 where everything judged holds or nothing is claimed of runs that are all there, [`Exit::CheckFailed`] where something does not, [`Exit::Missing`] where something
    /// is missing or nothing could be compared.
    pub fn exit(&self) -> Exit {
        match self.status {
            Status::Pass | Status::Better | Status::NothingClaimed => Exit::Success,
            Status::Fail => Exit::CheckFailed,
            Status::Missing | Status::NotComparable => Exit::Missing,
        }
    }

    /// [`Verdict::exit`], with `better` as a failure where `strict`: an error far below the expected one is as suspicious as
    /// one above.
    pub fn exit_when(&self, strict: bool) -> Exit {
        let better = self.counts.better > 0 && self.status != Status::Missing;
        if strict && better {
            Exit::CheckFailed
        } else {
            self.exit()
        }
    }

    /// The table for a terminal, several lines, ending with the headline.
    pub fn table(&self) -> String {
        table::text(self)
    }

    /// `reason` says why runs of which nothing is claimed are not all as they should be.
    fn say(&self, reason: &str) -> String {
        let counts = &self.counts;
        let judged = counts.pass + counts.fail + counts.better + counts.missing;
        let mut text = match self.status {
            Status::Pass if judged == 1 => format!(
                "{} reproduced at profile {}: the one judged expectation or claim holds",
                self.experiment, self.profile
            ),
            Status::NothingClaimed => format!(
                "{} at profile {}: nothing is claimed at this profile, and all its runs are there",
                self.experiment, self.profile
            ),
            _ if !reason.is_empty() => format!(
                "{} at profile {} claims nothing, and is not complete: {reason}",
                self.experiment, self.profile
            ),
            Status::Pass => format!(
                "{} reproduced at profile {}: all {judged} judged expectations and claims hold",
                self.experiment, self.profile
            ),
            Status::Better => format!(
                "{} at profile {} is at or below every expected error: {} of {judged} judged are better than expected",
                self.experiment, self.profile, counts.better
            ),
            Status::Fail => format!(
                "{} NOT reproduced at profile {}: {} of {judged} judged expectations and claims fail",
                self.experiment, self.profile, counts.fail
            ),
            Status::Missing => format!(
                "{} at profile {} cannot be judged yet: {} of {judged} expectations and claims lack runs",
                self.experiment, self.profile, counts.missing
            ),
            Status::NotComparable => format!(
                "{} at profile {}: nothing is comparable, which is not a pass",
                self.experiment, self.profile
            ),
        };
        if counts.not_comparable > 0 && self.status != Status::NotComparable {
            let _ = write!(text, "; {} not comparable", counts.not_comparable);
        }
        if self.synthetic {
            text.push_str(" [SYNTHETIC data: says nothing about the paper]");
        }
        text
    }

    /// `verdict.json`, indented, with a line end.
    ///
    /// # Errors
    /// Only if a value cannot be JSON, which none is.
    pub fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self).context("cannot write the verdict as JSON")? + "\n")
    }

    /// Writes `verdict.json` and `junit.xml` into the folder, which is made if need be. Each appears whole or not at all. With `strict`, `better` is a failure in `junit.xml`.
    ///
    /// # Errors
    /// [`Exit::Storage`] where the folder cannot be written.
    pub fn write(&self, folder: &Path, strict: bool) -> anyhow::Result<()> {
        let disk = Disk::default();
        disk.create_dir(folder)?;
        disk.replace(&folder.join("verdict.json"), self.json()?.as_bytes())?;
        let junit = formats::junit(self, strict);
        disk.replace(&folder.join("junit.xml"), junit.as_bytes())
    }
}
