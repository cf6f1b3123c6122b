//! `bench operators` and `bench compare` as commands: what they print, and what they say when PyTorch is not there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn refig(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(arguments)
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// An executable that stands for Python.
#[cfg(unix)]
fn script(folder: &Path, body: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("python");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn operators_of_a_network_are_listed_with_their_share_of_the_peak() {
    let found = json(&refig(&[
        "bench",
        "operators",
        "--network",
        "resnet-8",
        "--batch",
        "2",
        "--image-size",
        "8",
        "--rounds",
        "1",
        "--threads",
        "1",
        "--format",
        "json",
    ]));
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 6);
    assert_eq!(rows[0]["input"], serde_json::json!([3, 8, 8]));
    assert!(rows[0]["input_gradient"].is_null());
    assert!(rows[1]["input_gradient"]["gflops"].as_f64().unwrap() > 0.0);
    assert_eq!(
        rows.iter()
            .map(|row| row["times"].as_u64().unwrap())
            .sum::<u64>(),
        7
    );
    assert!(found["peak_gflops"].as_f64().unwrap() > 0.1);
}

#[test]
fn imagenet_networks_take_steps() {
    let found = json(&refig(&[
        "bench",
        "step",
        "--network",
        "resnet-18",
        "--image-size",
        "64",
        "--batch",
        "2",
        "--steps",
        "1",
        "--format",
        "json",
    ]));
    assert_eq!(found["image_size"], 64);
    assert!(found["median_ms"].as_f64().unwrap() > 0.0);
    assert!(found["loader"].is_null());
}

#[cfg(unix)]
#[test]
fn a_comparison_takes_turns_and_gives_every_ratio() {
    let folder = tempfile::tempdir().unwrap();
    // Answers every line with the same figures, and writes down what it was asked.
    let answer = r#"{"network":"resnet-8","image_size":8,"batch":2,"steps":1,"threads":1,"device":"cpu","instructions":"PyTorch 9","median_ms":1000.0,"min_ms":1.0,"images_per_second":1.0,"gflops":1.0,"peak_share":null,"peak_memory_mb":7.0}"#;
    let body = format!(
        "shift 2; echo \"$@\" > '{0}/asked'; while read line; do echo x >> '{0}/turns'; echo '{answer}'; done",
        folder.path().display()
    );
    let python = script(folder.path(), &body);
    let found = json(&refig(&[
        "bench",
        "compare",
        "--networks",
        "resnet-8,plain-8",
        "--batch",
        "2",
        "--image-size",
        "8",
        "--threads",
        "1",
        "--pairs",
        "3",
        "--steps",
        "1",
        "--format",
        "json",
        "--python",
        python.to_str().unwrap(),
    ]));
    assert_eq!(found["pytorch"], "PyTorch 9");
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let ratios: Vec<f64> = row["ratios"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap())
            .collect();
        assert_eq!(ratios.len(), 3);
        // The stand-in claims a second a step.
        let ours = row["ours_ms"].as_f64().unwrap();
        assert!(ours > 0.0 && (row["ratio"].as_f64().unwrap() * 1000.0 / ours - 1.0).abs() < 1e-9);
        assert_eq!(
            (&row["pytorch_ms"], &row["pytorch_memory_mb"]),
            (&1000.0.into(), &7.0.into())
        );
        assert!(row["peak_share"].as_f64().unwrap() > 0.0);
    }
    let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
    assert!(
        asked.contains("--network plain-8 --batch 2 --threads 1 --steps 1 --image-size 8"),
        "{asked}"
    );
    // The same device and no TF32 on the other side.
    assert!(
        asked.contains("--device cpu --serve --precision fp32 --mode eager"),
        "{asked}"
    );
    // A warm-up and three pairs for each network.
    assert_eq!(
        std::fs::read_to_string(folder.path().join("turns"))
            .unwrap()
            .lines()
            .count(),
        8
    );
}

#[cfg(unix)]
#[test]
fn each_mode_of_pytorch_is_a_comparison_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let answer = r#"{"network":"plain-8","image_size":8,"batch":2,"steps":1,"threads":1,"device":"cpu","instructions":"PyTorch 9 eager","median_ms":1.0,"min_ms":1.0,"images_per_second":1.0,"gflops":1.0,"peak_share":null,"peak_memory_mb":null}"#;
    let body = format!(
        "shift 2; echo \"$@\" >> '{0}/asked'; while read line; do echo '{answer}'; done",
        folder.path().display()
    );
    let python = script(folder.path(), &body);
    let compare = |modes| {
        let python = python.to_str().unwrap();
        let small = ["--networks", "plain-8", "--batch", "2", "--image-size", "8"];
        let once = ["--pairs", "1", "--steps", "1", "--threads", "1"];
        let how = ["--device", "cpu", "--mode", modes, "--python", python];
        let all = [&["bench", "compare"][..], &small, &once, &how];
        refig(&all.concat())
    };
    let found = compare("eager,compile");
    let table = String::from_utf8_lossy(&found.stdout);
    assert!(found.status.success(), "{found:?}");
    assert!(table.contains("| plain-8 | eager |"), "{table}");
    assert!(table.contains("| plain-8 | compile |"), "{table}");
    let asked = std::fs::read_to_string(folder.path().join("asked")).unwrap();
    let modes: Vec<bool> = asked
        .lines()
        .map(|line| line.contains("--mode compile"))
        .collect();
    assert_eq!(modes, [false, true], "{asked}");
    // What PyTorch would refuse is refused before anything is measured.
    let refused = compare("graphs");
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("CUDA graphs"));
}

#[cfg(unix)]
#[test]
fn a_python_without_pytorch_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let python = script(
        folder.path(),
        "echo 'cannot import torch: No module named torch' >&2; exit 1",
    );
    for python in [python, folder.path().join("none")] {
        let output = refig(&[
            "bench",
            "compare",
            "--networks",
            "plain-8",
            "--batch",
            "1",
            "--image-size",
            "8",
            "--pairs",
            "1",
            "--steps",
            "1",
            "--python",
            python.to_str().unwrap(),
        ]);
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(words.contains(python.to_str().unwrap()), "{words}");
        assert!(words.contains("benches/requirements.txt"), "{words}");
    }
}
