//! A GPU's operators held against the CPU's, shape by shape: on the host in tests, and on a real GPU before it is trusted.

use super::difference::{Difference, error, mean_error};
use super::feature::{download_feature, round_bf16, round_tf32, upload_feature, widen_bf16};
use super::gpu::Gpu;
use crate::engine::cpu::{self, Context, ConvShape, Feature, LinearShape, NormShape, SgdStep};
use crate::manifest::{PaddingValue, Precision};

/// Compares operators on a GPU with those of the CPU.
pub struct Comparison<'a, G: Gpu> {
    pub gpu: &'a G,
    pub ctx: &'a Context,
    pub found: Vec<Difference>,
}

impl<G: Gpu> Comparison<'_, G> {
    pub(super) fn note(
        &mut self,
        what: &'static str,
        shape: &dyn std::fmt::Debug,
        numbers: &G::Numbers,
        expected: &[f32],
    ) -> Result<(), G::Error> {
        self.note_within(what, shape, numbers, expected, TOLERANCE)
    }

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

    /// As `note_within` for a feature. Where those are rounded, values between two numbers may go either way: by one of the last
    /// place at most, and seldom.
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

    /// Memory that holds NaN.
    pub(super) fn blank(&self, len: usize) -> Result<G::Numbers, G::Error> {
        self.gpu.upload(&vec![f32::NAN; len])
    }

    pub(super) fn blank_feature(&self, feature: Feature) -> Result<G::Numbers, G::Error> {
        upload_feature(self.gpu, &vec![f32::NAN; feature.storage()])
    }

    /// What the GPU keeps of an activation's numbers.
    pub(super) fn kept(&self, values: &[f32]) -> Vec<f32> {
        let kept = |value: &f32| match self.gpu.precision() {
            Precision::Fp32 | Precision::Tf32 => *value,
            Precision::Bf16 => widen_bf16(round_bf16(*value)),
        };
        values.iter().map(kept).collect()
    }

    /// What products see of numbers that are given in full: rounding is what is tested, too.
    pub(super) fn factors(&self, values: &[f32]) -> Vec<f32> {
        match self.gpu.precision() {
            Precision::Tf32 => values.iter().copied().map(round_tf32).collect(),
            Precision::Fp32 | Precision::Bf16 => self.kept(values),
        }
    }
}

/// Results within this share of the largest value are right: sums have another order than the CPU's.
pub const TOLERANCE: f64 = 1e-5;
/// The same for products of tensor cores, which cut off bits while they add (Fasi, Higham, Mikaitis and Pranesh 2021). The CPU
/// gets the factors as they are rounded, so this has nothing to do with the factors' own bits.
pub const TENSOR_TOLERANCE: f64 = 1e-4;
/// A place of bf16's eight bits, as a share of the value.
const LAST_PLACE: f64 = 1.0 / 128.0;

/// Runs every operator on a few shapes of the paper's networks, in the GPU's precision, and gives what is too far from the CPU.
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
pub fn self_check<G: Gpu>(gpu: &G) -> Result<Vec<Difference>, G::Error> {
    let ctx = Context::new(1, cpu::Instructions::Portable);
    let mut all = Comparison {
        gpu,
        ctx: &ctx,
        found: Vec::new(),
    };
    let conv = |side, inputs, outputs, kernel: usize, stride| ConvShape {
        input: Feature {
            halo: (kernel / 2).max(1),
            ..Feature::new(2, side, side, inputs)
        },
        outputs,
        kernel,
        stride,
    };
    for shape in [
        conv(9, 3, 16, 3, 1),
        conv(8, 16, 32, 3, 2),
        conv(5, 32, 64, 3, 1),
        conv(8, 16, 32, 1, 2),
        conv(14, 3, 8, 7, 2),
    ] {
        all.convolution(shape)?;
    }
    for (channels, group) in [(16, 0), (66, 1)] {
        all.normalisation(NormShape {
            feature: Feature::new(2, 6, 5, channels),
            group,
            epsilon: 1e-5,
        })?;
    }
    all.passes(Feature::new(2, 7, 6, 8))?;
    for padding_value in [PaddingValue::Zero, PaddingValue::Black] {
        all.drawn(8, 5, padding_value, 2, 1)?;
    }
    all.classifier(LinearShape {
        images: 5,
        inputs: 64,
        outputs: 10,
    })?;
    let step = SgdStep {
        learning_rate: 0.1,
        momentum: 0.9,
        form: crate::manifest::MomentumForm::Caffe,
        weight_decay: 1e-4,
    };
    let shape = NormShape {
        feature: Feature::new(3, 4, 4, 16),
        group: 2,
        epsilon: 1e-5,
    };
    all.updates(step, &[432, 16, 1], shape)?;
    Ok(all
        .found
        .into_iter()
        .filter(|found| !found.passes())
        .collect())
}
