//! A checkpoint is never older than asked for, so that nothing depends on a warning before a kill.
#![cfg(unix)]

mod common;

use std::time::{Duration, Instant};

use common::tiny;

#[test]
fn a_checkpoint_is_no_older_than_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tiny::tiny(folder.path(), "reproduce", "1");
    // No evaluation would write one.
    for change in [
        "recipe.iterations=20000",
        "recipe.drops=[]",
        "recipe.evaluation.interval=20000",
    ] {
        command.args(["--set", change]);
    }
    let mut child = command.args(["--checkpoint-every", "1"]).spawn().unwrap();
    let begun = Instant::now();
    let kept = || {
        let runs = refig::run::find(&folder.path().join("results")).unwrap_or_default();
        runs.first().is_some_and(|run| run.iteration > 0)
    };
    while !kept() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(kept(), "nothing was kept in a minute");
}
