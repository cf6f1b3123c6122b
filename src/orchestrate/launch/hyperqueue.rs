//! HyperQueue, through `hq`. What failed is taken from the folders of runs: `hq job wait` ends with 0 when tasks fail.

use std::process::{Command, Stdio};

use anyhow::Result;
use serde::Deserialize;

use super::launcher::{Queued, Submission, Work};
use super::quote::quote_all;
use super::slurm::{job_number, output, why};
use super::task_ids::{self, TaskIds};
use super::{Launch, words};
use crate::exit::Exit;

/// Turns the task's number into the plan's, and becomes the worker. A constant: everything else comes as an argument. A task that
/// is made again takes its run over from the worker that was lost.
const TASK: &str = r#"first=$1; shift; [ "${HQ_INSTANCE_ID:-0}" -eq 0 ] || set -- "$@" --take-over; exec "$@" --index "$((HQ_TASK_ID + first))""#;

/// A job as `hq job list` shows it in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Listed {
    id: u64,
    name: String,
    task_stats: Stats,
}

/// Numbers of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
struct Stats {
    running: u64,
    waiting: u64,
}

impl Listed {
    /// What of it has not ended. Which tasks that are is not in the list.
    fn queued(&self) -> Option<Queued> {
        let Stats { running, waiting } = self.task_stats;
        let state = match (running, waiting) {
            (0, 0) => return None,
            (0, _) => "WAITING",
            _ => "RUNNING",
        };
        Some(Queued {
            number: self.id,
            tasks: TaskIds::Any,
            state: state.into(),
            reason: format!("{running} running, {waiting} waiting"),
        })
    }
}

/// The number of the job of this name that has tasks which have not ended, if there is one.
///
/// # Errors
/// If hq is missing or its server does not answer.
pub(super) fn find(name: &str) -> Result<Option<u64>> {
    let mut unfinished = list()?.into_iter().filter(|job| job.queued().is_some());
    Ok(unfinished.find(|job| job.name == name).map(|job| job.id))
}

/// The command that submits a job.
///
/// # Errors
/// As [`arguments`].
pub(super) fn text(launch: &Launch, submission: &Submission) -> Result<String> {
    let arguments = arguments(launch, submission)?;
    Ok(format!("hq {}\n", quote_all(&arguments)))
}

/// Submits a job.
///
/// # Errors
/// [`Exit::Usage`] if hq is missing or does not accept it.
pub(super) fn submit(launch: &Launch, submission: &Submission, lock: Stdio) -> Result<u64> {
    let arguments = arguments(launch, submission)?;
    let output = output(Command::new("hq").args(&arguments).stdin(lock), "hq")?;
    match job_number(&output) {
        Some(number) => Ok(number),
        None => Err(Exit::Usage.error(format!(
            "hq did not accept {}: {}; is its server running (`hq server info`)?",
            submission.name,
            why(&output)
        ))),
    }
}

/// The arguments of hq.
///
/// # Errors
/// [`Exit::Usage`] if hq cannot write into the folder of the launch, and for work that it cannot do.
pub fn arguments(launch: &Launch, submission: &Submission) -> Result<Vec<String>> {
    let Work::Runs { first, tasks } = &submission.work else {
        return Err(Exit::Internal.error("HyperQueue was asked for a report; this is a bug"));
    };
    let folder = words::path(&launch.folder)?;
    // It separates a path from what becomes of the file, and begins a placeholder.
    if folder.contains([':', '%']) {
        return Err(Exit::Usage.error(format!(
            "{folder}: hq cannot write into a path with `:` or `%`; name another folder with --results-dir"
        )));
    }
    let site = &launch.site;
    let cpus = launch.threads.to_string();
    let crashes = site.max_requeues.max(1).to_string();
    let mut all: Vec<String> = ["--output-mode", "quiet", "submit", "--name"]
        .map(String::from)
        .to_vec();
    all.push(submission.name.clone());
    all.extend(["--array".into(), task_ids::write(tasks)]);
    all.extend(["--cpus".into(), cpus]);
    all.extend(["--crash-limit".into(), crashes]);
    for (stream, ending) in [("--stdout", "log"), ("--stderr", "err")] {
        let name = format!("{folder}/%{{JOB_ID}}_%{{TASK_ID}}.{ending}");
        all.extend([stream.into(), name]);
    }
    if launch.on_gpu
        && let Some(gres) = site.gres()
    {
        // HyperQueue has kinds of GPUs as resources of their own, and no nodes to choose.
        let number = gres
            .rsplit(':')
            .next()
            .and_then(|last| last.parse::<u64>().ok());
        let number = number.unwrap_or(1);
        all.extend(["--resource".into(), format!("gpus/nvidia={number}")]);
    }
    // Tasks have the environment of HyperQueue's workers, not of what submits.
    for (variable, value) in &launch.environment {
        all.extend(["--env".into(), format!("{variable}={value}")]);
    }
    for (option, value) in site.others(launch.on_gpu) {
        match value {
            Some(value) => all.push(format!("--{option}={value}")),
            None => all.push(format!("--{option}")),
        }
    }
    all.extend(["--", "sh", "-c", TASK, "refig"].map(String::from));
    all.push(first.to_string());
    all.extend(site.container.iter().chain(&launch.worker).cloned());
    Ok(all)
}

/// What is queued or running of these jobs, given by number and name: another server counts from 1 again.
///
/// # Errors
/// If hq is missing or its server does not answer.
pub(super) fn queued(jobs: &[(u64, &str)]) -> Result<Vec<Queued>> {
    let listed = list()?;
    let ours = listed
        .iter()
        .filter(|job| jobs.contains(&(job.id, job.name.as_str())));
    Ok(ours.filter_map(Listed::queued).collect())
}

/// All jobs that the server knows.
fn list() -> Result<Vec<Listed>> {
    let mut command = Command::new("hq");
    let output = output(
        command.args(["--output-mode", "json", "job", "list", "--all"]),
        "hq",
    )?;
    let refuse = |why: &str| {
        Exit::Internal.error(format!(
            "hq job list failed: {why}; nothing was submitted; is its server running (`hq server info`)?"
        ))
    };
    if !output.status.success() {
        return Err(refuse(&why(&output)));
    }
    parse(&String::from_utf8_lossy(&output.stdout)).map_err(|error| refuse(&error.to_string()))
}

fn parse(text: &str) -> serde_json::Result<Vec<Listed>> {
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_with_tasks_that_have_not_ended_are_queued() {
        let text = r#"[
            {"id": 3, "name": "a", "task_count": 4, "is_open": false,
             "task_stats": {"running": 1, "finished": 1, "failed": 0, "canceled": 0, "waiting": 2}},
            {"id": 4, "name": "b", "task_count": 1,
             "task_stats": {"running": 0, "finished": 0, "failed": 1, "canceled": 0, "waiting": 0}}
        ]"#;
        let jobs = parse(text).unwrap();
        let queued: Vec<Queued> = jobs.iter().filter_map(Listed::queued).collect();
        assert_eq!(queued.len(), 1);
        assert_eq!((queued[0].number, queued[0].state.as_str()), (3, "RUNNING"));
        assert!(parse("{}").is_err());
    }
}
