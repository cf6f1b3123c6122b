//! `clean` removes what it has a reason to remove, and nothing else.

mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use refig::exit::Exit;
use refig::manifest::Experiment;
use refig::origin::Origin;
use refig::plan::{self, RunPlan};
use refig::processor::{Instructions, Processor};
use refig::record::{Ending, Recorder, Statistics};
use refig::run::{Notes, RunDirectory, find};

const TINY: &str = r#"
name = "tiny"
title = "tiny"
networks = ["plain-8", "resnet-8"]
seeds = [1]

[recipe]
iterations = 8
drops = []

[[panels]]
title = "CIFAR-10"
networks = ["plain-8", "resnet-8"]
"#;

fn plans(folder: &Path, overrides: &[String]) -> Vec<RunPlan> {
    let file = folder.join("experiments/tiny.toml");
    let experiment = Experiment::load(&file, "default", overrides).unwrap();
    let processor = Processor::Cpu(Instructions::Avx2);
    plan::runs(&experiment, &[1], Origin::Other.digest(), processor).unwrap()
}

fn finish(folder: &Path, plan: &RunPlan, experiment: &str, overrides: &[String]) {
    let notes = Notes {
        experiment: experiment.into(),
        overrides: overrides.to_vec(),
        ..Notes::default()
    };
    let results = folder.join("results");
    let mut run = RunDirectory::open(&results, plan, &notes, false).unwrap();
    run.resume().unwrap();
    let state = common::weights(1.0);
    let last = plan.recipe.iterations;
    for iteration in 1..=last {
        run.iteration(common::iteration(iteration, &state)).unwrap();
    }
    run.evaluation(common::evaluation(last, &state, Statistics::Population))
        .unwrap();
    run.finish(Ending::Finished, &state).unwrap();
}

fn write(folder: &Path, text: &str) {
    std::fs::create_dir_all(folder.join("experiments")).unwrap();
    std::fs::write(folder.join("experiments/tiny.toml"), text).unwrap();
}

fn clean(folder: &Path, experiments: &str) -> (Output, Vec<String>) {
    let output = Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(["clean", "--yes", "--experiments-dir"])
        .arg(folder.join(experiments))
        .arg("--results-dir")
        .arg(folder.join("results"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let left = find(&folder.join("results")).unwrap();
    (output, left.iter().map(|run| run.plan().name()).collect())
}

#[test]
fn only_what_an_experiment_has_replaced_or_a_version_made_again_goes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, TINY);
    let [plain, resnet] = &plans(folder, &[])[..] else {
        panic!("two runs");
    };
    // Of an older version, of another experiment's file, with a changed field, and as it is wanted.
    let old = plain.by_version(1).unwrap();
    let set = vec!["recipe.batch=64".to_string()];
    let changed = plans(folder, &set).remove(0);
    let later = TINY.replace("iterations = 8", "iterations = 9");
    write(folder, &later);
    let [foreign, left] = &plans(folder, &[])[..] else {
        panic!("two runs");
    };
    write(folder, TINY);
    finish(folder, plain, "tiny", &[]);
    finish(folder, resnet, "tiny", &[]);
    finish(folder, &old, "tiny", &[]);
    finish(folder, &changed, "tiny", &set);
    finish(folder, foreign, "somebody's", &[]);
    finish(folder, left, "tiny", &[]);

    // A folder that is not there is no reason.
    let (output, names) = clean(folder, "experimints");
    assert_eq!(output.status.code(), Some(Exit::Usage as i32));
    assert_eq!(names.len(), 6);

    let (output, names) = clean(folder, "experiments");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for gone in [&old, left] {
        assert!(!names.contains(&gone.name()), "{said}");
    }
    for kept in [plain, resnet, &changed, foreign] {
        assert!(names.contains(&kept.name()), "{} went: {said}", kept.name());
    }
    assert!(
        said.contains("made again") && said.contains("another recipe"),
        "{said}"
    );
    let (output, _) = clean(folder, "experiments");
    assert!(String::from_utf8_lossy(&output.stdout).contains("no runs to remove"));
}

#[cfg(unix)]
#[test]
fn nothing_but_a_clear_yes_to_a_question_that_was_read_removes_a_run() {
    use std::fs::File;

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, TINY);
    let plain = plans(folder, &[]).remove(0);
    finish(folder, &plain, "tiny", &[]);
    finish(folder, &plain.by_version(1).unwrap(), "tiny", &[]);
    let ask = |answer: &Path, out: Stdio| {
        let status = Command::new(env!("CARGO_BIN_EXE_refig"))
            .args(["clean", "--experiments-dir"])
            .arg(folder.join("experiments"))
            .arg("--results-dir")
            .arg(folder.join("results"))
            .stdin(File::open(answer).unwrap())
            .stdout(out)
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(0), "{}", answer.display());
        find(&folder.join("results")).unwrap().len()
    };
    let answer = folder.join("answer");
    for unclear in [&b"\xff\n"[..], b"", b"yes please\n", &[b' '; 200]] {
        std::fs::write(&answer, unclear).unwrap();
        assert_eq!(ask(&answer, Stdio::null()), 2);
    }
    for unreadable in [folder, Path::new("/dev/zero")] {
        assert_eq!(ask(unreadable, Stdio::null()), 2);
    }
    std::fs::write(&answer, "y\n").unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(ask(&answer, writer.into()), 2, "nobody read the question");
    assert_eq!(ask(&answer, Stdio::null()), 1);
}
