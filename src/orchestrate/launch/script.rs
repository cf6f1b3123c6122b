//! Batch scripts for Slurm. They hold constants and quoted words, and nothing else.

use std::fmt::Write as _;

use anyhow::Result;

use super::launcher::{Submission, Work};
use super::quote::{directive, pattern, quote, quote_all};
use super::{Launch, task_ids, words};
use crate::exit::Exit;

/// Runs the worker of a task. The shell waits for it in the background, so that it handles the warning while the worker goes on.
/// A worker that was stopped with its state saved is queued again from here, outside of any container; not if Slurm has ended
/// the task, which is completing by then: it was cancelled, or is queued again without more ado.
const TASK: &str = r#"# Of what was sourced, which would end this script early.
set +eu
worker=
caught=
stop() {
    caught=yes
    echo "$1: the state is being saved"
    if [ -n "$worker" ]; then
        kill -TERM "$worker" 2>/dev/null
    fi
}
trap 'stop "warned of the time limit (SIGUSR1)"' USR1
trap 'stop "told to end (SIGTERM)"' TERM

# Tries a command of Slurm's again where its controller does not answer.
patiently() {
    local pause
    for pause in 2 5 10; do
        "$@" && return
        sleep "$pause"
    done
    "$@"
}

# Slurm starts a task again when the one before has ended, maybe on another node and without a word.
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then
    command+=(--take-over)
fi
"${command[@]}" --index "$index" &
worker=$!
# The warning may have come before there was a worker.
if [ -n "$caught" ]; then
    kill -TERM "$worker" 2>/dev/null
fi
code=127
while true; do
    caught=
    wait "$worker"
    ended=$?
    # Of a worker that has been waited for, nothing is known any more.
    if [ "$ended" -ne 127 ]; then
        code=$ended
    fi
    if [ -z "$caught" ]; then
        break
    fi
done
trap '' TERM USR1

case $code in
129 | 130 | 143)
    task=${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}
    # Settings of the user's that would hide the task.
    unset "${!SQUEUE_@}"
    state=$(patiently squeue -h -j "$task" -o "%i %T %R")
    if [ -z "$state" ]; then
        echo "stopped; not queued again, since squeue does not tell whether it was cancelled"
    elif [[ " $state " != *" RUNNING "* ]]; then
        echo "stopped; left to Slurm, which has cancelled it or queues it again: $state"
    elif [ "${SLURM_RESTART_COUNT:-0}" -ge "$max_requeues" ]; then
        echo "stopped; not queued again, since it was $max_requeues times"
    else
        echo "stopped; queueing it again"
        patiently scontrol requeue "$task"
    fi
    ;;
esac
exit "$code"
"#;

/// The script of a job.
///
/// # Errors
/// [`Exit::Usage`] if Slurm cannot write into the folder of the launch.
pub fn script(launch: &Launch, submission: &Submission) -> Result<String> {
    let mut text = String::from("#!/bin/bash");
    // A login shell knows the modules.
    if !launch.site.modules.is_empty() {
        text.push_str(" -l");
    }
    text.push('\n');
    for (option, value) in options(launch, submission)? {
        let _ = writeln!(text, "{}", directive(&option, value.as_deref()));
    }
    text.push_str("\n# Written by refig. Every word that is not the script's own is quoted.\n\n");
    if matches!(submission.work, Work::Runs { .. }) {
        // Not with `--export=NONE`, which some sites have as their default.
        for (variable, value) in &launch.environment {
            let _ = writeln!(text, "export {variable}={}", quote(value));
        }
    }
    for words in &launch.site.prologue {
        let _ = writeln!(text, "{} || exit", quote_all(words));
    }
    if !launch.site.modules.is_empty() {
        let _ = writeln!(
            text,
            "module load {} || exit",
            quote_all(&launch.site.modules)
        );
    }
    match &submission.work {
        Work::Runs { first, .. } => {
            let words = [&launch.site.container[..], &launch.worker[..]].concat();
            let _ = writeln!(text, "command=({})", quote_all(&words));
            let _ = writeln!(text, "index=$((SLURM_ARRAY_TASK_ID + {first}))");
            let _ = writeln!(text, "max_requeues={}", launch.site.max_requeues);
            text.push_str(TASK);
        }
        Work::Report => {
            let words = [&launch.site.container[..], &launch.report[..]].concat();
            let _ = writeln!(text, "exec {}", quote_all(&words));
        }
    }
    Ok(text)
}

/// The options in a script, in order.
///
/// # Errors
/// As [`script`].
pub(super) fn options(
    launch: &Launch,
    submission: &Submission,
) -> Result<Vec<(String, Option<String>)>> {
    let mut all: Vec<(String, Option<String>)> = Vec::new();
    let mut add = |option: &str, value: Option<String>| all.push((option.to_owned(), value));
    let site = &launch.site;
    let log = |name: &str| -> Result<Option<String>> {
        let folder = words::path(&launch.folder)?;
        let folder = pattern(&folder).map_err(|why| Exit::Usage.error(why))?;
        Ok(Some(format!("{folder}/{name}.log")))
    };
    add("job-name", Some(submission.name.clone()));
    add("ntasks", Some("1".into()));
    add("open-mode", Some("append".into()));
    let report = match &submission.work {
        Work::Runs { tasks, .. } => {
            let tasks = task_ids::write(tasks);
            let at_once = site.at_once.map(|most| format!("%{most}"));
            add("array", Some(tasks + &at_once.unwrap_or_default()));
            add("output", log("%A_%a")?);
            add("requeue", None);
            add("signal", Some(format!("B:USR1@{}", site.warning)));
            add("cpus-per-task", Some(launch.threads.to_string()));
            if let Some(gres) = site.gres().filter(|_| launch.on_gpu) {
                add("gres", Some(gres));
            }
            if let Some(memory) = &site.memory {
                add("mem", Some(memory.clone()));
            }
            for (option, value) in site.others(launch.on_gpu) {
                add(option, value);
            }
            false
        }
        Work::Report => {
            add("output", log("%j")?);
            for (option, setting) in &site.report {
                add(option, setting.value());
            }
            true
        }
    };
    let own = [
        ("partition", &site.partition),
        ("account", &site.account),
        ("qos", &site.qos),
        ("time", &site.time),
    ];
    for (option, value) in own {
        let replaced = report && site.report.contains_key(option);
        if let Some(value) = value.clone().filter(|_| !replaced) {
            add(option, Some(value));
        }
    }
    Ok(all)
}
