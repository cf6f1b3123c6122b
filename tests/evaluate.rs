//! `evaluate`: a run's weights give the errors that the run recorded, and other weights are told apart.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use refig::exit::Exit;
use refig::network::{Network, Shortcut, initialise};
use refig::recipe::Initialisation;
use refig::record::parquet::read_evaluations;
use refig::record::{Evaluation, Split};
use refig::run;
use refig::weights::{Tensor, Weights};
use serde_json::Value;

fn refig(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(args)
        .args(["--offline", "--threads", "2"])
        .env("REFIG_CACHE", folder.join("cache"))
        .env_remove("CIFAR10_DIR")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Trains the tiny experiment on images of 8 pixels and returns the folders of plain-8 and resnet-8.
fn trained(folder: &Path) -> [PathBuf; 2] {
    trained_with(folder, &[])
}

/// As [`trained`], with more arguments.
fn trained_with(folder: &Path, more: &[&str]) -> [PathBuf; 2] {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_string();
    let (results, reports) = (path("results"), path("reports"));
    let usual = [
        "reproduce",
        "tiny",
        "--profile",
        "tiny",
        "--quiet",
        "--experiments-dir",
        "tests/fixtures/experiments",
        "--results-dir",
        &results,
        "--reports-dir",
        &reports,
        "--set",
        "recipe.split=\"45k/5k\"",
        "--set",
        "recipe.evaluation.interval=60",
    ];
    let output = refig(folder, &[&usual[..], more].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let views = run::find(Path::new(&results)).unwrap();
    ["plain-8", "resnet-8"].map(|name| {
        let view = views.iter().find(|view| view.plan().network.name == name);
        view.unwrap().folder.clone()
    })
}

/// The recorded test errors of the last iteration.
fn recorded(run: &Path) -> Vec<Evaluation> {
    let mut rows = read_evaluations(&run.join("evaluations.parquet")).unwrap();
    let last = rows.iter().map(|row| row.iteration).max();
    rows.retain(|row| row.split == Split::Test && Some(row.iteration) == last);
    rows
}

#[test]
fn a_run_s_weights_give_the_errors_that_it_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let [plain, resnet] = trained(folder.path());
    let file = resnet.join("weights.safetensors");
    let weights = file.to_str().unwrap();
    let rows = recorded(&resnet);
    assert_eq!(rows.len(), 2);
    // Other statistics, other errors: neither can stand for the other.
    assert_ne!(rows[0].loss, rows[1].loss);

    let output = refig(
        folder.path(),
        &["evaluate", "--weights", weights, "--format", "json"],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["image_size"], 8);
    assert_eq!(found["statistics"], "population");
    let evaluations = found["evaluations"].as_array().unwrap();
    assert_eq!(evaluations.len(), rows.len());
    for (found, row) in evaluations.iter().zip(&rows) {
        assert_eq!(found["statistics"], row.statistics.name());
        assert_eq!(found["images"], row.images);
        // As text: parsing may round the last digit.
        for (name, value) in [
            ("error", row.error),
            ("top5_error", row.top5_error),
            ("loss", row.loss),
        ] {
            let says = format!("\"{name}\":{}", Value::from(value));
            assert!(text.contains(&says), "{says} in {text}");
        }
    }

    let output = refig(
        folder.path(),
        &[
            "evaluate",
            "ResNet-8",
            "--weights",
            weights,
            "--statistics",
            "moving",
            "--image-size",
            "8",
        ],
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let moving = rows.iter().find(|row| row.statistics.name() == "moving");
    let says = format!("{:.2} % held-out error", moving.unwrap().error);
    assert!(text.contains(&says), "{says} in {text}");
    assert_eq!(text.lines().count(), 1);

    // What contradicts the weights is refused by name.
    let other = plain.join("weights.safetensors");
    let other = other.to_str().unwrap();
    for (args, says) in [
        (&["resnet-8", "--weights", other][..], "resnet-8"),
        (&["resnet-14", "--weights", weights], "resnet-14"),
        (
            &["--weights", weights, "--image-size", "32"],
            "--image-size 32",
        ),
        (
            &["--weights", weights, "--normalisation", "channel-mean-std"],
            "channel-mean-std",
        ),
        (&["--weights", weights, "--shortcut", "B"], "--shortcut B"),
    ] {
        let output = refig(folder.path(), &[&["evaluate"][..], args].concat());
        assert_eq!(output.status.code(), Some(Exit::Usage as i32), "{args:?}");
        let text = stderr(&output);
        assert!(
            text.contains(says) && text.contains("weights.safetensors"),
            "{text}"
        );
    }
}

#[test]
fn statistics_of_augmented_images_are_those_that_such_a_run_records() {
    let (plain, augmented) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [_, usual] = trained(plain.path());
    let key = "recipe.evaluation.statistics_augmented=true";
    let [_, other] = trained_with(augmented.path(), &["--set", key]);
    let (usual_rows, rows) = (recorded(&usual), recorded(&other));
    // The same training, measured otherwise.
    assert_eq!(rows[1], usual_rows[1]);
    assert_ne!(rows[0].loss, usual_rows[0].loss);
    for (run, more) in [(&usual, &["--statistics-augmented"][..]), (&other, &[])] {
        let weights = run.join("weights.safetensors");
        let args = ["evaluate", "--weights", weights.to_str().unwrap()];
        let output = refig(plain.path(), &[&args[..], more].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let says: Vec<&str> = text.lines().collect();
        assert!(
            says[0].contains("population statistics of augmented images"),
            "{text}"
        );
        for (line, row) in says.iter().zip(&rows) {
            let loss = format!(
                "{:.2} % held-out error, {:.2} % top-5, loss {:.4}",
                row.error, row.top5_error, row.loss
            );
            assert!(line.contains(&loss), "{loss} in {line}");
        }
    }
}

#[test]
fn weights_of_another_network_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::parse_cifar("resnet-14", Shortcut::A, 10).unwrap();
    let whole = initialise(&network, &Initialisation::default(), 1);
    let file = folder.path().join("foreign.safetensors");
    let evaluate = |weights: &Weights, args: &[&str]| {
        weights.save(&file).unwrap();
        let args = [&["evaluate", "--weights", file.to_str().unwrap()][..], args].concat();
        let output = refig(folder.path(), &args);
        (output.status.code(), stderr(&output))
    };
    let usage = Some(Exit::Usage as i32);

    let (code, text) = evaluate(&whole, &[]);
    assert_eq!(code, usage, "{text}");
    assert!(text.contains("does not say which network"), "{text}");

    let (code, text) = evaluate(&whole, &["resnet-8"]);
    assert_eq!(code, usage, "{text}");
    for says in [
        "foreign.safetensors",
        "30 tensors left over",
        "layer1.1.bn1.bias",
        "resnet-14 (option A)",
    ] {
        assert!(text.contains(says), "{says} in {text}");
    }

    let mut partial = whole.clone();
    partial.tensors.remove("fc.weight");
    let (code, text) = evaluate(&partial, &["resnet-14"]);
    assert_eq!(code, usage, "{text}");
    assert!(text.contains("1 tensor missing (fc.weight)"), "{text}");

    // The right ones, as another program wraps them: only the images are missing.
    let counter = Tensor {
        shape: vec![],
        data: vec![3.0],
    };
    let mut wrapped = Weights::default();
    for (name, tensor) in whole.tensors {
        wrapped.tensors.insert(format!("module.{name}"), tensor);
    }
    let name = "module.bn1.num_batches_tracked";
    wrapped.tensors.insert(name.into(), counter);
    let (code, text) = evaluate(&wrapped, &["resnet-14"]);
    assert_eq!(code, Some(Exit::Data as i32), "{text}");
    assert!(text.contains("\"module.\""), "{text}");
}
