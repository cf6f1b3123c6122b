//! Mini-batches of crops: the engine normalises them as the loader does.

use std::sync::Arc;

use super::{engine, engine_at, hyper, tiny};
use crate::data::{Batch, Crops, ImageSize, MeanImage};
use crate::engine::Hyperparameters;
use crate::network::{Family, Shortcut};
use crate::random::{Purpose, Stream};

const IMAGES: usize = 6;
const SIZE: usize = 6;

/// Random crops and their classes.
fn crops(mean: &Arc<MeanImage>, seed: u64) -> Batch {
    let mut stream = Stream::new(seed, Purpose::Synthetic, 0, 0);
    let bytes = (0..IMAGES * SIZE * SIZE * 3).map(|_| stream.below(256) as u8);
    let bytes = bytes.collect();
    let shifts = (0..IMAGES).map(|_| [(); 3].map(|()| 9.0 * stream.normal() as f32));
    let shifts = shifts.collect();
    Batch {
        labels: (0..IMAGES).map(|_| stream.below(3) as u16).collect(),
        size: ImageSize::square(SIZE),
        crops: Some(Crops {
            bytes,
            shifts,
            mean: Arc::clone(mean),
        }),
        ..Batch::default()
    }
}

/// The same mini-batch as the loader makes it for a device that does not normalise.
fn normalised(batch: &Batch) -> Batch {
    Batch {
        pixels: batch.crops.as_ref().unwrap().pixels(batch.size),
        crops: None,
        ..batch.clone()
    }
}

/// A mean image of `size` pixels.
fn mean_image(size: usize) -> Arc<MeanImage> {
    Arc::new(MeanImage {
        size,
        mean: (0..size * size * 3).map(|at| 90.0 + at as f32).collect(),
        divisor: [64.0; 3],
    })
}

#[test]
fn crops_train_as_their_pixels_do() {
    let network = tiny(Family::Resnet, Shortcut::A);
    for micro_batch in [0, 3] {
        let hyper = Hyperparameters {
            micro_batch,
            ..hyper()
        };
        let [mut one, mut other] = [(); 2].map(|()| engine(&network, &hyper, 2));
        // Two mean images of the crops' size, and one of another.
        for (step, size) in [SIZE, SIZE, 5].into_iter().enumerate() {
            let batch = crops(&mean_image(size), step as u64);
            let expected = one.step(&normalised(&batch), 0.05).unwrap();
            assert_eq!(other.step(&batch, 0.05).unwrap(), expected);
        }
        assert_eq!(one.state(true).unwrap(), other.state(true).unwrap());
    }
}

#[test]
fn crops_of_another_size_or_number_are_refused() {
    let network = tiny(Family::Resnet, Shortcut::A);
    let whole = crops(&mean_image(SIZE), 1);
    let mut engine = engine(&network, &hyper(), 1);
    assert!(engine.step(&whole, 0.1).is_ok());
    let mut wrong = whole.clone();
    wrong.labels.pop();
    assert!(engine.step(&wrong, 0.1).is_err());
    let mut wrong = whole.clone();
    wrong.crops.as_mut().unwrap().bytes.pop();
    assert!(engine.step(&wrong, 0.1).is_err());
    assert!(
        engine_at(&network, &hyper(), 1, 8)
            .step(&whole, 0.1)
            .is_err()
    );
}
