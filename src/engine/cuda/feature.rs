//! Transfers of features between the host, where they are floats, and the GPU, which stores them in its precision.

use super::gpu::{Gpu, check_feature};
use crate::engine::cpu::Feature;
use crate::recipe::Precision;

/// Rounds to the nearest bf16, ties to even, as the kernels do.
pub fn round_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    match value.is_nan() {
        true => 0x7fff,
        false => ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16,
    }
}

/// Rounds to the nearest TF32 number, ties away from zero, as the kernels do.
pub fn round_tf32(value: f32) -> f32 {
    match value.is_nan() {
        true => value,
        false => f32::from_bits((value.to_bits() + 0x1000) & 0xffff_e000),
    }
}

/// The value of a bf16.
pub fn widen_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Downloads a feature's numbers, halo included. Waits for earlier work.
pub fn download_feature<G: Gpu>(
    gpu: &G,
    numbers: &G::Numbers,
    feature: Feature,
) -> Result<Vec<f32>, G::Error> {
    check_feature(gpu, "feature", numbers, feature);
    let floats = gpu.download(numbers)?;
    Ok(match gpu.precision() {
        Precision::Fp32 | Precision::Tf32 => floats,
        Precision::Bf16 => {
            let halves = |float: f32| {
                let bits = float.to_bits();
                [bits as u16, (bits >> 16) as u16]
            };
            let numbers = floats.into_iter().flat_map(halves).map(widen_bf16);
            numbers.take(feature.storage()).collect()
        }
    })
}

/// Uploads a feature's numbers, halo included, rounded to the GPU's precision. For checks.
pub fn upload_feature<G: Gpu>(gpu: &G, values: &[f32]) -> Result<G::Numbers, G::Error> {
    match gpu.precision() {
        Precision::Fp32 | Precision::Tf32 => gpu.upload(values),
        Precision::Bf16 => {
            let word = |pair: &[f32]| {
                let [low, high] = [0, 1].map(|at| {
                    pair.get(at)
                        .map_or(0, |value| u32::from(round_bf16(*value)))
                });
                f32::from_bits(low | high << 16)
            };
            gpu.upload(&values.chunks(2).map(word).collect::<Vec<_>>())
        }
    }
}
