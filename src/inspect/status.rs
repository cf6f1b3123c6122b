//! All runs in a folder, as lines and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::activity::Activity;
use super::place::place;
use crate::run::{self, RunView};

/// The runs of a folder, and the folders whose runs cannot be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    pub runs: Vec<Listed>,
    /// Folder and reason.
    pub skipped: Vec<(String, String)>,
    /// What a cluster's queue says of runs, by folder; also of those that have not begun.
    pub queue: BTreeMap<String, InQueue>,
}

/// A run in a cluster's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InQueue {
    /// Number of the job and its task, such as `123_4`.
    pub job: String,
    /// As the queue says, such as `PENDING`.
    pub state: String,
    /// Why it waits or where it runs; may be empty.
    pub reason: String,
}

impl InQueue {
    /// `PENDING (Priority), job 123_4`.
    fn line(&self) -> String {
        let reason = match self.reason.is_empty() {
            true => String::new(),
            false => format!(" {}", self.reason),
        };
        format!("{}{reason}, job {}", self.state, self.job)
    }

    fn json(&self) -> Value {
        json!({ "job": self.job, "state": self.state, "reason": self.reason })
    }
}

/// A run and its state.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub folder: String,
    pub activity: Activity,
    pub run: RunView,
}

impl Status {
    /// Looks at all runs in `results_dir`.
    ///
    /// # Errors
    /// [`crate::exit::Exit::Storage`] if the folder cannot be read.
    pub fn of(results_dir: &Path) -> Result<Self> {
        let found = run::scan(results_dir)?;
        let listed = |run: RunView| Listed {
            folder: place(results_dir, &run),
            activity: Activity::of(results_dir, &run),
            run,
        };
        Ok(Self {
            runs: found.runs.into_iter().map(listed).collect(),
            skipped: found
                .skipped
                .into_iter()
                .map(|skipped| (skipped.folder.display().to_string(), skipped.why))
                .collect(),
            queue: BTreeMap::new(),
        })
    }

    /// The same with what a queue says.
    pub fn with_queue(self, queue: BTreeMap<String, InQueue>) -> Self {
        Self { queue, ..self }
    }

    /// The runs in the queue that have no folder yet.
    fn not_begun(&self) -> impl Iterator<Item = (&String, &InQueue)> {
        let begun = move |folder: &str| self.runs.iter().any(|run| run.folder == folder);
        let rows = self.queue.iter();
        rows.filter(move |row| !begun(row.0))
    }

    /// A line per run, then a line per run that waits in a queue, then a line per skipped folder.
    pub fn text(&self) -> String {
        let names = self.runs.iter().map(|run| &run.folder);
        let waiting = self.not_begun().map(|(folder, _)| folder);
        let lengths = names.chain(waiting).map(|name| name.chars().count());
        let width = lengths.max().unwrap_or(0);
        let mut text = String::new();
        for listed in &self.runs {
            let data = listed.run.file.notes.data.short();
            let _ = writeln!(
                text,
                "{:<width$}  {data:<9}  {}{}",
                listed.folder,
                listed.state(),
                match self.queue.get(&listed.folder) {
                    Some(queue) => format!("; {}", queue.line()),
                    None => String::new(),
                }
            );
        }
        for (folder, queue) in self.not_begun() {
            let _ = writeln!(text, "{folder:<width$}  {:<9}  {}", "", queue.line());
        }
        for (folder, why) in &self.skipped {
            let _ = writeln!(text, "skipped {folder}: {why}");
        }
        text
    }

    /// `{"runs": [...], "skipped": [...], "queue": {...}}` with the keys that `refig status --help` lists.
    pub fn json(&self) -> Value {
        let runs: Vec<Value> = self.runs.iter().map(Listed::json).collect();
        let rows = self.queue.iter();
        let queue: serde_json::Map<String, Value> = rows
            .map(|(folder, row)| (folder.clone(), row.json()))
            .collect();
        let skipped: Vec<Value> = self
            .skipped
            .iter()
            .map(|(folder, why)| json!({ "folder": folder, "why": why }))
            .collect();
        json!({ "runs": runs, "skipped": skipped, "queue": queue })
    }
}

impl Listed {
    /// `running, 145 of 600`.
    fn state(&self) -> String {
        let (at, of) = (self.run.iteration, self.run.plan().recipe.iterations);
        match &self.activity {
            Activity::Finished => format!("finished, {of}"),
            Activity::Diverged => format!("DIVERGED at {at} of {of}"),
            Activity::Stopped => format!("stopped at {at} of {of}, resumes"),
            other => format!("{other}, {at} of {of}"),
        }
    }

    fn json(&self) -> Value {
        let plan = self.run.plan();
        json!({
            "folder": self.folder,
            "identity": plan.identity(),
            "profile": plan.profile,
            "network": plan.network.name,
            "seed": plan.seed,
            "data": self.run.file.notes.data.key(),
            "state": self.activity.key(),
            "host": self.activity.host(),
            "iteration": self.run.iteration,
            "iterations": plan.recipe.iterations,
        })
    }
}
