//! Crops and mirror images: what is drawn, and what becomes of the pixels.

use refig::data::{Batch, Decision, ImageSet, ImageSize, Normaliser, apply, batch, decide};
use refig::random::{Purpose, Stream};
use refig::recipe::{Augmentation, Normalisation, PaddingValue};

const SIZE: usize = 8;

fn images(count: usize) -> ImageSet {
    let mut stream = Stream::new(3, Purpose::Synthetic, 0, 0);
    ImageSet {
        size: SIZE,
        pixels: (0..count * 3 * SIZE * SIZE)
            .map(|_| stream.below(256) as u8)
            .collect(),
        labels: (0..count).map(|image| (image % 10) as u16).collect(),
        digest: String::new(),
    }
}

#[test]
fn offsets_are_uniform_and_half_of_the_images_mirrored() {
    let augmentation = Augmentation::default();
    let mut places = [[0u32; 9]; 9];
    let mut flips = 0;
    let drawn = 81_000;
    for position in 0..drawn {
        let decision = decide(&augmentation, 1, position / 50_000, position % 50_000, 5);
        assert_eq!(decision.index, 5);
        places[usize::from(decision.top)][usize::from(decision.left)] += 1;
        flips += u32::from(decision.flip);
    }
    // 1000 are expected at each of the 81 places, with a deviation of 31.4; the sum of squares tells more than each.
    let chi_square: f64 = places
        .iter()
        .flatten()
        .map(|&seen| (f64::from(seen) - 1000.0).powi(2) / 1000.0)
        .sum();
    assert!(
        (25.0..160.0).contains(&chi_square),
        "chi-square {chi_square} with 80 degrees of freedom"
    );
    // Five deviations.
    assert!((f64::from(flips) - 40_500.0).abs() < 712.0, "{flips} flips");
    let none = Augmentation {
        pad: 0,
        flip: false,
        ..augmentation
    };
    assert_eq!(
        decide(&none, 1, 0, 0, 9),
        Decision {
            index: 9,
            top: 0,
            left: 0,
            flip: false
        }
    );
}

#[test]
fn a_decision_depends_on_seed_pass_and_position() {
    let draw = |seed, pass| -> Vec<Decision> {
        (0..50)
            .map(|position| decide(&Augmentation::default(), seed, pass, position, 0))
            .collect()
    };
    assert_eq!(draw(1, 2), draw(1, 2));
    assert_ne!(draw(1, 2), draw(1, 3));
    assert_ne!(draw(1, 2), draw(2, 2));
}

/// The same, pixel by pixel on a padded image, as the paper describes it.
fn naive(
    images: &ImageSet,
    normaliser: &Normaliser,
    augmentation: &Augmentation,
    decision: Decision,
) -> Vec<f32> {
    let pad = augmentation.pad;
    let wide = SIZE + 2 * pad;
    let image = images.image(decision.index as usize);
    let black = augmentation.padding_value == PaddingValue::Black;
    let normal = |value: f32, y: usize, x: usize, c: usize| {
        (value - normaliser.mean()[(y * SIZE + x) * 3 + c]) / normaliser.deviation()[c]
    };
    let mut padded = vec![0.0f32; wide * wide * 3];
    for y in 0..SIZE {
        for x in 0..SIZE {
            for c in 0..3 {
                let value = f32::from(image[c * SIZE * SIZE + y * SIZE + x]);
                padded[((y + pad) * wide + x + pad) * 3 + c] =
                    if black { value } else { normal(value, y, x, c) };
            }
        }
    }
    let mut output = Vec::new();
    for y in 0..SIZE {
        for x in 0..SIZE {
            let column = if decision.flip { SIZE - 1 - x } else { x };
            for c in 0..3 {
                let row = y + usize::from(decision.top);
                let value = padded[(row * wide + column + usize::from(decision.left)) * 3 + c];
                output.push(if black { normal(value, y, x, c) } else { value });
            }
        }
    }
    output
}

#[test]
fn every_crop_and_mirror_image_equals_the_naive_one() {
    let images = images(3);
    for normalisation in [Normalisation::PerPixelMean, Normalisation::ChannelMeanStd] {
        let normaliser = Normaliser::fit(&images, normalisation);
        for padding_value in [PaddingValue::Zero, PaddingValue::Black] {
            // A padding wider than the image too.
            for pad in [0, 1, 4, 11] {
                let augmentation = Augmentation {
                    pad,
                    padding_value,
                    flip: true,
                };
                let offsets = 0..=2 * pad as u8;
                let decisions: Vec<Decision> = offsets
                    .clone()
                    .flat_map(|top| offsets.clone().map(move |left| (top, left)))
                    .flat_map(|(top, left)| {
                        [false, true].map(|flip| Decision {
                            index: 1 + u32::from(top % 2),
                            top,
                            left,
                            flip,
                        })
                    })
                    .collect();
                // Left-overs of an earlier use must not show through.
                let mut filled = Batch {
                    pixels: vec![77.0; 999_999],
                    labels: vec![9; 50],
                    size: ImageSize::square(1),
                    ..Batch::default()
                };
                apply(&images, &normaliser, &augmentation, &decisions, &mut filled);
                assert_eq!(filled.size, ImageSize::square(SIZE));
                assert_eq!(filled.pixels.len(), decisions.len() * SIZE * SIZE * 3);
                for ((found, &decision), &label) in filled
                    .pixels
                    .chunks_exact(SIZE * SIZE * 3)
                    .zip(&decisions)
                    .zip(&filled.labels)
                {
                    let expected = naive(&images, &normaliser, &augmentation, decision);
                    for (found, expected) in found.iter().zip(&expected) {
                        assert!(
                            (found - expected).abs() < 1e-5,
                            "{padding_value:?} {pad} {decision:?}"
                        );
                    }
                    assert_eq!(label, images.labels[decision.index as usize]);
                }
            }
        }
    }
}

#[test]
fn a_batch_without_augmentation_is_the_images_themselves() {
    let images = images(5);
    let normaliser = Normaliser::fit(&images, Normalisation::PerPixelMean);
    let plain = batch(&images, &normaliser, &[4, 0]);
    let mut same = Batch::default();
    let decisions = [4, 0].map(|index| Decision {
        index,
        top: 4,
        left: 4,
        flip: false,
    });
    apply(
        &images,
        &normaliser,
        &Augmentation::default(),
        &decisions,
        &mut same,
    );
    assert_eq!(plain, same);
    assert_eq!(plain.labels, [4, 0]);
    let everything = batch(&images, &normaliser, &[0, 1, 2, 3, 4]);
    let mean = everything.pixels.iter().sum::<f32>() / everything.pixels.len() as f32;
    assert!(mean.abs() < 1e-5, "the mean is gone: {mean}");
}
