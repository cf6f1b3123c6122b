//! What a start submits, and what it does not.

use std::process::Stdio;
use std::time::Duration;

use refig::exit::Exit;
use refig::orchestrate::launch::quote_all;

use super::cluster::{Cluster, succeeded};
use super::words::{stderr, stdout};

#[test]
fn a_second_start_submits_nothing_that_is_queued() {
    let cluster = Cluster::new();
    let printed = succeeded(cluster.launch(&["--print"]));
    assert!(
        stdout(&printed).contains("#SBATCH --array=0-1"),
        "{}",
        stdout(&printed)
    );
    assert!(!stdout(&printed).contains("gres"), "{}", stdout(&printed));
    assert_eq!(cluster.calls("sbatch") + cluster.calls("squeue"), 0);
    assert!(!cluster.at("results").exists());

    let first = succeeded(cluster.launch(&[]));
    assert!(
        stdout(&first).contains("job 101: 2 runs"),
        "{}",
        stdout(&first)
    );
    assert!(
        stdout(&first).contains("job 102: draws and checks"),
        "{}",
        stdout(&first)
    );
    let queue = cluster.queue();
    assert_eq!(queue.len(), 2, "{queue:?}");
    assert!(queue[0].ends_with(" 0-1"), "{queue:?}");
    assert!(cluster.text("calls").contains("--dependency=afterany:101 "));

    let second = succeeded(cluster.launch(&[]));
    assert!(
        stderr(&second).contains("2 queued or running, 0 submitted"),
        "{}",
        stderr(&second)
    );
    // Other seeds are another plan, with runs that are queued as well.
    let more = succeeded(cluster.launch(&["--seeds", "1,2"]));
    assert!(
        stderr(&more).contains("2 queued or running, 2 submitted"),
        "{}",
        stderr(&more)
    );
    let queue = cluster.queue();
    assert!(
        queue[2].starts_with("103 ") && queue[2].ends_with(" 2-3"),
        "{queue:?}"
    );
    assert!(
        cluster
            .text("calls")
            .contains("--dependency=afterany:101:103 ")
    );

    let status = stdout(&succeeded(cluster.refig(&["status"])));
    assert_eq!(
        status.matches("PENDING (Priority), job 101_").count(),
        2,
        "{status}"
    );
    assert_eq!(
        status.matches("PENDING (Priority), job 103_").count(),
        2,
        "{status}"
    );
    for line in cluster
        .text("calls")
        .lines()
        .filter(|line| line.starts_with("squeue"))
    {
        assert!(
            line.ends_with("-o %i %T %R") && line.starts_with("squeue -h "),
            "{line}"
        );
    }

    // They have ended, and left no run: all are submitted again.
    cluster.unset("queue");
    let again = succeeded(cluster.launch(&[]));
    assert!(
        stderr(&again).contains("0 queued or running, 2 submitted"),
        "{}",
        stderr(&again)
    );
}

#[test]
fn quietly_the_numbers_of_the_jobs_are_printed_alone() {
    let cluster = Cluster::new();
    let first = succeeded(cluster.launch(&["--quiet"]));
    assert_eq!(stdout(&first), "101\n102\n");
    assert_eq!(stdout(&succeeded(cluster.launch(&["--quiet"]))), "");
}

#[test]
fn a_program_without_a_slash_is_looked_for_on_the_node() {
    let cluster = Cluster::new();
    let site = cluster.at("site.toml");
    for (program, word) in [
        ("refig", "refig".to_owned()),
        (
            "bin/refig",
            std::env::current_dir()
                .unwrap()
                .join("bin/refig")
                .display()
                .to_string(),
        ),
    ] {
        std::fs::write(&site, format!("program = \"{program}\"\n")).unwrap();
        let output = cluster.launch(&["--print", "--site", site.to_str().unwrap()]);
        let text = stdout(&succeeded(output));
        for begin in ["command=(", "exec "] {
            let words = quote_all(std::slice::from_ref(&word));
            assert!(text.contains(&format!("\n{begin}{words} ")), "{text}");
        }
    }
}

#[test]
fn a_crash_between_submitting_and_recording_submits_nothing_twice() {
    let cluster = Cluster::new();
    cluster.set("die");
    let killed = cluster.launch(&[]);
    assert_eq!(killed.status.code(), None, "{}", stderr(&killed));
    assert_eq!(cluster.queue().len(), 1);
    cluster.unset("die");
    let second = succeeded(cluster.launch(&[]));
    assert!(
        stderr(&second).contains("2 queued or running, 0 submitted"),
        "{}",
        stderr(&second)
    );
    // Only the job that draws and checks was missing.
    let queue = cluster.queue();
    assert_eq!(queue.len(), 2, "{queue:?}");
    assert!(
        stdout(&second).contains("job 102: draws and checks"),
        "{}",
        stdout(&second)
    );
}

#[test]
fn a_killed_launch_leaves_the_lock_to_the_program_that_submits() {
    let cluster = Cluster::new();
    cluster.set("gate");
    let mut launching = cluster.launching();
    let mut child = launching
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while cluster.calls("sbatch") == 0 {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Its job is not in the queue yet.
    let busy = cluster.launch(&[]);
    assert_eq!(busy.status.code(), Some(Exit::Busy as i32));
    assert!(
        stderr(&busy).contains("is submitting runs of these results"),
        "{}",
        stderr(&busy)
    );
    assert_eq!(cluster.calls("sbatch"), 1);
    cluster.unset("gate");
    succeeded(cluster.launch_at_last());
    cluster.assert_queued_once();
}

#[test]
fn nothing_is_submitted_where_the_queue_does_not_answer() {
    let cluster = Cluster::new();
    succeeded(cluster.launch(&[]));
    cluster.set("down");
    let output = cluster.launch(&[]);
    assert_eq!(output.status.code(), Some(Exit::Internal as i32));
    assert!(
        stderr(&output).contains("nothing was submitted"),
        "{}",
        stderr(&output)
    );
    assert_eq!(cluster.calls("sbatch"), 2);
    // Looking goes on without it.
    assert!(!stdout(&succeeded(cluster.refig(&["status"]))).contains("PENDING"));
}

#[test]
fn a_refusal_is_told_and_the_next_start_tries_again() {
    let cluster = Cluster::new();
    cluster.set("refuse");
    let output = cluster.launch(&[]);
    assert_eq!(output.status.code(), Some(Exit::Usage as i32));
    assert!(
        stderr(&output).contains("invalid partition"),
        "{}",
        stderr(&output)
    );
    cluster.unset("refuse");
    let output = succeeded(cluster.launch(&[]));
    assert!(
        stdout(&output).contains("job 102: 2 runs"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn complete_runs_are_not_submitted_and_arrays_are_cut() {
    let cluster = Cluster::new();
    cluster.reproduce(&["--quiet", "--networks", "plain-8"]);
    let site = cluster.at("site.toml");
    std::fs::write(&site, "array_limit = 1\n").unwrap();
    let site = site.to_str().unwrap();
    let output = succeeded(cluster.launch(&["--site", site, "--seeds", "1,2"]));
    assert!(
        stderr(&output).contains("4 runs: 1 complete, 0 queued or running, 3 submitted"),
        "{}",
        stderr(&output)
    );
    let queue = cluster.queue();
    assert_eq!(queue.len(), 4, "{queue:?}");
    assert!(
        queue[..3].iter().all(|line| line.ends_with(" 0")),
        "{queue:?}"
    );
    let launches = std::fs::read_dir(cluster.at("results/.launches")).unwrap();
    let folder = launches
        .flatten()
        .find(|entry| entry.path().is_dir())
        .unwrap();
    let mut offsets: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .flatten()
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|ending| ending == "sh")
        })
        .filter_map(|entry| {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let line = text.lines().find(|line| line.starts_with("index="))?;
            Some(line.to_owned())
        })
        .collect();
    offsets.sort();
    assert_eq!(
        offsets,
        [1, 2, 3].map(|first| format!("index=$((SLURM_ARRAY_TASK_ID + {first}))"))
    );

    // With nothing left, there is nothing to print, and the second start draws and checks.
    cluster.reproduce(&["--quiet"]);
    let printed = succeeded(cluster.launch(&["--print"]));
    assert_eq!(stdout(&printed), "");
    assert!(
        stderr(&printed).contains("nothing to submit: all 2 runs are complete"),
        "{}",
        stderr(&printed)
    );
    let output = cluster.launch(&[]);
    assert_eq!(
        output.status.code(),
        Some(Exit::Success as i32),
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("all 2 runs are complete"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    let cluster = Cluster::new();
    let site = cluster.at("site.toml");
    std::fs::write(&site, "gpus = 1\n[options]\ngres = \"gpu:1\"\n").unwrap();
    let path = site.to_str().unwrap();
    let output = cluster.launch(&["--site", path]);
    assert_eq!(output.status.code(), Some(Exit::Usage as i32));
    let said = stderr(&output);
    assert!(said.contains("gpus and options.gres"), "{said}");
    for flags in [&["--fresh"][..], &["--jobs", "2"], &["--device", "cuda:1"]] {
        let begin = [
            "reproduce",
            "tiny",
            "--profile",
            "tiny",
            "--launch",
            "slurm",
        ];
        let output = cluster.refig(&[&begin[..], flags].concat());
        assert_eq!(output.status.code(), Some(Exit::Usage as i32), "{flags:?}");
    }
    let output = cluster.reproduce(&["--print"]);
    assert_eq!(output.status.code(), Some(Exit::Usage as i32));
    assert_eq!(cluster.calls("sbatch"), 0);
}

#[test]
fn the_environment_does_not_undo_what_the_script_asks_for() {
    let cluster = Cluster::new();
    succeeded(cluster.launch(&[]));
    let set = cluster.text("environment");
    for kept in ["PARTITION=other\n", "TIMELIMIT=1\n", "WCKEY=kept\n"] {
        assert!(set.contains(kept), "{set}");
    }
    let site = cluster.at("site.toml");
    std::fs::write(&site, "partition = \"main\"\ntime = \"1:00:00\"\n").unwrap();
    let more = ["--seeds", "2", "--site", site.to_str().unwrap()];
    succeeded(cluster.launch(&more));
    let set = cluster.text("environment");
    assert!(set.contains("SBATCH_WCKEY=kept\n"), "{set}");
    for gone in ["PARTITION=", "TIMELIMIT=", "SIGNAL=", "RESTART_COUNT="] {
        assert!(!set.contains(gone), "{set}");
    }
}
