//! The live state of runs with their latest errors. Reads only files, so it works on any machine that can see the
//! folder.

use std::path::Path;
use std::time::SystemTime;

use anyhow::Result;

use crate::duration::duration;
use crate::manifest::Experiment;
use crate::plan::RunPlan;
use crate::recipe::TRAINING_WINDOW;
use crate::record::{Ending, Split, Statistics, curve};
use crate::run::{self, Owner, RunView};

/// The state of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    Finished,
    Diverged,
    /// A process is working on it.
    Running,
    /// Started, but no process is working on it; the same command resumes it.
    Stopped,
    /// Started on this other host; whether it is running is unknown here.
    Elsewhere(String),
    /// Part of the experiment, but not started.
    Waiting,
}

/// A run's state in one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// `quick/plain-20-s1-e298d1de`, without the hash for a waiting run.
    pub name: String,
    pub activity: Activity,
    /// Iterations recorded, and in total.
    pub iteration: u64,
    pub iterations: u64,
    /// Mean of the last mini-batches, %.
    pub training_error: Option<f64>,
    /// The last evaluation with population statistics: iteration and error, %.
    pub test_error: Option<(u64, f64)>,
    /// Seconds since its files were last written.
    pub age: Option<u64>,
}

impl Line {
    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        matches!(self.activity, Activity::Finished | Activity::Diverged)
    }

    /// Whether anything but the age has changed.
    pub fn changed(&self, before: &Line) -> bool {
        Line {
            age: before.age,
            ..self.clone()
        } != *before
    }

    /// `quick/plain-20-s1-e298d1de   running   300 of 600   training 64.88 %   test 66.20 % at 300   written 12 s ago`.
    pub fn text(&self) -> String {
        let activity = match &self.activity {
            Activity::Finished => "finished".into(),
            Activity::Diverged => "DIVERGED".into(),
            Activity::Running => "running".into(),
            Activity::Stopped => "stopped".into(),
            Activity::Elsewhere(host) => format!("on {host}"),
            Activity::Waiting => "waiting".into(),
        };
        let training = self
            .training_error
            .map_or(String::new(), |error| format!("training {error:.2} %"));
        let test = self.test_error.map_or(String::new(), |(at, error)| {
            format!("test {error:.2} % at {at}")
        });
        let age = match self.age {
            Some(seconds) if !self.is_done() => {
                format!("written {} ago", duration(seconds as f64))
            }
            _ => String::new(),
        };
        let of = format!("{} of {}", self.iteration, self.iterations);
        format!(
            "{:<44} {activity:<10} {of:>15}  {training:<16}  {test:<22}  {age}",
            self.name
        )
        .trim_end()
        .to_owned()
    }
}

/// All runs in the folder, or an experiment's runs with these seeds, including waiting ones. Training errors use the
/// experiment's window.
///
/// # Errors
/// [`crate::exit::Exit::Storage`] if a run cannot be read, which may happen while it is being finished: retry.
pub fn look(results_dir: &Path, wanted: Option<(&Experiment, &[u64])>) -> Result<Vec<Line>> {
    let mut runs = run::find(results_dir)?;
    let window = wanted.map_or(TRAINING_WINDOW, |(experiment, _)| {
        experiment.training_window
    });
    if let Some((experiment, seeds)) = wanted {
        runs.retain(|run| {
            let plan = run.plan();
            seeds.contains(&plan.seed) && experiment.networks.iter().any(|e| plan.belongs_to(e))
        });
    }
    let mut lines = Vec::new();
    let begun: Vec<RunPlan> = runs.iter().map(|run| run.plan().clone()).collect();
    for run in runs {
        lines.push(line(results_dir, run, window)?);
    }
    let Some((experiment, seeds)) = wanted else {
        return Ok(lines);
    };
    for &seed in seeds {
        for entry in experiment.networks.iter().filter(|entry| !entry.optional) {
            let waits = !begun
                .iter()
                .any(|plan| plan.seed == seed && plan.belongs_to(entry));
            if waits {
                lines.push(Line {
                    name: format!("{}/{}-s{seed}", experiment.profile, entry.name),
                    activity: Activity::Waiting,
                    iteration: 0,
                    iterations: entry.recipe.iterations,
                    training_error: None,
                    test_error: None,
                    age: None,
                });
            }
        }
    }
    Ok(lines)
}

fn line(results_dir: &Path, run: RunView, window: usize) -> Result<Line> {
    let (run, rows) = run.read()?;
    let activity = match run.ending {
        Ending::Finished => Activity::Finished,
        Ending::Diverged => Activity::Diverged,
        Ending::Partial => match run.owner(results_dir) {
            Owner::AtWork => Activity::Running,
            Owner::Nobody => Activity::Stopped,
            Owner::Elsewhere(host) => Activity::Elsewhere(host),
        },
    };
    let test = rows
        .evaluations
        .iter()
        .rev()
        .find(|row| row.split == Split::Test && row.statistics == Statistics::Population);
    Ok(Line {
        name: run.plan().folder(),
        activity,
        iteration: run.iteration,
        iterations: run.plan().recipe.iterations,
        training_error: curve::training(&rows.iterations, window, u64::MAX)
            .last()
            .map(|point| point.error),
        test_error: test.map(|row| (row.iteration, row.error)),
        age: age(&run.folder),
    })
}

/// Seconds since a file in the folder was last written.
fn age(folder: &Path) -> Option<u64> {
    let newest = walkdir::WalkDir::new(folder)
        .max_depth(2)
        .into_iter()
        .filter_map(|entry| entry.ok()?.metadata().ok()?.modified().ok())
        .max()?;
    let passed = SystemTime::now().duration_since(newest).unwrap_or_default();
    Some(passed.as_secs())
}
