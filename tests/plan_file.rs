//! A plan in a file: the same runs as without it, each made by a worker of its own.

mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::tiny::{assert_same_results, freeze, refig, tiny};
use common::write_sealed;
use refig::exit::Exit;
use refig::manifest::Experiment;
use refig::orchestrate::event::{Event, Line};
use refig::orchestrate::plan_file::{self, FrozenPlan, FrozenRun};
use refig::plan;
use refig::processor::{Instructions, Processor};
use refig::record::Ending;
use refig::run::{FORMAT, Notes, RunDirectory};

fn frozen() -> FrozenPlan {
    let experiment = Experiment::load(Path::new("experiments/construction.toml"), "quick", &[]);
    let experiment = experiment.unwrap();
    let processor = Processor::Cpu(Instructions::Avx2);
    let runs = plan::runs(&experiment, &[1, 2], "d1", processor).unwrap();
    FrozenPlan::new(&experiment, &runs, 2000)
}

/// The worker of a run of a plan.
fn worker(folder: &Path, plan: &Path, run: &[&str]) -> Command {
    let mut command = refig(folder, "run");
    command.arg("--plan").arg(plan).args(run);
    command.args(["--offline", "--threads", "1"]);
    command
}

fn said(mut command: Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.stderr(Stdio::piped()).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_plan_survives_being_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.toml");
    let plan = frozen();
    plan_file::write(&file, &plan).unwrap();
    let read = plan_file::read(&file).unwrap();
    assert_eq!(read, plan);
    // The runs that others start from are among them, and named.
    let waiting = read.runs.iter().filter(|run| run.starts_from.is_some());
    for run in waiting.clone() {
        let start = read.named(run.starts_from.as_deref().unwrap()).unwrap();
        assert_eq!(Some(start.plan.identity()), run.plan.start.as_deref());
    }
    assert_eq!(waiting.count(), 2);
    assert_eq!(read.at(1).unwrap(), &plan.runs[1]);
    assert_eq!(Exit::of(&read.at(999).unwrap_err()), Exit::Usage);
    assert_eq!(Exit::of(&read.named("x").unwrap_err()), Exit::Usage);
}

#[test]
fn a_damaged_or_newer_plan_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.toml");
    let refused = || {
        let error = plan_file::read(&file).unwrap_err();
        (Exit::of(&error), error.to_string())
    };
    assert_eq!(refused().0, Exit::Usage, "there is none");
    plan_file::write(&file, &frozen()).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();

    std::fs::write(&file, text.replacen("seed = 1", "seed = 3", 1)).unwrap();
    let (exit, message) = refused();
    assert_eq!(exit, Exit::Storage);
    assert!(message.contains("does not match its sha256"), "{message}");
    std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    assert_eq!(refused().0, Exit::Storage);

    // Even where somebody knows how to write the digest.
    write_sealed(&file, &text.replacen("seed = 1", "seed = 3", 1));
    let (exit, message) = refused();
    assert_eq!(exit, Exit::Storage);
    assert!(message.contains("identity = "), "{message}");
    let name = &frozen().runs[0].name;
    write_sealed(&file, &text.replacen(name.as_str(), "../../x", 1));
    let (exit, message) = refused();
    assert_eq!(exit, Exit::Storage);
    assert!(message.contains("--out FILE"), "{message}");

    let empty = FrozenPlan {
        runs: Vec::new(),
        ..frozen()
    };
    plan_file::write(&file, &empty).unwrap();
    let (exit, message) = refused();
    assert_eq!(exit, Exit::Storage);
    assert!(message.contains("it has no runs; write"), "{message}");

    let (now, newer) = (format!("format = {FORMAT}\n"), FORMAT + 1);
    write_sealed(
        &file,
        &text.replacen(&now, &format!("format = {newer}\n"), 1),
    );
    let (exit, message) = refused();
    assert_eq!(exit, Exit::Storage);
    let says = format!("format {newer} is newer than {FORMAT}");
    assert!(message.contains(&says), "{message}");
}

#[test]
fn workers_make_the_runs_that_reproduce_makes() {
    let (whole, apart) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let status = tiny(whole.path(), "reproduce", "2").status().unwrap();
    assert!(status.success());
    let file = freeze(apart.path());
    let plan = plan_file::read(&file).unwrap();
    assert_eq!((&*plan.experiment, &*plan.profile), ("tiny", "tiny"));

    let output = worker(apart.path(), &file, &["--index", "0", "--format", "json"])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Line> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().all(|line| line.run == plan.runs[0].name));
    let started = Event::Started {
        iteration: 0,
        iterations: 60,
    };
    let events: Vec<&Event> = lines.iter().map(|line| &line.event).collect();
    assert!(events.contains(&&started), "{text}");
    let evaluations = events
        .iter()
        .filter(|event| event.to_evaluation().is_some());
    // Two kinds of statistics, after every fifth of 60 iterations and on clean images at the end.
    assert_eq!(evaluations.count(), 2 * (12 + 1), "{text}");
    let finished = |trained| Event::Finished {
        ending: Ending::Finished,
        trained,
        exit: 0,
    };
    assert_eq!(events.last(), Some(&&finished(true)), "{text}");

    let name = plan.runs[1].name.as_str();
    let status = worker(apart.path(), &file, &["--run", name]).status();
    assert!(status.unwrap().success());
    assert_same_results(whole.path(), apart.path());

    // What is done needs no data.
    let output = worker(apart.path(), &file, &["--index", "1", "--format", "json"])
        .args(["--data-dir", "/nowhere"])
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let line: Line = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line.event, finished(false));
}

#[test]
fn a_run_that_somebody_works_on_has_an_exit_code_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = freeze(folder.path());
    let frozen = plan_file::read(&file).unwrap();
    let plan = &frozen.runs[0].plan;
    let results = folder.path().join("results");
    let held = RunDirectory::open(&results, plan, &Notes::default(), false).unwrap();
    let (code, text) = said(worker(folder.path(), &file, &["--index", "0"]));
    assert_eq!(code, Some(Exit::Busy as i32), "{text}");
    assert!(text.contains("working on this run"), "{text}");
    drop(held);
}

#[test]
fn a_run_of_another_kind_of_processor_is_refused_and_both_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.toml");
    // A plan can be made where it cannot be carried out.
    let status = tiny(folder.path(), "plan", "1")
        .args(["--processor", "cuda", "--out"])
        .arg(&file)
        .status();
    assert!(status.unwrap().success());
    let plan = plan_file::read(&file).unwrap();
    let cuda = |run: &FrozenRun| run.plan.processor == Processor::Cuda;
    assert!(plan.runs.len() == 2 && plan.runs.iter().all(cuda));
    let worker = worker(folder.path(), &file, &["--index", "0", "--device", "cpu"]);
    let (code, text) = said(worker);
    assert_eq!(code, Some(Exit::Device as i32), "{text}");
    assert!(text.contains("was planned for cuda, but"), "{text}");
    assert!(text.contains("cpu ("), "{text}");
    assert!(!folder.path().join("results").exists(), "nothing was begun");
}

#[test]
fn other_images_than_planned_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = freeze(folder.path());
    let processor = plan_file::read(&file).unwrap().runs[0].plan.processor;
    let experiment = Experiment::load(
        Path::new("tests/fixtures/experiments/tiny.toml"),
        "tiny",
        &[],
    )
    .unwrap();
    let runs = plan::runs(&experiment, &[1], "others", processor).unwrap();
    plan_file::write(&file, &FrozenPlan::new(&experiment, &runs, 2000)).unwrap();
    let (code, text) = said(worker(folder.path(), &file, &["--index", "0"]));
    assert_eq!(code, Some(Exit::Data as i32), "{text}");
    assert!(text.contains("the digest others"), "{text}");
}

#[test]
fn a_worker_that_ends_before_its_run_says_so_in_json_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.toml");
    for (text, run, exit) in [
        (None, &["--index", "0"][..], Exit::Usage),
        (Some("damaged"), &["--run", "x"][..], Exit::Storage),
    ] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let output = worker(folder.path(), &file, run)
            .args(["--format", "json"])
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(exit as i32));
        let line: Line = serde_json::from_slice(&output.stdout).unwrap();
        // As far as it is known.
        assert_eq!(line.run, if exit == Exit::Usage { "" } else { "x" });
        let Event::Failed { error, exit: said } = line.event else {
            panic!("{line:?}");
        };
        assert_eq!(said, exit as u8);
        assert!(error.contains("plan.toml"), "{error}");
    }
}

#[test]
fn a_plan_is_written_into_a_folder_that_exists() {
    let folder = tempfile::tempdir().unwrap();
    for (out, says) in [
        (folder.path().to_owned(), "it is a folder; name a file"),
        (folder.path().join("missing/plan.toml"), "create it first"),
    ] {
        let mut command = tiny(folder.path(), "plan", "1");
        command.arg("--out").arg(&out);
        let (code, text) = said(command);
        assert_eq!(code, Some(Exit::Usage as i32), "{text}");
        assert!(text.contains(says), "{text}");
        assert!(text.contains("--out "), "{text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_plan_replaces_a_plan_and_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fig6.toml");
    let plan = || {
        let mut command = tiny(folder.path(), "plan", "1");
        command.arg("--out").arg(&file);
        said(command)
    };
    let manifest = std::fs::read("experiments/fig6.toml").unwrap();
    std::fs::write(&file, &manifest).unwrap();
    let (code, text) = plan();
    assert_eq!(code, Some(Exit::Usage as i32), "{text}");
    assert!(text.contains("this file is no plan"), "{text}");
    assert_eq!(std::fs::read(&file).unwrap(), manifest);
    std::fs::remove_file(&file).unwrap();
    for _ in 0..2 {
        let (code, text) = plan();
        assert_eq!(code, Some(0), "{text}");
    }
}

#[test]
fn a_worker_needs_a_plan_and_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = freeze(folder.path());
    for run in [
        &["--run", "no-such-run"][..],
        &["--index", "2"],
        &["--index", "0", "--run", "x"],
        &[],
    ] {
        let (code, text) = said(worker(folder.path(), &file, run));
        assert_eq!(code, Some(Exit::Usage as i32), "{run:?}: {text}");
    }
    let (code, _) = said(refig(folder.path(), "run"));
    assert_eq!(code, Some(Exit::Usage as i32));
}
