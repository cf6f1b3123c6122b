//! The verdict on an experiment: its rows, its overall status and exit code, the table for a terminal, and its files.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::check::{Circumstances, Ending, Subject, Yardstick, origin_name};
use super::page;
use crate::data::Origin;
use crate::exit::Exit;
use crate::manifest::Metric;
use crate::run::disk::Disk;

/// Version of `verdict.json`, raised when a field changes its meaning or goes.
pub const VERDICT_FORMAT: u32 = 1;

/// What became of an expectation, a claim, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Pass,
    Fail,
    /// Lower than expected by more than the tolerance.
    Better,
    /// A run or a record that it needs is not there.
    Missing,
    /// The runs are not of the recipe or the data that the value is of.
    NotComparable,
}

impl Status {
    /// That of several together. A failure outweighs what is missing, which outweighs a pass. What is not comparable never
    /// makes a pass by itself and never undoes one: a profile's own values decide beside the paper's. Where nothing is
    /// asked nothing holds.
    pub fn of_all(statuses: impl IntoIterator<Item = Status>) -> Status {
        let all: Vec<Status> = statuses.into_iter().collect();
        [
            Status::Fail,
            Status::Missing,
            Status::Better,
            Status::Pass,
            Status::NotComparable,
        ]
        .into_iter()
        .find(|status| all.contains(status))
        .unwrap_or(Status::Missing)
    }

    /// As in tables and `verdict.json`.
    pub fn name(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Fail => "fail",
            Status::Better => "better",
            Status::Missing => "missing",
            Status::NotComparable => "not-comparable",
        }
    }
}

/// A value over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// %.
    pub mean: f64,
    /// Deviation of the sample (over n - 1), points; none for one seed.
    pub deviation: Option<f64>,
    pub seeds: usize,
}

impl Measured {
    /// Of at least one value.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self {
            mean,
            deviation: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
            seeds: values.len(),
        }
    }

    /// `8.75 ± 0.12 (3)`.
    pub fn text(&self) -> String {
        match self.deviation {
            Some(deviation) => format!("{:.2} ± {deviation:.2} ({})", self.mean, self.seeds),
            None => format!("{:.2} ({})", self.mean, self.seeds),
        }
    }
}

/// A dash where there is none.
pub(super) fn text_or_dash(measured: Option<&Measured>) -> String {
    measured.map_or_else(|| "–".into(), Measured::text)
}

/// What a network reached over its finished runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NetworkRow {
    pub network: String,
    pub seeds_finished: usize,
    pub seeds_asked: usize,
    pub test_error: Option<Measured>,
    pub moving_test_error: Option<Measured>,
    pub training_error: Option<Measured>,
    pub clean_training_error: Option<Measured>,
    /// The lowest along the way. Shown, never judged.
    pub best_test_error: Option<Measured>,
}

/// An expectation and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExpectationRow {
    pub network: String,
    pub metric: Metric,
    pub measured: Option<Measured>,
    pub expected: f64,
    pub tolerance: f64,
    pub against: Yardstick,
    pub source: String,
    pub status: Status,
    /// Why it is missing, not comparable or failed without a number.
    pub note: String,
}

/// One seed's share in a claim.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Gap {
    pub seed: u64,
    /// `error(higher) - error(lower)`.
    pub points: f64,
    /// Whether this seed alone would reach the margin. Shown; the mean is judged.
    pub holds: bool,
}

/// A claim and what became of it: it holds where all its comparisons do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimRow {
    pub claim: String,
    pub against: Yardstick,
    pub status: Status,
    pub comparisons: Vec<ComparisonRow>,
}

/// Two networks' errors, of which one should be above the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonRow {
    pub text: String,
    pub metric: Metric,
    pub higher: String,
    pub lower: String,
    /// Points that the gap must reach.
    pub margin: f64,
    /// `mean error(higher) - mean error(lower)`, points.
    pub gap: Option<f64>,
    pub gaps: Vec<Gap>,
    pub status: Status,
    pub note: String,
}

/// A run that the verdict rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRow {
    pub network: String,
    pub seed: u64,
    pub ending: Ending,
    pub iteration: u64,
    pub test_error: Option<f64>,
    pub best_test_error: Option<f64>,
    pub best_iteration: Option<u64>,
    pub folder: String,
    pub identity: String,
    pub commit: String,
    pub machine: String,
}

/// How many expectations and claims ended in each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Counts {
    pub pass: usize,
    pub fail: usize,
    pub better: usize,
    pub missing: usize,
    pub not_comparable: usize,
}

/// The verdict on one experiment at one profile. Serialised, it is `verdict.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    pub format: u32,
    pub experiment: String,
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
        let status = Status::of_all(statuses);
        let mut verdict = Self {
            format: VERDICT_FORMAT,
            experiment: circumstances.experiment.clone(),
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
            runs: subjects.iter().map(run_row).collect(),
            overrides: circumstances.overrides.clone(),
            differences,
            command: circumstances.command.clone(),
        };
        verdict.headline = verdict.say();
        verdict
    }

    /// 0 where everything judged holds, [`Exit::CheckFailed`] where something does not, [`Exit::Missing`] where something
    /// is missing or nothing could be compared.
    pub fn exit(&self) -> Exit {
        match self.status {
            Status::Pass | Status::Better => Exit::Success,
            Status::Fail => Exit::CheckFailed,
            Status::Missing | Status::NotComparable => Exit::Missing,
        }
    }

    fn say(&self) -> String {
        let counts = &self.counts;
        let judged = counts.pass + counts.fail + counts.better + counts.missing;
        let mut text = match self.status {
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
            Status::Missing if judged == 0 => format!(
                "{} at profile {} expects and claims nothing of these runs, which is not a pass",
                self.experiment, self.profile
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

    /// The table for a terminal, several lines, ending with the headline.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{}, profile {}, {}, {}\n",
            self.experiment,
            self.profile,
            self.data,
            seeds_text(&self.seeds)
        );
        let mut rows = vec![
            [
                "network",
                "metric",
                "ours, %",
                "expected",
                "tolerance",
                "status",
            ]
            .map(String::from),
        ];
        for row in &self.expectations {
            rows.push([
                row.network.clone(),
                row.metric.text().into(),
                text_or_dash(row.measured.as_ref()),
                format!("{:.2} {}", row.expected, yardstick(row.against)),
                format!("± {:.2}", row.tolerance),
                with_note(row.status, &row.note),
            ]);
        }
        if rows.len() > 1 {
            text.push_str(&align(&rows));
        }
        let mut rows = vec![["claim", "gap, points", "each seed", "status"].map(String::from)];
        for row in &self.claims {
            let status = with_note(row.status, "");
            rows.push([row.claim.clone(), String::new(), String::new(), status]);
            for comparison in &row.comparisons {
                rows.push([
                    format!("  {}", comparison.text),
                    gap_text(comparison.gap),
                    gaps_text(&comparison.gaps),
                    with_note(comparison.status, &comparison.note),
                ]);
            }
        }
        if rows.len() > 1 {
            text.push('\n');
            text.push_str(&align(&rows));
        }
        let _ = writeln!(text, "\n{}", self.headline);
        text
    }

    /// `verdict.json`, indented, with a line end.
    ///
    /// # Errors
    /// Only if a value cannot be JSON, which none is.
    pub fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self).context("cannot write the verdict as JSON")? + "\n")
    }

    /// Writes `report.md` and `verdict.json` into the folder, which is made if need be. Each appears whole or not at all.
    ///
    /// # Errors
    /// [`Exit::Storage`] where the folder cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let disk = Disk::default();
        disk.create_dir(folder)?;
        disk.replace(&folder.join("report.md"), page::markdown(self).as_bytes())?;
        disk.replace(&folder.join("verdict.json"), self.json()?.as_bytes())
    }
}

fn run_row(subject: &Subject) -> RunRow {
    let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
    RunRow {
        network: subject.network.clone(),
        seed: subject.seed,
        ending: subject.ending,
        iteration: subject.iteration,
        test_error: finite(subject.test_error),
        best_test_error: finite(subject.best.map(|(_, error)| error)),
        best_iteration: subject.best.map(|(iteration, _)| iteration),
        folder: subject.folder.clone(),
        identity: subject.identity.clone(),
        commit: subject.commit.clone(),
        machine: subject.machine.clone(),
    }
}

/// `1 seed: 0`, `3 seeds: 0, 1, 2`.
pub(super) fn seeds_text(seeds: &[u64]) -> String {
    let list: Vec<String> = seeds.iter().map(u64::to_string).collect();
    let noun = if seeds.len() == 1 { "seed" } else { "seeds" };
    format!("{} {noun}: {}", seeds.len(), list.join(", "))
}

/// `+7.10`, or a dash.
pub(super) fn gap_text(gap: Option<f64>) -> String {
    gap.map_or_else(|| "–".into(), |points| format!("{points:+.2}"))
}

/// `+7.10, +5.20 (does not hold)`.
pub(super) fn gaps_text(gaps: &[Gap]) -> String {
    let each: Vec<String> = gaps
        .iter()
        .map(|gap| {
            let exception = if gap.holds { "" } else { " (does not hold)" };
            format!("{:+.2}{exception}", gap.points)
        })
        .collect();
    if each.is_empty() {
        "–".into()
    } else {
        each.join(", ")
    }
}

pub(super) fn yardstick(against: Yardstick) -> &'static str {
    match against {
        Yardstick::Paper => "(paper)",
        Yardstick::Profile => "(profile)",
    }
}

pub(super) fn with_note(status: Status, note: &str) -> String {
    if note.is_empty() {
        status.name().into()
    } else {
        format!("{}: {note}", status.name())
    }
}

/// Columns side by side, each as wide as its widest cell, the last as it is.
fn align<const N: usize>(rows: &[[String; N]]) -> String {
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            if column + 1 == N {
                let _ = writeln!(text, "{cell}");
                continue;
            }
            let widest = rows.iter().map(|other| other[column].chars().count());
            let gap = widest.max().unwrap_or(0) - cell.chars().count() + 2;
            let _ = write!(text, "{cell}{:gap$}", "");
        }
    }
    text
}
