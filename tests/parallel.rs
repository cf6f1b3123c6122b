//! The documented line for GNU parallel, run as it stands: stopped by SIGINT, it leaves no worker and keeps the states; started
//! again, it makes the same runs as one process. Skipped where GNU parallel is not installed.
#![cfg(target_os = "linux")]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::tiny::{assert_same_results, tiny};
use refig::run::{RunView, find};

/// Long enough to be stopped on the way.
const ITERATIONS: &str = "recipe.iterations=200";

/// The documented lines that make the runs and that judge them, for the two runs of the tiny experiment.
fn lines() -> (String, String) {
    let page = include_str!("../docs/cluster.md");
    let (_, section) = page.split_once("\n## GNU parallel\n").unwrap();
    let mut lines = section.lines().filter_map(|line| line.strip_prefix("    "));
    let mut replaced = |from: &str, to: &str| {
        let line = lines.next().unwrap();
        assert!(line.contains(from), "{line}");
        line.replace(from, to)
    };
    let make = replaced("{0..8}", "{0..1}");
    let tiny = format!(" tiny --profile tiny --set {ITERATIONS} ");
    let judge = replaced(" fig6 --profile paper ", &tiny);
    (make, judge)
}

/// A line for bash in `folder`, where `refig` is this program.
fn bash(line: &str, folder: &Path) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    command
        .args(["-c", &format!("exec {line}")])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", folder.join("bin").display()))
        .env("REFIG_CACHE", folder.join("cache"))
        // Where parallel keeps files of its own.
        .env("HOME", folder)
        .env_remove("CIFAR10_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// The processes at work in `folder`.
fn processes(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            std::fs::read_link(entry.path().join("cwd")).is_ok_and(|place| place == folder)
        })
        .map(|entry| {
            let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).replace('\0', " ")
        })
        .collect()
}

fn runs(folder: &Path) -> Vec<RunView> {
    find(&folder.join("results")).unwrap_or_default()
}

/// Whether an owner of a run has not given it up.
fn owned(folder: &Path) -> bool {
    let mut entries = std::fs::read_dir(folder.join("results/.locks")).unwrap();
    entries.any(|entry| {
        let name = entry.unwrap().file_name();
        name.to_string_lossy().contains(".owner-")
    })
}

#[test]
fn the_documented_line_is_stopped_and_goes_on() {
    let version = Command::new("parallel").arg("--version").output();
    // Another program has this name, too.
    if !version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("GNU parallel"))
    {
        println!("SKIPPED: no GNU parallel here; `apt-get install parallel`");
        return;
    }
    let (whole, apart) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = apart.path().canonicalize().unwrap();
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_refig"), folder.join("bin/refig")).unwrap();
    std::fs::create_dir(folder.join("experiments")).unwrap();
    let experiment = "tests/fixtures/experiments/tiny.toml";
    std::fs::copy(experiment, folder.join("experiments/tiny.toml")).unwrap();
    let plan = tiny(&folder, "plan", "1")
        .args(["--set", ITERATIONS, "--out"])
        .arg(folder.join("plan.toml"))
        .status();
    assert!(plan.unwrap().success());
    let (make, judge) = lines();

    let mut parallel = bash(&make, &folder).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while runs(&folder).iter().filter(|run| run.iteration > 0).count() < 2 {
        if begun.elapsed() > Duration::from_secs(120) || parallel.try_wait().unwrap().is_some() {
            let _ = parallel.kill();
            let output = parallel.wait_with_output().unwrap();
            panic!("{}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // As Ctrl-C does.
    let sent = Command::new("kill")
        .args(["-INT", &parallel.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    let output = parallel.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert_eq!(processes(&folder), Vec::<String>::new(), "{said}");
    for run in runs(&folder) {
        assert!(!run.ending.is_final(), "{} was too fast", run.title());
    }
    // Not killed: they have tidied up.
    assert!(!owned(&folder), "{said}");

    for line in [make, judge] {
        let output = bash(&line, &folder)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
    }
    assert!(folder.join("reports/tiny").is_dir());
    let status = tiny(whole.path(), "reproduce", "2")
        .args(["--set", ITERATIONS])
        .status();
    assert!(status.unwrap().success());
    assert_same_results(whole.path(), &folder);
}
