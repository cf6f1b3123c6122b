use super::super::{
    Feature, max_pool_backward, max_pool_forward, mean_pool_backward, mean_pool_forward,
};
use super::{bits, contexts, error, noise, noisy_feature};

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
        // Halos are zero, so sums over whole images are sums over their pixels.
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
        // Few distinct values, all negative: there are many ties, and zero padding would win.
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
