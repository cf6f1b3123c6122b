//! Slurm, through `sbatch` and `squeue`.

use std::process::{Command, Output, Stdio};

use anyhow::Result;

use super::launcher::{Queued, Submission};
use super::script::script;
use super::{Launch, task_ids};
use crate::console::one_line;
use crate::exit::Exit;
use crate::run::disk::Disk;

/// The only columns that are asked for: identifier, state, and reason or nodes.
const COLUMNS: &str = "%i %T %R";
/// What squeue says of a job that has left the queue a while ago.
const UNKNOWN_JOB: &str = "Invalid job id";
/// States of jobs that have ended, which squeue may still show.
const ENDED: [&str; 10] = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
];
/// Variables of sbatch that would ask for GPUs a second time, or undo what a script relies on.
const UNWANTED: [&str; 16] = [
    "SBATCH_ARRAY_INX",
    "SBATCH_GPUS",
    "SBATCH_GPUS_PER_NODE",
    "SBATCH_GPUS_PER_SOCKET",
    "SBATCH_GPUS_PER_TASK",
    "SBATCH_GRES",
    "SBATCH_JOB_NAME",
    "SBATCH_NO_REQUEUE",
    "SBATCH_OPEN_MODE",
    "SBATCH_OUTPUT",
    "SBATCH_ERROR",
    "SBATCH_REQUEUE",
    "SBATCH_SIGNAL",
    "SBATCH_TRES_PER_TASK",
    "SBATCH_WAIT",
    "SBATCH_IGNORE_PBS",
];

/// The number of the job of this name that is queued or running, if there is one.
///
/// # Errors
/// If squeue is missing or does not answer.
pub(super) fn find(name: &str) -> Result<Option<u64>> {
    let output = squeue(&[&format!("--name={name}")])?;
    Ok(lines(&output)?.first().map(|queued| queued.number))
}

/// The script of a job.
///
/// # Errors
/// As [`script`].
pub(super) fn text(launch: &Launch, submission: &Submission) -> Result<String> {
    script(launch, submission)
}

/// Submits a job by its script, which stays in the folder of the launch.
///
/// # Errors
/// [`Exit::Usage`] if sbatch is missing or does not accept it.
pub(super) fn submit(launch: &Launch, submission: &Submission, lock: Stdio) -> Result<u64> {
    let path = launch.folder.join(format!("{}.sh", submission.name));
    let text = script(launch, submission)?;
    Disk::default().replace(&path, text.as_bytes())?;
    let mut command = Command::new("sbatch");
    command.arg("--parsable");
    if !submission.after.is_empty() {
        let numbers: Vec<String> = submission.after.iter().map(u64::to_string).collect();
        command.arg(format!("--dependency=afterany:{}", numbers.join(":")));
    }
    for variable in UNWANTED {
        command.env_remove(variable);
    }
    let output = output(command.arg(&path).stdin(lock), "sbatch")?;
    let said = String::from_utf8_lossy(&output.stdout);
    // `NUMBER` or `NUMBER;CLUSTER`, perhaps below what a site's own sbatch says.
    let number = said.lines().rev().find_map(|line| {
        let number = line.trim().split(';').next()?;
        number.parse().ok()
    });
    match number {
        Some(number) if output.status.success() => Ok(number),
        _ => Err(Exit::Usage.error(format!(
            "sbatch did not accept {}: {}; put what the cluster needs into --site FILE, then run the same command again",
            path.display(),
            why(&output)
        ))),
    }
}

/// What is queued or running of these jobs.
///
/// # Errors
/// If squeue is missing or does not answer.
pub(super) fn queued(numbers: &[u64]) -> Result<Vec<Queued>> {
    let list: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let output = squeue(&["-j", &list.join(",")])?;
    if !output.status.success() && why(&output).contains(UNKNOWN_JOB) {
        // Of several numbers, unknown ones are passed over, so this was one, or none is known.
        return Ok(Vec::new());
    }
    let mut found = lines(&output)?;
    found.retain(|queued| numbers.contains(&queued.number));
    Ok(found)
}

/// What squeue printed of jobs that have not ended.
///
/// # Errors
/// [`Exit::Internal`] for a line that cannot be read, or if squeue failed: what it would have shown may be queued.
fn lines(output: &Output) -> Result<Vec<Queued>> {
    if !output.status.success() {
        return Err(Exit::Internal.error(format!(
            "squeue failed: {}; nothing was submitted; run the same command again when it works",
            why(output)
        )));
    }
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// The lines of `squeue -h -o "%i %T %R"`, without jobs that have ended.
///
/// # Errors
/// [`Exit::Internal`] for a line that cannot be read.
pub fn parse(text: &str) -> Result<Vec<Queued>> {
    let mut all = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut columns = line.trim().splitn(3, ' ');
        let identifier = columns.next().and_then(task_ids::parse);
        let (Some((number, tasks)), Some(state)) = (identifier, columns.next()) else {
            return Err(Exit::Internal.error(format!(
                "squeue printed \"{}\", not an identifier and a state; nothing was submitted",
                one_line(line)
            )));
        };
        if !ENDED.contains(&state) {
            all.push(Queued {
                number,
                tasks,
                state: one_line(state),
                reason: one_line(columns.next().unwrap_or_default().trim()),
            });
        }
    }
    Ok(all)
}

/// Runs squeue, without settings of the user's that would hide jobs or cut lists short.
fn squeue(which: &[&str]) -> Result<Output> {
    let mut command = Command::new("squeue");
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("SQUEUE_") {
            command.env_remove(variable);
        }
    }
    command.env("SLURM_BITSTR_LEN", "0");
    output(
        command.arg("-h").args(which).args(["-o", COLUMNS]),
        "squeue",
    )
}

/// Runs a program to its end.
pub(super) fn output(command: &mut Command, program: &str) -> Result<Output> {
    command.output().map_err(|error| {
        Exit::Usage.error(format!(
            "cannot run {program}: {error}; run this command where the cluster's programs are, or see what it would submit with --print"
        ))
    })
}

/// What a program said of its failure, in one line.
pub(super) fn why(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    match said.trim() {
        "" => output.status.to_string(),
        said => one_line(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_read_without_what_has_ended() {
        let text = "123_[4-7%2] PENDING (Resources)\n123_3 RUNNING node1\n124 COMPLETING node2\n123_0 CANCELLED \n\n";
        let found = parse(text).unwrap();
        let states: Vec<&str> = found.iter().map(|queued| queued.state.as_str()).collect();
        assert_eq!(states, ["PENDING", "RUNNING", "COMPLETING"]);
        assert!(found[0].tasks.may_hold(7) && !found[0].tasks.may_hold(3));
        assert_eq!(found[0].reason, "(Resources)");
        let long = parse("9_1 PENDING (launch failed requeued held)").unwrap();
        assert_eq!(long[0].reason, "(launch failed requeued held)");
        assert!(parse("JOBID STATE\n").is_err());
        assert!(parse("12_1\n").is_err());
    }
}
