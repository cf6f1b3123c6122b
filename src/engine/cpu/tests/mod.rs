//! The kernels against double precision, finite differences, and themselves with other numbers of threads.

mod add;
mod conv;
mod differences;
mod linear;
mod loss;
mod norm;
mod peak;
mod pooling;
mod sgd;
mod threads;

use super::{Context, Feature, Instructions};

/// Numbers of threads that must give the same bits.
const THREADS: [usize; 4] = [1, 2, 3, 7];

/// For each instruction set of this machine, a context for each number of threads.
fn contexts() -> Vec<Vec<Context>> {
    Instructions::ALL
        .into_iter()
        .filter(|set| set.available())
        .map(|set| {
            THREADS
                .iter()
                .map(|&threads| Context::new(threads, set))
                .collect()
        })
        .collect()
}

/// For each instruction set of this machine, a single-threaded context.
fn single() -> Vec<Context> {
    Instructions::ALL
        .into_iter()
        .filter(|set| set.available())
        .map(|set| Context::new(1, set))
        .collect()
}

/// Pseudo-random values in -1..1, determined by the seed.
fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// Noise in the interior, zeros in the halo.
fn noisy_feature(feature: Feature, seed: u64) -> Vec<f32> {
    let mut data = noise(feature.storage(), seed);
    for (place, inside) in data.iter_mut().zip(interior(feature)) {
        if !inside {
            *place = 0.0;
        }
    }
    data
}

/// For each float of a feature, whether it is outside the halo.
fn interior(feature: Feature) -> Vec<bool> {
    let mut inside = vec![false; feature.storage()];
    for image in 0..feature.images {
        for y in 0..feature.height {
            for x in 0..feature.width {
                let at = feature.at(image, y, x);
                inside[at..at + feature.channels].fill(true);
            }
        }
    }
    inside
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The largest difference relative to the largest reference value.
fn error(values: &[f32], reference: &[f64]) -> f64 {
    assert_eq!(values.len(), reference.len());
    let largest = reference
        .iter()
        .fold(1e-30f64, |largest, value| largest.max(value.abs()));
    let worst = values
        .iter()
        .zip(reference)
        .map(|(&value, &reference)| (f64::from(value) - reference).abs());
    // A NaN counts as the worst.
    worst.fold(0.0, |worst, d| if d <= worst { worst } else { d }) / largest
}

#[test]
fn a_feature_keeps_its_halo_apart() {
    let feature = Feature::new(2, 3, 5, 4);
    assert_eq!(feature.storage(), 2 * 5 * 7 * 4);
    assert_eq!(
        interior(feature).iter().filter(|inside| **inside).count(),
        2 * 3 * 5 * 4
    );
    for halo in [0, 1, 3] {
        let feature = Feature { halo, ..feature };
        let pixels: Vec<f32> = (0..feature.pixels() * 4).map(|i| i as f32 + 1.0).collect();
        let mut data = vec![f32::NAN; feature.storage()];
        super::add_halo(
            &Context::new(1, Instructions::Portable),
            &pixels,
            feature,
            &mut data,
        );
        let inside: Vec<f32> = data.iter().copied().filter(|value| *value != 0.0).collect();
        assert_eq!(inside, pixels);
        assert_eq!(data[feature.at(1, 2, 4)], pixels[(15 + 2 * 5 + 4) * 4]);
    }
}

#[test]
fn instruction_sets_have_names() {
    for set in Instructions::ALL {
        assert_eq!(Instructions::parse(&set.name().to_uppercase()), Some(set));
    }
    assert_eq!(Instructions::parse("mmx"), None);
    assert!(Instructions::detect().available());
}
