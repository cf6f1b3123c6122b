//! Statistics of a few runs: mean and deviation, Welch's test, prediction intervals, the bootstrap. Errors are in %,
//! differences in points.

use serde::{Deserialize, Serialize};

use super::student;
use crate::random::{Purpose, Stream};

/// Confidence level of every interval.
pub const LEVEL: f64 = 0.95;
/// Fewest runs for a test.
pub const FEWEST_FOR_A_TEST: usize = 3;
/// Fewest runs of each network for a bootstrap interval: with fewer there are too few distinct resamples.
pub const FEWEST_FOR_BOOTSTRAP: usize = 8;
/// Number of resamples: the interval's ends scatter by about 2 % of its width.
const RESAMPLES: usize = 10_000;

/// A value's statistics over runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// %.
    pub mean: f64,
    /// Sample deviation (over n - 1), points; none for one seed.
    pub deviation: Option<f64>,
    pub seeds: usize,
    /// %.
    pub minimum: f64,
    /// %.
    pub maximum: f64,
}

impl Measured {
    /// Takes at least one value.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self {
            mean,
            deviation: (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
            seeds: values.len(),
            minimum: values.iter().copied().fold(f64::INFINITY, f64::min),
            maximum: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// `8.75 ± 0.12 (3)`.
    pub fn text(&self) -> String {
        match self.deviation {
            Some(deviation) => format!("{:.2} ± {deviation:.2} ({})", self.mean, self.seeds),
            None => format!("{:.2} ({})", self.mean, self.seeds),
        }
    }

    /// The sample for a test; none for one run.
    pub fn sample(&self) -> Option<Sample> {
        self.deviation.map(|deviation| Sample {
            mean: self.mean,
            deviation,
            runs: self.seeds,
        })
    }
}

/// Mean and deviation over two runs or more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub mean: f64,
    /// Over n - 1.
    pub deviation: f64,
    pub runs: usize,
}

/// An interval at [`LEVEL`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// Whether a value is within the interval, ends included.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// `+1.20 to +3.40`.
    pub fn signed(&self) -> String {
        format!("{:+.2} to {:+.2}", self.low, self.high)
    }

    /// `6.42 to 6.90`.
    pub fn text(&self) -> String {
        format!("{:.2} to {:.2}", self.low, self.high)
    }
}

/// Welch's test of two means with unequal deviations (Welch 1947).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Welch {
    /// First mean minus the second, points.
    pub difference: f64,
    pub t: f64,
    /// Welch-Satterthwaite degrees of freedom; rarely an integer.
    pub freedom: f64,
    /// Two-sided.
    pub p: f64,
    /// Of the difference.
    pub interval: Interval,
}

/// None if neither sample scatters, since the standard error is then unknown.
pub fn welch(first: Sample, second: Sample) -> Option<Welch> {
    let [a, b] = [first, second].map(|sample| sample.deviation.powi(2) / sample.runs as f64);
    let error = (a + b).sqrt();
    if first.runs < 2 || second.runs < 2 || !error.is_finite() || error <= 0.0 {
        return None;
    }
    let freedom = (a + b).powi(2)
        / (a.powi(2) / (first.runs - 1) as f64 + b.powi(2) / (second.runs - 1) as f64);
    let difference = first.mean - second.mean;
    let reach = student::quantile(0.5 + LEVEL / 2.0, freedom) * error;
    let t = difference / error;
    Some(Welch {
        difference,
        t,
        freedom,
        p: student::two_sided(t, freedom),
        interval: Interval {
            low: difference - reach,
            high: difference + reach,
        },
    })
}

/// The prediction interval for another run of the recipe: `mean ± t s sqrt(1 + 1/n)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    pub interval: Interval,
    pub freedom: f64,
    deviation: f64,
    mean: f64,
}

/// None if the runs do not scatter.
pub fn prediction(sample: Sample) -> Option<Prediction> {
    if sample.runs < 2 || !sample.deviation.is_finite() || sample.deviation <= 0.0 {
        return None;
    }
    let freedom = (sample.runs - 1) as f64;
    let deviation = sample.deviation * (1.0 + 1.0 / sample.runs as f64).sqrt();
    let reach = student::quantile(0.5 + LEVEL / 2.0, freedom) * deviation;
    Some(Prediction {
        interval: Interval {
            low: sample.mean - reach,
            high: sample.mean + reach,
        },
        freedom,
        deviation,
        mean: sample.mean,
    })
}

impl Prediction {
    /// Two-sided: the probability that a run of this recipe ends at least as far from the mean as `value`.
    pub fn p(&self, value: f64) -> f64 {
        student::two_sided((value - self.mean) / self.deviation, self.freedom)
    }
}

/// The percentile interval of the difference of means, with both samples resampled independently (Efron 1979).
/// Resampling is keyed by `key`, so the same values give the same interval.
pub fn bootstrap(first: &[f64], second: &[f64], key: u64) -> Option<Interval> {
    if first.len().min(second.len()) < FEWEST_FOR_BOOTSTRAP {
        return None;
    }
    let mut stream = Stream::new(key, Purpose::Bootstrap, 0, 0);
    let mut resampled = |values: &[f64]| {
        let count = values.len();
        let sum: f64 = (0..count)
            .map(|_| values[stream.below(count as u64) as usize])
            .sum();
        sum / count as f64
    };
    let mut differences: Vec<f64> = (0..RESAMPLES)
        .map(|_| resampled(first) - resampled(second))
        .collect();
    differences.sort_by(f64::total_cmp);
    let at = |share: f64| differences[(share * (RESAMPLES - 1) as f64).round() as usize];
    Some(Interval {
        low: at(0.5 - LEVEL / 2.0),
        high: at(0.5 + LEVEL / 2.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64, within: f64) {
        assert!(
            (found - expected).abs() <= within,
            "{found} is not {expected}"
        );
    }

    #[test]
    fn mean_deviation_and_extremes_by_hand() {
        // Deviations from 62: -3, 0, 3; 18 / 2 = 9.
        let measured = Measured::of(&[59.0, 65.0, 62.0]);
        assert_eq!((measured.mean, measured.deviation), (62.0, Some(3.0)));
        assert_eq!((measured.minimum, measured.maximum), (59.0, 65.0));
        assert_eq!(Measured::of(&[7.0]).sample(), None);
    }

    #[test]
    fn welch_matches_a_published_example() {
        // Ruxton's setting of unequal deviations, as in the article on Welch's test: t = -2.46, 25 degrees, p = 0.021.
        let a = [
            27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7,
            21.4,
        ];
        let b = [
            27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5,
            24.4,
        ];
        let of = |values: &[f64]| Measured::of(values).sample().unwrap();
        let test = welch(of(&a), of(&b)).unwrap();
        near(test.t, -2.46, 0.005);
        near(test.freedom, 24.99, 0.02);
        near(test.p, 0.021, 0.0005);
        // The interval excludes 0, as p is below 0.05.
        assert!(!test.interval.contains(0.0));
        near(
            test.interval.low + test.interval.high,
            2.0 * test.difference,
            1e-12,
        );
    }

    #[test]
    fn welch_by_hand_with_the_papers_five_runs() {
        // 6.91 ± 0.20 over 4 against 6.61 ± 0.16 over 5: errors squared 0.01 and 0.00512, t = 0.3 / sqrt(0.01512);
        // degrees 0.01512^2 / (0.01^2 / 3 + 0.00512^2 / 4) = 5.7316.
        let ours = Sample {
            mean: 6.91,
            deviation: 0.20,
            runs: 4,
        };
        let papers = Sample {
            mean: 6.61,
            deviation: 0.16,
            runs: 5,
        };
        let test = welch(ours, papers).unwrap();
        near(test.t, 2.439_75, 1e-4);
        near(test.freedom, 5.731_56, 1e-4);
        assert!(test.p > 0.05 && test.interval.contains(0.0));
        let flat = Sample {
            deviation: 0.0,
            ..ours
        };
        assert_eq!(welch(flat, flat), None);
    }

    #[test]
    fn prediction_interval_by_hand() {
        // Three runs, 2 degrees of freedom: t = 4.3027; 0.3 sqrt(4/3) = 0.34641; reach 1.49050.
        let predicted = prediction(Sample {
            mean: 9.0,
            deviation: 0.3,
            runs: 3,
        })
        .unwrap();
        near(predicted.interval.low, 9.0 - 1.490_5, 1e-4);
        near(predicted.interval.high, 9.0 + 1.490_5, 1e-4);
        near(predicted.p(predicted.interval.high), 0.05, 1e-9);
        near(predicted.p(9.0), 1.0, 1e-12);
    }

    #[test]
    fn bootstrap_needs_eight_runs_and_matches_theory() {
        let deep: Vec<f64> = (0..16).map(|i| 13.0 + 0.1 * f64::from(i)).collect();
        let flat: Vec<f64> = (0..16).map(|i| 9.0 + 0.1 * f64::from(i)).collect();
        assert_eq!(bootstrap(&deep[..7], &flat, 1), None);
        let interval = bootstrap(&deep, &flat, 1).unwrap();
        assert_eq!(bootstrap(&deep, &flat, 1), Some(interval));
        // The resampled mean's deviation is s / sqrt(n) with s over n: 0.46098 / 4, of the difference sqrt(2) times it.
        let reach = 1.96 * 0.460_98 / 4.0 * 2f64.sqrt();
        near(interval.low, 4.0 - reach, 0.02);
        near(interval.high, 4.0 + reach, 0.02);
    }
}
