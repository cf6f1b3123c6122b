use super::super::{cross_entropy, cross_entropy_gradient, log_sum};

#[test]
fn cross_entropy_counts_losses_and_errors() {
    let logits = [
        2.0, 1.0, 0.0, -1.0, -2.0, -3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 4.0, 3.0, 2.0, 1.0, 9.0,
    ];
    let found = cross_entropy(&logits, &[1, 5, 5], 6);
    // Ranked second; last of six ties; first.
    assert_eq!((found.wrong, found.wrong_top5), (2, 1));
    let log_sum = |row: &[f32]| row.iter().map(|&v| f64::from(v).exp()).sum::<f64>().ln();
    let expected = log_sum(&logits[..6]) - 1.0 + 6f64.ln() + log_sum(&logits[12..]) - 9.0;
    assert!((found.loss - expected).abs() < 1e-12);
    // Large logits stay finite; a NaN logit counts as an error and gives a NaN loss.
    assert!(cross_entropy(&[1e4, -1e4], &[1], 2).loss == 2e4);
    let broken = cross_entropy(&[f32::NAN, 1.0], &[0], 2);
    assert!(broken.loss.is_nan() && broken.wrong == 1);
    assert_eq!(cross_entropy(&[f32::NAN, 1.0], &[1], 2).wrong, 1);
    let mut gradient = vec![f32::NAN; 18];
    cross_entropy_gradient(&logits, &[1, 5, 5], 6, 3, &mut gradient);
    assert!((gradient[11] - (1.0 / 6.0 - 1.0) / 3.0).abs() < 1e-7);
    assert!((gradient[6] - 1.0 / 18.0).abs() < 1e-7);
    // As a part of twelve images.
    cross_entropy_gradient(&logits, &[1, 5, 5], 6, 12, &mut gradient);
    assert!((gradient[6] - 1.0 / 72.0).abs() < 1e-7);
}

#[test]
fn logarithms_of_zero_add_nothing_and_a_nan_stays_one() {
    const ZERO: f64 = f64::NEG_INFINITY;
    // Exact: the sum is of one and zeros.
    assert_eq!(log_sum(&[ZERO, -1234.5]), -1234.5);
    assert_eq!(log_sum(&[-1234.5, ZERO, ZERO]), -1234.5);
    assert_eq!(log_sum(&[ZERO]), ZERO);
    assert_eq!(log_sum(&[ZERO; 3]), ZERO);
    for broken in [[f64::NAN, ZERO], [ZERO, f64::NAN], [f64::NAN, 1.0]] {
        assert!(log_sum(&broken).is_nan(), "{broken:?}");
    }
}
