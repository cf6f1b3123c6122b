//! Launches that update many small tensors at once.

use super::arguments::{Average, Descent, TENSORS};
use super::gpu::{Gpu, check};
use super::index::size;
use super::kernel;
use crate::engine::cpu::{NormShape, SgdStep};
use crate::recipe::MomentumForm;

/// Most blocks per tensor of a launch: enough for two million weights to keep a GPU busy.
const MOST_BLOCKS: usize = 512;

/// One parameter's step of gradient descent.
pub struct Update<'a, N> {
    pub step: SgdStep,
    pub weights: &'a mut N,
    pub gradient: &'a N,
    pub velocity: &'a mut N,
}

/// Whether two steps differ in weight decay only, so that one launch can make both.
fn alike(a: &SgdStep, b: &SgdStep) -> bool {
    SgdStep {
        weight_decay: 0.0,
        ..*a
    } == SgdStep {
        weight_decay: 0.0,
        ..*b
    }
}

/// One step of gradient descent with momentum for each parameter.
pub fn descend<G: Gpu>(gpu: &G, updates: &mut [Update<'_, G::Numbers>]) -> Result<(), G::Error> {
    for run in updates.chunk_by_mut(|a, b| alike(&a.step, &b.step)) {
        for updates in run.chunks_mut(TENSORS) {
            let step = updates[0].step;
            let (inside, outside) = match step.form {
                MomentumForm::Caffe => (step.learning_rate, 1.0),
                MomentumForm::Pytorch => (1.0, step.learning_rate),
            };
            let mut arguments = Descent {
                weights: [0; TENSORS],
                gradients: [0; TENSORS],
                velocities: [0; TENSORS],
                counts: [0; TENSORS],
                decays: [0.0; TENSORS],
                momentum: step.momentum,
                inside,
                outside,
            };
            let mut largest = 0;
            for (place, update) in updates.iter().enumerate() {
                let count = gpu.len(update.gradient);
                check(gpu, "weights", update.weights, count);
                check(gpu, "velocity", update.velocity, count);
                arguments.weights[place] = gpu.address(update.weights);
                arguments.gradients[place] = gpu.address(update.gradient);
                arguments.velocities[place] = gpu.address(update.velocity);
                arguments.counts[place] = size(count);
                arguments.decays[place] = update.step.weight_decay;
                largest = largest.max(count);
            }
            let blocks = largest.div_ceil(kernel::DESCEND.threads as usize);
            let grid = [blocks.clamp(1, MOST_BLOCKS), updates.len(), 1];
            // SAFETY: lengths were checked; each parameter is written by one row of blocks.
            unsafe { gpu.launch(kernel::DESCEND, grid, &arguments)? };
        }
    }
    Ok(())
}

/// One running statistic's update.
pub struct MovingAverage<'a, N> {
    pub shape: NormShape,
    /// Whether to convert the batch's biased variance to the unbiased one.
    pub unbiased: bool,
    /// `[groups][channels]`
    pub batch: &'a N,
    /// `[channels]`
    pub running: &'a mut N,
}

/// Moves running statistics towards the mean over the groups, each weighted by its number of values.
pub fn average<G: Gpu>(
    gpu: &G,
    momentum: f32,
    averages: &mut [MovingAverage<'_, G::Numbers>],
) -> Result<(), G::Error> {
    for averages in averages.chunks_mut(TENSORS) {
        let mut arguments = Average {
            batch: [0; TENSORS],
            running: [0; TENSORS],
            channels: [0; TENSORS],
            values: [0; TENSORS],
            last_values: [0; TENSORS],
            groups: [0; TENSORS],
            unbiased: [0; TENSORS],
            momentum,
        };
        let mut largest = 0;
        for (place, average) in averages.iter().enumerate() {
            let (groups, channels) = (average.shape.groups(), average.shape.feature.channels);
            check(gpu, "batch", average.batch, groups * channels);
            check(gpu, "running", average.running, channels);
            arguments.batch[place] = gpu.address(average.batch);
            arguments.running[place] = gpu.address(average.running);
            arguments.channels[place] = size(channels);
            arguments.values[place] = size(average.shape.values(0));
            arguments.last_values[place] = size(average.shape.values(groups - 1));
            arguments.groups[place] = size(groups);
            arguments.unbiased[place] = average.unbiased.into();
            largest = largest.max(channels);
        }
        let blocks = largest.div_ceil(kernel::AVERAGE.threads as usize);
        // SAFETY: lengths were checked; each statistic is written by one row of blocks.
        unsafe { gpu.launch(kernel::AVERAGE, [blocks, averages.len(), 1], &arguments)? };
    }
    Ok(())
}
