//! Student's t distribution.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The two-sided p-value: the probability that |T| is at least `|t|`.
pub(super) fn two_sided(t: f64, freedom: f64) -> f64 {
    with(freedom, |distribution| 2.0 * distribution.sf(t.abs()))
}

/// The quantile of `p`, 0 < p < 1.
pub(super) fn quantile(p: f64, freedom: f64) -> f64 {
    with(freedom, |distribution| distribution.inverse_cdf(p))
}

/// NaN for invalid degrees of freedom.
fn with(freedom: f64, value: impl Fn(&StudentsT) -> f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::NAN, |distribution| value(&distribution))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_match_printed_tables() {
        for (p, freedom, t) in [
            (0.975, 1.0, 12.706),
            (0.975, 2.0, 4.303),
            (0.975, 4.0, 2.776),
            (0.975, 10.0, 2.228),
            (0.975, 30.0, 2.042),
            (0.95, 5.0, 2.015),
            (0.995, 3.0, 5.841),
            (0.9995, 7.0, 5.408),
            (0.975, 1e6, 1.960),
        ] {
            let found = quantile(p, freedom);
            assert!((found - t).abs() < 6e-4, "{p} {freedom}: {found}");
            assert!((quantile(1.0 - p, freedom) + found).abs() < 1e-6);
        }
    }

    #[test]
    fn tails_match_closed_forms() {
        for t in [0.1f64, 1.0, 2.5, 40.0] {
            // With one degree of freedom t is Cauchy; with two it is algebraic.
            let cauchy = 1.0 - 2.0 * t.atan() / std::f64::consts::PI;
            assert!((two_sided(t, 1.0) - cauchy).abs() < 1e-13, "{t}");
            let two = 1.0 - t / (2.0 + t * t).sqrt();
            assert!((two_sided(-t, 2.0) - two).abs() < 1e-13, "{t}");
        }
        assert!((two_sided(0.0, 3.5) - 1.0).abs() < 1e-15);
    }
}
