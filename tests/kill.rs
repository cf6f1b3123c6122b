//! A run killed with SIGKILL at random moments and started again equals the uninterrupted one to the bit, in all but
//! the seconds. Through the real binary, on a tiny experiment and the synthetic set.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use refig::random::{Purpose, Stream};
use refig::record::parquet::{read_evaluations, read_iterations};
use refig::run;
use refig::weights::Weights;

/// Kills that have to hit a run before its end.
const KILLS: usize = 10;

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_refig"));
    command
        .args([
            "reproduce",
            "tiny",
            "--profile",
            "tiny",
            "--offline",
            "--quiet",
            "--threads",
            "2",
        ])
        .args(["--experiments-dir", "tests/fixtures/experiments"])
        .arg("--results-dir")
        .arg(folder.join("results"))
        .arg("--reports-dir")
        .arg(folder.join("reports"))
        .env("REFIG_CACHE", folder.join("cache"))
        .env_remove("CIFAR10_DIR")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = run::find(&folder.join("results"))
        .unwrap()
        .into_iter()
        .map(|view| {
            assert!(view.ending.is_final(), "{:?} is not done", view.folder);
            view.folder
        })
        .collect();
    found.sort();
    found
}

/// Waits for the end or until `moment`. True if it ended by itself.
fn ended_before(child: &mut Child, moment: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < moment {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

#[test]
fn a_killed_run_equals_the_uninterrupted_one() {
    let whole = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    assert!(command(whole.path()).status().unwrap().success());
    let took = begun.elapsed().as_millis() as u64;

    let seed = std::process::id().into();
    println!("moments drawn from seed {seed}");
    let mut moments = Stream::new(seed, Purpose::Shuffle, 0, 0);
    let killed = tempfile::tempdir().unwrap();
    let mut kills = 0;
    while kills < KILLS {
        let mut child = command(killed.path()).spawn().unwrap();
        let moment = Duration::from_millis(moments.below(took / 2) + 1);
        if ended_before(&mut child, moment) {
            // Missed: start over, so that every kill hits a run that is not done.
            std::fs::remove_dir_all(killed.path().join("results")).unwrap();
            continue;
        }
        // `Child::kill` is SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        println!("kill {kills} after {} ms", moment.as_millis());
    }
    assert!(command(killed.path()).status().unwrap().success());

    let (expected, found) = (folders(whole.path()), folders(killed.path()));
    assert_eq!(expected.len(), 2);
    assert_eq!(expected.len(), found.len());
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(expected.file_name(), found.file_name());
        let rows = |folder: &Path| {
            let mut rows = read_iterations(&folder.join("iterations.parquet")).unwrap();
            // The only column that tells of the clock.
            rows.iter_mut().for_each(|row| row.seconds = 0.0);
            rows
        };
        assert_eq!(rows(expected), rows(found));
        let evaluations =
            |folder: &Path| read_evaluations(&folder.join("evaluations.parquet")).unwrap();
        assert_eq!(evaluations(expected), evaluations(found));
        let weights = |folder: &Path| {
            Weights::load(&folder.join("weights.safetensors"))
                .unwrap()
                .tensors
        };
        assert!(
            weights(expected) == weights(found),
            "final weights differ in {found:?}"
        );
    }
}
