//! Moving averages of batch-norm statistics.

use super::norm_shape::NormShape;

/// Moves `running`, `[channels]`, towards the mean over the groups of `batch`, `[groups][channels]`, each weighted by its
/// number of values. `unbiased` converts biased variances to unbiased ones first.
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
            // A single value has no unbiased variance; the biased one is 0.
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
