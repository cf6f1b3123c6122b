use super::super::{
    Context, Feature, Instructions, LinearShape, SgdStep, Threads, add_into, cross_entropy,
    cross_entropy_gradient, linear_backward, linear_forward, max_pool_backward, max_pool_forward,
    mean_pool_backward, mean_pool_forward, peak_sample, sgd_update,
};
use super::{bits, contexts, error, noise, noisy_feature};
use crate::manifest::MomentumForm;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_pool_calls_every_task_once() {
    for count in [1, 2, 3, 7] {
        let threads = Threads::new(count);
        assert_eq!(threads.count(), count);
        for round in 0..300 {
            let tasks = round % 40;
            let calls: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            threads.run(tasks, &|task| {
                calls[task].fetch_add(1, Ordering::Relaxed);
            });
            assert!(calls.iter().all(|calls| calls.load(Ordering::Relaxed) == 1));
        }
    }
}

#[test]
fn a_panic_in_a_task_reaches_the_caller_and_the_pool_goes_on() {
    let threads = Threads::new(3);
    for bad in [0, 17, 63] {
        let run = std::panic::AssertUnwindSafe(|| threads.run(64, &|task| assert!(task != bad)));
        assert!(std::panic::catch_unwind(run).is_err());
    }
    let done = AtomicUsize::new(0);
    threads.run(64, &|_| {
        done.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(done.into_inner(), 64);
}

#[test]
fn linear_layers_agree_with_double_precision_on_any_threads() {
    for shape in [(128, 64, 10), (5, 64, 100), (1, 3, 2), (24, 33, 17)] {
        let shape = LinearShape {
            images: shape.0,
            inputs: shape.1,
            outputs: shape.2,
        };
        let LinearShape {
            images,
            inputs,
            outputs,
        } = shape;
        let (x, w, bias) = (
            noise(images * inputs, 1),
            noise(outputs * inputs, 2),
            noise(outputs, 3),
        );
        let dy = noise(images * outputs, 4);
        let mut expected = [
            vec![0.0; images * outputs],
            vec![0.0; images * inputs],
            vec![0.0; outputs * inputs],
            vec![0.0; outputs],
        ];
        for n in 0..images {
            for o in 0..outputs {
                let d = f64::from(dy[n * outputs + o]);
                expected[0][n * outputs + o] += f64::from(bias[o]);
                expected[3][o] += d;
                for i in 0..inputs {
                    let (x, w) = (f64::from(x[n * inputs + i]), f64::from(w[o * inputs + i]));
                    expected[0][n * outputs + o] += x * w;
                    expected[1][n * inputs + i] += d * w;
                    expected[2][o * inputs + i] += d * x;
                }
            }
        }
        for contexts in contexts() {
            let run = |ctx: &Context| {
                let mut results = expected
                    .each_ref()
                    .map(|values| vec![f32::NAN; values.len()]);
                let [y, dx, dw, dbias] = &mut results;
                linear_forward(ctx, &x, &w, &bias, y, shape);
                linear_backward(ctx, &x, &w, &dy, dx, dw, dbias, shape);
                results
            };
            let first = run(&contexts[0]);
            for (found, expected) in first.iter().zip(&expected) {
                assert!(error(found, expected) < 1e-6, "{shape:?}");
            }
            for ctx in &contexts[1..] {
                assert_eq!(
                    run(ctx).map(|values| bits(&values)),
                    first.each_ref().map(|values| bits(values))
                );
            }
        }
    }
}

#[test]
fn pooling_takes_the_mean_and_spreads_the_gradient() {
    let feature = Feature::new(3, 4, 5, 6);
    let x = noisy_feature(feature, 1);
    let dy = noise(18, 2);
    for ctx in contexts().into_iter().flatten() {
        let mut y = vec![f32::NAN; 18];
        mean_pool_forward(&ctx, &x, feature, &mut y);
        let mut dx = vec![f32::NAN; feature.storage()];
        mean_pool_backward(&ctx, &dy, feature, &mut dx);
        // Halos are zeros, so that sums over whole images are sums over their pixels.
        for image in 0..3 {
            for c in 0..6 {
                let values = (image * feature.image_storage() + c
                    ..(image + 1) * feature.image_storage())
                    .step_by(6);
                let sum: f64 = values.clone().map(|at| f64::from(x[at])).sum();
                assert!((f64::from(y[image * 6 + c]) - sum / 20.0).abs() < 1e-6);
                let spread: f64 = values.map(|at| f64::from(dx[at])).sum();
                assert!((spread - f64::from(dy[image * 6 + c])).abs() < 1e-6);
                assert!((dx[feature.at(image, 3, 4) + c] - dy[image * 6 + c] / 20.0).abs() < 1e-8);
            }
        }
    }
}

#[test]
fn max_pooling_takes_the_first_of_the_largest_and_gives_it_the_gradient() {
    for (height, width, channels, halo) in
        [(7, 8, 5, 1), (1, 1, 3, 1), (6, 3, 20, 0), (2, 9, 16, 2)]
    {
        let feature = Feature {
            halo,
            ..Feature::new(3, height, width, channels)
        };
        // Few distinct values, all of them below zero: many ties, and a padding of zeros would win.
        let mut x: Vec<f32> = noisy_feature(feature, 1)
            .iter()
            .map(|v| {
                if *v == 0.0 {
                    0.0
                } else {
                    (v * 2.0).floor() - 3.0
                }
            })
            .collect();
        x[feature.at(1, 0, 0)] = f32::NAN;
        let to = feature.max_pooled();
        let dy = noisy_feature(to, 2);
        let mut expected = (vec![0.0f32; to.storage()], vec![0.0f64; feature.storage()]);
        for image in 0..3 {
            for (row, column) in (0..to.height).flat_map(|y| (0..to.width).map(move |x| (y, x))) {
                for c in 0..channels {
                    let window = (0..9).filter_map(|place| {
                        let y = (2 * row + place / 3)
                            .checked_sub(1)
                            .filter(|y| *y < height)?;
                        let x = (2 * column + place % 3)
                            .checked_sub(1)
                            .filter(|x| *x < width)?;
                        Some(feature.at(image, y, x) + c)
                    });
                    let best = window
                        .reduce(|best, at| {
                            if x[at] > x[best] || x[at].is_nan() {
                                at
                            } else {
                                best
                            }
                        })
                        .unwrap();
                    let at = to.at(image, row, column) + c;
                    expected.0[at] = x[best];
                    expected.1[best] += f64::from(dy[at]);
                }
            }
        }
        for ctx in contexts().into_iter().flatten() {
            let mut y = vec![f32::NAN; to.storage()];
            let mut places = vec![f32::NAN; feature.max_places().storage()];
            let mut dx = vec![f32::NAN; feature.storage()];
            max_pool_forward(&ctx, &x, feature, &mut y, &mut places);
            max_pool_backward(&ctx, &places, &dy, feature, &mut dx);
            assert_eq!(bits(&y), bits(&expected.0), "{feature:?}");
            assert!(error(&dx, &expected.1) < 1e-6, "{feature:?}");
        }
    }
}

#[test]
fn sums_are_added_in_pieces() {
    let ctx = Context::new(3, Instructions::Portable);
    let (value, before) = (noise(40_000, 1), noise(40_000, 2));
    let mut sum = before.clone();
    add_into(&ctx, &value, &mut sum);
    assert!((0..40_000).all(|i| sum[i] == before[i] + value[i]));
}

#[test]
fn cross_entropy_counts_losses_and_errors() {
    let logits = [
        2.0, 1.0, 0.0, -1.0, -2.0, -3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 4.0, 3.0, 2.0, 1.0, 9.0,
    ];
    let found = cross_entropy(&logits, &[1, 5, 5], 6);
    // Second of the first row; last of six equal ones; the best.
    assert_eq!((found.wrong, found.wrong_top5), (2, 1));
    let log_sum = |row: &[f32]| row.iter().map(|&v| f64::from(v).exp()).sum::<f64>().ln();
    let expected = log_sum(&logits[..6]) - 1.0 + 6f64.ln() + log_sum(&logits[12..]) - 9.0;
    assert!((found.loss - expected).abs() < 1e-12);
    // Large logits stay finite, a NaN is an error and a NaN loss.
    assert!(cross_entropy(&[1e4, -1e4], &[1], 2).loss == 2e4);
    let broken = cross_entropy(&[f32::NAN, 1.0], &[0], 2);
    assert!(broken.loss.is_nan() && broken.wrong == 1);
    assert_eq!(cross_entropy(&[f32::NAN, 1.0], &[1], 2).wrong, 1);
    let mut gradient = vec![f32::NAN; 18];
    cross_entropy_gradient(&logits, &[1, 5, 5], 6, &mut gradient);
    assert!((gradient[11] - (1.0 / 6.0 - 1.0) / 3.0).abs() < 1e-7);
    assert!((gradient[6] - 1.0 / 18.0).abs() < 1e-7);
}

#[test]
fn the_forms_of_momentum_differ_when_the_rate_drops() {
    let run = |form| {
        let (mut w, mut v) = ([1.0f32], [0.0f32]);
        for learning_rate in [0.1, 0.1, 0.01] {
            let step = SgdStep {
                learning_rate,
                momentum: 0.9,
                form,
                weight_decay: 0.5,
            };
            sgd_update(step, &mut w, &[2.0], &mut v);
        }
        (w[0], v[0])
    };
    // By hand: g = 2 + w/2; w: 1, 0.75, 0.2875; then a tenth of the rate.
    let (w, v) = run(MomentumForm::Pytorch);
    assert!(
        (w - 0.224_437_5).abs() < 1e-6 && (v - 6.306_25).abs() < 1e-5,
        "{w} {v}"
    );
    let (w, v) = run(MomentumForm::Caffe);
    assert!(
        (w + 0.150_187_5).abs() < 1e-6 && (v - 0.437_687_5).abs() < 1e-6,
        "{w} {v}"
    );
}

#[test]
fn a_peak_is_measured() {
    for set in Instructions::ALL.into_iter().filter(|set| set.available()) {
        let peak = peak_sample(&Context::new(2, set));
        assert!(peak > 0.5 && peak < 1e5, "{set:?}: {peak} GFLOP/s");
    }
}
