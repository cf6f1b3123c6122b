//! Stochastic gradient descent with a visible velocity, and the moving averages of batch-norm statistics.

use super::NormShape;
use crate::manifest::MomentumForm;

/// The constants of one update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdStep {
    pub learning_rate: f32,
    pub momentum: f32,
    pub form: MomentumForm,
    /// 0 for a parameter that does not decay.
    pub weight_decay: f32,
}

/// One update of one parameter. With `g = gradient + weight_decay * weight`, Caffe's form is
/// `velocity = momentum * velocity + learning_rate * g; weight -= velocity`, PyTorch's is
/// `velocity = momentum * velocity + g; weight -= learning_rate * velocity`.
pub fn sgd_update(step: SgdStep, weights: &mut [f32], gradient: &[f32], velocity: &mut [f32]) {
    assert_eq!(weights.len(), gradient.len());
    assert_eq!(weights.len(), velocity.len());
    let (inside, outside) = match step.form {
        MomentumForm::Caffe => (step.learning_rate, 1.0),
        MomentumForm::Pytorch => (1.0, step.learning_rate),
    };
    for ((weight, gradient), velocity) in weights.iter_mut().zip(gradient).zip(velocity) {
        let g = gradient + step.weight_decay * *weight;
        *velocity = step.momentum * *velocity + inside * g;
        *weight -= outside * *velocity;
    }
}

/// Moves `running`, `[channels]`, towards the mean of the groups' statistics `batch`, each counted by its values.
/// `unbiased` makes variances unbiased first.
pub fn moving_average(
    shape: NormShape,
    momentum: f32,
    unbiased: bool,
    batch: &[f32],
    running: &mut [f32],
) {
    let channels = shape.feature.channels;
    for (channel, place) in running.iter_mut().enumerate() {
        let (mut sum, mut weight) = (0.0f64, 0.0f64);
        for group in 0..shape.groups() {
            let values = shape.values(group) as f64;
            // A single value has no unbiased variance; its biased one is 0.
            let correction = if unbiased && values > 1.0 {
                values / (values - 1.0)
            } else {
                1.0
            };
            sum += values * correction * f64::from(batch[group * channels + channel]);
            weight += values;
        }
        let fresh = (sum / weight) as f32;
        *place += momentum * (fresh - *place);
    }
}
