use super::super::{ConvShape, Feature, conv_forward, conv_input_gradient, conv_weight_gradient};
use super::{bits, contexts, error, interior, noise, noisy_feature, single};

/// Images whose outputs and input gradients are compared if there are many.
const SAMPLE: [usize; 3] = [0, 77, 127];

const TOLERANCE: f64 = 3e-6;

/// F(4x4, 3x3) adds terms of different sizes; 3.3e-6 was seen.
const WIDE_TOLERANCE: f64 = 5e-6;

fn shape(
    images: usize,
    side: usize,
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
) -> ConvShape {
    ConvShape {
        input: Feature::new(images, side, side, inputs),
        outputs,
        kernel,
        stride,
    }
}

/// Every distinct convolution of ResNet-20 and ResNet-56 on 32x32 images, including projections of option B.
fn resnet_shapes(images: usize) -> Vec<ConvShape> {
    vec![
        shape(images, 32, 3, 16, 3, 1),
        shape(images, 32, 16, 16, 3, 1),
        shape(images, 32, 16, 32, 3, 2),
        shape(images, 16, 32, 32, 3, 1),
        shape(images, 16, 32, 64, 3, 2),
        shape(images, 8, 64, 64, 3, 1),
        shape(images, 32, 16, 32, 1, 2),
        shape(images, 16, 32, 64, 1, 2),
    ]
}

/// Calls `visit` for every product of an image's convolution, with the indices in x, w and y.
fn each_product(shape: ConvShape, image: usize, mut visit: impl FnMut(usize, usize, usize)) {
    let (input, output, k) = (shape.input, shape.output(), shape.kernel);
    for y in 0..output.height {
        for x in 0..output.width {
            for ky in 0..k {
                for kx in 0..k {
                    let row = (y * shape.stride + ky).wrapping_sub(k / 2);
                    let column = (x * shape.stride + kx).wrapping_sub(k / 2);
                    if row >= input.height || column >= input.width {
                        continue;
                    }
                    for ci in 0..input.channels {
                        for co in 0..shape.outputs {
                            visit(
                                input.at(image, row, column) + ci,
                                ((co * input.channels + ci) * k + ky) * k + kx,
                                output.at(image, y, x) + co,
                            );
                        }
                    }
                }
            }
        }
    }
}

struct Reference {
    y: Vec<f64>,
    dx: Vec<f64>,
    dw: Vec<f64>,
}

/// Outputs and input gradients of the given images only; the weight gradient over these images.
fn reference(shape: ConvShape, images: &[usize], x: &[f32], w: &[f32], dy: &[f32]) -> Reference {
    let mut sums = Reference {
        y: vec![0.0; shape.output().storage()],
        dx: vec![0.0; shape.input.storage()],
        dw: vec![0.0; shape.weights()],
    };
    for &image in images {
        each_product(shape, image, |at_x, at_w, at_y| {
            let (x, w, dy) = (f64::from(x[at_x]), f64::from(w[at_w]), f64::from(dy[at_y]));
            sums.y[at_y] += x * w;
            sums.dx[at_x] += dy * w;
            sums.dw[at_w] += dy * x;
        });
    }
    sums
}

struct Data {
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
}

fn data(shape: ConvShape) -> Data {
    Data {
        x: noisy_feature(shape.input, 1),
        w: noise(shape.weights(), 2),
        dy: noisy_feature(shape.output(), 3),
    }
}

struct Results {
    y: Vec<f32>,
    dx: Vec<f32>,
    dw: Vec<f32>,
}

/// Runs all three operators on memory filled with NaN.
fn run(ctx: &super::super::Context, shape: ConvShape, data: &Data) -> Results {
    let mut results = Results {
        y: vec![f32::NAN; shape.output().storage()],
        dx: vec![f32::NAN; shape.input.storage()],
        dw: vec![f32::NAN; shape.weights()],
    };
    conv_forward(ctx, &data.x, &data.w, &mut results.y, shape);
    if shape.kernel <= 3 {
        conv_input_gradient(ctx, &data.dy, &data.w, &mut results.dx, shape, false);
    }
    conv_weight_gradient(ctx, &data.x, &data.dy, &mut results.dw, shape);
    results
}

fn compare(shape: ConvShape, results: &Results, reference: &Reference, name: &str) {
    compare_within(TOLERANCE, shape, results, reference, name);
}

fn compare_within(
    tolerance: f64,
    shape: ConvShape,
    results: &Results,
    reference: &Reference,
    name: &str,
) {
    let check = |what: &str, found: f64| {
        assert!(found < tolerance, "{what} {shape:?} {name}: {found:e}");
    };
    check("forward", error(&results.y, &reference.y));
    check("weight gradient", error(&results.dw, &reference.dw));
    if shape.kernel <= 3 {
        check("input gradient", error(&results.dx, &reference.dx));
    }
}

#[test]
fn resnet_convolutions_agree_with_double_precision_on_any_threads() {
    let contexts = contexts();
    for images in [1, 5] {
        for shape in resnet_shapes(images) {
            let data = data(shape);
            let all: Vec<usize> = (0..images).collect();
            let reference = reference(shape, &all, &data.x, &data.w, &data.dy);
            for contexts in &contexts {
                let first = run(&contexts[0], shape, &data);
                compare(shape, &first, &reference, contexts[0].instructions().name());
                for ctx in &contexts[1..] {
                    let other = run(ctx, shape, &data);
                    assert_eq!(bits(&first.y), bits(&other.y));
                    assert_eq!(bits(&first.dx), bits(&other.dx));
                    assert_eq!(bits(&first.dw), bits(&other.dw));
                }
            }
        }
    }
}

#[test]
fn resnet_convolutions_of_128_images_agree_with_double_precision_on_any_threads() {
    let contexts = contexts();
    for shape in resnet_shapes(128) {
        let data = data(shape);
        let sampled = reference(shape, &SAMPLE, &data.x, &data.w, &data.dy);
        let weights = sampled_weight_gradient(shape, &data);
        for contexts in &contexts {
            let name = contexts[0].instructions().name();
            let first = run(&contexts[0], shape, &data);
            for image in SAMPLE {
                let of = |feature: Feature| {
                    image * feature.image_storage()..(image + 1) * feature.image_storage()
                };
                let (y, dx) = (of(shape.output()), of(shape.input));
                assert!(
                    error(&first.y[y.clone()], &sampled.y[y]) < TOLERANCE,
                    "{shape:?} {name}"
                );
                assert!(
                    error(&first.dx[dx.clone()], &sampled.dx[dx]) < TOLERANCE,
                    "{shape:?} {name}"
                );
            }
            let (found, expected): (Vec<f32>, Vec<f64>) = weights
                .iter()
                .map(|&(at, value)| (first.dw[at], value))
                .unzip();
            assert!(error(&found, &expected) < TOLERANCE, "{shape:?} {name}");
            for ctx in &contexts[1..] {
                let other = run(ctx, shape, &data);
                assert!(bits(&first.y) == bits(&other.y), "{shape:?} {name}");
                assert!(bits(&first.dx) == bits(&other.dx), "{shape:?} {name}");
                assert!(bits(&first.dw) == bits(&other.dw), "{shape:?} {name}");
            }
        }
    }
}

/// A few elements of the weight gradient over all images.
fn sampled_weight_gradient(shape: ConvShape, data: &Data) -> Vec<(usize, f64)> {
    let (input, output, k) = (shape.input, shape.output(), shape.kernel);
    let places = (0..16).map(|i| i * (shape.weights() - 1) / 15);
    places
        .map(|at| {
            let (kx, ky, rest) = (at % k, at / k % k, at / k / k);
            let (ci, co) = (rest % input.channels, rest / input.channels);
            let mut sum = 0.0;
            for image in 0..input.images {
                for y in 0..output.height {
                    for x in 0..output.width {
                        let row = (y * shape.stride + ky).wrapping_sub(k / 2);
                        let column = (x * shape.stride + kx).wrapping_sub(k / 2);
                        if row < input.height && column < input.width {
                            sum += f64::from(data.x[input.at(image, row, column) + ci])
                                * f64::from(data.dy[output.at(image, y, x) + co]);
                        }
                    }
                }
            }
            (at, sum)
        })
        .collect()
}

#[test]
fn any_width_and_any_channels_work() {
    let mut shapes = Vec::new();
    for (height, width) in [
        (1, 1),
        (2, 3),
        (5, 4),
        (4, 16),
        (7, 8),
        (3, 21),
        (6, 40),
        (9, 24),
    ] {
        for (inputs, outputs) in [(1, 1), (3, 8), (8, 8), (16, 17), (5, 33), (24, 3), (64, 16)] {
            for (kernel, stride) in [(3, 1), (3, 2), (1, 1), (1, 2), (7, 2), (5, 1), (3, 3)] {
                let mut input = Feature::new(3, height, width, inputs);
                input.halo = input.halo.max(kernel / 2);
                shapes.push(ConvShape {
                    input,
                    outputs,
                    kernel,
                    stride,
                });
            }
        }
    }
    for shape in shapes {
        let data = data(shape);
        let reference = reference(shape, &[0, 1, 2], &data.x, &data.w, &data.dy);
        for ctx in single() {
            let results = run(&ctx, shape, &data);
            compare(shape, &results, &reference, ctx.instructions().name());
        }
    }
}

/// Kinds of convolutions that occur only in the networks of Table 1, with few images: the stem, tiles of 7 and 14 pixels,
/// pixels far apart in memory (with and without copying), fewer groups of sums than images. Sums have up to 2304 products:
/// more would need a larger tolerance, since a single-precision sum of 4608 is off by 2e-6 of the largest.
#[test]
fn wide_convolutions_agree_with_double_precision_on_any_threads() {
    let stem = ConvShape {
        input: Feature {
            halo: 3,
            ..Feature::new(2, 30, 30, 3)
        },
        ..shape(2, 30, 3, 64, 7, 2)
    };
    let shapes = [
        stem,
        shape(2, 14, 256, 32, 3, 1),
        shape(3, 7, 512, 24, 1, 1),
        shape(2, 14, 128, 64, 3, 2),
        shape(2, 7, 256, 512, 1, 1),
        shape(2, 14, 512, 256, 1, 2),
        shape(1, 28, 64, 128, 3, 2),
        shape(2, 7, 272, 40, 1, 1),
        shape(5, 5, 300, 40, 1, 1),
        shape(17, 4, 128, 144, 3, 1),
    ];
    let contexts = contexts();
    for shape in shapes {
        let data = data(shape);
        let all: Vec<usize> = (0..shape.input.images).collect();
        let reference = reference(shape, &all, &data.x, &data.w, &data.dy);
        for contexts in &contexts {
            let first = run(&contexts[0], shape, &data);
            compare(shape, &first, &reference, contexts[0].instructions().name());
            for ctx in &contexts[1..] {
                let other = run(ctx, shape, &data);
                assert!(bits(&first.y) == bits(&other.y), "{shape:?}");
                assert!(bits(&first.dw) == bits(&other.dw), "{shape:?}");
                if shape.kernel <= 3 {
                    assert!(bits(&first.dx) == bits(&other.dx), "{shape:?}");
                }
            }
        }
    }
}

/// What has kernels of its own for many channels: all sides that networks of Table 1 have on images of 224 and 112 pixels,
/// sides that no tile divides, strides, and more channels and tiles than are summed at once.
#[test]
fn convolutions_of_many_channels_agree_with_double_precision_on_any_threads() {
    let shapes = [
        shape(2, 28, 64, 64, 3, 1),
        shape(1, 56, 64, 64, 3, 1),
        shape(9, 14, 128, 64, 3, 1),
        shape(3, 14, 160, 96, 3, 1),
        shape(3, 7, 256, 128, 3, 1),
        shape(1, 4, 128, 512, 3, 1),
        shape(2, 1, 64, 128, 3, 1),
        shape(2, 13, 96, 64, 3, 1),
        shape(2, 14, 64, 256, 1, 1),
        shape(2, 14, 256, 64, 1, 2),
        shape(3, 7, 512, 96, 1, 1),
        shape(3, 7, 96, 512, 1, 2),
        shape(2, 13, 160, 64, 1, 2),
        shape(1, 1, 2048, 64, 1, 1),
    ];
    let contexts = contexts();
    for shape in shapes {
        let data = data(shape);
        let all: Vec<usize> = (0..shape.input.images).collect();
        let reference = reference(shape, &all, &data.x, &data.w, &data.dy);
        for contexts in &contexts {
            let name = contexts[0].instructions().name();
            let first = run(&contexts[0], shape, &data);
            let tolerance = if shape.kernel == 3 {
                WIDE_TOLERANCE
            } else {
                TOLERANCE
            };
            compare_within(tolerance, shape, &first, &reference, name);
            for ctx in &contexts[1..] {
                let other = run(ctx, shape, &data);
                assert!(bits(&first.y) == bits(&other.y), "{shape:?}");
                assert!(bits(&first.dw) == bits(&other.dw), "{shape:?}");
                assert!(bits(&first.dx) == bits(&other.dx), "{shape:?}");
            }
        }
    }
}

#[test]
fn the_input_gradient_is_added_to_what_is_there() {
    for shape in [
        shape(2, 14, 64, 128, 3, 1),
        shape(2, 14, 64, 128, 1, 1),
        shape(2, 14, 64, 128, 1, 2),
        shape(2, 11, 5, 6, 3, 1),
        shape(2, 11, 5, 6, 3, 2),
        shape(2, 11, 32, 16, 3, 1),
        shape(2, 10, 16, 32, 1, 2),
    ] {
        let data = data(shape);
        let before = noisy_feature(shape.input, 9);
        for ctx in single() {
            let alone = run(&ctx, shape, &data).dx;
            let mut sum = before.clone();
            conv_input_gradient(&ctx, &data.dy, &data.w, &mut sum, shape, true);
            let expected: Vec<f64> = before
                .iter()
                .zip(&alone)
                .map(|(a, b)| f64::from(*a) + f64::from(*b))
                .collect();
            assert!(error(&sum, &expected) < 1e-6, "{shape:?}");
        }
    }
}

#[test]
fn halos_are_written_as_zeros() {
    for shape in [
        shape(3, 9, 5, 6, 3, 1),
        shape(3, 8, 5, 6, 3, 2),
        shape(3, 9, 16, 32, 3, 1),
        shape(3, 9, 64, 96, 3, 1),
        shape(3, 9, 64, 96, 1, 1),
        shape(3, 9, 64, 96, 1, 2),
    ] {
        let data = data(shape);
        for ctx in single() {
            let results = run(&ctx, shape, &data);
            for (feature, values) in [(shape.output(), &results.y), (shape.input, &results.dx)] {
                let halo = values
                    .iter()
                    .zip(interior(feature))
                    .filter(|(_, inside)| !inside);
                assert!(halo.into_iter().all(|(value, _)| value.to_bits() == 0));
            }
        }
    }
}
