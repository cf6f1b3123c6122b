//! The live state of runs with their latest errors. Reads only files, so it works on any machine that can see the
//! folder.

use std::path::Path;
use std::time::SystemTime;

use anyhow::Result;

use super::activity::Activity;
use super::changed::changed;
use super::place::{is_held_out, place};
use crate::duration::duration;
use crate::manifest::Experiment;
use crate::origin::Origin;
use crate::plan::RunPlan;
use crate::recipe::TRAINING_WINDOW;
use crate::record::{Split, Statistics, curve};
use crate::run::{self, RunView};

/// A run's state in one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// `quick/plain-20-s1-e298d1de`, without the hash for a waiting run.
    pub name: String,
    /// Where its images come from; unknown for a waiting run.
    pub data: Option<Origin>,
    pub activity: Activity,
    /// Iterations recorded, and in total.
    pub iteration: u64,
    pub iterations: u64,
    /// Mean of the last mini-batches, %.
    pub training_error: Option<f64>,
    /// The last evaluation with population statistics: iteration and error, %.
    pub test_error: Option<(u64, f64)>,
    /// Whether that is the error on held-out training images.
    pub held_out: bool,
    /// Seconds since its files were last written.
    pub age: Option<u64>,
}

impl Line {
    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.activity.is_done()
    }

    /// Whether anything but the age has changed.
    pub fn changed(&self, before: &Line) -> bool {
        Line {
            age: before.age,
            ..self.clone()
        } != *before
    }

    /// `quick/plain-20-s1-e298d1de  cifar10  running  300 of 600  training 64.88 %  test 66.20 % at 300  written 12 s ago`, with
    /// the name in a column of this width.
    pub fn text(&self, width: usize) -> String {
        let training = self
            .training_error
            .map_or(String::new(), |error| format!("training {error:.2} %"));
        let what = if self.held_out { "validation" } else { "test" };
        let test = self.test_error.map_or(String::new(), |(at, error)| {
            format!("{what} {error:.2} % at {at}")
        });
        let age = match self.age {
            Some(seconds) if !self.is_done() => {
                format!("written {} ago", duration(seconds as f64))
            }
            _ => String::new(),
        };
        let data = self.data.map_or("", Origin::short);
        let of = format!("{} of {}", self.iteration, self.iterations);
        format!(
            "{:<width$} {data:<9} {:<10} {of:>14}  {training:<16}  {test:<22}  {age}",
            self.name, self.activity
        )
        .trim_end()
        .to_owned()
    }
}

/// The runs that were looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub lines: Vec<Line>,
    /// Folders of runs that cannot be read, with the reason. A run may be unreadable just while it is being finished.
    pub skipped: Vec<String>,
    /// Which runs of the experiment's networks are left out because of changed fields.
    pub changed: Option<String>,
}

impl Seen {
    /// Whether there are runs and nothing is left to do.
    pub fn is_done(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(Line::is_done)
    }
}

/// All runs in the folder, or an experiment's runs with these seeds, including waiting ones. Training errors use the
/// experiment's window.
///
/// # Errors
/// [`crate::exit::Exit::Storage`] if the folder cannot be read.
pub fn look(results_dir: &Path, wanted: Option<(&Experiment, &[u64])>) -> Result<Seen> {
    let found = run::scan(results_dir)?;
    let mut runs = found.runs;
    let mut seen = Seen::default();
    for skipped in found.skipped {
        let ours = wanted.is_none_or(|(experiment, _)| {
            let profile = skipped.folder.parent().and_then(Path::file_name);
            profile.is_some_and(|name| name == experiment.profile.as_str())
        });
        if ours {
            let folder = skipped.folder.display();
            seen.skipped.push(format!("{folder}: {}", skipped.why));
        }
    }
    let window = wanted.map_or(TRAINING_WINDOW, |(experiment, _)| {
        experiment.training_window
    });
    if let Some((experiment, seeds)) = wanted {
        seen.changed = changed(experiment, &runs);
        runs.retain(|run| {
            let plan = run.plan();
            seeds.contains(&plan.seed) && experiment.networks.iter().any(|e| plan.belongs_to(e))
        });
    }
    let begun: Vec<RunPlan> = runs.iter().map(|run| run.plan().clone()).collect();
    for run in runs {
        let folder = run.folder.clone();
        match line(results_dir, run, window) {
            Ok(line) => seen.lines.push(line),
            Err(error) => {
                let folder = folder.display();
                seen.skipped.push(format!("{folder}: {error:#}"));
            }
        }
    }
    let Some((experiment, seeds)) = wanted else {
        return Ok(seen);
    };
    for &seed in seeds {
        for entry in experiment.networks.iter().filter(|entry| !entry.optional) {
            let waits = !begun
                .iter()
                .any(|plan| plan.seed == seed && plan.belongs_to(entry));
            if waits {
                seen.lines.push(Line {
                    name: format!("{}/{}-s{seed}", experiment.profile, entry.name),
                    data: None,
                    activity: Activity::Waiting,
                    iteration: 0,
                    iterations: entry.recipe.iterations,
                    training_error: None,
                    test_error: None,
                    held_out: false,
                    age: None,
                });
            }
        }
    }
    Ok(seen)
}

fn line(results_dir: &Path, run: RunView, window: usize) -> Result<Line> {
    let (run, rows) = run.read()?;
    let test = rows
        .evaluations
        .iter()
        .rev()
        .find(|row| row.is_of(Split::Test, Statistics::Population));
    Ok(Line {
        name: place(results_dir, &run),
        data: Some(run.file.notes.data),
        activity: Activity::of(results_dir, &run),
        iteration: run.iteration,
        iterations: run.plan().recipe.iterations,
        training_error: curve::training(&rows.iterations, window, u64::MAX)
            .last()
            .map(|point| point.error),
        test_error: test.map(|row| (row.iteration, row.error)),
        held_out: is_held_out(&run),
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
