//! Tests and intervals from the scatter of a few seeds, in words. They accompany the verdict and do not decide it.

use super::rows::{Test, TestMethod};
use super::statistics::{
    FEWEST_FOR_A_TEST, Interval, Measured, Sample, bootstrap, prediction, welch,
};
use crate::manifest::Expectation;

/// Bounds of the default tolerance around the paper's values, points.
const PAPERS: (f64, f64) = (0.5, 1.0);
/// Bounds around a scaled profile's own values, points: its runs are far from convergence and scatter more.
const PROFILES: (f64, f64) = (2.0, 5.0);
/// The default tolerance in deviations of our seeds.
const DEVIATIONS: f64 = 3.0;

/// The default tolerance, points: three deviations of our seeds, within bounds.
pub fn default_tolerance(deviation: Option<f64>, paper: bool) -> f64 {
    let (least, most) = if paper { PAPERS } else { PROFILES };
    (DEVIATIONS * deviation.unwrap_or(0.0)).clamp(least, most)
}

/// With three runs or more: Welch's test if the expected value is a mean with a deviation, else whether it could be
/// another of our runs. None if our runs do not scatter.
pub(super) fn test(measured: &Measured, expectation: &Expectation) -> Option<Test> {
    let ours = measured
        .sample()
        .filter(|sample| sample.runs >= FEWEST_FOR_A_TEST)?;
    let value = expectation.value;
    if let (Some(deviation), Some(runs)) = (expectation.deviation, expectation.runs) {
        let theirs = Sample {
            mean: value,
            deviation,
            runs,
        };
        let welch = welch(ours, theirs)?;
        return Some(Test {
            method: TestMethod::Welch,
            interval: welch.interval,
            freedom: welch.freedom,
            p: welch.p,
            words: format!(
                "Welch's test against {value:.2} ± {deviation:.2} over {runs} runs: difference {:+.2}, 95 % interval {}, p = {}",
                welch.difference,
                welch.interval.signed(),
                p_text(welch.p)
            ),
        });
    }
    let predicted = prediction(ours)?;
    let p = predicted.p(value);
    let within = if predicted.interval.contains(value) {
        "inside"
    } else {
        "outside"
    };
    Some(Test {
        method: TestMethod::Prediction,
        interval: predicted.interval,
        freedom: predicted.freedom,
        p,
        words: format!(
            "{value:.2} is {within} our 95 % prediction interval for one run, {}, p = {}",
            predicted.interval.text(),
            p_text(p)
        ),
    })
}

/// Evidence for the gap between two networks' means.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Evidence {
    pub welch: Option<Interval>,
    pub bootstrap: Option<Interval>,
    pub words: String,
}

/// Evidence from the errors of the network that should be higher, and of the other.
pub(super) fn between(higher: &[f64], lower: &[f64], margin: f64) -> Evidence {
    let seeds = higher.len();
    if seeds < 2 {
        return Evidence {
            words: format!("one seed: no interval for the gap; the margin is {margin:+.2}"),
            ..Evidence::default()
        };
    }
    let samples = [higher, lower].map(|values| Measured::of(values).sample());
    let interval = match samples {
        [Some(higher), Some(lower)] => welch(higher, lower).map(|test| test.interval),
        _ => None,
    };
    // Keyed by the errors, so that the same errors give the same interval.
    let key = higher
        .iter()
        .chain(lower)
        .fold(0u64, |key, value| key.rotate_left(7) ^ value.to_bits());
    let resampled = bootstrap(higher, lower, key);
    let mut words = match interval {
        Some(interval) => format!(
            "gap of means over {seeds} seeds, Welch's 95 % interval {}",
            interval.signed()
        ),
        None => format!("gap of means over {seeds} seeds without scatter"),
    };
    if let Some(interval) = resampled {
        words += &format!(", the bootstrap's {}", interval.signed());
    }
    if interval.is_some_and(|interval| interval.contains(margin)) {
        words += &format!("; the margin of {margin:+.2} lies in Welch's interval");
    }
    Evidence {
        welch: interval,
        bootstrap: resampled,
        words,
    }
}

/// `0.021`, `below 0.001`.
fn p_text(p: f64) -> String {
    if p < 0.001 {
        "below 0.001".into()
    } else {
        format!("{p:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Metric;
    use crate::origin::DataKind;

    #[test]
    fn default_tolerance_follows_our_seeds_within_bounds() {
        for (deviation, paper, expected) in [
            (None, true, 0.5),
            (Some(0.1), true, 0.5),
            (Some(0.25), true, 0.75),
            (Some(2.0), true, 1.0),
            (Some(0.1), false, 2.0),
            (Some(1.2), false, 3.5999999999999996),
            (Some(9.0), false, 5.0),
        ] {
            assert_eq!(default_tolerance(deviation, paper), expected);
        }
    }

    #[test]
    fn means_are_tested_by_welch_and_single_values_by_prediction() {
        let ours = Measured::of(&[8.7, 9.0, 9.3]);
        let single = Expectation {
            network: "resnet-20".into(),
            metric: Metric::TestError,
            value: 8.75,
            tolerance: None,
            source: "Table 6".into(),
            deviation: None,
            runs: None,
            data: DataKind::Cifar10,
            line: None,
        };
        let of_single = test(&ours, &single).unwrap();
        assert_eq!(of_single.method, TestMethod::Prediction);
        assert!(of_single.words.contains("inside") && of_single.words.contains("7.51 to 10.49"));
        let several = Expectation {
            deviation: Some(0.16),
            runs: Some(5),
            ..single.clone()
        };
        assert_eq!(test(&ours, &several).unwrap().method, TestMethod::Welch);
        assert_eq!(test(&Measured::of(&[8.7, 9.0]), &single), None);
    }

    #[test]
    fn words_give_the_number_of_seeds() {
        assert!(between(&[13.0], &[9.0], 1.0).words.starts_with("one seed"));
        let three = between(&[13.0, 13.4, 12.8], &[9.0, 9.2, 8.9], 1.0);
        assert!(three.words.contains("over 3 seeds") && three.bootstrap.is_none());
        assert!(three.welch.unwrap().low > 1.0);
        let close = between(&[9.3, 9.9, 8.8], &[9.0, 9.2, 8.9], 0.0);
        assert!(
            close
                .words
                .ends_with("the margin of +0.00 lies in Welch's interval")
        );
        let eight: Vec<f64> = (0..8).map(|i| 10.0 + 0.1 * f64::from(i)).collect();
        assert!(
            between(&eight, &eight, 0.0)
                .bootstrap
                .unwrap()
                .contains(0.0)
        );
    }
}
