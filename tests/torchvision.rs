//! Weights of torchvision's layout: names, half precision, counters, and classifiers of another width.

use std::collections::BTreeMap;
use std::path::Path;

use refig::data::{Batch, ImageSize};
use refig::engine::{self, Hyperparameters, Options, Statistics};
use refig::exit::Exit;
use refig::network::{Network, Shortcut, initialise};
use refig::random::{Purpose, Stream};
use refig::recipe::{Initialisation, Recipe};
use refig::weights::Weights;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

fn network(name: &str) -> Network {
    Network::parse(name, Some(Shortcut::B), None).unwrap().0
}

/// An ImageNet network of 18 layers, four channels and ten classes, with its weights.
fn small() -> (Network, Weights) {
    let network = Network {
        base_width: 4,
        classes: 10,
        ..network("resnet-18")
    };
    let weights = initialise(&network, &Initialisation::default(), 1);
    (network, weights)
}

#[test]
fn names_are_torchvision_s_in_its_order() {
    // state_dict() of torchvision's resnet18 and resnet50 without num_batches_tracked, as its models/resnet.py registers
    // them; without running statistics these are the 62 and 161 of parameters().
    for (name, listed, tensors, parameters) in [
        (
            "resnet-18",
            include_str!("fixtures/torchvision/resnet18.txt"),
            102,
            62,
        ),
        (
            "resnet-50",
            include_str!("fixtures/torchvision/resnet50.txt"),
            267,
            161,
        ),
    ] {
        let ours = network(name).parameters();
        let names: Vec<&str> = ours.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, listed.lines().collect::<Vec<_>>(), "{name}");
        let learnt = ours.iter().filter(|one| one.role.is_parameter()).count();
        assert_eq!((names.len(), learnt), (tensors, parameters), "{name}");
    }
    let shape = |name: &str, tensor: &str| {
        let parameters = network(name).parameters().into_iter();
        let mut found = parameters.filter(|one| one.name == tensor);
        found.next().unwrap().shape
    };
    assert_eq!(
        shape("resnet-18", "layer2.0.downsample.0.weight"),
        [128, 64, 1, 1]
    );
    assert_eq!(
        shape("resnet-50", "layer1.0.downsample.0.weight"),
        [256, 64, 1, 1]
    );
    assert_eq!(shape("resnet-50", "fc.weight"), [1000, 2048]);
}

/// The nearest half-precision number towards zero, of a value in its normal range or 0.
fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 0xff) as i32 - 112;
    match exponent {
        ..=0 => 0,
        _ => {
            let sign = ((bits >> 16) & 0x8000) as u16;
            sign | ((exponent as u16) << 10) | ((bits >> 13) & 0x3ff) as u16
        }
    }
}

/// Saves weights as torchvision's users have them: in half precision, from several GPUs, with counters.
fn save_half(weights: &Weights, path: &Path) {
    let halves: BTreeMap<&String, Vec<u8>> = weights
        .tensors
        .iter()
        .map(|(name, tensor)| {
            let bytes = tensor.data.iter().flat_map(|&v| half(v).to_le_bytes());
            (name, bytes.collect())
        })
        .collect();
    let counter = 5i64.to_le_bytes();
    let mut views = Vec::new();
    for (name, bytes) in &halves {
        let shape = weights.tensors[*name].shape.clone();
        let view = TensorView::new(Dtype::F16, shape, bytes).unwrap();
        views.push((format!("module.{name}"), view));
        if let Some(norm) = name.strip_suffix(".running_mean") {
            let view = TensorView::new(Dtype::I64, vec![], &counter).unwrap();
            views.push((format!("module.{norm}.num_batches_tracked"), view));
        }
    }
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn logits(network: &Network, weights: &Weights, size: usize) -> Vec<f32> {
    let hyper = Hyperparameters::from(&Recipe::default());
    let mut engine = engine::create(network, size, &hyper, &Options::default()).unwrap();
    engine.restore(weights).unwrap();
    let mut stream = Stream::new(1, Purpose::Synthetic, 0, 0);
    let batch = Batch {
        pixels: (0..2 * size * size * 3)
            .map(|_| stream.normal() as f32)
            .collect(),
        labels: vec![0, 9],
        size: ImageSize::square(size),
        ..Batch::default()
    };
    engine.logits(&batch, Statistics::Moving).unwrap()
}

#[test]
fn half_precision_weights_with_counters_load_and_evaluate() {
    let (network, weights) = small();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resnet18.safetensors");
    save_half(&weights, &path);
    let (loaded, changes) = Weights::load_foreign(&path).unwrap();
    assert!(changes.join("; ").contains("\"module.\""), "{changes:?}");
    network.check_tensors(&loaded.tensors).unwrap();
    assert_eq!(loaded.tensors.len(), 102);
    for (name, tensor) in &weights.tensors {
        for (a, b) in tensor.data.iter().zip(&loaded.tensors[name].data) {
            assert!((a - b).abs() <= a.abs() / 1024.0 + 1e-4, "{name}: {a} {b}");
        }
    }
    // At the size of the paper's smallest test scale and at another; rounding the weights moves the logits a little.
    for size in [64, 96] {
        let (exact, found) = (
            logits(&network, &weights, size),
            logits(&network, &loaded, size),
        );
        let largest = exact.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
        assert!(largest > 0.0 && found != exact);
        for (a, b) in exact.iter().zip(&found) {
            assert!((a - b).abs() < 0.05 * largest, "{a} {b}");
        }
    }
}

#[test]
fn a_classifier_of_another_width_and_other_shortcuts_are_refused_by_name() {
    let (ten, weights) = small();
    let hundred = Network {
        classes: 100,
        ..ten.clone()
    };
    let said = |network: &Network| {
        let error = network.check_tensors(&weights.tensors).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage);
        error.to_string()
    };
    let text = said(&hundred);
    for says in [
        "fc.weight [10, 32] instead of [100, 32]",
        "fc.bias [10] instead of [100]",
        "resnet-18 (option B)",
    ] {
        assert!(text.contains(says), "{text}");
    }
    let without = Network {
        shortcut: Shortcut::A,
        ..ten
    };
    let text = said(&without);
    assert!(
        text.contains("left over (layer2.0.downsample.0.weight"),
        "{text}"
    );
}
