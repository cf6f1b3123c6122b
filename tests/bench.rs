//! `bench operators`, `compare` and `loader` as commands: what they print, and what they say when PyTorch is not there.

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
fn steps_with_groups_take_turns_with_steps_over_whole_mini_batches() {
    let step = |group| {
        let small = ["--network", "resnet-8", "--image-size", "8", "--batch", "4"];
        let how = ["--group", group, "--steps", "3", "--format", "json"];
        refig(&[&["bench", "step"][..], &small, &how].concat())
    };
    let groups = &json(&step("2"))["groups"];
    assert_eq!(
        (&groups["images"], &groups["pairs"]),
        (&2.into(), &6.into())
    );
    assert!(groups["step_ratio"].as_f64().unwrap() > 0.0);
    let refused = step("3");
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("groups of 3 do not divide a batch of 4"),
        "{said}"
    );
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

#[cfg(unix)]
const SMALL: [&str; 4] = ["--batches", "2", "--size", "32"];

/// `bench loader` with mini-batches of 2, on synthetic pictures, with a cache and a folder for temporary files of its own in
/// `folder`.
#[cfg(unix)]
fn loader(folder: &Path, arguments: &[&str]) -> Output {
    loader_of(2, folder, arguments)
}

/// The same with mini-batches of this size.
#[cfg(unix)]
fn loader_of(batch: usize, folder: &Path, arguments: &[&str]) -> Output {
    let temporary = folder.join("temporary");
    std::fs::create_dir_all(&temporary).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(["bench", "loader", "--threads", "2", "--batch"])
        .arg(batch.to_string())
        .args(arguments)
        .env("REFIG_CACHE", folder.join("cache"))
        .env("TMPDIR", &temporary)
        .env_remove("IMAGENET_DIR")
        .output()
        .unwrap();
    // Copies of images are removed, however it ends.
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    output
}

#[cfg(unix)]
#[test]
fn the_loader_of_pictures_is_timed_with_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let found = json(&loader(
        folder.path(),
        &[&SMALL[..], &["--pairs", "2", "--format", "json"]].concat(),
    ));
    assert_eq!(
        (&found["images"], &found["batches"]),
        (&4.into(), &2.into())
    );
    assert!(found["images_per_second"].as_f64().unwrap() > 0.0);
    assert!(found["ratio"].is_null() && found["opponents"].as_array().unwrap().is_empty());
    let phases = found["phases"].as_array().unwrap();
    let names: Vec<_> = phases.iter().map(|phase| &phase["name"]).collect();
    assert_eq!(names, ["read", "decode", "resize", "rest"]);
    let shares = phases.iter().map(|phase| phase["share"].as_f64().unwrap());
    assert!((shares.sum::<f64>() - 1.0).abs() < 1e-9, "{phases:?}");
    // The pictures that are made have the one kind of scan of which this can be told.
    let share = |name: &str| found["decoding"][name].as_f64().unwrap();
    assert_eq!(found["decoding"]["images"], 50);
    assert!((0.0..=1.0).contains(&(share("entropy") + share("transform"))));
    let output = loader(folder.path(), &[&SMALL[..], &["--pairs", "1"]].concat());
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(words.contains("SYNTHETIC"), "{words}");
    assert!(words.contains("/s in the median turn of 1"), "{words}");
    assert!(
        words.contains("entropy decoding and inverse DCT"),
        "{words}"
    );
    assert!(words.contains("estimated from 50 files"), "{words}");
    let refused = loader(folder.path(), &["--size", "300"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("32 to 256"));
}

#[cfg(unix)]
#[test]
fn the_loader_is_timed_on_photographs_made_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let made = ["--synthetic", "3", "--pairs", "1", "--format", "json"];
    let found = json(&loader(folder.path(), &[&SMALL[..], &made].concat()));
    assert_eq!(found["images"], 3);
    assert_eq!(found["data"], "SYNTHETIC photographs: 3 of 500x375 pixels");
    if cfg!(target_os = "linux") {
        let memory = found["peak_memory_mb"].as_f64().unwrap();
        assert!((1.0..1000.0).contains(&memory), "{memory}");
    }
}

/// Of 256 images of 224x224, one from a file of 4000x3000.
#[cfg(target_os = "linux")]
#[test]
fn large_mini_batches_of_photographs_take_less_than_a_gigabyte() {
    let folder = tempfile::tempdir().unwrap();
    let output = loader_of(
        256,
        folder.path(),
        &[
            "--synthetic",
            "160",
            "--batches",
            "4",
            "--pairs",
            "1",
            "--format",
            "json",
        ],
    );
    let found = json(&output);
    let files = "SYNTHETIC photographs: 159 of 500x375 and 1 of 4000x3000 pixels";
    assert_eq!(found["data"], files);
    let megabytes = found["peak_memory_mb"].as_f64().unwrap() * 1.048_576;
    assert!(megabytes < 1000.0, "{megabytes}");
}

#[cfg(unix)]
#[test]
fn the_loader_takes_turns_with_both_decoders_and_is_held_against_the_faster() {
    let folder = tempfile::tempdir().unwrap();
    // Pillow is the faster one. The images are there while it runs.
    let body = format!(
        "echo \"$@\" > '{0}/asked'; find \"$3\" -name '*.JPEG' | wc -l > '{0}/files'; while read line; do echo $line >> '{0}/turns'; case $line in pillow) rate=2.0;; *) rate=1.0;; esac; echo \"{{\\\"versions\\\":\\\"PyTorch 9\\\",\\\"images_per_second\\\":$rate}}\"; done",
        folder.path().display()
    );
    let python = script(folder.path(), &body);
    let found = json(&loader(
        folder.path(),
        &[
            "--size",
            "32",
            "--batches",
            "3",
            "--pairs",
            "3",
            "--format",
            "json",
            "--python",
            python.to_str().unwrap(),
        ],
    ));
    assert_eq!(found["pytorch"], "PyTorch 9");
    // As many mini-batches for each of two workers.
    assert_eq!(
        (&found["batches"], &found["images"]),
        (&4.into(), &8.into())
    );
    let opponents = found["opponents"].as_array().unwrap();
    assert_eq!(opponents[0]["decoder"], "torchvision");
    assert_eq!(opponents[1]["decoder"], "pillow");
    assert_eq!(found["ratio"], opponents[1]["ratio"]);
    for (opponent, rate) in opponents.iter().zip([1.0, 2.0]) {
        assert_eq!(opponent["ratios"].as_array().unwrap().len(), 3);
        let ours = found["images_per_second"].as_f64().unwrap();
        let ratio = opponent["ratio"].as_f64().unwrap();
        assert!((ratio * rate / ours - 1.0).abs() < 1e-9, "{found}");
    }
    let read = |name| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(
        read("asked")
            .trim()
            .ends_with("--batch 2 --batches 4 --threads 2 --size 32 --serve"),
        "{}",
        read("asked")
    );
    assert_eq!(read("files").trim(), "8");
    // A warm-up and three pairs, each with one decoder after the other.
    assert_eq!(read("turns"), "torchvision\npillow\n".repeat(4));
}

#[cfg(unix)]
#[test]
fn a_python_without_torchvision_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let python = script(
        folder.path(),
        "echo 'cannot import torch and torchvision: no module' >&2; exit 1",
    );
    let with = ["--pairs", "1", "--python", python.to_str().unwrap()];
    let output = loader(folder.path(), &[&SMALL[..], &with].concat());
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("no module"), "{words}");
    assert!(words.contains("benches/requirements.txt"), "{words}");
}
