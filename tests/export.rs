//! Records in other programs' formats: what is written is what was recorded, and TensorBoard itself reads it.

mod common;

use std::path::Path;
use std::process::Command;

use refig::exit::Exit;
use refig::inspect::export::{Kind, write};
use refig::plan::RunPlan;
use refig::processor::{Instructions, Processor};
use refig::recipe::TrainingSplit;
use refig::record::{Ending, Recorder, Statistics};
use refig::run::disk::Disk;
use refig::run::{self, Notes, RunDirectory, RunView};

fn runs(results: &Path) -> Vec<RunView> {
    common::train(Disk::default(), results, false).unwrap();
    run::find(results).unwrap()
}

fn bytes(files: &[std::path::PathBuf]) -> Vec<Vec<u8>> {
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

#[test]
fn csv_holds_every_row_and_a_table_of_the_runs() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let runs = runs(&results);
    let out = folder.path().join("out");
    let files = write(Kind::Csv, &results, runs.clone(), &out)
        .unwrap()
        .files;
    let below = out.join(runs[0].plan().folder());
    assert_eq!(
        files,
        [
            below.join("iterations.csv"),
            below.join("evaluations.csv"),
            out.join("runs.csv")
        ]
    );
    let rows = common::rows_of(&runs[0]);
    let text = std::fs::read_to_string(&files[0]).unwrap();
    assert_eq!(text.lines().count(), rows.iterations.len() + 1);
    let errors: Vec<u64> = text
        .lines()
        .skip(1)
        .map(|line| {
            line.split(',')
                .nth(4)
                .unwrap()
                .parse::<f64>()
                .unwrap()
                .to_bits()
        })
        .collect();
    let recorded: Vec<u64> = rows
        .iterations
        .iter()
        .map(|row| row.error.to_bits())
        .collect();
    assert_eq!(errors, recorded);
    let text = std::fs::read_to_string(&files[1]).unwrap();
    assert!(text.contains("\n8,test,population,10000,"), "{text}");
    let table = std::fs::read_to_string(&files[2]).unwrap();
    let (header, row) = table.split_once('\n').unwrap();
    assert_eq!(header.split(',').count(), row.trim().split(',').count());
    assert!(row.starts_with("quick,plain-20,3,finished,8,"), "{row}");
    assert!(header.ends_with(",split") && row.trim().ends_with(",test"));
    assert!(
        row.contains(",12.5,12.5,,synthetic,feed,cpu,avx2,"),
        "{row}"
    );
    let before = bytes(&files);
    write(Kind::Csv, &results, runs.clone(), &out).unwrap();
    assert_eq!(bytes(&files), before);
}

#[test]
fn folders_are_named_as_found_and_not_as_a_run_says() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let mut runs = runs(&results);
    runs[0].file.plan.profile = "../../outside".into();
    let out = folder.path().join("a/b/out");
    let files = write(Kind::Csv, &results, runs.clone(), &out)
        .unwrap()
        .files;
    let below = out.join(runs[0].folder.strip_prefix(&results).unwrap());
    assert_eq!(files[0], below.join("iterations.csv"));
    assert!(!folder.path().join("a/outside").exists());
    // The results of one profile, and a folder with an unusual name.
    let files = write(Kind::Csv, &results.join("quick"), runs.clone(), &out)
        .unwrap()
        .files;
    let name = runs[0].folder.file_name().unwrap();
    assert_eq!(files[0], out.join(name).join("iterations.csv"));
    runs[0].folder = results.join("quick/=cmd");
    let error = write(Kind::Csv, &results, runs, &out).unwrap_err();
    assert!(error.to_string().contains("rename"), "{error}");
}

/// A run evaluated on images held out of training.
fn held_out(results: &Path) -> Vec<RunView> {
    let mut entry = common::entry();
    entry.recipe.split = TrainingSplit::HoldOut;
    let processor = Processor::Cpu(Instructions::Avx2);
    let plan = RunPlan::new(&entry, 3, "quick", "feed", processor).unwrap();
    let mut run = RunDirectory::open(results, &plan, &Notes::default(), false).unwrap();
    run.resume().unwrap();
    let state = common::weights(1.0);
    for iteration in 1..=common::LAST {
        run.iteration(common::iteration(iteration, &state)).unwrap();
    }
    let row = common::evaluation(common::LAST, &state, Statistics::Population);
    run.evaluation(row).unwrap();
    run.finish(Ending::Finished, &state).unwrap();
    drop(run);
    run::find(results).unwrap()
}

#[test]
fn held_out_images_are_not_called_the_test_set() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let runs = held_out(&results);
    let out = folder.path().join("out");
    let files = write(Kind::Csv, &results, runs.clone(), &out)
        .unwrap()
        .files;
    let evaluations = std::fs::read_to_string(&files[1]).unwrap();
    assert!(
        evaluations.contains("\n8,held-out,population,"),
        "{evaluations}"
    );
    let table = std::fs::read_to_string(&files[2]).unwrap();
    assert!(table.trim().ends_with(",held-out"), "{table}");
    let files = write(Kind::Tensorboard, &results, runs, &out)
        .unwrap()
        .files;
    let bytes = std::fs::read(&files[0]).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("held_out/error_population") && !text.contains("test/"));
    let lines = refig::inspect::watch::look(&results, None).unwrap().lines;
    let line = lines[0].text(0);
    assert!(line.contains("validation 12.50 % at 8"), "{line}");
}

#[test]
fn a_run_has_one_event_file_also_after_it_was_started_over() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let runs = runs(&results);
    let out = folder.path().join("out");
    let below = out.join(runs[0].plan().folder());
    std::fs::create_dir_all(&below).unwrap();
    let before = below.join("events.out.tfevents.0000000001.refig");
    let foreign = below.join("events.out.tfevents.0000000001.host");
    for file in [&before, &foreign] {
        std::fs::write(file, "").unwrap();
    }
    let files = write(Kind::Tensorboard, &results, runs, &out)
        .unwrap()
        .files;
    assert!(files[0].is_file() && foreign.is_file());
    assert!(!before.exists());
}

#[test]
fn a_damaged_record_is_named_and_the_other_runs_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let (results, out) = (folder.path().join("results"), folder.path().join("out"));
    let damaged = runs(&results).remove(0).folder;
    assert_eq!(held_out(&results).len(), 2);
    std::fs::write(damaged.join("iterations.parquet"), "").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(["export", "csv"])
        .args(["--out".as_ref(), out.as_os_str()])
        .args(["--results-dir".as_ref(), results.as_os_str()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(Exit::Storage as i32), "{said}");
    let name = damaged.file_name().unwrap().to_str().unwrap();
    assert!(said.contains(name), "{said}");
    let table = std::fs::read_to_string(out.join("runs.csv")).unwrap();
    assert!(
        table.lines().count() == 2 && !table.contains(name),
        "{table}"
    );
}

#[test]
fn texts_in_a_run_s_file_come_out_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let file = runs(&results).remove(0).folder.join("run.toml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    for key in ["host", "commit"] {
        let (head, rest) = text.split_once(&format!("\n{key} = \"")).unwrap();
        let (_, tail) = rest.split_once('"').unwrap();
        text = format!("{head}\n{key} = \"a\\n::error::b\\u202Ec\"{tail}");
    }
    common::write_sealed(&file, &text);
    let runs = run::find(&results).unwrap();
    assert_eq!(runs[0].file.start.host, "a : :error::b\u{fffd}c");
    let out = folder.path().join("out");
    let files = write(Kind::Csv, &results, runs, &out).unwrap().files;
    let table = std::fs::read_to_string(files.last().unwrap()).unwrap();
    assert!(table.contains(",a : :error::b\u{fffd}c,"), "{table}");
}

/// Reads an event file with TensorBoard and prints every scalar as JSON: tag to pairs of step and value.
const READER: &str = r#"
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
tags = events.Tags()["scalars"]
print(json.dumps({tag: [[e.step, e.value, e.wall_time] for e in events.Scalars(tag)] for tag in tags}))
"#;

#[test]
fn tensorboard_reads_the_scalars_that_were_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    let runs = runs(&results);
    let out = folder.path().join("out");
    let files = write(Kind::Tensorboard, &results, runs.clone(), &out)
        .unwrap()
        .files;
    assert_eq!(files.len(), 1);
    assert!(files[0].starts_with(out.join(runs[0].plan().folder())));
    let before = bytes(&files);
    write(Kind::Tensorboard, &results, runs.clone(), &out).unwrap();
    assert_eq!(bytes(&files), before);

    let Some(python) = common::python::with("tensorboard") else {
        println!(
            "SKIPPED: no TensorBoard here; `pip install tensorboard`, or name a Python that has it with PYTHON"
        );
        return;
    };
    let output = Command::new(python)
        .args(["-c", READER])
        .arg(files[0].parent().unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    // Damaged records would be left out with a word on standard error.
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(!complaints.contains("orrupt"), "{complaints}");
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = common::rows_of(&runs[0]);
    let scalars = |tag: &str| -> Vec<(u64, f32)> {
        let points = read[tag]
            .as_array()
            .unwrap_or_else(|| panic!("no {tag} in {read}"));
        let pair = |point: &serde_json::Value| {
            (
                point[0].as_u64().unwrap(),
                point[1].as_f64().unwrap() as f32,
            )
        };
        points.iter().map(pair).collect()
    };
    let recorded: Vec<(u64, f32)> = rows
        .iterations
        .iter()
        .map(|row| (row.iteration, row.loss as f32))
        .collect();
    assert_eq!(scalars("training/loss"), recorded);
    let rates = scalars("training/learning_rate");
    assert_eq!((rates[0], rates[7]), ((1, 0.1), (8, 0.01)));
    assert_eq!(scalars("test/error_population"), [(4, 12.5), (8, 12.5)]);
    assert_eq!(scalars("test/error_moving").len(), 2);
}

#[test]
fn runs_that_are_not_there_are_named_by_experiment_and_profile() {
    let folder = tempfile::tempdir().unwrap();
    // Runs of something else.
    runs(&folder.path().join("results"));
    let output = Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(["export", "csv", "fig6", "--profile", "smoke", "--out"])
        .arg(folder.path().join("out"))
        .arg("--results-dir")
        .arg(folder.path().join("results"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(Exit::Missing as i32));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("no such runs of fig6 at profile smoke"),
        "{told}"
    );
}
