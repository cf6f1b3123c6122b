//! A run killed with SIGKILL at random moments and started again equals the uninterrupted one to the bit, in all but
//! the seconds. Through the real binary, on a tiny experiment and the synthetic set.
#![cfg(unix)]

mod common;

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use common::tiny;
use refig::random::{Purpose, Stream};

/// Kills that have to hit a run before its end.
const KILLS: usize = 10;

fn command(folder: &Path) -> Command {
    let mut command = tiny::tiny(folder, "reproduce", "2");
    command.arg("--quiet");
    command
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

    tiny::assert_same_results(whole.path(), killed.path());
}

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
