//! Comparison of a GPU's results with the CPU's.

use super::difference::{Difference, error, mean_error};
use crate::engine::cpu::{Context, Feature};
use crate::engine::cuda::feature::{
    download_feature, round_bf16, round_tf32, upload_feature, widen_bf16,
};
use crate::engine::cuda::gpu::Gpu;
use crate::recipe::Precision;

/// Tolerance relative to the largest value; sums are added in another order than the CPU's.
pub const TOLERANCE: f64 = 1e-5;
/// The same for products of tensor cores, which truncate while they add (Fasi, Higham, Mikaitis and Pranesh 2021). The CPU
/// is given the rounded factors, so the factors' own rounding is not part of this.
pub const TENSOR_TOLERANCE: f64 = 1e-4;
/// One unit in the last place of bf16's eight significant bits, relative to the value.
const LAST_PLACE: f64 = 1.0 / 128.0;

/// Runs operators on a GPU and on the CPU and collects the differences.
pub struct Comparison<'a, G: Gpu> {
    pub gpu: &'a G,
    pub ctx: &'a Context,
    pub found: Vec<Difference>,
}

impl<G: Gpu> Comparison<'_, G> {
    /// Notes the difference of floats.
    pub(super) fn note(
        &mut self,
        what: &'static str,
        shape: &dyn std::fmt::Debug,
        numbers: &G::Numbers,
        expected: &[f32],
    ) -> Result<(), G::Error> {
        self.note_within(what, shape, numbers, expected, TOLERANCE)
    }

    /// Notes the difference of a feature in the GPU's precision.
    pub(super) fn note_feature(
        &mut self,
        what: &'static str,
        shape: &dyn std::fmt::Debug,
        numbers: &G::Numbers,
        feature: Feature,
        expected: &[f32],
    ) -> Result<(), G::Error> {
        self.note_feature_within(what, shape, numbers, feature, expected, TOLERANCE)
    }

    pub(super) fn note_within(
        &mut self,
        what: &'static str,
        shape: &dyn std::fmt::Debug,
        numbers: &G::Numbers,
        expected: &[f32],
        allowed: f64,
    ) -> Result<(), G::Error> {
        let found = self.gpu.download(numbers)?;
        self.found.push(Difference {
            what,
            shape: format!("{shape:?}"),
            error: error(&found, expected),
            allowed,
        });
        Ok(())
    }

    /// As `note_within`, for a feature. In bf16, values close to halfway between two numbers may be rounded either way:
    /// single values may be off by one unit in the last place, the average must be within `allowed`.
    pub(super) fn note_feature_within(
        &mut self,
        what: &'static str,
        shape: &dyn std::fmt::Debug,
        numbers: &G::Numbers,
        feature: Feature,
        expected: &[f32],
        allowed: f64,
    ) -> Result<(), G::Error> {
        let found = download_feature(self.gpu, numbers, feature)?;
        let expected = self.kept(expected);
        let rounded = self.gpu.precision() == Precision::Bf16;
        let shape = format!("{shape:?}");
        if rounded {
            self.found.push(Difference {
                what,
                shape: format!("{shape} on average"),
                error: mean_error(&found, &expected),
                allowed,
            });
        }
        self.found.push(Difference {
            what,
            shape,
            error: error(&found, &expected),
            allowed: if rounded { LAST_PLACE } else { allowed },
        });
        Ok(())
    }

    /// Memory filled with NaN.
    pub(super) fn blank(&self, len: usize) -> Result<G::Numbers, G::Error> {
        self.gpu.upload(&vec![f32::NAN; len])
    }

    /// A feature filled with NaN.
    pub(super) fn blank_feature(&self, feature: Feature) -> Result<G::Numbers, G::Error> {
        upload_feature(self.gpu, &vec![f32::NAN; feature.storage()])
    }

    /// An activation's numbers as the GPU stores them.
    pub(super) fn kept(&self, values: &[f32]) -> Vec<f32> {
        let kept = |value: &f32| match self.gpu.precision() {
            Precision::Fp32 | Precision::Tf32 => *value,
            Precision::Bf16 => widen_bf16(round_bf16(*value)),
        };
        values.iter().map(kept).collect()
    }

    /// Factors of a product as the GPU rounds them.
    pub(super) fn factors(&self, values: &[f32]) -> Vec<f32> {
        match self.gpu.precision() {
            Precision::Tf32 => values.iter().copied().map(round_tf32).collect(),
            Precision::Fp32 | Precision::Bf16 => self.kept(values),
        }
    }
}
