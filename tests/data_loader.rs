//! Mini-batches: every image once a pass, the same whatever the threads and wherever one starts.

use std::sync::Arc;

use refig::data::{Batch, Decision, ImageSet, Loader, Normaliser, Order, Originals, batch};
use refig::recipe::{Augmentation, Normalisation, PaddingValue, PartialBatch, Recipe};

fn images(count: usize) -> Arc<ImageSet> {
    Arc::new(ImageSet {
        size: 4,
        pixels: (0..count * 48).map(|at| (at * 31 % 251) as u8).collect(),
        labels: (0..count).map(|image| (image % 10) as u16).collect(),
        digest: String::new(),
    })
}

fn recipe(batch: usize, partial_batch: PartialBatch) -> Recipe {
    Recipe {
        batch,
        partial_batch,
        image_size: 4,
        ..Recipe::default()
    }
}

fn loader(recipe: &Recipe, seed: u64, first: u64, workers: usize) -> Loader {
    let images = images(50);
    let normaliser = Normaliser::fit(&images, Normalisation::PerPixelMean);
    Loader::new(images, normaliser, recipe, seed, first, workers).unwrap()
}

fn take(mut loader: Loader, count: usize) -> Vec<Batch> {
    (0..count)
        .map(|_| {
            let batch = loader.next().unwrap();
            loader.recycle(batch.clone());
            batch
        })
        .collect()
}

fn indices(order: &mut Order, iteration: u64) -> Vec<u32> {
    let mut decisions: Vec<Decision> = Vec::new();
    order.decisions(iteration, &mut decisions);
    decisions.iter().map(|decision| decision.index).collect()
}

/// Whether every one of 50 images is there once.
fn is_a_pass(mut seen: Vec<u32>) -> bool {
    seen.sort_unstable();
    seen == (0..50).collect::<Vec<u32>>()
}

#[test]
fn threads_change_nothing() {
    let recipe = recipe(8, PartialBatch::Wrap);
    let alone = take(loader(&recipe, 7, 0, 0), 40);
    for workers in [1, 2, 3] {
        assert_eq!(
            take(loader(&recipe, 7, 0, workers), 40),
            alone,
            "{workers} workers"
        );
    }
    assert_ne!(take(loader(&recipe, 8, 0, 1), 40), alone);
}

#[test]
fn it_goes_on_anywhere_as_if_never_interrupted() {
    for partial in [PartialBatch::Wrap, PartialBatch::Drop, PartialBatch::Short] {
        let recipe = recipe(8, partial);
        let whole = take(loader(&recipe, 7, 0, 2), 30);
        for first in [1, 6, 7, 13] {
            assert_eq!(
                take(loader(&recipe, 7, first as u64, 3), 30 - first),
                whole[first..],
                "{partial:?} from {first}"
            );
        }
    }
}

#[test]
fn a_partial_batch_wraps_into_the_next_pass() {
    let mut order = Order::new(50, &recipe(8, PartialBatch::Wrap), 1).unwrap();
    // 25 mini-batches of 8 are four passes of 50.
    let drawn: Vec<u32> = (0..25)
        .flat_map(|iteration| indices(&mut order, iteration))
        .collect();
    assert_eq!(drawn.len(), 200);
    let passes: Vec<&[u32]> = drawn.chunks(50).collect();
    assert!(passes.iter().all(|pass| is_a_pass(pass.to_vec())));
    assert_ne!(passes[0], passes[1], "every pass is shuffled anew");
    // A mini-batch larger than the set holds images of several passes.
    let mut large = Order::new(50, &recipe(120, PartialBatch::Wrap), 1).unwrap();
    assert_eq!(indices(&mut large, 0), drawn[..120]);
}

#[test]
fn a_partial_batch_is_dropped_or_short() {
    let mut order = Order::new(50, &recipe(8, PartialBatch::Drop), 1).unwrap();
    let pass: Vec<u32> = (0..6)
        .flat_map(|iteration| indices(&mut order, iteration))
        .collect();
    assert_eq!(pass.len(), 48);
    let next = indices(&mut order, 6);
    assert_eq!(next.len(), 8, "the next pass begins");

    let mut order = Order::new(50, &recipe(8, PartialBatch::Short), 1).unwrap();
    let sizes: Vec<usize> = (0..8)
        .map(|iteration| indices(&mut order, iteration).len())
        .collect();
    assert_eq!(sizes, [8, 8, 8, 8, 8, 8, 2, 8]);
    assert!(is_a_pass(
        (0..7)
            .flat_map(|iteration| indices(&mut order, iteration))
            .collect()
    ));
    assert_eq!(indices(&mut order, 7), next, "both shuffle alike");
}

#[test]
fn impossible_batches_are_refused_with_the_remedy() {
    assert!(Order::new(0, &recipe(8, PartialBatch::Wrap), 1).is_err());
    assert!(Order::new(50, &recipe(0, PartialBatch::Wrap), 1).is_err());
    let error = Order::new(50, &recipe(51, PartialBatch::Drop), 1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("51") && error.contains("wrap"), "{error}");
    let mut wide = recipe(8, PartialBatch::Wrap);
    wide.augmentation = Augmentation {
        pad: 128,
        ..Augmentation::default()
    };
    assert!(Order::new(50, &wide, 1).is_err());
}

#[test]
fn dropping_it_ends_its_threads() {
    let images = images(50);
    let normaliser = Normaliser::fit(&images, Normalisation::PerPixelMean);
    let recipe = recipe(8, PartialBatch::Wrap);
    for taken in [0, 1, 5] {
        let mut loader =
            Loader::new(Arc::clone(&images), normaliser.clone(), &recipe, 7, 0, 3).unwrap();
        for _ in 0..taken {
            loader.next().unwrap();
        }
        drop(loader);
        // Each worker held the images.
        assert_eq!(Arc::strong_count(&images), 1, "after {taken} mini-batches");
    }
}

#[test]
fn decisions_alone_are_the_same_mini_batches() {
    let images = images(50);
    let normaliser = Normaliser::fit(&images, Normalisation::PerPixelMean);
    let originals = Arc::new(Originals::new(Arc::clone(&images), normaliser.clone()).unwrap());
    for partial_batch in [PartialBatch::Wrap, PartialBatch::Drop, PartialBatch::Short] {
        for padding_value in [PaddingValue::Zero, PaddingValue::Black] {
            let mut recipe = recipe(9, partial_batch);
            recipe.augmentation.padding_value = padding_value;
            let mut made = loader(&recipe, 7, 4, 2);
            let mut drawing = Loader::drawing(Arc::clone(&originals), &recipe, 7, 4).unwrap();
            for _ in 0..20 {
                let (pixels, drawn) = (made.next().unwrap(), drawing.next().unwrap());
                assert!(drawn.pixels.is_empty() && pixels.drawn.is_none());
                assert_eq!((&drawn.labels, drawn.size), (&pixels.labels, pixels.size));
                let here = drawn.drawn.as_ref().unwrap().pixels();
                let bits = |pixels: &[f32]| pixels.iter().map(|p| p.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&here), bits(&pixels.pixels));
                drawing.recycle(drawn);
            }
        }
    }
    // Without augmentation, as an evaluation looks at them.
    let plain = batch(&images, &normaliser, &[49, 0, 7]);
    let drawn = originals.batch(&[49, 0, 7]);
    assert_eq!(drawn.drawn.unwrap().pixels(), plain.pixels);
    assert_eq!(drawn.labels, plain.labels);
}
