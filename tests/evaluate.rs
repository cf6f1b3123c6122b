//! `evaluate`: a run's weights give the errors that the run recorded, and other weights are told apart.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use refig::data::{DataSet, PictureRequest, open_pictures};
use refig::exit::Exit;
use refig::network::{Network, Shortcut, initialise};
use refig::recipe::Initialisation;
use refig::record::parquet::read_evaluations;
use refig::record::{Evaluation, Split, Views};
use refig::run;
use refig::weights::{Tensor, Weights};
use serde_json::Value;

fn refig(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(args)
        .args(["--offline", "--threads", "2"])
        .env("REFIG_CACHE", folder.join("cache"))
        .env_remove("CIFAR10_DIR")
        .env_remove("IMAGENET_DIR")
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

/// A network of Table 1 trained for a few iterations on synthetic pictures of 32 pixels: its folder.
fn trained_on_pictures(folder: &Path) -> PathBuf {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_string();
    let (results, reports) = (path("results"), path("reports"));
    let mut args = vec!["reproduce", "fig4", "--profile", "smoke", "--quiet"];
    args.extend(["--networks", "plain-18", "--results-dir", &results]);
    args.extend(["--reports-dir", &reports]);
    for change in [
        "recipe.iterations=3",
        "recipe.drops=[2]",
        "recipe.batch=8",
        "recipe.image_size=32",
        "recipe.crop.shorter_side=[36, 68]",
        "recipe.crop.test_side=36",
        "recipe.evaluation.interval=3",
        "recipe.evaluation.statistics_images=16",
        "recipe.evaluation.statistics_batch=8",
        "recipe.evaluation.clean_images=8",
        "recipe.evaluation.scales=[32, 64]",
    ] {
        args.extend(["--set", change]);
    }
    let output = refig(folder, &args);
    let runs = run::find(Path::new(&results)).unwrap();
    assert_eq!(runs.len(), 1, "{}", stderr(&output));
    runs[0].folder.clone()
}

#[test]
fn a_run_s_weights_on_pictures_give_the_errors_that_it_recorded_in_all_views() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained_on_pictures(folder.path());
    let rows = recorded(&run);
    let views: Vec<Views> = rows.iter().map(|row| row.views).collect();
    let several = [Views::TenCrop, Views::MultiScale];
    assert_eq!(views, [[Views::Centre; 2], several].concat());
    let file = run.join("weights.safetensors");
    let weights = file.to_str().unwrap();
    let evaluate = |more: &[&str]| {
        let args = [&["evaluate", "--weights", weights][..], more].concat();
        let output = refig(folder.path(), &args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text, stderr(&output))
    };

    let both = ["--views", "multi-scale,ten-crop", "--format", "json"];
    let (code, text, said) = evaluate(&both);
    assert_eq!(code, Some(0), "{said}");
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["image_size"], 32);
    assert_eq!(found["split"], "validation");
    let evaluations = found["evaluations"].as_array().unwrap();
    assert_eq!(evaluations.len(), rows.len());
    for (found, row) in evaluations.iter().zip(&rows) {
        assert_eq!(found["statistics"], row.statistics.name());
        let views = found
            .get("views")
            .map_or("centre", |views| views.as_str().unwrap());
        assert_eq!(views, row.views.name());
        for (name, value) in [
            ("error", row.error),
            ("top5_error", row.top5_error),
            ("loss", row.loss),
        ] {
            let says = format!("\"{name}\":{}", Value::from(value));
            assert!(text.contains(&says), "{says} in {text}");
        }
    }

    let (_, text, said) = evaluate(&[
        "PLAIN-18",
        "--views",
        "ten-crop",
        "--statistics",
        "population",
    ]);
    let lines: Vec<&str> = text.lines().collect();
    let ten = rows.iter().find(|row| row.views == Views::TenCrop).unwrap();
    let says = format!(
        "{:.2} % validation error, {:.2} % top-5",
        ten.error, ten.top5_error
    );
    assert_eq!(lines.len(), 2, "{text}{said}");
    assert!(
        lines[1].contains(&says) && lines[1].ends_with(", ten-crop)"),
        "{text}"
    );

    // What contradicts the weights is refused by name.
    for args in [
        &["resnet-18"][..],
        &["--image-size", "224"],
        &["--stride-in", "3x3"],
        &["--normalisation", "channel-mean-std"],
    ] {
        let (code, _, said) = evaluate(args);
        assert_eq!(code, Some(Exit::Usage as i32), "{args:?}: {said}");
        assert!(said.contains("weights.safetensors"), "{said}");
    }
}

/// ResNet-18 as torchvision has it, for so many classes, of which it always answers `answer`.
fn torchvision_like(classes: usize, answer: usize) -> Weights {
    let network = Network::parse_table_1("resnet-18", Shortcut::B, classes).unwrap();
    let mut weights = initialise(&network, &Initialisation::default(), 1);
    weights.tensors.get_mut("fc.weight").unwrap().data.fill(0.0);
    let bias = &mut weights.tensors.get_mut("fc.bias").unwrap().data;
    bias.fill(0.0);
    bias[answer] = 1.0;
    weights
}

#[test]
fn torchvision_s_weights_are_evaluated_on_imagenet_and_parts_of_it() {
    let folder = tempfile::tempdir().unwrap();
    // Writes the synthetic pictures, ten classes of twelve validation images.
    let mut request = PictureRequest::new(None, &folder.path().join("cache"));
    request.allow_synthetic = true;
    let data = open_pictures(&request, &mut |_| Ok(())).unwrap();
    let DataSet::Pictures { collection, .. } = &data else {
        panic!("pictures");
    };
    let file = folder.path().join("resnet18.safetensors");
    let evaluate = |weights: &Weights, more: &[&str]| {
        weights.save(&file).unwrap();
        let usual = ["evaluate", "resnet-18", "--image-size", "64"];
        let places = [
            "--weights",
            file.to_str().unwrap(),
            "--data-dir",
            &collection.source,
        ];
        let output = refig(folder.path(), &[&usual[..], &places, more].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text, stderr(&output))
    };

    // The classifier's width is the number of classes, and the shortcuts are those of the weights.
    let (code, text, said) = evaluate(&torchvision_like(10, 1), &["--views", "ten-crop"]);
    assert_eq!(code, Some(0), "{said}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    for line in lines {
        let says = "resnet-18 on a part of ImageNet: 90.00 % validation error, ";
        assert!(
            line.starts_with(says) && line.contains("120 images, moving"),
            "{line}"
        );
    }

    // Of a thousand classes, the second one of the pictures (n02102040) is number 217.
    let thousand = torchvision_like(1000, 217);
    let (code, text, said) = evaluate(&thousand, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("10 of its 1000 classes"), "{said}");
    assert!(text.contains(": 90.00 % validation error"), "{text}");

    let nine = torchvision_like(9, 0);
    for (weights, more, says) in [
        (&thousand, &["--shortcut", "A"][..], "option B"),
        (&thousand, &["--stride-in", "1x1"], "no bottlenecks"),
        (&nine, &[], "9 classes apart, but the images have 10"),
    ] {
        let (code, _, said) = evaluate(weights, more);
        assert_eq!(code, Some(Exit::Usage as i32), "{said}");
        assert!(said.contains(says), "{says} in {said}");
    }

    // Images of CIFAR-10 are seen once.
    let cifar = Network::parse_cifar("resnet-8", Shortcut::A, 10).unwrap();
    let file = folder.path().join("resnet8.safetensors");
    let weights = initialise(&cifar, &Initialisation::default(), 1);
    weights.save(&file).unwrap();
    let args = ["evaluate", "resnet-8", "--views", "ten-crop", "--weights"];
    let output = refig(
        folder.path(),
        &[&args[..], &[file.to_str().unwrap()]].concat(),
    );
    assert_eq!(output.status.code(), Some(Exit::Usage as i32));
    assert!(stderr(&output).contains("--views"), "{}", stderr(&output));
}
