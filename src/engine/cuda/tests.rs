//! The kernels, compiled for the host, against the CPU's operators on small and odd shapes, with the launches that a GPU is
//! given. What a host cannot show (speed, a GPU's memory model, the driver) is not tested here.

use super::feature::upload_feature;
use super::gpu::{Gpu, Slot};
use super::host::{self, Host};
use super::images::Images;
use super::index::Divisor;
use super::self_check::{
    Comparison, TENSOR_TOLERANCE, TOLERANCE, noise, noisy_feature, originals, self_check,
};
use super::{convolution, norm, passes};
use crate::data::{ImageSize, Loader};
use crate::engine::cpu::{
    Context, ConvShape, Feature, Instructions, LinearShape, NormShape, SgdStep,
};
use crate::engine::residency::Kind;
use crate::recipe::{MomentumForm, Normalisation, PaddingValue, Precision, Recipe};

const PRECISIONS: [Precision; 3] = [Precision::Fp32, Precision::Tf32, Precision::Bf16];

/// Runs comparisons on the host in every precision and asserts that all are within tolerance.
fn compare(work: impl Fn(&mut Comparison<'_, Host>)) {
    for precision in PRECISIONS {
        compare_in(precision, &work);
    }
}

fn compare_in(precision: Precision, work: impl FnOnce(&mut Comparison<'_, Host>)) {
    if !host::available() {
        return;
    }
    let gpu = Host::in_precision(precision);
    let ctx = Context::new(1, Instructions::detect());
    let mut comparison = Comparison {
        gpu: &gpu,
        ctx: &ctx,
        found: Vec::new(),
    };
    work(&mut comparison);
    assert!(!comparison.found.is_empty());
    for found in &comparison.found {
        // The host adds floats as the CPU does: it gets half of a GPU's tolerance, and none of the tensor cores' extra.
        let allowed = match found.allowed {
            TENSOR_TOLERANCE => TOLERANCE,
            allowed => allowed,
        };
        let margin = if allowed == TOLERANCE { 2.0 } else { 1.0 };
        assert!(found.error <= allowed / margin, "{precision:?} {found:?}");
    }
}

fn conv(
    images: usize,
    height: usize,
    width: usize,
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
) -> ConvShape {
    ConvShape {
        input: Feature {
            halo: (kernel / 2).max(1),
            ..Feature::new(images, height, width, inputs)
        },
        outputs,
        kernel,
        stride,
    }
}

#[test]
fn division_by_multiplication_is_exact() {
    let dividends = |d: u32| {
        let near = [0, 1, d - 1, d, d + 1, 2 * d - 1, 2 * d];
        let far = (0..64).map(move |i| (1u32 << 31) - 1 - i * d.min(1 << 20));
        near.into_iter().chain(far)
    };
    for d in (1..3000).chain([65_535, 65_536, 65_537, 1 << 20, (1 << 30) - 1, 1 << 30]) {
        for n in dividends(d).filter(|n| *n < 1 << 31) {
            assert_eq!(Divisor::new(d as usize).divide(n), n / d, "{n} / {d}");
        }
    }
}

#[test]
fn every_operator_passes_the_self_check() {
    if host::available() {
        for precision in PRECISIONS {
            let failures = self_check(&Host::in_precision(precision)).unwrap();
            assert!(failures.is_empty(), "{precision:?} {failures:#?}");
        }
    }
}

#[test]
fn convolutions_of_any_shape_agree_with_the_cpu() {
    compare(|all| {
        let kernels = [(3, 1), (3, 2), (1, 1), (1, 2), (7, 2), (5, 1), (3, 3)];
        let channels = [
            (1, 1),
            (3, 8),
            (8, 3),
            (16, 17),
            (5, 33),
            (12, 68),
            (64, 16),
        ];
        let sides = [(1, 1), (2, 3), (5, 4), (4, 17), (9, 8)];
        // A third of all combinations, in which every pair occurs.
        for (first, (kernel, stride)) in kernels.into_iter().enumerate() {
            for (second, (inputs, outputs)) in channels.into_iter().enumerate() {
                for (third, (height, width)) in sides.into_iter().enumerate() {
                    if (first + second + third).is_multiple_of(3) {
                        let shape = conv(2, height, width, inputs, outputs, kernel, stride);
                        all.convolution(shape).unwrap();
                    }
                }
            }
        }
    });
}

#[test]
fn convolutions_of_the_papers_networks_agree_with_the_cpu() {
    compare(|all| {
        for shape in [
            conv(1, 32, 32, 3, 16, 3, 1),
            conv(1, 32, 32, 16, 16, 3, 1),
            conv(1, 32, 32, 16, 32, 3, 2),
            conv(2, 16, 16, 32, 32, 3, 1),
            conv(2, 16, 16, 32, 64, 3, 2),
            conv(3, 8, 8, 64, 64, 3, 1),
            // Where the same kernels serve other heights and numbers of channels.
            conv(2, 8, 32, 16, 48, 3, 1),
            conv(1, 24, 16, 16, 96, 3, 1),
            conv(2, 8, 8, 32, 64, 3, 1),
            conv(3, 40, 16, 32, 32, 3, 1),
            conv(1, 32, 32, 16, 32, 1, 2),
            conv(1, 33, 33, 3, 64, 7, 2),
            conv(1, 14, 14, 64, 256, 1, 1),
            conv(1, 7, 7, 256, 128, 1, 2),
            // Of whole photographs, wide and high.
            conv(2, 32, 43, 3, 64, 7, 2),
            conv(1, 19, 11, 64, 64, 3, 1),
            conv(2, 7, 10, 256, 512, 1, 2),
        ] {
            all.convolution(shape).unwrap();
        }
    });
}

#[test]
fn large_tiles_agree_with_the_cpu() {
    // 256 tiles of 128 x 128: 21 images of 40 x 40 pixels.
    compare(|all| all.convolution(conv(21, 40, 40, 4, 128, 1, 1)).unwrap());
}

#[test]
fn normalisation_of_any_shape_agrees_with_the_cpu() {
    compare(|all| {
        for (images, height, width, channels, group) in [
            (1, 1, 2, 1, 0),
            (3, 2, 3, 3, 0),
            (4, 5, 3, 16, 0),
            (5, 4, 4, 8, 2),
            (2, 3, 5, 17, 1),
            (3, 3, 2, 64, 0),
            (4, 3, 3, 70, 2),
            (2, 2, 2, 260, 0),
            (3, 30, 40, 16, 2),
        ] {
            all.normalisation(NormShape {
                feature: Feature::new(images, height, width, channels),
                group,
                epsilon: 1e-5,
            })
            .unwrap();
        }
    });
}

#[test]
fn passes_and_the_classifier_agree_with_the_cpu() {
    compare(|all| {
        for (height, width, channels) in [(1, 1, 1), (4, 5, 6), (7, 3, 16), (8, 8, 64)] {
            for halo in [0, 1, 3] {
                all.passes(Feature {
                    halo,
                    ..Feature::new(3, height, width, channels)
                })
                .unwrap();
            }
        }
        for (images, inputs, outputs) in [(128, 64, 10), (5, 64, 100), (1, 3, 2), (300, 33, 17)] {
            all.classifier(LinearShape {
                images,
                inputs,
                outputs,
            })
            .unwrap();
        }
    });
}

#[test]
fn drawn_images_are_the_loaders_to_the_bit() {
    // Every offset within a padding, also for paddings wider than the image.
    compare(|all| {
        for padding_value in [PaddingValue::Zero, PaddingValue::Black] {
            for (size, batch, pad, halo) in [
                (32, 31, 4, 1),
                (16, 127, 4, 1),
                (8, 7, 4, 1),
                (8, 1, 0, 3),
                (5, 300, 9, 0),
                (3, 600, 1, 2),
            ] {
                all.drawn(size, batch, padding_value, pad, halo).unwrap();
            }
        }
    });
    // A loader's mini-batches, larger than a launch takes, and one of an evaluation.
    compare(|all| {
        for normalisation in [Normalisation::PerPixelMean, Normalisation::ChannelMeanStd] {
            let originals = originals(601, 8, normalisation);
            let on_gpu = Images::new(all.gpu, &originals).unwrap();
            let recipe = Recipe {
                batch: 517,
                image_size: 8,
                ..Recipe::default()
            };
            let mut loader = Loader::drawing(originals.clone(), &recipe, 3, 0).unwrap();
            for _ in 0..3 {
                let batch = loader.next().unwrap();
                all.same(&on_gpu, &batch.drawn.unwrap(), 1).unwrap();
            }
            let plain = originals.batch(&[600, 0, 5]);
            all.same(&on_gpu, &plain.drawn.unwrap(), 1).unwrap();
        }
    });
}

#[test]
fn crops_are_the_loaders_pixels_to_the_bit() {
    // As many as a launch takes, more of them, and sizes for which only the mean over all places can be subtracted.
    compare(|all| {
        for (images, height, width, mean_size, halo) in [
            (1, 1, 1, 1, 0),
            (5, 32, 32, 32, 3),
            (2, 33, 32, 32, 3),
            (2, 33, 33, 32, 3),
            (256, 6, 6, 6, 1),
            (601, 5, 5, 5, 2),
            (257, 4, 4, 7, 3),
            // As many pixels as the mean image has, at other places.
            (3, 2, 8, 4, 3),
            (3, 8, 2, 4, 3),
        ] {
            let size = ImageSize { height, width };
            all.crops(images, size, mean_size, halo).unwrap();
        }
    });
}

#[test]
fn updates_of_many_tensors_agree_with_the_cpu() {
    compare(|all| {
        for form in [MomentumForm::Caffe, MomentumForm::Pytorch] {
            let step = SgdStep {
                learning_rate: 0.1,
                momentum: 0.9,
                form,
                weight_decay: 1e-2,
            };
            // More tensors than a launch takes, some with more numbers than its blocks have threads.
            let lengths: Vec<usize> = (0..60).map(|i| [1, 16, 2304, 70_000][i % 4] + i).collect();
            let shape = NormShape {
                feature: Feature::new(5, 3, 3, 130),
                group: 2,
                epsilon: 1e-5,
            };
            all.updates(step, &lengths, shape).unwrap();
        }
    });
}

#[test]
fn sums_are_the_same_bits_every_time() {
    if !host::available() {
        return;
    }
    let shape = conv(4, 16, 16, 16, 16, 3, 1);
    let (x, dy) = (
        noisy_feature(shape.input, 1),
        noisy_feature(shape.output(), 2),
    );
    let run = || {
        let gpu = Host::default();
        let (x, dy) = (gpu.upload(&x).unwrap(), gpu.upload(&dy).unwrap());
        let mut dw = host::Numbers::new(shape.weights());
        convolution::convolve_weight_gradient(&gpu, shape, &x, &dy, &mut dw).unwrap();
        gpu.download(&dw).unwrap()
    };
    assert_eq!(run(), run());
}

#[test]
fn launches_aside_are_done_before_what_joins_them() {
    if !host::available() {
        return;
    }
    let gpu = Host::default();
    let shape = conv(2, 6, 5, 8, 16, 3, 1);
    let x = gpu.upload(&noisy_feature(shape.input, 1)).unwrap();
    let more = gpu.upload(&noisy_feature(shape.output(), 2)).unwrap();
    let weights = gpu.upload(&noise(shape.weights(), 3)).unwrap();
    // Both gradients, and a change of what they read, which must wait for both. The host repeats launches aside as late as a GPU
    // may.
    let repeated = |joined: bool| {
        let mut dy = gpu.upload(&noisy_feature(shape.output(), 4)).unwrap();
        let mut dx = host::Numbers::new(shape.input.storage());
        let mut dw = host::Numbers::new(shape.weights());
        let mut pass = || {
            gpu.set_aside(true);
            convolution::convolve_weight_gradient(&gpu, shape, &x, &dy, &mut dw).unwrap();
            gpu.set_aside(false);
            convolution::convolve_input_gradient(&gpu, shape, &dy, &weights, &mut dx, false)
                .unwrap();
            if joined {
                gpu.join();
            }
            passes::add(&gpu, Kind::Activation, &more, &mut dy).unwrap();
        };
        pass();
        assert!(gpu.begin_recording());
        pass();
        let graph = gpu
            .end_recording()
            .unwrap()
            .expect("nothing was reallocated");
        // SAFETY: everything is still allocated.
        assert!(unsafe { gpu.launch_graph(&graph) }.unwrap());
        let repeated = gpu.download(&dw).unwrap();
        // The third pass, without a graph.
        let mut dy = gpu.upload(&noisy_feature(shape.output(), 4)).unwrap();
        for _ in 0..2 {
            passes::add(&gpu, Kind::Activation, &more, &mut dy).unwrap();
        }
        convolution::convolve_weight_gradient(&gpu, shape, &x, &dy, &mut dw).unwrap();
        repeated == gpu.download(&dw).unwrap()
    };
    assert!(repeated(true));
    assert!(
        !repeated(false),
        "the host keeps the order, so this test sees nothing"
    );
}

#[test]
fn recorded_launches_are_repeated_on_the_current_contents_of_memory() {
    if !host::available() {
        return;
    }
    let gpu = Host::default();
    let shape = conv(2, 6, 5, 8, 16, 3, 1);
    let feature = shape.output();
    let of = |seed| gpu.upload(&noisy_feature(shape.input, seed)).unwrap();
    let write = |numbers: &mut host::Numbers, values: &[f32]| {
        let (from, to) = (values.as_ptr(), gpu.address(numbers) as *mut f32);
        // SAFETY: the numbers have `values.len()` floats.
        unsafe { std::ptr::copy_nonoverlapping(from, to, values.len()) };
    };
    let (mut x, other) = (of(1), of(7));
    let weights = gpu.upload(&noise(shape.weights(), 2)).unwrap();
    let affine = [3, 4].map(|seed| gpu.upload(&noise(16, seed)).unwrap());
    let norm = NormShape {
        feature,
        group: 0,
        epsilon: 1e-5,
    };
    let lengths = [feature.storage(), feature.storage(), 16, 16];
    let pass = |x: &host::Numbers, into: &mut [host::Numbers; 4]| {
        let [y, z, mean, variance] = into;
        convolution::convolve(&gpu, shape, x, &weights, y).unwrap();
        let (affine, statistics) = ([&affine[0], &affine[1]], [mean, variance]);
        let none = norm::Shortcut::None;
        norm::normalise(&gpu, norm, y, affine, none, true, z, statistics).unwrap();
    };
    let all = |numbers: &[host::Numbers; 4]| {
        numbers
            .each_ref()
            .map(|numbers| gpu.download(numbers).unwrap())
    };
    let mut found = lengths.map(host::Numbers::new);
    // The first pass allocates the slots, the second is recorded.
    pass(&x, &mut found);
    assert!(gpu.begin_recording());
    pass(&x, &mut found);
    let graph = gpu
        .end_recording()
        .unwrap()
        .expect("nothing was reallocated");
    let first = all(&found);
    let mut expected = lengths.map(host::Numbers::new);
    pass(&other, &mut expected);
    write(&mut x, &gpu.download(&other).unwrap());
    // SAFETY: everything is still allocated.
    assert!(unsafe { gpu.launch_graph(&graph) }.unwrap());
    assert_eq!(all(&found), all(&expected));
    assert_ne!(all(&found), first);
    // Reallocating a slot invalidates the graph's addresses.
    let larger = conv(2, 6, 5, 64, 128, 3, 1);
    let [wide, deep] = [larger.input.storage(), larger.weights()].map(|len| vec![0.5; len]);
    let mut into = host::Numbers::new(larger.output().storage());
    let (wide, deep) = (gpu.upload(&wide).unwrap(), gpu.upload(&deep).unwrap());
    convolution::convolve(&gpu, larger, &wide, &deep, &mut into).unwrap();
    // SAFETY: as above.
    assert!(!unsafe { gpu.launch_graph(&graph) }.unwrap());
    // A recording during which a slot is reallocated gives no graph.
    let gpu = Host::default();
    assert!(gpu.begin_recording());
    gpu.scratch(Slot::Packed, 8).unwrap();
    gpu.scratch(Slot::Packed, 800).unwrap();
    assert!(gpu.end_recording().unwrap().is_none());
}

#[test]
fn activations_are_made_again_to_the_bit() {
    if !host::available() {
        return;
    }
    for precision in PRECISIONS {
        let gpu = Host::in_precision(precision);
        for (group, channels) in [(0, 16), (2, 16), (2, 70), (1, 3)] {
            let shape = NormShape {
                feature: Feature::new(5, 3, 4, channels),
                group,
                epsilon: 1e-5,
            };
            let x = upload_feature(&gpu, &noisy_feature(shape.feature, 1)).unwrap();
            let affine = [2, 3].map(|seed| gpu.upload(&noise(channels, seed)).unwrap());
            let affine = [&affine[0], &affine[1]];
            let moments = shape.groups() * channels;
            let [mut mean, mut variance] = [(); 2].map(|()| host::Numbers::new(moments));
            let floats = gpu.floats(shape.feature);
            let [mut y, mut again] = [(); 2].map(|()| host::Numbers::new(floats));
            let (none, statistics) = (norm::Shortcut::None, [&mut mean, &mut variance]);
            norm::normalise(&gpu, shape, &x, affine, none, true, &mut y, statistics).unwrap();
            let (none, statistics) = (norm::Shortcut::None, [&mean, &variance]);
            norm::normalise_fixed(&gpu, shape, &x, affine, statistics, none, true, &mut again)
                .unwrap();
            let bits = |numbers: &host::Numbers| -> Vec<u32> {
                let values = gpu.download(numbers).unwrap();
                values.into_iter().map(f32::to_bits).collect()
            };
            assert_eq!(bits(&y), bits(&again), "{precision:?} {shape:?}");
        }
    }
}

#[test]
fn a_nan_survives_normalisation() {
    if !host::available() {
        return;
    }
    let gpu = Host::default();
    let shape = NormShape {
        feature: Feature::new(1, 2, 2, 4),
        group: 0,
        epsilon: 1e-5,
    };
    let mut x = noisy_feature(shape.feature, 1);
    x[shape.feature.at(0, 1, 1) + 2] = f32::NAN;
    let (scale, shift) = (
        gpu.upload(&noise(4, 2)).unwrap(),
        gpu.upload(&noise(4, 3)).unwrap(),
    );
    let mut y = host::Numbers::new(shape.feature.storage());
    let (mut mean, mut variance) = (host::Numbers::new(4), host::Numbers::new(4));
    norm::normalise(
        &gpu,
        shape,
        &gpu.upload(&x).unwrap(),
        [&scale, &shift],
        norm::Shortcut::None,
        true,
        &mut y,
        [&mut mean, &mut variance],
    )
    .unwrap();
    let variance = gpu.download(&variance).unwrap();
    assert!(variance[2].is_nan() && variance[1].is_finite());
    let y = gpu.download(&y).unwrap();
    assert!(
        y[shape.feature.at(0, 0, 0) + 2].is_nan() && y[shape.feature.at(0, 0, 0) + 1].is_finite()
    );
}
