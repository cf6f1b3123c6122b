//! How far a result is from the CPU's.

/// How far one result is from the CPU's, and how far it may be.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "tests print it"))]
pub struct Difference {
    /// The operator and its output, such as `convolution, weight gradient`.
    pub what: &'static str,
    pub shape: String,
    /// The largest difference relative to the largest value; infinite if there is a NaN.
    pub error: f64,
    /// The largest error that passes.
    pub allowed: f64,
}

impl Difference {
    /// Whether the error is small enough.
    pub fn passes(&self) -> bool {
        self.error <= self.allowed
    }
}

/// 0 for the same bits, else infinite.
pub fn exact_error(found: &[f32], expected: &[f32]) -> f64 {
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    match bits(found) == bits(expected) {
        true => 0.0,
        false => f64::INFINITY,
    }
}

/// The mean difference relative to the largest expected value.
pub fn mean_error(found: &[f32], expected: &[f32]) -> f64 {
    let mut largest = 1e-30f64;
    let mut sum = 0.0;
    for (&found, &expected) in found.iter().zip(expected) {
        largest = largest.max(f64::from(expected.abs()));
        sum += (f64::from(found) - f64::from(expected)).abs();
    }
    sum / found.len().max(1) as f64 / largest
}

/// The largest difference relative to the largest expected value; infinite for NaNs and for results of another length.
pub fn error(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let largest = expected.iter().fold(1e-30f64, |largest, &value| {
        largest.max(f64::from(value.abs()))
    });
    let worst = found
        .iter()
        .zip(expected)
        .fold(0.0f64, |worst, (&found, &expected)| {
            let difference = (f64::from(found) - f64::from(expected)).abs();
            if difference <= worst {
                worst
            } else if difference.is_nan() {
                f64::INFINITY
            } else {
                difference
            }
        });
    worst / largest
}
