//! Stochastic gradient descent with momentum.

use super::context::Context;
use super::shared_slice::SharedSlice;
use crate::recipe::MomentumForm;

/// Weights that a task updates.
const PIECE: usize = 1 << 15;

/// The constants of an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    pub learning_rate: f32,
    pub momentum: f32,
    pub form: MomentumForm,
    /// 0 for parameters that do not decay.
    pub weight_decay: f32,
}

/// Updates one parameter. With `g = gradient + weight_decay * weight`, Caffe's form is
/// `velocity = momentum * velocity + learning_rate * g; weight -= velocity`, PyTorch's is
/// `velocity = momentum * velocity + g; weight -= learning_rate * velocity`.
pub fn sgd_update(
    ctx: &Context,
    step: SgdStep,
    weights: &mut [f32],
    gradient: &[f32],
    velocity: &mut [f32],
) {
    assert_eq!(weights.len(), gradient.len());
    assert_eq!(weights.len(), velocity.len());
    let (inside, outside) = match step.form {
        MomentumForm::Caffe => (step.learning_rate, 1.0),
        MomentumForm::Pytorch => (1.0, step.learning_rate),
    };
    let all = weights.len();
    let (weights, velocity) = (SharedSlice::new(weights), SharedSlice::new(velocity));
    ctx.threads.run(all.div_ceil(PIECE), &|task| {
        let first = task * PIECE;
        let len = PIECE.min(all - first);
        // SAFETY: each task updates different weights.
        let (weights, velocity) =
            unsafe { (weights.slice(first, len), velocity.slice(first, len)) };
        let gradient = &gradient[first..first + len];
        for ((weight, gradient), velocity) in weights.iter_mut().zip(gradient).zip(velocity) {
            let g = gradient + step.weight_decay * *weight;
            *velocity = step.momentum * *velocity + inside * g;
            *weight -= outside * *velocity;
        }
    });
}
