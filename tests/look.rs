//! Looking at runs while they change: what is said is true of some moment, and never an error.

mod common;

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use common::{LAST, plan, train};
use refig::plan::RunPlan;
use refig::run::disk::Disk;
use refig::run::{RunDirectory, scan};

#[test]
fn a_run_that_ends_or_starts_over_is_never_called_damaged() {
    let results = tempfile::tempdir().unwrap();
    train(Disk::default(), results.path(), false).unwrap();
    let over = AtomicBool::new(false);
    let mut looks = 0;
    std::thread::scope(|scope| {
        let trainer = scope.spawn(|| {
            let trained = (0..30).try_for_each(|_| train(Disk::default(), results.path(), true));
            over.store(true, Ordering::Relaxed);
            trained.unwrap();
        });
        while !over.load(Ordering::Relaxed) {
            let found = scan(results.path()).unwrap();
            assert_eq!(found.skipped, [], "look {looks}");
            for view in found.runs {
                match view.read() {
                    Ok((now, rows)) => {
                        assert_eq!(rows.iterations.len() as u64, now.iteration);
                        assert!(now.iteration <= LAST);
                    }
                    // Started over at this moment.
                    Err(error) => assert!(error.to_string().contains("started over"), "{error:#}"),
                }
            }
            looks += 1;
        }
        trainer.join().unwrap();
    });
    assert!(looks > 20, "{looks} looks");
}

#[test]
fn many_checks_at_once_write_whole_files() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results");
    train(Disk::default(), &results, false).unwrap();
    let check = || {
        Command::new(env!("CARGO_BIN_EXE_refig"))
            .args(["check", "fig6", "--profile", "quick", "--write", "-q"])
            .arg("--results-dir")
            .arg(&results)
            .arg("--reports-dir")
            .arg(folder.path().join("reports"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let all: Vec<_> = (0..12).map(|_| check()).collect();
    for child in all {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{said}");
    }
    let report = folder.path().join("reports/fig6/quick");
    let names: Vec<String> = std::fs::read_dir(&report)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        !names.iter().any(|name| name.ends_with(".tmp")),
        "{names:?}"
    );
    let verdict = std::fs::read_to_string(report.join("verdict.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&verdict).unwrap();
}

#[test]
fn one_bad_folder_does_not_stop_the_others() {
    let results = tempfile::tempdir().unwrap();
    train(Disk::default(), results.path(), false).unwrap();
    let good = results.path().join(plan().folder());
    let profile = results.path().join("quick");
    // Empty, lying, without its run.toml, a copy under another name, and folders of something else.
    std::fs::create_dir(profile.join("empty")).unwrap();
    std::fs::write(profile.join("empty/run.toml"), "").unwrap();
    std::fs::create_dir(profile.join("lies")).unwrap();
    std::fs::copy(good.join("run.toml"), profile.join("lies/run.toml")).unwrap();
    std::fs::create_dir(profile.join("nameless")).unwrap();
    std::fs::copy(good.join("done.json"), profile.join("nameless/done.json")).unwrap();
    std::fs::create_dir_all(results.path().join("lost+found/deep")).unwrap();
    std::fs::write(results.path().join("notes.txt"), "mine").unwrap();
    let renamed = results.path().join("mine").join(plan().name());
    std::fs::create_dir_all(renamed.parent().unwrap()).unwrap();
    std::fs::create_dir(&renamed).unwrap();
    for name in [
        "run.toml",
        "done.json",
        "iterations.parquet",
        "evaluations.parquet",
    ] {
        std::fs::copy(good.join(name), renamed.join(name)).unwrap();
    }
    let found = scan(results.path()).unwrap();
    assert_eq!(found.runs.len(), 1);
    assert_eq!(found.runs[0].folder, good);
    let mut names: Vec<&str> = found
        .skipped
        .iter()
        .map(|skipped| skipped.folder.file_name().unwrap().to_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["empty", "lies", "nameless", &*plan().name()]);
    assert!(found.skipped.iter().all(|skipped| !skipped.why.is_empty()));
}

#[test]
fn a_run_of_two_profiles_is_found_in_both() {
    let results = tempfile::tempdir().unwrap();
    train(Disk::default(), results.path(), false).unwrap();
    let tenth = RunPlan::new(&common::entry(), 3, "tenth", "feed", plan().processor).unwrap();
    assert_eq!(tenth.identity(), plan().identity());
    drop(RunDirectory::open(results.path(), &tenth, &common::notes(), false).unwrap());
    let found = scan(results.path()).unwrap();
    assert_eq!(found.skipped, []);
    let profiles: Vec<&str> = found.runs.iter().map(|run| &*run.plan().profile).collect();
    assert_eq!(profiles, ["quick", "tenth"]);
}
