//! The memory of a training step: weights, gradients, velocity, and the activations that the engine keeps for the backward
//! pass. Activations have a halo of one pixel, the images one of half the first kernel.

use std::collections::BTreeSet;

use serde::Serialize;

use super::describe::convolved;
use super::{Join, Network, Stem};
use crate::counted::counted;
use crate::recipe::Precision;

/// Bytes of the GPU to compare with, an 80 GB one.
const GPU: u64 = 80_000_000_000;
/// Bytes of it that are not for tensors: the driver, kernels, partial sums.
const RESERVE: u64 = 2_000_000_000;
/// Bytes of a 32-bit float.
const FLOAT: u64 = 4;

/// Bytes of a training step, as `describe --batch` prints them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Images of the mini-batch.
    pub batch: usize,
    /// Images that are computed at once.
    pub micro_batch: usize,
    pub precision: Precision,
    /// Parameters and running statistics, in 32 bits.
    pub weights: u64,
    pub velocity: u64,
    /// Of the parameters, twice if they are added up over pieces.
    pub gradients: u64,
    /// With everything kept.
    pub kept: Activations,
    /// With the outputs of normalisations within blocks computed again in the backward pass.
    pub recomputed: Activations,
}

/// Bytes of the activations of one micro-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Activations {
    /// From the forward to the backward pass.
    pub kept: u64,
    /// Gradients of activations and what else is there for a moment; an estimate of the most at a time.
    pub passing: u64,
    /// Of the whole step, weights included.
    pub total: u64,
    /// The most images at once on a GPU of 80 GB.
    pub most_images: u64,
}

/// Values per image.
#[derive(Default)]
struct PerImage {
    kept: u64,
    /// Of `kept`, what can be computed again.
    again: u64,
    passing: u64,
    /// More of it when activations are computed again.
    passing_again: u64,
    /// Places of maxima, which are 32-bit floats in every precision.
    places: u64,
}

/// Values of a square feature of one image.
fn padded(side: usize, channels: usize, halo: usize) -> u64 {
    ((side + 2 * halo).pow(2) * channels) as u64
}

impl Network {
    /// The memory of a training step with mini-batches of `batch` images, `micro_batch` of them at a time.
    pub fn memory(
        &self,
        image_size: usize,
        batch: usize,
        micro_batch: Option<usize>,
        precision: Precision,
    ) -> Memory {
        let micro_batch = micro_batch.unwrap_or(batch).min(batch);
        let learnt = self.parameter_count() * FLOAT;
        let all = self.parameters().into_iter();
        let weights: u64 = all
            .map(|parameter| parameter.shape.iter().product::<usize>() as u64 * FLOAT)
            .sum();
        let gradients = match micro_batch < batch {
            true => 2 * learnt,
            false => learnt,
        };
        let fixed = weights + learnt + gradients;
        let values = self.values(image_size);
        let width = match precision {
            Precision::Fp32 | Precision::Tf32 => FLOAT,
            Precision::Bf16 => FLOAT / 2,
        };
        let activations = |kept: u64, passing: u64| {
            let kept = kept * width + values.places * FLOAT;
            let passing = passing * width;
            let images = micro_batch as u64;
            Activations {
                kept: images * kept,
                passing: images * passing,
                total: fixed + images * (kept + passing),
                most_images: (GPU - RESERVE).saturating_sub(fixed) / (kept + passing),
            }
        };
        Memory {
            batch,
            micro_batch,
            precision,
            weights,
            velocity: learnt,
            gradients,
            kept: activations(values.kept, values.passing),
            recomputed: activations(
                values.kept - values.again,
                values.passing + values.passing_again,
            ),
        }
    }

    fn values(&self, image_size: usize) -> PerImage {
        let stem = self.stem_convolution();
        let mut side = convolved(&stem, image_size);
        let mut values = PerImage {
            kept: padded(image_size, stem.inputs, stem.kernel / 2) + padded(side, stem.outputs, 1),
            ..PerImage::default()
        };
        if self.stem == Stem::Imagenet {
            // The normalised stem, whose memory its gradient takes over.
            values.passing += padded(side, stem.outputs, 1);
            side = side.div_ceil(2);
            values.places += padded(side, stem.outputs, 0);
        }
        values.kept += padded(side, stem.outputs, 1);
        let (mut outputs, mut inner) = (BTreeSet::new(), BTreeSet::new());
        for block in self.blocks() {
            if let Join::Projection(projection) = &block.join {
                values.kept += padded(convolved(projection, side), projection.outputs, 1);
            }
            let last = block.convolutions.len() - 1;
            for (index, conv) in block.convolutions.iter().enumerate() {
                side = convolved(conv, side);
                let normalised = padded(side, conv.outputs, 1);
                values.kept += 2 * normalised;
                if index == last {
                    outputs.insert((side, conv.outputs));
                } else {
                    values.again += normalised;
                    inner.insert((side, conv.outputs));
                }
            }
        }
        // Memory of another shape is not reused. A block's backward pass holds two gradients of its output's shape, and
        // what it computes again.
        let sum = |shapes: BTreeSet<(usize, usize)>| -> u64 {
            shapes
                .into_iter()
                .map(|(side, channels)| padded(side, channels, 1))
                .sum()
        };
        values.passing += 2 * sum(outputs);
        values.passing_again = sum(inner);
        values
    }
}

impl Memory {
    /// A human-readable table.
    pub fn text(&self) -> String {
        let pieces = match self.micro_batch < self.batch {
            true => format!(" in pieces of {}", self.micro_batch),
            false => String::new(),
        };
        let mut text = format!(
            "memory of a training step, batch {}{pieces}, {}, in GB:\n  {:<38}  {:>9}  {:>16}\n",
            self.batch,
            self.precision.name(),
            "",
            "all kept",
            "some made again"
        );
        let mut row = |what: &str, kept: u64, recomputed: u64| {
            let [kept, recomputed] = [kept, recomputed].map(|bytes| bytes as f64 / 1e9);
            text += &format!("  {what:<38}  {kept:>9.2}  {recomputed:>16.2}\n");
        };
        row("weights and running statistics", self.weights, self.weights);
        row("gradients", self.gradients, self.gradients);
        row("velocity", self.velocity, self.velocity);
        let (kept, recomputed) = (self.kept, self.recomputed);
        row("activations", kept.kept, recomputed.kept);
        row(
            "their gradients (estimate)",
            kept.passing,
            recomputed.passing,
        );
        row("in all", kept.total, recomputed.total);
        text + &format!(
            "a GPU of 80 GB holds {} at once, {} with activations made again (--keep-memory)\n",
            counted(kept.most_images as usize, "image"),
            recomputed.most_images
        )
    }
}
