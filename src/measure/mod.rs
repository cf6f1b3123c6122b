//! Measurements of the machine and the engine.
//!
//! - `step.rs`: the time of a training step
//! - `compare.rs`: the same next to PyTorch's; `contender.rs`: a process to take turns with
//! - `groups.rs`: what batch norm over groups costs
//! - `loader.rs`: what loading CIFAR-10 adds to a step
//! - `pictures.rs`: the loader of pictures, also next to PyTorch's
//! - `operators.rs`: throughput of a network's convolutions
//! - `parity/`: errors relative to training steps recorded by another framework; `double/`: a network in double precision
//! - `responses.rs`: standard deviations of layer responses
//! - `doctor.rs`: the hardware and drivers of this machine

pub mod compare;
mod contender;
pub mod doctor;
mod double;
pub mod groups;
pub mod loader;
pub mod operators;
pub mod parity;
pub mod pictures;
pub mod responses;
pub mod step;

/// The median; NaN if there are no values.
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

/// A fraction as a whole percentage: `42 %`.
fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// The value in kB of a key in a file such as `/proc/meminfo`; `None` if there is none.
fn proc_kilobytes(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}
