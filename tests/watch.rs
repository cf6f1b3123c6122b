//! `watch` from the files alone: what is done, what goes on, what stopped, what waits; and how it ends.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use refig::inspect::watch::{Activity, look};
use refig::processor::{Instructions, Processor};
use refig::record::{Evaluation, Recorder, Split, Statistics};
use refig::run::disk::Disk;
use refig::run::{Notes, RunDirectory};

/// A run of another seed with four iterations and an evaluation, still held by whoever called.
fn begin(results: &Path) -> RunDirectory {
    let mut plan = common::plan();
    plan = refig::plan::RunPlan::new(
        &common::entry(),
        7,
        &plan.profile,
        "feed",
        Processor::Cpu(Instructions::Avx2),
    )
    .unwrap();
    let mut run = RunDirectory::open(results, &plan, &Notes::default(), false).unwrap();
    run.resume().unwrap();
    let state = common::weights(1.0);
    for iteration in 1..=4 {
        let mut row = common::iteration(iteration, &state);
        row.error = 80.0 - iteration as f64;
        run.iteration(row).unwrap();
    }
    run.evaluation(Evaluation {
        iteration: 4,
        split: Split::Test,
        statistics: Statistics::Population,
        images: 100,
        loss: 2.0,
        error: 71.25,
        top5_error: 10.0,
    })
    .unwrap();
    run.checkpoint(4, &state, "").unwrap();
    run
}

#[test]
fn runs_are_told_apart_by_their_files_and_locks() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path();
    common::train(Disk::default(), results, false).unwrap();
    let running = begin(results);
    let lines = look(results, None).unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].activity, Activity::Finished);
    assert!(lines[0].is_done());
    assert_eq!(lines[1].activity, Activity::Running);
    assert_eq!((lines[1].iteration, lines[1].iterations), (4, 8));
    assert_eq!(lines[1].training_error, Some(77.5));
    assert_eq!(lines[1].test_error, Some((4, 71.25)));
    let text = lines[1].text();
    for part in [
        "running",
        "4 of 8",
        "training 77.50 %",
        "test 71.25 % at 4",
        "written",
    ] {
        assert!(text.contains(part), "lacks {part}: {text}");
    }
    drop(running);
    let lines = look(results, None).unwrap();
    assert_eq!(lines[1].activity, Activity::Stopped);
    // As another machine would have left it.
    let locks = results.join(".locks");
    let lock = std::fs::read_dir(&locks)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("-s7-"))
        .unwrap();
    std::fs::write(lock, "process 17 on node-12\n").unwrap();
    let lines = look(results, None).unwrap();
    assert_eq!(lines[1].activity, Activity::Elsewhere("node-12".into()));
}

fn refig(arguments: &[&str], results: &Path) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_refig"));
    command
        .args(arguments)
        .arg("--results-dir")
        .arg(results)
        .current_dir(root);
    command
}

#[test]
fn once_shows_what_waits_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "watch",
        "fig6",
        "--profile",
        "smoke",
        "--seeds",
        "4",
        "--once",
    ];
    let output = refig(&arguments, folder.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[0].starts_with("smoke/plain-20-s4 ") && lines[0].contains("waiting"),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "plain lines into a pipe");
}

#[test]
fn a_pipe_gets_a_line_when_something_changes_and_an_interrupt_ends_the_watch() {
    let folder = tempfile::tempdir().unwrap();
    let run = begin(folder.path());
    let mut child = refig(&["watch", "--interval", "1"], folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("running"), "{first}");
    drop(run);
    let second = lines.next().unwrap().unwrap();
    assert!(second.contains("stopped"), "{second}");
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(lines.next().is_none(), "nothing more was said");
}

#[test]
fn the_watch_ends_when_everything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    common::train(Disk::default(), folder.path(), false).unwrap();
    for words in [&["watch"][..], &["status", "--follow"]] {
        let output = refig(words, folder.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("finished"));
    }
}
