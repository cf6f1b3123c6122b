//! Steps in pieces against steps in one, and images of other sizes than those to train on.

use std::sync::Arc;

use super::{batch, batch_of, engine, hyper, tiny};
use crate::data::{Batch, ImageSet, ImageSize, Normaliser, Originals};
use crate::engine::{Hyperparameters, Statistics, Step};
use crate::network::{Family, Network, Shortcut};
use crate::recipe::{MomentumForm, Normalisation, Pooling};
use crate::weights::Weights;

/// One step from the same weights, and the state after it.
fn stepped(network: &Network, hyper: &Hyperparameters, images: &Batch) -> (Step, Weights) {
    let mut engine = engine(network, hyper, 2);
    let step = engine.step(images, 0.1).unwrap();
    (step, engine.state(true).unwrap())
}

/// Running statistics to the bit: they are sums over groups, which pieces do not divide. Everything else within 1e-6: the
/// sums over all images that are a parameter's gradient are made of other partial sums.
fn same(one: &(Step, Weights), other: &(Step, Weights)) {
    assert_eq!(one.0.wrong, other.0.wrong);
    assert!((one.0.loss - other.0.loss).abs() < 1e-6);
    for (name, tensor) in &one.1.tensors {
        let found = &other.1.tensors[name].data;
        if name.contains("running_") {
            assert_eq!(tensor.data, *found, "{name}");
        }
        let largest = tensor
            .data
            .iter()
            .fold(1.0, |most: f32, v| most.max(v.abs()));
        for (a, b) in tensor.data.iter().zip(found) {
            assert!((a - b).abs() <= 1e-6 * largest, "{name}: {a} and {b}");
        }
    }
}

#[test]
fn a_step_in_pieces_is_the_step_in_one() {
    for (family, shortcut, form) in [
        (Family::Plain, Shortcut::A, MomentumForm::Caffe),
        (Family::Resnet, Shortcut::A, MomentumForm::Pytorch),
        (Family::Resnet, Shortcut::B, MomentumForm::Caffe),
    ] {
        let network = tiny(family, shortcut);
        let groups = |norm_group, micro_batch| Hyperparameters {
            norm_group,
            micro_batch,
            momentum_form: form,
            ..hyper()
        };
        let images = batch(96, 6, 3);
        let whole = stepped(&network, &groups(32, 0), &images);
        // A group a piece, said or not.
        same(&whole, &stepped(&network, &groups(32, 32), &images));
        same(&whole, &stepped(&network, &groups(0, 32), &images));
        // The pieces' own statistics, not the mini-batch's.
        let apart = stepped(&network, &groups(0, 0), &images);
        assert_ne!(apart.1, whole.1);
        // Several groups a piece, and a last piece and a last group that are smaller.
        let images = batch(42, 6, 4);
        let whole = stepped(&network, &groups(8, 0), &images);
        same(&whole, &stepped(&network, &groups(8, 16), &images));
        // A mini-batch that fits into a piece.
        let all = stepped(&network, &groups(8, 64), &images);
        assert_eq!(all, whole);
    }
}

#[test]
fn every_step_in_pieces_has_one_outcome() {
    let network = tiny(Family::Resnet, Shortcut::A);
    let pieces = Hyperparameters {
        micro_batch: 2,
        ..hyper()
    };
    let [mut one, mut other] = [1, 2].map(|threads| engine(&network, &pieces, threads));
    let steps: Vec<Step> = (0..3)
        .map(|seed| one.step(&batch(7, 6, seed), 0.05).unwrap())
        .collect();
    for seed in 0..3 {
        other.begin_step(&batch(7, 6, seed), 0.05).unwrap();
    }
    assert_eq!(other.finish_steps().unwrap(), steps);
    assert_eq!(one.state(true).unwrap(), other.state(true).unwrap());
    let misfit = Hyperparameters {
        micro_batch: 6,
        norm_group: 4,
        ..hyper()
    };
    let error = engine(&network, &misfit, 1).step(&batch(12, 6, 1), 0.1);
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("pieces of 6") && text.contains("groups of 4"),
        "{text}"
    );
}

#[test]
fn a_part_of_a_mini_batch_has_its_images() {
    let whole = batch(5, 6, 1);
    let part = whole.part(1..3);
    assert_eq!(part.pixels, whole.pixels[108..324]);
    assert_eq!(part.labels, whole.labels[1..3]);
    assert_eq!(part.size, ImageSize::square(6));
    let set = ImageSet {
        size: 6,
        pixels: (0..4 * 108).map(|at| (at % 251) as u8).collect(),
        labels: vec![2, 0, 1, 2],
        digest: String::new(),
    };
    let normaliser = Normaliser::fit(&set, Normalisation::PerPixelMean);
    let originals = Arc::new(Originals::new(Arc::new(set), normaliser).unwrap());
    assert_eq!(
        originals.batch(&[3, 1, 2]).part(1..3),
        originals.batch(&[1, 2])
    );
}

#[test]
fn logits_of_images_of_any_size_are_each_images_own_and_leave_no_trace() {
    for (family, shortcut) in [
        (Family::Plain, Shortcut::A),
        (Family::Resnet, Shortcut::A),
        (Family::Resnet, Shortcut::B),
    ] {
        let network = tiny(family, shortcut);
        let prepared = |threads: usize| {
            let mut engine = engine(&network, &hyper(), threads);
            for seed in 0..2 {
                engine.step(&batch(6, 6, seed), 0.05).unwrap();
            }
            engine.begin_population().unwrap();
            for seed in 2..4 {
                engine.add_population(&batch(6, 6, seed)).unwrap();
            }
            engine.finish_population(Pooling::Total).unwrap();
            engine
        };
        let [mut whole, mut single, mut untouched] = [2, 1, 1].map(prepared);
        for (height, width) in [(6, 6), (9, 5), (5, 9), (5, 10), (12, 12), (1, 7), (6, 6)] {
            let size = ImageSize { height, width };
            let images = batch_of(5, size, 9);
            for statistics in [Statistics::Population, Statistics::Moving] {
                let found = whole.logits(&images, statistics).unwrap();
                assert!(found.len() == 15 && found.iter().all(|logit| logit.is_finite()));
                let alone = (0..5).flat_map(|image| {
                    let image = images.part(image..image + 1);
                    single.logits(&image, statistics).unwrap()
                });
                assert_eq!(alone.collect::<Vec<_>>(), found, "{size}");
            }
            // Training and curves are of one size.
            if size != ImageSize::square(6) {
                let error = whole.step(&images, 0.1).unwrap_err().to_string();
                assert!(
                    error.contains(&size.to_string()) && error.contains("6x6"),
                    "{error}"
                );
                assert!(whole.evaluate(&images, Statistics::Moving).is_err());
                assert!(whole.add_population(&images).is_err());
                assert!(whole.differentiate(&images).is_err());
                assert!(whole.responses(&images, None).is_err());
            }
        }
        let images = batch(6, 6, 20);
        let steps = [&mut whole, &mut untouched].map(|engine| engine.step(&images, 0.05).unwrap());
        assert_eq!(steps[0], steps[1]);
        assert_eq!(whole.state(true).unwrap(), untouched.state(true).unwrap());
    }
}
