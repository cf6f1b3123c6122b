//! A run that was begun on one kind of processor is resumed on another if that is asked for, and says so ever after.
#![cfg(unix)]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::tiny;
use refig::exit::Exit;
use refig::processor::Instructions;
use refig::run::{RunView, find};

/// The command of a run that does not end by itself, on these instructions.
fn endless(folder: &Path, verb: &str, instructions: Instructions) -> Command {
    let mut command = tiny::tiny(folder, verb, "1");
    for change in [
        "recipe.iterations=20000",
        "recipe.drops=[]",
        "recipe.evaluation.interval=20000",
    ] {
        command.args(["--set", change]);
    }
    command.args(["--instructions", instructions.name()]);
    command
}

/// The only run there is.
fn run(folder: &Path) -> Option<RunView> {
    let mut runs = find(&folder.join("results")).unwrap_or_default();
    assert!(runs.len() <= 1, "{runs:#?}");
    runs.pop()
}

/// Trains until the run is further than `iteration`, and gives how far it is then.
fn train_past(iteration: u64, folder: &Path, command: &mut Command) -> u64 {
    let mut child = command.args(["--checkpoint-every", "1"]).spawn().unwrap();
    let begun = Instant::now();
    let reached = || run(folder).map_or(0, |run| run.iteration);
    while reached() <= iteration && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(reached() > iteration, "no further in a minute");
    reached()
}

#[test]
fn a_run_goes_on_elsewhere_only_if_asked_and_says_so() {
    let here = Instructions::detect();
    if here == Instructions::Portable {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let first = train_past(0, folder, &mut endless(folder, "reproduce", here));
    let begun = run(folder).unwrap();
    assert_eq!(begun.file.moves(), [""; 0]);

    let refused = endless(folder, "reproduce", Instructions::Portable)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(Exit::Storage as i32));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("--any-processor"), "{said}");
    assert_eq!(run(folder).unwrap().iteration, first);

    let mut planned = endless(folder, "plan", Instructions::Portable);
    planned.arg("--any-processor").stdout(Stdio::piped());
    let planned = planned.output().unwrap();
    let planned = String::from_utf8(planned.stdout).unwrap();
    assert!(planned.contains("resumes at"), "{planned}");

    let mut moved = endless(folder, "reproduce", Instructions::Portable);
    train_past(first, folder, moved.arg("--any-processor"));
    let moved = run(folder).unwrap();
    assert_eq!(moved.plan().identity(), begun.plan().identity());
    let both = format!("cpu ({}), then cpu (portable)", here.name());
    assert_eq!(moved.file.processors(), both);
    let moves = moved.file.moves();
    assert!(
        moves[0].starts_with("cpu (portable) on ")
            && moves[0].ends_with(&format!("after {first} iterations")),
        "{moves:?}"
    );
}
