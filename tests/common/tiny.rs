//! The experiment of two tiny runs, through the real binary on the synthetic set.

use std::path::{Path, PathBuf};
use std::process::Command;

use refig::record::parquet::{read_evaluations, read_iterations};
use refig::run;
use refig::weights::Weights;

use super::program::silent;

/// `refig COMMAND` with the folders in `folder`, silent.
pub fn refig(folder: &Path, command: &str) -> Command {
    let experiments = "tests/fixtures/experiments";
    silent(&[command, "--experiments-dir", experiments], folder)
}

/// `refig COMMAND tiny` at its profile, with this many threads.
pub fn tiny(folder: &Path, command: &str, threads: &str) -> Command {
    let mut refig = refig(folder, command);
    refig.args(["tiny", "--profile", "tiny", "--offline"]);
    refig.args(["--threads", threads]);
    refig
}

/// Freezes the experiment, in a file in `folder`.
pub fn freeze(folder: &Path) -> PathBuf {
    let file = folder.join("plan.toml");
    let mut command = tiny(folder, "plan", "1");
    let status = command.arg("--out").arg(&file).status().unwrap();
    assert!(status.success());
    file
}

/// The folders of the runs, all of which have to be done.
pub fn folders(folder: &Path) -> Vec<PathBuf> {
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

/// Compares all runs to the bit, in all but the seconds.
pub fn assert_same_results(expected: &Path, found: &Path) {
    let (expected, found) = (folders(expected), folders(found));
    assert!(expected.len() >= 2);
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
