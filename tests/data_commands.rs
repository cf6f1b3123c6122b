//! What commands tell and record about data: each thing once, nothing with --quiet, and never a password.

use std::path::Path;
use std::process::{Command, Output};

use refig::exit::Exit;
use walkdir::WalkDir;

/// Secrets of the command line and the environment below.
const SECRET: &str = "hunter2";

fn refig(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(args)
        .arg("--results-dir")
        .arg(folder.join("results"))
        .arg("--reports-dir")
        .arg(folder.join("reports"))
        .args(["--experiments-dir", "tests/fixtures/experiments"])
        .env("REFIG_CACHE", folder.join("cache"))
        .env("REFIG_TOKEN", SECRET)
        .env_remove("CIFAR10_DIR")
        .output()
        .unwrap()
}

fn reproduce(folder: &Path, more: &[&str]) -> Output {
    let tiny = ["reproduce", "tiny", "--profile", "tiny", "--threads", "2"];
    refig(folder, &[&tiny[..], &["--offline"], more].concat())
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_data_the_reason_is_told_once_and_no_secret_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = format!("https://user:{SECRET}@host/cifar.tar.gz?token={SECRET}");
    let output = reproduce(folder.path(), &["--mirror", &mirror]);
    let told = stderr(&output);
    assert!(output.status.success(), "{told}");
    assert_eq!(
        told.matches("downloading is turned off").count(),
        1,
        "{told}"
    );
    assert!(told.contains("on SYNTHETIC images from seed 0\n"), "{told}");
    assert!(!told.contains(SECRET), "{told}");
    let mut commands = 0;
    for entry in WalkDir::new(folder.path()) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(SECRET), "{}", entry.path().display());
            commands += usize::from(text.contains("--mirror https://host/cifar.tar.gz"));
        }
    }
    assert!(commands > 0, "the command is recorded");
}

#[test]
fn quiet_tells_nothing_of_the_data() {
    let folder = tempfile::tempdir().unwrap();
    let output = reproduce(folder.path(), &["--quiet"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        !stderr(&output).contains("SYNTHETIC images"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn synthetic_images_are_refused_where_the_official_ones_are_required() {
    let folder = tempfile::tempdir().unwrap();
    let output = reproduce(folder.path(), &["--require-official"]);
    assert_eq!(output.status.code(), Some(Exit::Data as i32));
    assert!(!folder.path().join("results").exists());
}

#[test]
fn only_images_of_the_kind_that_is_asked_for_are_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, exit) in [("cifar10", Exit::Data), ("imagenet", Exit::Usage)] {
        let output = reproduce(folder.path(), &["--data", kind]);
        assert_eq!(output.status.code(), Some(exit as i32), "{kind}");
        let told = stderr(&output);
        assert!(!told.contains("using SYNTHETIC"), "{told}");
    }
    let both = ["--data", "synthetic", "--data-dir", "somewhere"];
    let output = reproduce(folder.path(), &both);
    assert_eq!(output.status.code(), Some(Exit::Usage as i32));
    assert!(!folder.path().join("results").exists());

    // Where they are asked for, they stand in for nothing. The report asks for them too: elsewhere CIFAR-10 may be there.
    let output = reproduce(folder.path(), &["--data", "synthetic", "--jobs", "2"]);
    let told = stderr(&output);
    assert!(output.status.success(), "{told}");
    assert!(!told.contains("downloading is turned off"), "{told}");
    let report = folder.path().join("reports/tiny/tiny-synthetic/report.md");
    let report = std::fs::read_to_string(report).unwrap();
    for command in ["reproduce", "check"] {
        let line = format!("cargo run -- {command} tiny --profile tiny --data synthetic\n");
        assert!(report.contains(&line), "{report}");
    }
}

#[test]
fn a_failed_fetch_tells_no_password() {
    let folder = tempfile::tempdir().unwrap();
    // A port that nobody listens on.
    let from = "http://user:hunter2@127.0.0.1:9/x";
    let output = refig(folder.path(), &["data", "fetch", "cifar10", "--from", from]);
    assert_eq!(output.status.code(), Some(Exit::Data as i32));
    let told = stderr(&output);
    assert!(told.contains("://") && !told.contains(SECRET), "{told}");
}

#[test]
fn a_mistyped_address_is_refused_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    for address in [
        "ftp://user:hunter2@host/x",
        "user:hunter2@host/c",
        "http:/user:hunter2@host",
        "//user:hunter2@host/x",
    ] {
        for output in [
            refig(
                folder.path(),
                &["data", "fetch", "cifar10", "--from", address],
            ),
            reproduce(folder.path(), &["--mirror", address]),
        ] {
            let told = stderr(&output);
            assert_eq!(output.status.code(), Some(Exit::Usage as i32), "{told}");
            assert!(
                told.contains("http:// or https://") && !told.contains(SECRET),
                "{told}"
            );
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // A slip without a password is shown, and the words are known.
    let output = reproduce(folder.path(), &["--mirror", "offical"]);
    assert!(stderr(&output).contains("`offical`"), "{}", stderr(&output));
}

#[test]
fn the_verdict_is_told_where_no_report_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("reports"), "in the way").unwrap();
    let output = reproduce(folder.path(), &["--quiet"]);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(Exit::Storage as i32), "{told}");
    let verdict = String::from_utf8_lossy(&output.stdout);
    assert!(verdict.starts_with("tiny: 1 of 1 claim"), "{verdict}");
}
