use super::super::{
    Context, Feature, Mask, NormShape, Shortcut, norm_backward, norm_forward, norm_inference,
    shortcut_a_backward,
};
use super::{bits, contexts, error, interior, noise, noisy_feature, single};

const TOLERANCE: f64 = 3e-6;

/// Every distinct batch-norm shape of the CIFAR networks on 32x32 images, whole and in groups, and some odd ones.
fn shapes() -> Vec<NormShape> {
    let mut shapes = Vec::new();
    for (images, groups) in [(1, vec![0]), (5, vec![0, 2]), (128, vec![0, 64])] {
        for (side, channels) in [(32, 16), (16, 32), (8, 64)] {
            for &group in &groups {
                shapes.push(NormShape {
                    feature: Feature::new(images, side, side, channels),
                    group,
                    epsilon: 1e-5,
                });
            }
        }
    }
    for (width, channels) in [(3, 5), (7, 33), (1, 100)] {
        shapes.push(NormShape {
            feature: Feature::new(4, 5, width, channels),
            group: 3,
            epsilon: 1e-3,
        });
    }
    shapes
}

/// Noise with a different mean and deviation in each channel.
fn input(feature: Feature) -> Vec<f32> {
    let mut x = noisy_feature(feature, 4);
    for (at, (value, inside)) in x.iter_mut().zip(interior(feature)).enumerate() {
        if inside {
            let channel = (at % feature.channels) as f32;
            *value = *value * (1.0 + 0.1 * channel) + 3.0 - 0.2 * channel;
        }
    }
    x
}

struct Case {
    x: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    dy: Vec<f32>,
    shortcut: Vec<f32>,
}

fn case(shape: NormShape) -> Case {
    let channels = shape.feature.channels;
    Case {
        x: input(shape.feature),
        scale: noise(channels, 5).iter().map(|v| v + 1.5).collect(),
        shift: noise(channels, 6),
        dy: noisy_feature(shape.feature, 7),
        shortcut: noisy_feature(shape.feature, 8),
    }
}

#[derive(Default)]
struct Results {
    y: Vec<f32>,
    mean: Vec<f32>,
    variance: Vec<f32>,
    dx: Vec<f32>,
    masked: Vec<f32>,
    dscale: Vec<f32>,
    dshift: Vec<f32>,
}

impl Results {
    fn bits(&self) -> Vec<Vec<u32>> {
        [
            &self.y,
            &self.mean,
            &self.variance,
            &self.dx,
            &self.masked,
            &self.dscale,
            &self.dshift,
        ]
        .map(|values| bits(values))
        .to_vec()
    }
}

fn run(
    ctx: &Context,
    shape: NormShape,
    case: &Case,
    relu: bool,
    add: bool,
    in_place: bool,
) -> Results {
    let (storage, channels) = (shape.feature.storage(), shape.feature.channels);
    let mut r = Results {
        y: vec![f32::NAN; storage],
        mean: vec![f32::NAN; shape.groups() * channels],
        variance: vec![f32::NAN; shape.groups() * channels],
        dx: vec![f32::NAN; storage],
        masked: case.dy.clone(),
        dscale: vec![f32::NAN; channels],
        dshift: vec![f32::NAN; channels],
    };
    let shortcut = if add {
        Shortcut::Identity(&case.shortcut)
    } else {
        Shortcut::None
    };
    norm_forward(
        ctx,
        shape,
        &case.x,
        &case.scale,
        &case.shift,
        shortcut,
        relu,
        &mut r.y,
        &mut r.mean,
        &mut r.variance,
    );
    let mask = match (relu, add) {
        (false, _) => Mask::None,
        (true, false) => Mask::Recomputed,
        (true, true) => Mask::Output(&r.y),
    };
    let dx = (!in_place).then_some(&mut r.dx[..]);
    norm_backward(
        ctx,
        shape,
        &case.x,
        &case.scale,
        &case.shift,
        &r.mean,
        &r.variance,
        mask,
        &mut r.masked,
        dx,
        &mut r.dscale,
        &mut r.dshift,
    );
    if in_place {
        std::mem::swap(&mut r.dx, &mut r.masked);
    }
    r
}

struct Reference {
    y: Vec<f64>,
    dx: Vec<f64>,
    dscale: Vec<f64>,
    dshift: Vec<f64>,
    mean: Vec<f64>,
    variance: Vec<f64>,
}

/// In double precision. Where the ReLU passes is taken from `output`, since values near zero may be rounded either way.
fn reference(shape: NormShape, case: &Case, relu: bool, add: bool, output: &[f32]) -> Reference {
    let (feature, channels) = (shape.feature, shape.feature.channels);
    let mut r = Reference {
        y: vec![0.0; feature.storage()],
        dx: vec![0.0; feature.storage()],
        dscale: vec![0.0; channels],
        dshift: vec![0.0; channels],
        mean: vec![],
        variance: vec![],
    };
    for group in 0..shape.groups() {
        let (first, last) = shape.images_of(group);
        for c in 0..channels {
            let mut places = Vec::new();
            for image in first..last {
                for y in 0..feature.height {
                    places.extend((0..feature.width).map(|x| feature.at(image, y, x) + c));
                }
            }
            let n = places.len() as f64;
            let x = |at: usize| f64::from(case.x[at]);
            let mean = places.iter().map(|&at| x(at)).sum::<f64>() / n;
            let variance = places.iter().map(|&at| (x(at) - mean).powi(2)).sum::<f64>() / n;
            let inverse = 1.0 / (variance + f64::from(shape.epsilon)).sqrt();
            let scale = f64::from(case.scale[c]);
            let (mut sum, mut product) = (0.0, 0.0);
            let g = |at: usize| {
                if relu && output[at] <= 0.0 {
                    0.0
                } else {
                    f64::from(case.dy[at])
                }
            };
            for &at in &places {
                let hat = (x(at) - mean) * inverse;
                let mut y = scale * hat + f64::from(case.shift[c]);
                if add {
                    y += f64::from(case.shortcut[at]);
                }
                r.y[at] = if relu { y.max(0.0) } else { y };
                sum += g(at);
                product += g(at) * hat;
            }
            for &at in &places {
                let hat = (x(at) - mean) * inverse;
                r.dx[at] = scale * inverse * (g(at) - sum / n - hat * product / n);
            }
            r.dscale[c] += product;
            r.dshift[c] += sum;
            r.mean.push(mean);
            r.variance.push(variance);
        }
    }
    r
}

#[test]
fn batch_norm_agrees_with_double_precision_on_any_threads() {
    let contexts = contexts();
    for shape in shapes() {
        let case = case(shape);
        for contexts in &contexts {
            for (relu, add) in [(false, false), (true, false), (true, true)] {
                let name = contexts[0].instructions().name();
                let first = run(&contexts[0], shape, &case, relu, add, false);
                // Compared with double precision for one number of threads, and bit for bit between numbers of threads.
                let expected = reference(shape, &case, relu, add, &first.y);
                let what = format!("{shape:?} {name} relu {relu} shortcut {add}");
                assert!(error(&first.y, &expected.y) < TOLERANCE, "y {what}");
                assert!(error(&first.mean, &expected.mean) < 1e-6, "mean {what}");
                assert!(
                    error(&first.variance, &expected.variance) < TOLERANCE,
                    "variance {what}"
                );
                assert!(error(&first.dx, &expected.dx) < TOLERANCE, "dx {what}");
                assert!(
                    error(&first.dscale, &expected.dscale) < TOLERANCE,
                    "dscale {what}"
                );
                assert!(
                    error(&first.dshift, &expected.dshift) < TOLERANCE,
                    "dshift {what}"
                );
                for (at, value) in first.masked.iter().enumerate() {
                    let expected = if relu && first.y[at] <= 0.0 {
                        0.0
                    } else {
                        case.dy[at]
                    };
                    assert!(*value == expected, "masked gradient {what}");
                }
                let in_place = run(&contexts[0], shape, &case, relu, add, true);
                assert!(bits(&in_place.dx) == bits(&first.dx), "in place {what}");
                assert!(
                    bits(&in_place.dscale) == bits(&first.dscale),
                    "in place {what}"
                );
                for ctx in &contexts[1..] {
                    assert!(
                        run(ctx, shape, &case, relu, add, false).bits() == first.bits(),
                        "{what}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_mean_far_from_zero_leaves_the_variance_exact() {
    let feature = Feature::new(64, 8, 8, 16);
    let shape = NormShape {
        feature,
        group: 0,
        epsilon: 1e-5,
    };
    let mut case = case(shape);
    for (value, inside) in case.x.iter_mut().zip(interior(feature)) {
        if inside {
            *value += 1000.0;
        }
    }
    for ctx in single() {
        let results = run(&ctx, shape, &case, false, false, false);
        let expected = reference(shape, &case, false, false, &results.y);
        assert!(error(&results.variance, &expected.variance) < 1e-6);
    }
}

#[test]
fn nan_is_not_hidden() {
    let shape = NormShape {
        feature: Feature::new(2, 4, 4, 5),
        group: 0,
        epsilon: 1e-5,
    };
    let mut case = case(shape);
    case.x[shape.feature.at(1, 2, 2) + 3] = f32::NAN;
    for ctx in single() {
        let results = run(&ctx, shape, &case, true, false, false);
        assert!(results.variance[3].is_nan() && !results.variance[2].is_nan());
        assert!(results.y[shape.feature.at(0, 0, 0) + 3].is_nan());
    }
}

#[test]
fn inference_uses_what_it_is_given() {
    let shape = NormShape {
        feature: Feature::new(3, 5, 6, 21),
        group: 0,
        epsilon: 1e-2,
    };
    let case = case(shape);
    let (mean, variance) = (
        noise(21, 11),
        noise(21, 12).iter().map(|v| v + 1.1).collect::<Vec<_>>(),
    );
    let expected: Vec<f64> = (interior(shape.feature).iter().enumerate())
        .map(|(at, inside)| {
            let c = at % 21;
            let hat = (f64::from(case.x[at]) - f64::from(mean[c]))
                / (f64::from(variance[c]) + 1e-2).sqrt();
            let y = hat * f64::from(case.scale[c])
                + f64::from(case.shift[c])
                + f64::from(case.shortcut[at]);
            if *inside { y.max(0.0) } else { 0.0 }
        })
        .collect();
    for ctx in single() {
        let mut y = vec![f32::NAN; shape.feature.storage()];
        let shortcut = Shortcut::Identity(&case.shortcut);
        norm_inference(
            &ctx,
            shape,
            &case.x,
            &case.scale,
            &case.shift,
            &mean,
            &variance,
            shortcut,
            true,
            &mut y,
        );
        assert!(error(&y, &expected) < TOLERANCE);
    }
}

#[test]
fn inference_with_the_statistics_of_a_mini_batch_gives_its_bits() {
    for shape in shapes() {
        let case = case(shape);
        let channels = shape.groups() * shape.feature.channels;
        for ctx in single() {
            let [mut y, mut again] = [(); 2].map(|()| vec![f32::NAN; shape.feature.storage()]);
            let [mut mean, mut variance] = [(); 2].map(|()| vec![f32::NAN; channels]);
            norm_forward(
                &ctx,
                shape,
                &case.x,
                &case.scale,
                &case.shift,
                Shortcut::None,
                true,
                &mut y,
                &mut mean,
                &mut variance,
            );
            norm_inference(
                &ctx,
                shape,
                &case.x,
                &case.scale,
                &case.shift,
                &mean,
                &variance,
                Shortcut::None,
                true,
                &mut again,
            );
            assert_eq!(bits(&y), bits(&again), "{shape:?}");
        }
    }
}

#[test]
fn option_a_takes_every_second_pixel_and_appends_zero_channels() {
    for (from, to) in [
        (Feature::new(2, 8, 8, 16), Feature::new(2, 4, 4, 32)),
        (Feature::new(2, 7, 9, 5), Feature::new(2, 4, 5, 11)),
        (Feature::new(2, 6, 6, 40), Feature::new(2, 6, 6, 70)),
    ] {
        let stride = from.height.div_ceil(to.height);
        let shape = NormShape {
            feature: to,
            group: 0,
            epsilon: 1e-5,
        };
        let case = case(shape);
        let data = noisy_feature(from, 20);
        // The same shortcut, materialised.
        let mut full = vec![0.0; to.storage()];
        let gradient = noisy_feature(from, 21);
        let mut expected = gradient.clone();
        for image in 0..to.images {
            for y in 0..to.height {
                for x in 0..to.width {
                    for c in 0..from.channels {
                        let place = from.at(image, y * stride, x * stride) + c;
                        full[to.at(image, y, x) + c] = data[place];
                        expected[place] += case.dy[to.at(image, y, x) + c];
                    }
                }
            }
        }
        for ctx in single() {
            let mut outputs = [
                Shortcut::Identity(&full),
                Shortcut::Subsampled {
                    data: &data,
                    feature: from,
                },
            ]
            .map(|s| {
                let mut y = vec![f32::NAN; to.storage()];
                let (mut mean, mut variance) = (vec![0.0; to.channels], vec![0.0; to.channels]);
                norm_forward(
                    &ctx,
                    shape,
                    &case.x,
                    &case.scale,
                    &case.shift,
                    s,
                    true,
                    &mut y,
                    &mut mean,
                    &mut variance,
                );
                y
            });
            // Adding nothing keeps negative zeros, adding zero does not.
            outputs.iter_mut().flatten().for_each(|value| *value += 0.0);
            assert_eq!(outputs[0], outputs[1]);
            let mut sum = gradient.clone();
            shortcut_a_backward(&ctx, &case.dy, to, &mut sum, from);
            assert_eq!(sum, expected);
        }
    }
}
