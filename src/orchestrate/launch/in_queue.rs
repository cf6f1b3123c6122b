//! What a queue says of the runs that were launched.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::record::{self, Record};
use super::{Launcher, Queued};

/// A run in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InQueue {
    pub launcher: Launcher,
    /// Number of the job.
    pub number: u64,
    /// Number of its task.
    pub task: u64,
    /// As the queue says, such as `PENDING`.
    pub state: String,
    /// Why it waits or where it runs; may be empty.
    pub reason: String,
}

/// Adds the runs of a record's jobs that are in the queue.
pub(super) fn add(record: &Record, queued: &[Queued], all: &mut BTreeMap<String, InQueue>) {
    for job in record.jobs.iter().filter(|job| !job.ended) {
        for (run, &task) in &job.runs {
            let row = queued
                .iter()
                .find(|row| Some(row.number) == job.number && row.tasks.may_hold(task));
            if let Some(row) = row {
                all.insert(
                    run.clone(),
                    InQueue {
                        launcher: record.launcher,
                        number: row.number,
                        task,
                        state: row.state.clone(),
                        reason: row.reason.clone(),
                    },
                );
            }
        }
    }
}

/// The launched runs of a results folder that are queued or running, by folder, and why a queue could not be asked about its
/// jobs. Changes nothing.
///
/// # Errors
/// [`crate::exit::Exit::Storage`] if a launch's record cannot be read.
pub fn glance(results_dir: &Path) -> Result<(BTreeMap<String, InQueue>, Vec<anyhow::Error>)> {
    let records = record::look(results_dir)?;
    let (mut all, mut unanswered) = (BTreeMap::new(), Vec::new());
    for launcher in [Launcher::Slurm, Launcher::HyperQueue] {
        let records = || {
            records
                .values()
                .filter(move |record| record.launcher == launcher)
        };
        let jobs = records().flat_map(|record| &record.jobs);
        let queued = launcher.queued(jobs).unwrap_or_else(|error| {
            let about = format!("cannot ask {} about launched runs", launcher.name());
            unanswered.push(error.context(about));
            Vec::new()
        });
        for record in records() {
            add(record, &queued, &mut all);
        }
    }
    Ok((all, unanswered))
}
