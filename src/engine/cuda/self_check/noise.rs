//! Pseudo-random operands.

use crate::engine::cpu::Feature;

/// Pseudo-random values in -1..1, determined by the seed.
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

/// Noise in the interior, zeros in the halo.
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
