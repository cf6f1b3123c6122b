//! Output that goes nowhere, and signals: no command panics, none loses work, and each ends with its code.
#![cfg(unix)]

mod common;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use common::program::{silent, within};
use refig::exit::Exit;

/// Commands that print a lot, and need no data.
const COMMANDS: [&[&str]; 13] = [
    &["list"],
    &["list", "--format", "json"],
    &["describe", "resnet-110"],
    &["schema"],
    &["status"],
    &["status", "--format", "json"],
    &["doctor", "--offline"],
    &["check", "fig6", "--profile", "quick"],
    &[
        "check",
        "fig6",
        "--profile",
        "quick",
        "--format",
        "markdown",
    ],
    &["watch", "fig6", "--profile", "quick", "--once"],
    &["completions", "bash"],
    &["render", "context"],
    &["plan", "fig6", "--profile", "smoke", "--offline"],
];

#[test]
fn a_closed_pipe_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for args in COMMANDS {
        let usual = silent(args, folder.path())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        let mut child = silent(args, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let closed = child.wait().unwrap();
        assert_eq!(closed.code(), usual.code(), "{args:?}");
        assert!(
            usual.code().is_some_and(|code| code < 70),
            "{args:?}: {usual}"
        );
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_behind_standard_output_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for args in COMMANDS {
        if args[0] == "render" {
            continue; // Prints nothing there.
        }
        let full = File::create("/dev/full").unwrap();
        let output = silent(args, folder.path())
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        if args[0] == "check" || args[0] == "plan" {
            // Its own code where it has one to give.
            assert!(
                output
                    .status
                    .code()
                    .is_some_and(|code| code != 0 && code < 70),
                "{said}"
            );
            continue;
        }
        assert_eq!(
            output.status.code(),
            Some(Exit::Storage as i32),
            "{args:?}: {said}"
        );
        assert!(said.contains("standard output"), "{args:?}: {said}");
    }
}

/// What begins a program with the signals as a terminal leaves them: tests under nohup or in the background inherit
/// ignored ones. Empty where `env` cannot.
fn as_at_a_terminal() -> &'static [&'static str] {
    const ENV: [&str; 2] = ["env", "--default-signal=HUP,INT,TERM"];
    let able = Command::new(ENV[0])
        .args([ENV[1], "true"])
        .stderr(Stdio::null())
        .status();
    if able.is_ok_and(|status| status.success()) {
        &ENV
    } else {
        &[]
    }
}

/// Trains, under nohup or not, with a signal once the first run is under way, and gives the exit.
fn signalled(folder: &Path, signal: &str, nohup: bool) -> ExitStatus {
    let program = env!("CARGO_BIN_EXE_refig");
    let wrap: &[&str] = if nohup {
        &["nohup"]
    } else {
        as_at_a_terminal()
    };
    let words: Vec<&str> = wrap.iter().copied().chain([program]).collect();
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .args([
            "reproduce",
            "fig6",
            "--profile",
            "smoke",
            "--offline",
            "--threads",
            "1",
        ])
        .args([
            "--set",
            "recipe.iterations=4000",
            "--set",
            "recipe.drops=[]",
        ])
        .args(["--set", "recipe.evaluation.interval=4000"])
        // Nothing is there to start over.
        .args(nohup.then_some("--fresh"));
    let mut child = within(&mut command, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let begun = Instant::now();
    while !folder.join("results").join("smoke").is_dir() {
        assert!(begun.elapsed() < Duration::from_secs(120), "nothing begins");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Let it make some iterations.
    std::thread::sleep(Duration::from_secs(1));
    let process = child.id().to_string();
    let sent = Command::new("kill")
        .args([signal, &process])
        .status()
        .unwrap();
    assert!(sent.success());
    if nohup {
        // Ignored under nohup: it goes on until it is asked otherwise.
        std::thread::sleep(Duration::from_secs(1));
        assert!(
            child.try_wait().unwrap().is_none(),
            "a hang-up ended it under nohup"
        );
        Command::new("kill")
            .args(["-TERM", &process])
            .status()
            .unwrap();
    }
    let status = child.wait().unwrap();
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    let resume = match nohup {
        true => "run the same command again without --fresh to resume",
        false => "run the same command again to resume",
    };
    assert!(said.contains(resume), "{said}");
    let resumes = said.matches("to resume").count();
    assert_eq!(resumes, said.matches(resume).count(), "{said}");
    status
}

#[test]
fn a_signal_keeps_the_state_and_ends_with_its_code() {
    for (signal, exit) in [
        ("-HUP", Exit::HungUp),
        ("-TERM", Exit::Terminated),
        ("-INT", Exit::Interrupted),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let status = signalled(folder.path(), signal, false);
        assert_eq!(status.code(), Some(exit as i32), "{signal}");
        let run = refig::run::find(&folder.path().join("results"))
            .unwrap()
            .remove(0);
        assert!(run.iteration > 0, "{signal}: nothing was kept");
    }
}

#[test]
fn a_hang_up_stays_ignored_under_nohup() {
    let folder = tempfile::tempdir().unwrap();
    let status = signalled(folder.path(), "-HUP", true);
    assert_eq!(status.code(), Some(Exit::Terminated as i32));
}
