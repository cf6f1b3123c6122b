//! Slurm, through `sbatch` and `squeue`.

use std::process::{Command, Output, Stdio};

use anyhow::Result;

use super::launcher::{Queued, Submission};
use super::script::{self, script};
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
/// Variables that would ask for GPUs a second time, or undo what a script relies on. With the count of restarts, of a job that
/// submits from a node, tasks would take theirs for that.
const UNWANTED: [&str; 18] = [
    "SBATCH_ARRAY_INX",
    "SBATCH_CLUSTERS",
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
    "SLURM_RESTART_COUNT",
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
/// As [`script()`].
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
    // Otherwise they would go before what the script asks for.
    for (option, _) in script::options(launch, submission)? {
        command.env_remove(variable(&option));
    }
    let output = output(command.arg(&path).stdin(lock), "sbatch")?;
    match job_number(&output) {
        Some(number) => Ok(number),
        None if output.status.success() => Err(Exit::Internal.error(format!(
            "sbatch printed \"{}\" for {}, not the number of a job; run the same command again: it finds the job by its name",
            one_line(String::from_utf8_lossy(&output.stdout).trim()),
            path.display()
        ))),
        None => Err(Exit::Usage.error(format!(
            "sbatch did not accept {}: {}; put what the cluster needs into --site FILE, then run the same command again",
            path.display(),
            why(&output)
        ))),
    }
}

/// The variable that sbatch reads in place of an option in a script.
fn variable(option: &str) -> String {
    let name = match option {
        "array" => "ARRAY_INX".to_owned(),
        "mem" => "MEM_PER_NODE".to_owned(),
        "time" => "TIMELIMIT".to_owned(),
        other => other.to_ascii_uppercase().replace('-', "_"),
    };
    format!("SBATCH_{name}")
}

/// The number of the job that a program has submitted, if it has.
pub(super) fn job_number(output: &Output) -> Option<u64> {
    let number = number_in(&String::from_utf8_lossy(&output.stdout));
    number.filter(|_| output.status.success())
}

/// The number in a line of its own, perhaps below what a site's own program says, and perhaps with the name of a cluster:
/// `NUMBER;CLUSTER`. None if there are several, of which none can be told to be it.
fn number_in(said: &str) -> Option<u64> {
    let mut numbers = said.lines().filter_map(|line| {
        let line = line.trim();
        let (number, cluster) = line.split_once(';').unwrap_or((line, ""));
        let plain = !cluster.contains(|letter: char| letter.is_whitespace() || letter == ';');
        task_ids::number(number).filter(|_| plain)
    });
    let number = numbers.next();
    number.filter(|_| numbers.next().is_none())
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
    fn only_one_number_in_a_line_of_its_own_is_a_job() {
        assert_eq!(number_in("4711\n"), Some(4711));
        assert_eq!(number_in("welcome\n4711;alpha\n"), Some(4711));
        for other in [
            "",
            "Submitted batch job 4711\n",
            "-4711\n",
            "+4711\n",
            "4711 2\n",
            "4711;alpha;2\n",
            "4711\n4712\n",
        ] {
            assert_eq!(number_in(other), None, "{other}");
        }
    }

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
