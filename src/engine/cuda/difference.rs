//! Made-up numbers to compute with, and how far two results are apart.

use crate::engine::cpu::Feature;

/// How far one result is from the CPU's.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "tests print it"))]
pub struct Difference {
    /// The operator and what of it, such as `convolution, weight gradient`.
    pub what: &'static str,
    pub shape: String,
    /// The largest difference as a share of the largest value; infinite where something is not a number or a halo not zero.
    pub error: f64,
    /// What the error may be.
    pub allowed: f64,
}

impl Difference {
    /// Whether it is small enough.
    pub fn passes(&self) -> bool {
        self.error <= self.allowed
    }
}

/// Values in -1..1 that are the same for the same seed.
pub fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Noise inside, zeros in the halo.
pub fn noisy_feature(feature: Feature, seed: u64) -> Vec<f32> {
    let values = noise(feature.storage(), seed);
    let mut data = vec![0.0; feature.storage()];
    for image in 0..feature.images {
        for row in 0..feature.height {
            let at = feature.at(image, row, 0);
            let len = feature.width * feature.channels;
            data[at..at + len].copy_from_slice(&values[at..at + len]);
        }
    }
    data
}

/// The mean difference as a share of the largest value that is expected.
pub fn mean_error(found: &[f32], expected: &[f32]) -> f64 {
    let mut largest = 1e-30f64;
    let mut sum = 0.0;
    for (&found, &expected) in found.iter().zip(expected) {
        largest = largest.max(f64::from(expected.abs()));
        sum += (f64::from(found) - f64::from(expected)).abs();
    }
    sum / found.len().max(1) as f64 / largest
}

/// The largest difference as a share of the largest value that is expected. Zeros that are expected exactly, as halos are,
/// must be so.
pub fn error(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let largest = expected.iter().fold(1e-30f64, |largest, &value| {
        largest.max(f64::from(value.abs()))
    });
    let worst = found
        .iter()
        .zip(expected)
        .fold(0.0f64, |worst, (&found, &expected)| {
            let difference = (f64::from(found) - f64::from(expected)).abs();
            if difference <= worst {
                worst
            } else if difference.is_nan() {
                f64::INFINITY
            } else {
                difference
            }
        });
    worst / largest
}
