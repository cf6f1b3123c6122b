//! Compares a GPU's operators with the CPU's: before a real GPU is trusted, and in tests with the host as its stand-in.
//!
//! `comparison.rs` collects differences, `difference.rs` measures them, `noise.rs` makes operands; the other files check
//! the operators of the file of the same name in `cuda/`.

mod classifier;
mod comparison;
mod convolution;
mod crops;
mod difference;
mod images;
mod noise;
mod norm;
mod passes;
mod update;

pub use comparison::Comparison;
#[cfg(test)]
pub use comparison::{TENSOR_TOLERANCE, TOLERANCE};
pub use difference::Difference;
#[cfg(test)]
pub use images::originals;
#[cfg(test)]
pub use noise::{noise, noisy_feature};

use super::gpu::Gpu;
use crate::data::ImageSize;
use crate::engine::cpu::{
    Context, ConvShape, Feature, Instructions, LinearShape, NormShape, SgdStep,
};
use crate::recipe::{MomentumForm, PaddingValue};

/// Runs every operator on a few shapes of the paper's networks, in the GPU's precision, and returns the differences from
/// the CPU that are too large.
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
pub fn self_check<G: Gpu>(gpu: &G) -> Result<Vec<Difference>, G::Error> {
    let ctx = Context::new(1, Instructions::Portable);
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
    for mean_size in [8, 5] {
        all.crops(5, ImageSize::square(8), mean_size, 3)?;
    }
    let wide = ImageSize {
        height: 4,
        width: 9,
    };
    all.crops(5, wide, 6, 3)?;
    all.classifier(LinearShape {
        images: 5,
        inputs: 64,
        outputs: 10,
    })?;
    let step = SgdStep {
        learning_rate: 0.1,
        momentum: 0.9,
        form: MomentumForm::Caffe,
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
