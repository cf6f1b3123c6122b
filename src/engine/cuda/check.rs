//! A GPU's operators held against the CPU's, shape by shape: on the host in tests, and on a real GPU before it is trusted.

use super::difference::{Difference, error, noise, noisy_feature};
use super::gpu::Gpu;
use super::norm::{Gate, Shortcut};
use super::update::{MovingAverage, Update};
use super::{classifier, convolution, images, norm, passes, update};
use crate::engine::cpu::{self, Context, ConvShape, Feature, LinearShape, NormShape, SgdStep};
use crate::manifest::PaddingValue;

/// Compares operators on a GPU with those of the CPU.
pub struct Comparison<'a, G: Gpu> {
    pub gpu: &'a G,
    pub ctx: &'a Context,
    pub found: Vec<Difference>,
}

impl<G: Gpu> Comparison<'_, G> {
    fn note(
        &mut self,
        what: &'static str,
        shape: &dyn std::fmt::Debug,
        numbers: &G::Numbers,
        expected: &[f32],
    ) -> Result<(), G::Error> {
        let found = self.gpu.download(numbers)?;
        self.found.push(Difference {
            what,
            shape: format!("{shape:?}"),
            error: error(&found, expected),
        });
        Ok(())
    }

    /// Memory that holds NaN.
    fn blank(&self, len: usize) -> Result<G::Numbers, G::Error> {
        self.gpu.upload(&vec![f32::NAN; len])
    }

    /// Forward, and backward to weights and, for kernels up to 3, to the input, overwriting and adding.
    pub fn convolution(&mut self, shape: ConvShape) -> Result<(), G::Error> {
        let (input, output) = (shape.input, shape.output());
        let (x, w) = (noisy_feature(input, 1), noise(shape.weights(), 2));
        let (dy, before) = (noisy_feature(output, 3), noisy_feature(input, 4));
        let [on_x, on_w, on_dy] = [&x, &w, &dy].map(|values| self.gpu.upload(values));
        let (on_x, on_w, on_dy) = (on_x?, on_w?, on_dy?);

        let mut y = vec![f32::NAN; output.storage()];
        cpu::conv_forward(self.ctx, &x, &w, &mut y, shape);
        let mut on_y = self.blank(output.storage())?;
        convolution::convolve(self.gpu, shape, &on_x, &on_w, &mut on_y)?;
        self.note("convolution", &shape, &on_y, &y)?;

        let mut dw = vec![f32::NAN; shape.weights()];
        cpu::conv_weight_gradient(self.ctx, &x, &dy, &mut dw, shape);
        let mut on_dw = self.blank(shape.weights())?;
        convolution::convolve_weight_gradient(self.gpu, shape, &on_x, &on_dy, &mut on_dw)?;
        self.note("convolution, weight gradient", &shape, &on_dw, &dw)?;

        if shape.kernel > 3 {
            return Ok(());
        }
        for accumulate in [false, true] {
            let (mut dx, mut on_dx) = match accumulate {
                false => (
                    vec![f32::NAN; input.storage()],
                    self.blank(input.storage())?,
                ),
                true => (before.clone(), self.gpu.upload(&before)?),
            };
            cpu::conv_input_gradient(self.ctx, &dy, &w, &mut dx, shape, accumulate);
            convolution::convolve_input_gradient(
                self.gpu, shape, &on_dy, &on_w, &mut on_dx, accumulate,
            )?;
            self.note("convolution, input gradient", &shape, &on_dx, &dx)?;
        }
        Ok(())
    }

    /// With nothing added, with a shortcut of the same shape, and with one of option A where the channels are even; forward
    /// with the batch's and with given statistics, backward through every kind of gate.
    pub fn normalisation(&mut self, shape: NormShape) -> Result<(), G::Error> {
        let feature = shape.feature;
        let channels = feature.channels;
        let moments = shape.groups() * channels;
        // Means far from 0: a variance from plain squares would show.
        let mut x = noisy_feature(feature, 5);
        x.iter_mut()
            .filter(|x| **x != 0.0)
            .for_each(|x| *x = 0.3 * *x + 3.0);
        let scale: Vec<f32> = noise(channels, 6).iter().map(|value| value + 1.5).collect();
        let shift = noise(channels, 7);
        let before = Feature {
            height: 2 * feature.height,
            width: 2 * feature.width - 1,
            channels: channels.div_ceil(2),
            ..feature
        };
        let (same, wide) = (noisy_feature(feature, 8), noisy_feature(before, 9));
        let gpu = self.gpu;
        let on_x = gpu.upload(&x)?;
        let (on_scale, on_shift) = (gpu.upload(&scale)?, gpu.upload(&shift)?);
        let (on_same, on_wide) = (gpu.upload(&same)?, gpu.upload(&wide)?);
        for (kind, relu) in [(0, false), (0, true), (1, true), (2, true)] {
            let shortcut = || match kind {
                0 => cpu::Shortcut::None,
                1 => cpu::Shortcut::Identity(&same),
                _ => cpu::Shortcut::Subsampled {
                    data: &wide,
                    feature: before,
                },
            };
            let on_shortcut = || match kind {
                0 => Shortcut::Nothing,
                1 => Shortcut::Same(&on_same),
                _ => Shortcut::Subsampled(&on_wide, before),
            };
            let (mut y, mut mean, mut variance) = (
                vec![f32::NAN; feature.storage()],
                vec![f32::NAN; moments],
                vec![f32::NAN; moments],
            );
            cpu::norm_forward(
                self.ctx,
                shape,
                &x,
                &scale,
                &shift,
                shortcut(),
                relu,
                &mut y,
                &mut mean,
                &mut variance,
            );
            let mut on_y = self.blank(feature.storage())?;
            let (mut on_mean, mut on_variance) = (self.blank(moments)?, self.blank(moments)?);
            norm::normalise(
                gpu,
                shape,
                &on_x,
                [&on_scale, &on_shift],
                on_shortcut(),
                relu,
                &mut on_y,
                [&mut on_mean, &mut on_variance],
            )?;
            self.note("batch norm", &shape, &on_y, &y)?;
            self.note("batch norm, mean", &shape, &on_mean, &mean)?;
            self.note("batch norm, variance", &shape, &on_variance, &variance)?;

            let mut fixed = vec![f32::NAN; feature.storage()];
            let (of_mean, of_variance) = (&mean[..channels], &variance[..channels]);
            cpu::norm_inference(
                self.ctx,
                shape,
                &x,
                &scale,
                &shift,
                of_mean,
                of_variance,
                shortcut(),
                relu,
                &mut fixed,
            );
            let mut on_fixed = self.blank(feature.storage())?;
            let given = [gpu.upload(of_mean)?, gpu.upload(of_variance)?];
            norm::normalise_fixed(
                gpu,
                shape,
                &on_x,
                [&on_scale, &on_shift],
                [&given[0], &given[1]],
                on_shortcut(),
                relu,
                &mut on_fixed,
            )?;
            self.note("batch norm, given statistics", &shape, &on_fixed, &fixed)?;

            // The same statistics and outputs on both sides, so that the same gates are open.
            let dy = noisy_feature(feature, 10);
            let (on_mean, on_variance, on_y) =
                (gpu.upload(&mean)?, gpu.upload(&variance)?, gpu.upload(&y)?);
            for apart in [false, true] {
                let (mask, gate) = match (relu, kind) {
                    (false, _) => (cpu::Mask::None, Gate::Open),
                    (true, 0) => (cpu::Mask::Recomputed, Gate::Recomputed),
                    (true, _) => (cpu::Mask::Output(&y), Gate::Output(&on_y)),
                };
                let mut ours = dy.clone();
                let mut dx = vec![f32::NAN; feature.storage()];
                let (mut dscale, mut dshift) = (vec![f32::NAN; channels], vec![f32::NAN; channels]);
                let place = apart.then_some(&mut dx[..]);
                cpu::norm_backward(
                    self.ctx,
                    shape,
                    &x,
                    &scale,
                    &shift,
                    &mean,
                    &variance,
                    mask,
                    &mut ours,
                    place,
                    &mut dscale,
                    &mut dshift,
                );
                let mut on_dy = gpu.upload(&dy)?;
                let mut on_dx = self.blank(feature.storage())?;
                let (mut on_dscale, mut on_dshift) = (self.blank(channels)?, self.blank(channels)?);
                norm::normalise_gradient(
                    gpu,
                    shape,
                    &on_x,
                    [&on_scale, &on_shift],
                    [&on_mean, &on_variance],
                    gate,
                    &mut on_dy,
                    apart.then_some(&mut on_dx),
                    [&mut on_dscale, &mut on_dshift],
                )?;
                self.note("batch norm, gradient handed on", &shape, &on_dy, &ours)?;
                if apart {
                    self.note("batch norm, input gradient", &shape, &on_dx, &dx)?;
                }
                self.note("batch norm, scale gradient", &shape, &on_dscale, &dscale)?;
                self.note("batch norm, shift gradient", &shape, &on_dshift, &dshift)?;
            }
            if kind == 2 {
                let (mut dx, mut on_dx) = (wide.clone(), gpu.upload(&wide)?);
                cpu::shortcut_a_backward(self.ctx, &dy, feature, &mut dx, before);
                passes::subsample_gradient(gpu, &gpu.upload(&dy)?, feature, &mut on_dx, before)?;
                self.note("option A, gradient", &shape, &on_dx, &dx)?;
            }
        }
        Ok(())
    }

    /// Images in, sums, both kinds of pooling.
    pub fn passes(&mut self, feature: Feature) -> Result<(), G::Error> {
        let gpu = self.gpu;
        let pixels = noise(feature.pixels() * feature.channels, 11);
        let mut images = vec![f32::NAN; feature.storage()];
        cpu::add_halo(self.ctx, &pixels, feature, &mut images);
        let mut on_images = self.blank(feature.storage())?;
        images::put_images(gpu, &pixels, feature, &mut on_images)?;
        self.note("images", &feature, &on_images, &images)?;

        let value = noise(feature.storage(), 12);
        let (mut sum, mut on_sum) = (images.clone(), gpu.upload(&images)?);
        cpu::add_into(self.ctx, &value, &mut sum);
        passes::add(gpu, &gpu.upload(&value)?, &mut on_sum)?;
        self.note("sum", &feature, &on_sum, &sum)?;

        let (pooled, places) = (feature.max_pooled(), feature.max_places());
        let (mut y, mut taken) = (
            vec![f32::NAN; pooled.storage()],
            vec![f32::NAN; places.storage()],
        );
        cpu::max_pool_forward(self.ctx, &images, feature, &mut y, &mut taken);
        let (mut on_y, mut on_taken) =
            (self.blank(pooled.storage())?, self.blank(places.storage())?);
        passes::max_pool(gpu, feature, &on_images, &mut on_y, &mut on_taken)?;
        self.note("max-pooling", &feature, &on_y, &y)?;
        self.note("max-pooling, places", &feature, &on_taken, &taken)?;
        let dy = noisy_feature(pooled, 13);
        let mut dx = vec![f32::NAN; feature.storage()];
        cpu::max_pool_backward(self.ctx, &taken, &dy, feature, &mut dx);
        let mut on_dx = self.blank(feature.storage())?;
        passes::max_pool_gradient(gpu, feature, &on_taken, &gpu.upload(&dy)?, &mut on_dx)?;
        self.note("max-pooling, gradient", &feature, &on_dx, &dx)?;

        let means = feature.images * feature.channels;
        let mut y = vec![f32::NAN; means];
        cpu::mean_pool_forward(self.ctx, &images, feature, &mut y);
        let mut on_y = self.blank(means)?;
        passes::pool(gpu, feature, &on_images, &mut on_y)?;
        self.note("mean pooling", &feature, &on_y, &y)?;
        let dy = noise(means, 14);
        cpu::mean_pool_backward(self.ctx, &dy, feature, &mut dx);
        let mut on_dx = self.blank(feature.storage())?;
        passes::pool_gradient(gpu, feature, &gpu.upload(&dy)?, &mut on_dx)?;
        self.note("mean pooling, gradient", &feature, &on_dx, &dx)
    }

    /// The linear layer, loss and errors.
    pub fn classifier(&mut self, shape: LinearShape) -> Result<(), G::Error> {
        let gpu = self.gpu;
        let LinearShape {
            images,
            inputs,
            outputs,
        } = shape;
        let (x, w) = (noise(images * inputs, 15), noise(outputs * inputs, 16));
        let (bias, dy) = (noise(outputs, 17), noise(images * outputs, 18));
        let (on_x, on_w, on_dy) = (gpu.upload(&x)?, gpu.upload(&w)?, gpu.upload(&dy)?);
        let mut y = vec![f32::NAN; images * outputs];
        cpu::linear_forward(self.ctx, &x, &w, &bias, &mut y, shape);
        let mut on_y = self.blank(images * outputs)?;
        classifier::classify(gpu, shape, &on_x, &on_w, &gpu.upload(&bias)?, &mut on_y)?;
        self.note("classifier", &shape, &on_y, &y)?;
        let (mut dx, mut dw, mut dbias) = (
            vec![f32::NAN; images * inputs],
            vec![f32::NAN; outputs * inputs],
            vec![f32::NAN; outputs],
        );
        cpu::linear_backward(self.ctx, &x, &w, &dy, &mut dx, &mut dw, &mut dbias, shape);
        let mut on_dx = self.blank(images * inputs)?;
        let (mut on_dw, mut on_dbias) = (self.blank(outputs * inputs)?, self.blank(outputs)?);
        let parameters = [&mut on_dw, &mut on_dbias];
        classifier::classify_gradient(gpu, shape, &on_x, &on_w, &on_dy, &mut on_dx, parameters)?;
        self.note("classifier, input gradient", &shape, &on_dx, &dx)?;
        self.note("classifier, weight gradient", &shape, &on_dw, &dw)?;
        self.note("classifier, bias gradient", &shape, &on_dbias, &dbias)?;

        let labels: Vec<u16> = (0..images)
            .map(|image| (image * 7 % outputs) as u16)
            .collect();
        // Large logits, and equal ones.
        let logits: Vec<f32> = y.iter().map(|value| (4.0 * value).round() * 25.0).collect();
        let on_logits = gpu.upload(&logits)?;
        let expected = cpu::cross_entropy(&logits, &labels, outputs);
        let on_labels = classifier::Labels::put(gpu, &labels)?;
        let found = classifier::cross_entropy(gpu, &on_logits, on_labels, outputs)?;
        for place in 0..2 {
            classifier::enter_cross_entropy(gpu, &on_logits, on_labels, outputs, place)?;
        }
        let entered = classifier::read_ledger(gpu, 2)?;
        for found in entered.into_iter().chain([found]) {
            let counts = (found.wrong, found.wrong_top5) == (expected.wrong, expected.wrong_top5);
            self.found.push(Difference {
                what: "cross-entropy",
                shape: format!("{shape:?}"),
                error: match counts {
                    true => ((found.loss - expected.loss) / expected.loss.abs().max(1e-30)).abs(),
                    false => f64::INFINITY,
                },
            });
        }
        let mut gradient = vec![f32::NAN; images * outputs];
        cpu::cross_entropy_gradient(&logits, &labels, outputs, &mut gradient);
        let mut on_gradient = self.blank(images * outputs)?;
        classifier::cross_entropy_gradient(gpu, &on_logits, on_labels, outputs, &mut on_gradient)?;
        self.note("cross-entropy, gradient", &shape, &on_gradient, &gradient)
    }

    /// Steps of gradient descent on as many parameters, and moving averages of `shape`.
    pub fn updates(
        &mut self,
        step: SgdStep,
        lengths: &[usize],
        shape: NormShape,
    ) -> Result<(), G::Error> {
        let gpu = self.gpu;
        let mut expected = Vec::new();
        let mut on = Vec::new();
        for (index, &len) in lengths.iter().enumerate() {
            let seed = 3 * index as u64;
            let (mut w, g, mut v) = (noise(len, seed), noise(len, seed + 1), noise(len, seed + 2));
            let step = SgdStep {
                weight_decay: step.weight_decay * (index % 2) as f32,
                ..step
            };
            on.push((step, gpu.upload(&w)?, gpu.upload(&g)?, gpu.upload(&v)?));
            cpu::sgd_update(step, &mut w, &g, &mut v);
            expected.push((w, v));
        }
        let mut updates: Vec<_> = on
            .iter_mut()
            .map(|(step, weights, gradient, velocity)| Update {
                step: *step,
                weights,
                gradient,
                velocity,
            })
            .collect();
        update::descend(gpu, &mut updates)?;
        for ((_, on_w, _, on_v), (w, v)) in on.iter().zip(&expected) {
            self.note("gradient descent, weights", &step, on_w, w)?;
            self.note("gradient descent, velocity", &step, on_v, v)?;
        }

        let channels = shape.feature.channels;
        let (batch, running) = (noise(shape.groups() * channels, 20), noise(channels, 21));
        for unbiased in [false, true] {
            let mut expected = running.clone();
            cpu::moving_average(shape, 0.1, unbiased, &batch, &mut expected);
            let on_batch = gpu.upload(&batch)?;
            let mut many = Vec::new();
            for _ in lengths {
                many.push(gpu.upload(&running)?);
            }
            let mut averages: Vec<_> = many
                .iter_mut()
                .map(|running| MovingAverage {
                    shape,
                    unbiased,
                    batch: &on_batch,
                    running,
                })
                .collect();
            update::average(gpu, 0.1, &mut averages)?;
            for found in &many {
                self.note("moving average", &shape, found, &expected)?;
            }
        }
        Ok(())
    }
}

/// Every operator on a few shapes of the paper's networks. Results within this share of the largest value are right: sums
/// have another order than the CPU's.
pub const TOLERANCE: f64 = 1e-5;

/// Runs every operator on a few shapes and gives what is further from the CPU than [`TOLERANCE`].
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
pub fn self_check<G: Gpu>(gpu: &G) -> Result<Vec<Difference>, G::Error> {
    let ctx = Context::new(1, cpu::Instructions::Portable);
    let mut all = Comparison {
        gpu,
        ctx: &ctx,
        found: Vec::new(),
    };
    let conv = |side, inputs, outputs, kernel: usize, stride| ConvShape {
        input: Feature {
            halo: (kernel / 2).max(1),
            ..Feature::new(2, side, side, inputs)
        },
        outputs,
        kernel,
        stride,
    };
    for shape in [
        conv(9, 3, 16, 3, 1),
        conv(8, 16, 32, 3, 2),
        conv(5, 32, 64, 3, 1),
        conv(8, 16, 32, 1, 2),
        conv(14, 3, 8, 7, 2),
    ] {
        all.convolution(shape)?;
    }
    for (channels, group) in [(16, 0), (66, 1)] {
        all.normalisation(NormShape {
            feature: Feature::new(2, 6, 5, channels),
            group,
            epsilon: 1e-5,
        })?;
    }
    all.passes(Feature::new(2, 7, 6, 8))?;
    for padding_value in [PaddingValue::Zero, PaddingValue::Black] {
        all.drawn(8, 5, padding_value, 2, 1)?;
    }
    all.classifier(LinearShape {
        images: 5,
        inputs: 64,
        outputs: 10,
    })?;
    let step = SgdStep {
        learning_rate: 0.1,
        momentum: 0.9,
        form: crate::manifest::MomentumForm::Caffe,
        weight_decay: 1e-4,
    };
    let shape = NormShape {
        feature: Feature::new(3, 4, 4, 16),
        group: 2,
        epsilon: 1e-5,
    };
    all.updates(step, &[432, 16, 1], shape)?;
    let far = |difference: &Difference| difference.error.is_nan() || difference.error > TOLERANCE;
    Ok(all.found.into_iter().filter(far).collect())
}
