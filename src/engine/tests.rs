//! The engine as a whole: gradients against finite differences, exact resumption, groups, population statistics.

mod crops;
mod pieces;

use super::{Differentiable, Hyperparameters, Options, Statistics, Step, create_differentiable};
use crate::data::{Batch, ImageSize};
use crate::network::{Family, Network, Role, Shortcut, Stem, StrideIn};
use crate::random::{Purpose, Stream};
use crate::recipe::{DecayOn, MomentumForm, Pooling};
use crate::weights::{Tensor, Weights};

fn tiny(family: Family, shortcut: Shortcut) -> Network {
    Network {
        name: "tiny".into(),
        family,
        stem: Stem::Cifar,
        blocks: vec![1, 1],
        base_width: 4,
        bottleneck: false,
        shortcut,
        classes: 3,
        stride_in: StrideIn::default(),
    }
}

fn hyper() -> Hyperparameters {
    Hyperparameters {
        momentum: 0.9,
        momentum_form: MomentumForm::Pytorch,
        weight_decay: 1e-2,
        weight_decay_on: DecayOn::All,
        norm_momentum: 0.1,
        norm_epsilon: 1e-5,
        norm_group: 0,
        micro_batch: 0,
    }
}

fn weights(network: &Network) -> Weights {
    let mut weights = Weights::default();
    for (index, parameter) in network.parameters().into_iter().enumerate() {
        let mut stream = Stream::new(5, Purpose::Initialise, 0, index as u64);
        let len = parameter.shape.iter().product();
        let data = (0..len).map(|_| match parameter.role {
            Role::Scale | Role::RunningVariance => 1.0 + 0.2 * stream.uniform() as f32,
            _ => 0.3 * stream.normal() as f32,
        });
        let data = data.collect();
        let shape = parameter.shape;
        weights
            .tensors
            .insert(parameter.name, Tensor { shape, data });
    }
    weights
}

fn batch(images: usize, size: usize, seed: u64) -> Batch {
    batch_of(images, ImageSize::square(size), seed)
}

fn batch_of(images: usize, size: ImageSize, seed: u64) -> Batch {
    let mut stream = Stream::new(seed, Purpose::Synthetic, 0, 0);
    Batch {
        pixels: (0..images * size.pixels() * 3)
            .map(|_| stream.normal() as f32)
            .collect(),
        labels: (0..images).map(|_| stream.below(3) as u16).collect(),
        size,
        ..Batch::default()
    }
}

fn engine(network: &Network, hyper: &Hyperparameters, threads: usize) -> Box<dyn Differentiable> {
    engine_at(network, hyper, threads, 6)
}

fn engine_at(
    network: &Network,
    hyper: &Hyperparameters,
    threads: usize,
    size: usize,
) -> Box<dyn Differentiable> {
    let options = Options {
        threads,
        ..Options::default()
    };
    let mut engine = create_differentiable(network, size, hyper, &options).unwrap();
    engine.restore(&weights(network)).unwrap();
    engine
}

/// The loss in double precision, computed from the engine's logits.
fn loss(engine: &mut dyn Differentiable, batch: &Batch) -> f64 {
    let logits = engine.differentiate(batch).unwrap().logits;
    let rows = logits.chunks(3).zip(&batch.labels).map(|(row, &label)| {
        let sum: f64 = row.iter().map(|&v| f64::from(v).exp()).sum();
        sum.ln() - f64::from(row[usize::from(label)])
    });
    rows.sum::<f64>() / batch.labels.len() as f64
}

/// Compares the central difference along each tensor's gradient with the gradient's norm.
fn check_gradients(network: &Network, hyper: &Hyperparameters) {
    check_gradients_at(network, hyper, 6);
}

fn check_gradients_at(network: &Network, hyper: &Hyperparameters, size: usize) {
    let mut engine = engine_at(network, hyper, 1, size);
    let images = batch(6, size, 11);
    let start = weights(network);
    let gradients = engine.differentiate(&images).unwrap().gradients;
    for (name, gradient) in &gradients.tensors {
        let norm = gradient
            .data
            .iter()
            .map(|&g| f64::from(g).powi(2))
            .sum::<f64>()
            .sqrt();
        assert!(norm > 1e-4, "{name} has a gradient of {norm}");
        let mut shifted = |by: f64| {
            let mut moved = start.clone();
            let values = &mut moved.tensors.get_mut(name).unwrap().data;
            for (value, &g) in values.iter_mut().zip(&gradient.data) {
                *value = (f64::from(*value) + by * f64::from(g) / norm) as f32;
            }
            engine.restore(&moved).unwrap();
            loss(&mut *engine, &images)
        };
        // Kinks of ReLUs within a step cause an error proportional to the step: up to 4 % of the gradient at 2e-3, 0.5 % at
        // 2.5e-4. Below 1e-4, rounding of the loss dominates.
        let step = 2.5e-4;
        let slope = (shifted(step) - shifted(-step)) / (2.0 * step);
        assert!(
            (slope - norm).abs() < 0.02 * norm + 2e-4,
            "{name}: gradient {norm}, finite difference {slope}"
        );
    }
}

#[test]
fn gradients_equal_finite_differences() {
    check_gradients(&tiny(Family::Plain, Shortcut::A), &hyper());
    for shortcut in [Shortcut::A, Shortcut::B, Shortcut::C] {
        check_gradients(&tiny(Family::Resnet, shortcut), &hyper());
    }
}

#[test]
fn gradients_through_groups_equal_finite_differences() {
    let groups = Hyperparameters {
        norm_group: 2,
        ..hyper()
    };
    check_gradients(&tiny(Family::Resnet, Shortcut::B), &groups);
}

#[test]
fn recomputed_activations_are_the_same_to_the_bit() {
    for network in [
        tiny(Family::Plain, Shortcut::A),
        tiny(Family::Resnet, Shortcut::A),
        tiny(Family::Resnet, Shortcut::C),
        Network {
            bottleneck: true,
            ..tiny(Family::Resnet, Shortcut::B)
        },
    ] {
        let trained = |keep: usize, group: usize, piece: usize| {
            let options = Options {
                keep: Some(keep),
                ..Options::default()
            };
            let hyper = Hyperparameters {
                norm_group: group,
                micro_batch: piece,
                ..hyper()
            };
            let mut engine = create_differentiable(&network, 6, &hyper, &options).unwrap();
            engine.restore(&weights(&network)).unwrap();
            for seed in 0..3 {
                engine.step(&batch(5, 6, seed), 0.1).unwrap();
            }
            engine.state(true).unwrap()
        };
        for (group, piece) in [(0, 0), (2, 0), (0, 2), (2, 4)] {
            assert_eq!(
                trained(0, group, piece),
                trained(usize::MAX, group, piece),
                "groups of {group} in pieces of {piece}"
            );
        }
    }
}

#[test]
fn a_restored_engine_resumes_bit_for_bit() {
    for form in [MomentumForm::Caffe, MomentumForm::Pytorch] {
        let network = tiny(Family::Resnet, Shortcut::B);
        let hyper = Hyperparameters {
            momentum_form: form,
            ..hyper()
        };
        let mut whole = engine(&network, &hyper, 2);
        for seed in 0..3 {
            whole.step(&batch(5, 6, seed), 0.1).unwrap();
        }
        let bytes = whole.state(true).unwrap().to_bytes().unwrap();
        // Another engine, which has seen other images and runs on one thread.
        let mut resumed = engine(&network, &hyper, 1);
        resumed.step(&batch(7, 6, 99), 0.1).unwrap();
        resumed
            .restore(&Weights::from_bytes(&bytes).unwrap())
            .unwrap();
        for seed in 3..6 {
            let images = batch(5 + seed as usize % 2, 6, seed);
            assert_eq!(
                whole.step(&images, 0.05).unwrap(),
                resumed.step(&images, 0.05).unwrap()
            );
        }
        assert_eq!(whole.state(true).unwrap(), resumed.state(true).unwrap());
        // Without the velocity the trajectories differ.
        resumed.restore(&whole.state(false).unwrap()).unwrap();
        for engine in [&mut whole, &mut resumed] {
            engine.step(&batch(5, 6, 7), 0.1).unwrap();
        }
        assert_ne!(whole.state(false).unwrap(), resumed.state(false).unwrap());
    }
}

#[test]
fn foreign_weights_are_refused_by_name() {
    let network = tiny(Family::Resnet, Shortcut::A);
    let mut engine = engine(&network, &hyper(), 1);
    let before = engine.state(true).unwrap();
    let mut missing = weights(&network);
    missing.tensors.remove("layer2.0.bn1.running_var");
    let error = engine.restore(&missing).unwrap_err().to_string();
    assert!(error.contains("layer2.0.bn1.running_var"), "{error}");
    let mut misshapen = weights(&network);
    misshapen.tensors.get_mut("fc.weight").unwrap().shape = vec![8, 3];
    let error = engine.restore(&misshapen).unwrap_err().to_string();
    assert!(
        error.contains("fc.weight") && error.contains("[8, 3]"),
        "{error}"
    );
    assert_eq!(engine.state(true).unwrap(), before);
}

#[test]
fn gradients_through_the_imagenet_stem_and_bottlenecks_equal_finite_differences() {
    let stem = Network {
        stem: Stem::Imagenet,
        ..tiny(Family::Resnet, Shortcut::B)
    };
    check_gradients_at(&stem, &hyper(), 22);
    for (family, shortcut) in [
        (Family::Plain, Shortcut::A),
        (Family::Resnet, Shortcut::A),
        (Family::Resnet, Shortcut::B),
    ] {
        let bottlenecks = Network {
            bottleneck: true,
            ..tiny(family, shortcut)
        };
        check_gradients(&bottlenecks, &hyper());
    }
}

#[test]
fn the_population_of_one_batch_is_that_batch() {
    let network = tiny(Family::Resnet, Shortcut::C);
    let mut engine = engine(&network, &hyper(), 2);
    let images = batch(6, 6, 3);
    let before = engine.state(true).unwrap();
    let trained = engine.differentiate(&images).unwrap();
    assert!(engine.evaluate(&images, Statistics::Population).is_err());
    for pooling in [Pooling::Average, Pooling::Total] {
        engine.begin_population().unwrap();
        assert!(engine.finish_population(pooling).is_err());
        engine.add_population(&images).unwrap();
        engine.finish_population(pooling).unwrap();
        let logits = engine.logits(&images, Statistics::Population).unwrap();
        for (ours, theirs) in logits.iter().zip(&trained.logits) {
            assert!((ours - theirs).abs() < 1e-4, "{ours} {theirs}");
        }
        let tally = engine.evaluate(&images, Statistics::Population).unwrap();
        assert_eq!(tally.images, 6);
        assert!((tally.loss / 6.0 - f64::from(trained.loss)).abs() < 1e-4);
    }
    assert_eq!(engine.state(true).unwrap(), before);
    let moving = engine.logits(&images, Statistics::Moving).unwrap();
    assert_ne!(moving, trained.logits);
}

#[test]
fn moving_averages_take_the_mean_of_groups_and_unbiased_variances() {
    let network = tiny(Family::Plain, Shortcut::A);
    let group = |size| Hyperparameters {
        norm_group: size,
        norm_momentum: 1.0,
        ..hyper()
    };
    let images = batch(6, 6, 21);
    let halves = [&images.pixels[..3 * 108], &images.pixels[3 * 108..]].map(|pixels| Batch {
        pixels: pixels.to_vec(),
        labels: images.labels[..3].to_vec(),
        size: ImageSize::square(6),
        ..Batch::default()
    });
    let running = |hyper: &Hyperparameters, images: &Batch| {
        let mut engine = engine(&network, hyper, 1);
        engine.step(images, 0.0).unwrap();
        engine.state(false).unwrap()
    };
    let grouped = running(&group(3), &images);
    let apart = halves.map(|half| running(&group(0), &half));
    for name in [
        "bn1.running_mean",
        "bn1.running_var",
        "layer2.0.bn2.running_var",
    ] {
        let (a, b) = (&apart[0].tensors[name].data, &apart[1].tensors[name].data);
        for (channel, &value) in grouped.tensors[name].data.iter().enumerate() {
            let mean = (a[channel] + b[channel]) / 2.0;
            assert!(
                (value - mean).abs() < 1e-5 * mean.abs() + 1e-6,
                "{name} {value} {mean}"
            );
        }
    }
    // The stem's running variance by hand: with momentum 1 and one group it is the batch's unbiased variance.
    let whole = running(&group(0), &images);
    let stem = &weights(&network).tensors["conv1.weight"].data;
    let ratio = f64::from(whole.tensors["bn1.running_var"].data[0]) / stem_variance(&images, stem);
    assert!((ratio - 216.0 / 215.0).abs() < 1e-4, "{ratio}");
}

/// Biased variance of the stem's first channel over all images and pixels.
fn stem_variance(images: &Batch, weights: &[f32]) -> f64 {
    let side = images.size.height;
    let size = side as isize;
    let mut values = Vec::new();
    for image in images.pixels.chunks(3 * side * side) {
        for (y, x) in (0..size).flat_map(|y| (0..size).map(move |x| (y, x))) {
            let mut sum = 0.0;
            for (channel, dy, dx) in
                (0..3).flat_map(|c| (-1..2).flat_map(move |y| (-1..2).map(move |x| (c, y, x))))
            {
                if (0..size).contains(&(y + dy)) && (0..size).contains(&(x + dx)) {
                    let pixel = ((y + dy) * size + x + dx) * 3 + channel;
                    let weight = channel * 9 + (dy + 1) * 3 + dx + 1;
                    sum += f64::from(image[pixel as usize]) * f64::from(weights[weight as usize]);
                }
            }
            values.push(sum);
        }
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64
}

#[test]
fn responses_are_those_of_the_normalisation_and_their_moments_are_known() {
    for (family, shortcut) in [(Family::Plain, Shortcut::A), (Family::Resnet, Shortcut::B)] {
        let network = tiny(family, shortcut);
        let weights = weights(&network);
        let images = batch(6, 6, 3);
        let mut engine = engine(&network, &hyper(), 1);
        let logits = engine.differentiate(&images).unwrap().logits;
        let found = engine.responses(&images, None).unwrap();
        let convolutions = network.convolutions();
        assert_eq!(found.len(), convolutions.len());
        for (response, convolution) in found.iter().zip(&convolutions) {
            let tensor = |suffix: &str| &weights.tensors[&format!("{}.{suffix}", convolution.norm)];
            let channels = response.normalised.channels();
            let affine = tensor("bias").data.iter().zip(&tensor("weight").data);
            for ((mean, variance), (&shift, &scale)) in channels.iter().zip(affine) {
                // With the batch's own statistics, the mean is `shift`, the deviation scale * sigma / sqrt(sigma^2 +
                // epsilon).
                assert!(
                    (mean - f64::from(shift)).abs() < 1e-5,
                    "{}",
                    convolution.norm
                );
                let most = f64::from(scale).abs();
                let deviation = variance.sqrt();
                assert!(deviation < most * (1.0 + 1e-5) && deviation > most * 0.999);
            }
            // A ReLU follows all but projections.
            let (before, _) = response.normalised.layer();
            let (behind, _) = response.output.layer();
            match convolution.kernel {
                1 => assert_eq!(response.normalised, response.output),
                _ => assert!(behind >= 0.0 && behind > before, "{}", convolution.norm),
            }
        }
        // Inspection changes nothing.
        assert_eq!(engine.differentiate(&images).unwrap().logits, logits);
        assert_eq!(engine.state(false).unwrap(), weights);

        // The population of these images alone is this batch; the moving averages differ.
        assert!(
            engine
                .responses(&images, Some(Statistics::Population))
                .is_err()
        );
        engine.begin_population().unwrap();
        engine.add_population(&images).unwrap();
        engine.finish_population(Pooling::Average).unwrap();
        let fixed = engine
            .responses(&images, Some(Statistics::Population))
            .unwrap();
        let moving = engine.responses(&images, Some(Statistics::Moving)).unwrap();
        for ((one, other), moving) in found.iter().zip(&fixed).zip(&moving) {
            let (one, other) = (one.normalised.layer(), other.normalised.layer());
            assert!((one.0 - other.0).abs() < 1e-5 && (one.1 - other.1).abs() < 1e-4 * one.1);
            assert!((one.1 - moving.normalised.layer().1).abs() > 1e-3 * one.1);
        }
    }
}

#[test]
fn images_that_the_device_draws_are_those_of_the_loader() {
    let network = tiny(Family::Resnet, Shortcut::A);
    let mut stream = Stream::new(3, Purpose::Synthetic, 0, 0);
    let set = crate::data::ImageSet {
        size: 6,
        pixels: (0..20 * 108).map(|_| stream.below(256) as u8).collect(),
        labels: (0..20).map(|_| stream.below(3) as u16).collect(),
        digest: String::new(),
    };
    let normaliser = crate::data::Normaliser::fit(&set, crate::recipe::Normalisation::PerPixelMean);
    let set = std::sync::Arc::new(set);
    let recipe = crate::recipe::Recipe {
        batch: 7,
        image_size: 6,
        ..crate::recipe::Recipe::default()
    };
    let originals = crate::data::Originals::new(set.clone(), normaliser.clone()).unwrap();
    let originals = std::sync::Arc::new(originals);
    let mut pixels = crate::data::Loader::new(set, normaliser, &recipe, 1, 0, 0).unwrap();
    let mut drawn = crate::data::Loader::drawing(originals.clone(), &recipe, 1, 0).unwrap();
    let [mut one, mut other] = [(); 2].map(|()| engine(&network, &hyper(), 2));
    // One engine reads each loss, the other all four together.
    let steps: Vec<Step> = (0..4)
        .map(|_| one.step(&pixels.next().unwrap(), 0.05).unwrap())
        .collect();
    for _ in 0..4 {
        other.begin_step(&drawn.next().unwrap(), 0.05).unwrap();
    }
    assert_eq!(other.finish_steps().unwrap(), steps);
    assert!(other.finish_steps().unwrap().is_empty());
    assert_eq!(one.state(true).unwrap(), other.state(true).unwrap());
    // A mini-batch with images of another size or with fewer labels than decisions is refused.
    let mut wrong = originals.batch(&[1, 2]);
    wrong.labels.pop();
    assert!(other.step(&wrong, 0.1).is_err());
    let mut larger = engine_at(&network, &hyper(), 1, 8);
    let mut wrong = originals.batch(&[1, 2]);
    wrong.size = ImageSize::square(8);
    assert!(larger.step(&wrong, 0.1).is_err());
}
