//! What looks at the machine or the engine rather than at training: time of a training step (`step.rs`), alone
//! and beside PyTorch's (`compare.rs`) or with a loader (`loader.rs`), throughput of a network's convolutions (`operators.rs`),
//! parity with recorded steps, deviations of layer responses.

pub mod compare;
pub mod doctor;
pub mod loader;
pub mod operators;
pub mod parity;
pub mod responses;
pub mod step;

/// The middle value, or the mean of the two; not a number for none.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}
