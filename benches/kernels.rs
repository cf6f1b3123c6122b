//! The CPU kernels on the shapes of ResNet-20 at batch 128, in floating-point operations or bytes per second. `refig bench
//! operators` compares the convolutions of any network with the processor's peak.
//! `cargo bench --profile dev --bench kernels`

use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use refig::engine::Options;
use refig::engine::cpu::*;

const IMAGES: usize = 128;

/// All threads and the best instruction set of this machine.
static CONTEXT: LazyLock<Context> =
    LazyLock::new(|| Options::default().context().expect("detected"));

fn main() {
    divan::main();
}

/// Side, inputs, outputs, stride of a 3x3 convolution.
const CONVOLUTIONS: [[usize; 4]; 6] = [
    [32, 3, 16, 1],
    [32, 16, 16, 1],
    [32, 16, 32, 2],
    [16, 32, 32, 1],
    [16, 32, 64, 2],
    [8, 64, 64, 1],
];

fn convolution([side, inputs, outputs, stride]: [usize; 4]) -> ConvShape {
    ConvShape {
        input: Feature::new(IMAGES, side, side, inputs),
        outputs,
        kernel: 3,
        stride,
    }
}

/// Floating-point operations; a multiply-add counts as two.
fn operations(shape: ConvShape) -> ItemsCount {
    ItemsCount::new(2 * shape.output().pixels() * shape.weights())
}

#[divan::bench(args = CONVOLUTIONS)]
fn convolution_forward(bencher: Bencher<'_, '_>, shape: [usize; 4]) {
    let shape = convolution(shape);
    let (x, w) = (
        vec![0.5; shape.input.storage()],
        vec![0.25; shape.weights()],
    );
    let mut y = vec![0.0; shape.output().storage()];
    bencher
        .counter(operations(shape))
        .bench_local(|| conv_forward(&CONTEXT, &x, &w, &mut y, shape));
}

#[divan::bench(args = CONVOLUTIONS)]
fn convolution_input_gradient(bencher: Bencher<'_, '_>, shape: [usize; 4]) {
    let shape = convolution(shape);
    let (dy, w) = (
        vec![0.5; shape.output().storage()],
        vec![0.25; shape.weights()],
    );
    let mut dx = vec![0.0; shape.input.storage()];
    bencher
        .counter(operations(shape))
        .bench_local(|| conv_input_gradient(&CONTEXT, &dy, &w, &mut dx, shape, false));
}

#[divan::bench(args = CONVOLUTIONS)]
fn convolution_weight_gradient(bencher: Bencher<'_, '_>, shape: [usize; 4]) {
    let shape = convolution(shape);
    let (x, dy) = (
        vec![0.5; shape.input.storage()],
        vec![0.5; shape.output().storage()],
    );
    let mut dw = vec![0.0; shape.weights()];
    bencher
        .counter(operations(shape))
        .bench_local(|| conv_weight_gradient(&CONTEXT, &x, &dy, &mut dw, shape));
}

/// Side and channels of a batch normalisation with ReLU, and whether a shortcut is added.
const NORMS: [(usize, usize, bool); 4] = [
    (32, 16, false),
    (32, 16, true),
    (16, 32, true),
    (8, 64, true),
];

struct Norm {
    shape: NormShape,
    x: Vec<f32>,
    added: Option<Vec<f32>>,
    y: Vec<f32>,
    /// Scale, shift, mean, variance, scale gradient, shift gradient.
    channels: [Vec<f32>; 6],
}

impl Norm {
    fn new((side, channels, add): (usize, usize, bool)) -> Norm {
        let feature = Feature::new(IMAGES, side, side, channels);
        let floats = feature.storage();
        let per_channel = |value| vec![value; channels];
        Norm {
            shape: NormShape {
                feature,
                group: 0,
                epsilon: 1e-5,
            },
            x: (0..floats).map(|i| (i % 17) as f32).collect(),
            added: add.then(|| vec![0.5; floats]),
            y: vec![0.0; floats],
            channels: [1.0, 0.0, 0.0, 0.0, 0.0, 0.0].map(per_channel),
        }
    }

    fn forward(&mut self) {
        let [scale, shift, mean, variance, ..] = &mut self.channels;
        let added = self.added.as_deref();
        let added = added.map_or(Shortcut::None, Shortcut::Identity);
        norm_forward(
            &CONTEXT,
            self.shape,
            &self.x,
            scale,
            shift,
            added,
            true,
            &mut self.y,
            mean,
            variance,
        );
    }

    fn backward(&mut self, dy: &mut [f32], dx: &mut [f32]) {
        let [scale, shift, mean, variance, dscale, dshift] = &mut self.channels;
        let (mask, dx) = match self.added {
            None => (Mask::Recomputed, None),
            Some(_) => (Mask::Output(&self.y), Some(dx)),
        };
        norm_backward(
            &CONTEXT, self.shape, &self.x, scale, shift, mean, variance, mask, dy, dx, dscale,
            dshift,
        );
    }
}

#[divan::bench(args = NORMS)]
fn batch_norm_forward(bencher: Bencher<'_, '_>, norm: (usize, usize, bool)) {
    let mut norm = Norm::new(norm);
    bencher
        .counter(BytesCount::of_slice(&norm.x))
        .bench_local(|| norm.forward());
}

#[divan::bench(args = NORMS)]
fn batch_norm_backward(bencher: Bencher<'_, '_>, norm: (usize, usize, bool)) {
    let mut norm = Norm::new(norm);
    norm.forward();
    let (mut dy, mut dx) = (vec![0.5; norm.x.len()], norm.x.clone());
    bencher
        .counter(BytesCount::of_slice(&norm.x))
        .bench_local(|| norm.backward(&mut dy, &mut dx));
}
