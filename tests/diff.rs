//! `diff`: what differs is named, provenance alone does not make a difference.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use refig::inspect::difference::Difference;
use refig::processor::{Instructions, Processor};
use refig::recipe::TrainingSplit;
use refig::record::{Ending, Recorder, Statistics};
use refig::run::disk::Disk;
use refig::run::{Notes, RunDirectory, find};

/// The folder of the usual run below `results`.
fn usual(results: &Path) -> PathBuf {
    common::train(Disk::default(), results, false).unwrap();
    find(results).unwrap().remove(0).folder
}

/// A run of another seed and rate that leaves the usual one at iteration `from`.
fn other(results: &Path, from: u64, learning_rate: f64) -> PathBuf {
    let mut entry = common::entry();
    entry.recipe.learning_rate = learning_rate;
    let plan = refig::plan::RunPlan::new(
        &entry,
        3,
        "quick",
        "feed",
        Processor::Cpu(Instructions::Avx2),
    )
    .unwrap();
    let mut run = RunDirectory::open(results, &plan, &Notes::default(), false).unwrap();
    run.resume().unwrap();
    let mut state = common::weights(1.0);
    for iteration in 1..=common::LAST {
        state = common::next(&state);
        let mut row = common::iteration(iteration, &state);
        if iteration >= from {
            row.loss += 0.25;
        }
        run.iteration(row).unwrap();
    }
    run.evaluation(common::evaluation(common::LAST, &state, Statistics::Moving))
        .unwrap();
    run.finish(Ending::Finished, &state).unwrap();
    results.join(plan.folder())
}

fn diff(one: &Path, other: &Path) -> (Option<i32>, String) {
    diff_with(&[], one, other)
}

fn diff_with(flags: &[&str], one: &Path, other: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_refig"))
        .arg("diff")
        .args(flags)
        .args([one, other])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

#[test]
fn the_same_run_made_twice_is_the_same_whenever_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let one = usual(&folder.path().join("a"));
    let again = usual(&folder.path().join("b"));
    // Made on another machine.
    let about = again.join("run.toml");
    let text = std::fs::read_to_string(&about).unwrap();
    let (head, start) = text.split_once("[start]").unwrap();
    common::write_sealed(
        &about,
        &format!(
            "{head}[start]{}",
            start.replacen("host = \"", "host = \"other-", 1)
        ),
    );
    let (code, text) = diff(&one, &again);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("recipe: the same") && text.contains("numbers: the same"),
        "{text}"
    );
    assert!(
        text.contains("start.host") && text.contains("other-"),
        "{text}"
    );
    assert!(
        text.contains("bit-identical, 8 iterations and 4 evaluations"),
        "{text}"
    );
}

#[test]
fn recipe_numbers_and_the_first_iteration_that_differs_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let one = usual(&folder.path().join("a"));
    let other = other(&folder.path().join("b"), 6, 0.05);
    let (code, text) = diff(&one, &other);
    assert_eq!(code, Some(1), "{text}");
    let rate = text
        .lines()
        .find(|line| line.contains("recipe.learning_rate"))
        .unwrap();
    let words: Vec<&str> = rate.split_whitespace().collect();
    assert_eq!(words, ["recipe.learning_rate", "0.1", "0.05"]);
    assert!(text.contains("training loss"), "{text}");
    assert!(
        text.contains("bit-identical for 5 iterations; losses at 6 are"),
        "{text}"
    );
    assert!(
        !text.contains("identity"),
        "a hash of what is shown: {text}"
    );
}

#[test]
fn a_program_reads_the_same_differences_and_quiet_says_only_where() {
    let folder = tempfile::tempdir().unwrap();
    let one = usual(&folder.path().join("a"));
    let other = other(&folder.path().join("b"), 6, 0.05);
    let (code, text) = diff_with(&["--format", "json"], &one, &other);
    assert_eq!(code, Some(1), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["same"], false);
    assert_eq!(json["same_records"], false);
    assert_eq!(json["one"], one.to_str().unwrap());
    let rate = json["recipe"].as_array().unwrap();
    let rate = rate
        .iter()
        .find(|row| row["what"] == "recipe.learning_rate");
    assert_eq!(rate.unwrap()["other"], "0.05");
    for list in ["provenance", "numbers"] {
        assert!(json[list].is_array(), "{list}");
    }
    let (code, text) = diff_with(&["-q"], &one, &other);
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(text, "different: recipe, numbers, records\n");
    let (code, text) = diff_with(&["-q"], &one, &one);
    assert_eq!((code, text.as_str()), (Some(0), "the same\n"));
}

#[test]
fn errors_on_held_out_images_are_called_validation_errors() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, split, error| {
        let results = folder.path().join(name);
        let mut entry = common::entry();
        entry.recipe.split = split;
        let processor = Processor::Cpu(Instructions::Avx2);
        let plan = refig::plan::RunPlan::new(&entry, 3, "quick", "feed", processor).unwrap();
        let mut run = RunDirectory::open(&results, &plan, &Notes::default(), false).unwrap();
        run.resume().unwrap();
        let state = common::weights(1.0);
        for iteration in 1..=common::LAST {
            run.iteration(common::iteration(iteration, &state)).unwrap();
        }
        let mut row = common::evaluation(common::LAST, &state, Statistics::Population);
        row.error = error;
        run.evaluation(row).unwrap();
        run.finish(Ending::Finished, &state).unwrap();
        results.join(plan.folder())
    };
    let one = run("a", TrainingSplit::HoldOut, 12.5);
    let other = run("b", TrainingSplit::HoldOut, 13.5);
    let (_, text) = diff(&one, &other);
    assert!(text.contains("validation error, last"), "{text}");
    assert!(!text.contains("test error"), "{text}");
    let whole = run("c", TrainingSplit::All, 13.5);
    let (_, text) = diff(&one, &whole);
    let last = text.lines().find(|line| line.contains("error, last"));
    let last = last.unwrap();
    assert!(
        last.contains("12.5000 % at 8 (validation)") && last.ends_with("13.5000 % at 8"),
        "{last}"
    );
}

#[test]
fn a_run_that_cannot_be_read_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let one = usual(&folder.path().join("a"));
    let results = folder.path().join("b");
    let broken = results.join("quick/plain-20-s9-01234567");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::write(broken.join("run.toml"), "nonsense").unwrap();
    let flags = ["--results-dir", results.to_str().unwrap()];
    for name in ["plain-20-s9-01234567", "quick/plain-20-s9-01234567", "0123"] {
        let (code, text) = diff_with(&flags, &one, Path::new(name));
        assert_eq!(code, Some(4), "{text}");
        assert!(
            text.contains("plain-20-s9-01234567") && !text.contains("no run"),
            "{text}"
        );
    }
}

#[test]
fn a_run_that_is_not_there_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let one = usual(&folder.path().join("a"));
    let (code, text) = diff(&one, Path::new("quick/plain-20-s9-00000000"));
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("no run \"quick/plain-20-s9-00000000\"") && text.contains("refig status"),
        "{text}"
    );
}

#[test]
fn records_that_differ_where_no_number_does_are_a_difference() {
    let same = Difference {
        same_records: true,
        ..Difference::default()
    };
    assert!(same.is_none());
    let records = Difference::default();
    assert!(!records.is_none());
}
