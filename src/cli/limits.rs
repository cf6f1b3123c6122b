//! Limits of numbers on the command line, so that a slip of the finger is refused before memory or threads run out.

use clap::builder::RangedU64ValueParser;

pub(super) const MOST_THREADS: usize = 1024;
pub(super) const MOST_JOBS: usize = 256;
/// In MiB: a tebibyte.
pub(super) const MOST_MEMORY: usize = 1 << 20;
pub(super) const MOST_IMAGES: usize = 65_536;
pub(super) const MOST_PIXELS: usize = 4096;
pub(super) const MOST_ROUNDS: usize = 1_000_000;

/// Accepts numbers above 0. With one that is not finite, every comparison would pass or none.
pub(super) fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match number.is_finite() && number > 0.0 {
        true => Ok(number),
        false => Err("use a finite number above 0".into()),
    }
}

/// Accepts whole numbers from 1 to `most`.
pub(super) fn within(most: usize) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=most as u64)
}
