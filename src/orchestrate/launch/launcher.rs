//! The clusters' queues that runs can be launched on, and what goes to and comes from them.

use std::collections::BTreeSet;
use std::process::Stdio;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::task_ids::TaskIds;
use super::{Job, Launch, hyperqueue, slurm};
use crate::exit::Exit;

/// A cluster's queue. Numbers are those of its jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Launcher {
    Slurm,
    HyperQueue,
}

/// A job in the queue, or some tasks of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    pub number: u64,
    pub tasks: TaskIds,
    /// As the queue says, such as `PENDING`.
    pub state: String,
    /// Why it waits or where it runs; may be empty.
    pub reason: String,
}

/// A job to be submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Unique.
    pub name: String,
    pub work: Work,
    /// Numbers of the jobs to wait for, however they end.
    pub after: BTreeSet<u64>,
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Makes the plan's runs `first + task` for every task.
    Runs { first: u64, tasks: BTreeSet<u64> },
    /// Draws and checks.
    Report,
}

impl Launcher {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Launcher::Slurm => "Slurm",
            Launcher::HyperQueue => "HyperQueue",
        }
    }

    /// Whether a job can wait for others, as runs that start from others' weights do, and reports.
    pub fn can_wait(self) -> bool {
        self == Launcher::Slurm
    }

    /// Looks for the program that submits.
    ///
    /// # Errors
    /// [`Exit::Usage`] if it is not on the `PATH`.
    pub fn require(self) -> Result<()> {
        let program = match self {
            Launcher::Slurm => "sbatch",
            Launcher::HyperQueue => "hq",
        };
        let folders = std::env::var_os("PATH").unwrap_or_default();
        if std::env::split_paths(&folders).any(|folder| folder.join(program).is_file()) {
            return Ok(());
        }
        Err(Exit::Usage.error(format!(
            "cannot run {program}: it is in no folder of PATH; run this command where the cluster's programs are, or see what \
             it would submit with --print"
        )))
    }

    /// The number of the job of this name that is queued or running, if there is one.
    ///
    /// # Errors
    /// If the queue cannot be asked: then nothing may be submitted.
    pub fn find(self, name: &str) -> Result<Option<u64>> {
        match self {
            Launcher::Slurm => slurm::find(name),
            Launcher::HyperQueue => hyperqueue::find(name),
        }
    }

    /// What is queued or running of these jobs.
    ///
    /// # Errors
    /// As [`Launcher::find`].
    pub fn queued<'a>(self, jobs: impl IntoIterator<Item = &'a Job>) -> Result<Vec<Queued>> {
        let jobs: Vec<(u64, &str)> = jobs
            .into_iter()
            .filter(|job| !job.ended)
            .filter_map(|job| Some((job.number?, job.name.as_str())))
            .collect();
        match self {
            _ if jobs.is_empty() => Ok(Vec::new()),
            Launcher::Slurm => {
                let numbers: Vec<u64> = jobs.iter().map(|(number, _)| *number).collect();
                slurm::queued(&numbers)
            }
            Launcher::HyperQueue => hyperqueue::queued(&jobs),
        }
    }

    /// What would be submitted, for people to read.
    ///
    /// # Errors
    /// [`crate::exit::Exit::Usage`] if a path cannot be part of it.
    pub fn text(self, launch: &Launch, submission: &Submission) -> Result<String> {
        match self {
            Launcher::Slurm => slurm::text(launch, submission),
            Launcher::HyperQueue => hyperqueue::text(launch, submission),
        }
    }

    /// Submits a job and returns its number. What submits is given `lock` as its standard input, see
    /// [`Launches::held`](super::Launches::held).
    ///
    /// # Errors
    /// If it was not accepted, or that is not known.
    pub fn submit(self, launch: &Launch, submission: &Submission, lock: Stdio) -> Result<u64> {
        match self {
            Launcher::Slurm => slurm::submit(launch, submission, lock),
            Launcher::HyperQueue => hyperqueue::submit(launch, submission, lock),
        }
    }
}
