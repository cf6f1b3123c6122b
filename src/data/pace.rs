//! The rate below which a download gives way to the next place.

use std::time::{Duration, Instant};

/// When a download is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The rate below which the next place is tried; 0 to stay at any rate.
    pub bytes_per_second: u64,
    /// How long a rate is measured.
    pub window: Duration,
}

impl Pace {
    /// The rate of `--min-rate`.
    pub fn kilobytes(per_second: u64) -> Self {
        Self {
            bytes_per_second: per_second.saturating_mul(1000),
            window: Duration::from_secs(20),
        }
    }

    /// Not faster than this.
    pub(super) fn at_most(self, bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second: self.bytes_per_second.min(bytes_per_second),
            ..self
        }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::kilobytes(200)
    }
}

/// Measures a download over windows of time.
pub(super) struct Meter {
    pace: Pace,
    since: Instant,
    bytes: u64,
}

impl Meter {
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            since: Instant::now(),
            bytes: 0,
        }
    }

    /// Counts bytes that have come. At the end of a window, gives its rate if it is too low.
    pub fn add(&mut self, bytes: u64) -> Option<u64> {
        self.bytes += bytes;
        let elapsed = self.since.elapsed();
        if elapsed < self.pace.window {
            return None;
        }
        let rate = (self.bytes as f64 / elapsed.as_secs_f64()) as u64;
        (self.since, self.bytes) = (Instant::now(), 0);
        (rate < self.pace.bytes_per_second).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_counts_once_its_window_has_passed() {
        let mut long = Meter::new(Pace::kilobytes(u64::MAX));
        assert_eq!(long.add(1), None, "the window has not passed");
        let at_once = |bytes_per_second| Pace {
            bytes_per_second,
            window: Duration::ZERO,
        };
        assert_eq!(Meter::new(at_once(1)).add(0), Some(0));
        assert_eq!(Meter::new(at_once(0)).add(0), None, "0 stays at any rate");
    }
}
