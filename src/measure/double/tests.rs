//! Images that are not square: the engine's answers are those of double precision.

use super::{Double, Normalise};
use crate::data::{Batch, ImageSize};
use crate::engine::{self, Hyperparameters, Instructions, Options, Statistics};
use crate::network::{Family, Network, Shortcut, Stem, StrideIn, initialise};
use crate::random::{Purpose, Stream};
use crate::recipe::{DecayOn, Initialisation, MomentumForm};

fn network(stem: Stem, shortcut: Shortcut, base_width: usize, bottleneck: bool) -> Network {
    Network {
        name: "small".into(),
        family: Family::Resnet,
        stem,
        blocks: vec![1, 1],
        base_width,
        bottleneck,
        shortcut,
        classes: 5,
        stride_in: StrideIn::default(),
    }
}

fn images(size: ImageSize) -> Batch {
    let mut stream = Stream::new(7, Purpose::Synthetic, 0, 0);
    let pixels = (0..2 * size.pixels() * 3).map(|_| stream.normal() as f32);
    Batch {
        pixels: pixels.collect(),
        labels: vec![0, 4],
        size,
        ..Batch::default()
    }
}

#[test]
fn rectangles_have_the_answers_of_double_precision() {
    let hyper = Hyperparameters {
        momentum: 0.9,
        momentum_form: MomentumForm::Pytorch,
        weight_decay: 0.0,
        weight_decay_on: DecayOn::All,
        norm_momentum: 0.1,
        norm_epsilon: 1e-5,
        norm_group: 0,
        micro_batch: 0,
    };
    // Sweeps; minimal filtering with tiles of two and of four; products of matrices.
    for network in [
        network(Stem::Cifar, Shortcut::A, 4, false),
        network(Stem::Cifar, Shortcut::A, 16, false),
        network(Stem::Imagenet, Shortcut::B, 64, false),
        network(Stem::Imagenet, Shortcut::B, 32, true),
    ] {
        let weights = initialise(&network, &Initialisation::default(), 1);
        let double = Double::new(&network, &hyper, &weights);
        let sets = [Instructions::Portable, Instructions::detect()];
        let mut engines = sets.map(|instructions| {
            let options = Options {
                threads: 2,
                instructions: Some(instructions),
                ..Options::default()
            };
            let mut engine = engine::create(&network, 32, &hyper, &options).unwrap();
            engine.restore(&weights).unwrap();
            engine
        });
        for (height, width) in [(32, 43), (43, 32), (33, 44), (32, 150), (37, 32), (32, 32)] {
            let images = images(ImageSize { height, width });
            let expected = double.forward(&images, Normalise::Running).logits;
            let largest = expected.iter().fold(0.0, |most: f64, z| most.max(z.abs()));
            for engine in &mut engines {
                let found = engine.logits(&images, Statistics::Moving).unwrap();
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(&expected) {
                    assert!(
                        (f64::from(*found) - expected).abs() < 1e-4 * largest,
                        "{network:?} at {height}, {width}: {found} and {expected}"
                    );
                }
            }
        }
    }
}
