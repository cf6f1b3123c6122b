//! Stochastic gradient descent with momentum.

use crate::recipe::MomentumForm;

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
