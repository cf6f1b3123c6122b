//! `watch` and `status` from the files alone: what is done, what goes on, what stopped, what waits; and how it ends.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use refig::inspect::Activity;
use refig::inspect::watch::look;
use refig::manifest::Experiment;
use refig::plan::RunPlan;
use refig::processor::{Instructions, Processor};
use refig::record::{Evaluation, Recorder, Split, Statistics, Views};
use refig::run::disk::Disk;
use refig::run::{Notes, RunDirectory};

/// A run of another seed with four iterations and an evaluation, still held by whoever called.
fn begin(results: &Path) -> RunDirectory {
    let processor = Processor::Cpu(Instructions::Avx2);
    let plan = RunPlan::new(&common::entry(), 7, "quick", "feed", processor).unwrap();
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
        views: Views::default(),
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
    let lines = look(results, None).unwrap().lines;
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].activity, Activity::Finished);
    assert!(lines[0].is_done());
    assert_eq!(lines[1].activity, Activity::Running);
    assert_eq!((lines[1].iteration, lines[1].iterations), (4, 8));
    assert_eq!(lines[1].training_error, Some(77.5));
    assert_eq!(lines[1].test_error, Some((4, 71.25)));
    assert!(!lines[1].held_out);
    let text = lines[1].text(40);
    assert_eq!(text.find(" other "), Some(40), "{text}");
    for part in [
        "running",
        "other",
        "4 of 8",
        "training 77.50 %",
        "test 71.25 % at 4",
        "written",
    ] {
        assert!(text.contains(part), "lacks {part}: {text}");
    }
    drop(running);
    let lines = look(results, None).unwrap().lines;
    assert_eq!(lines[1].activity, Activity::Stopped);
    // As another machine would have left it.
    let locks = results.join(".locks");
    let lock = std::fs::read_dir(&locks)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("-s7-"))
        .unwrap();
    std::fs::write(lock, "process 17 on node-12\n").unwrap();
    let lines = look(results, None).unwrap().lines;
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

/// Standard output and standard error of a command that succeeds.
fn printed(arguments: &[&str], results: &Path) -> (String, String) {
    let output = refig(arguments, results).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let [out, err] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (out, err)
}

#[test]
fn status_says_what_goes_on_on_which_data_and_what_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path();
    common::train(Disk::default(), results, false).unwrap();
    let running = begin(results);
    let broken = results.join("quick/resnet-20-s1-01234567");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::write(broken.join("run.toml"), "nonsense").unwrap();
    let line = |text: &str, name: &str| -> String {
        let found = text.lines().find(|line| line.contains(name));
        found
            .unwrap_or_else(|| panic!("no {name} in {text}"))
            .into()
    };
    let (text, _) = printed(&["status"], results);
    let finished = line(&text, "plain-20-s3-");
    assert!(finished.contains("SYNTHETIC"), "{finished}");
    assert!(finished.ends_with("finished, 8"), "{finished}");
    let at_work = line(&text, "plain-20-s7-");
    assert!(at_work.contains("  other  "), "{at_work}");
    assert!(at_work.ends_with("running, 4 of 8"), "{at_work}");
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("skipped "), "{last}");
    assert!(last.contains("resnet-20-s1-01234567"), "{last}");
    drop(running);
    let (text, _) = printed(&["status"], results);
    let stopped = line(&text, "plain-20-s7-");
    assert!(stopped.ends_with("stopped at 4 of 8, resumes"), "{stopped}");
    assert!(stopped.len() <= 80, "{stopped}");

    let (text, _) = printed(&["status", "--format", "json"], results);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let run = &json["runs"][1];
    assert_eq!(run["network"], "plain-20");
    assert_eq!(run["seed"], 7);
    assert_eq!(run["data"], "other");
    assert_eq!(run["state"], "stopped");
    assert_eq!(run["iteration"], 4);
    assert_eq!(run["iterations"], 8);
    assert!(run["host"].is_null());
    let skipped = json["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), 1);
    assert!(!skipped[0]["why"].as_str().unwrap().is_empty());

    // One run that cannot be read does not hide the others.
    let (text, _) = printed(&["watch", "--once"], results);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.lines().last().unwrap().starts_with("skipped "));
}

#[test]
fn runs_with_changed_fields_are_shown_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path();
    let set = "recipe.learning_rate=0.02";
    let fig6 =
        Experiment::load(Path::new("experiments/fig6.toml"), "smoke", &[set.into()]).unwrap();
    let entry = fig6.network("plain-20").unwrap();
    let processor = Processor::Cpu(Instructions::Avx2);
    let plan = RunPlan::new(entry, 1, "smoke", "feed", processor).unwrap();
    let notes = Notes {
        overrides: vec![set.into()],
        ..Notes::default()
    };
    let mut run = RunDirectory::open(results, &plan, &notes, false).unwrap();
    run.resume().unwrap();
    let state = common::weights(1.0);
    run.iteration(common::iteration(1, &state)).unwrap();
    run.checkpoint(1, &state, "").unwrap();
    drop(run);
    let watch = ["watch", "fig6", "--profile", "smoke", "--once"];
    let (text, note) = printed(&watch, results);
    assert!(!text.contains("stopped"), "{text}");
    assert!(
        note.contains("1 run of fig6") && note.contains(&format!("--set {set}")),
        "{note}"
    );
    let (text, note) = printed(&[&watch[..], &["--set", set]].concat(), results);
    assert!(text.contains("stopped"), "{text}");
    assert_eq!(note, "");
    let (_, note) = printed(&[&watch[..], &["-q"]].concat(), results);
    assert_eq!(note, "");

    let out = folder.path().join("out");
    let out = out.to_str().unwrap();
    let export = ["export", "csv", "fig6", "--profile", "smoke", "--out", out];
    let output = refig(&export, results).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let note = String::from_utf8_lossy(&output.stderr);
    assert!(note.contains(&format!("--set {set}")), "{note}");
    let (text, note) = printed(&[&export[..], &["-q", "--set", set]].concat(), results);
    assert_eq!((text.as_str(), note.as_str()), ("", ""));
    assert!(Path::new(out).join("runs.csv").is_file());
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
    let (quiet, _) = printed(&["watch", "-q"], folder.path());
    assert_eq!(quiet.lines().count(), 1, "{quiet}");
}
