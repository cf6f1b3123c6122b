//! Images, sums and pooling on a GPU, the classifier and the update, held against the CPU's.

use super::check::{Comparison, TOLERANCE};
use super::difference::{Difference, noise, noisy_feature};
use super::feature::upload_feature;
use super::gpu::Gpu;
use super::update::{MovingAverage, Update};
use super::{classifier, gather, images, passes, update};
use crate::engine::cpu::{self, Feature, LinearShape, NormShape, SgdStep};
use crate::engine::operators::Kind;

impl<G: Gpu> Comparison<'_, G> {
    /// Images in, sums, both kinds of pooling.
    pub fn passes(&mut self, feature: Feature) -> Result<(), G::Error> {
        let gpu = self.gpu;
        let pixels = noise(feature.pixels() * feature.channels, 11);
        let mut images = vec![f32::NAN; feature.storage()];
        cpu::add_halo(self.ctx, &pixels, feature, &mut images);
        let mut on_images = self.blank_feature(feature)?;
        images::put_images(gpu, &pixels, feature, &mut on_images)?;
        self.note_feature("images", &feature, &on_images, feature, &images)?;
        let images = self.kept(&images);

        let value = self.kept(&noise(feature.storage(), 12));
        let (mut sum, mut on_sum) = (images.clone(), upload_feature(gpu, &images)?);
        cpu::add_into(self.ctx, &value, &mut sum);
        let on_value = upload_feature(gpu, &value)?;
        passes::add(gpu, Kind::Activation, &on_value, &mut on_sum)?;
        self.note_feature("sum", &feature, &on_sum, feature, &sum)?;
        let mut on_sum = gpu.upload(&images)?;
        passes::add(gpu, Kind::Floats, &gpu.upload(&value)?, &mut on_sum)?;
        self.note("sum of floats", &feature, &on_sum, &sum)?;

        let (pooled, places) = (feature.max_pooled(), feature.max_places());
        let (mut y, mut taken) = (
            vec![f32::NAN; pooled.storage()],
            vec![f32::NAN; places.storage()],
        );
        cpu::max_pool_forward(self.ctx, &images, feature, &mut y, &mut taken);
        let (mut on_y, mut on_taken) = (self.blank_feature(pooled)?, self.blank(places.storage())?);
        passes::max_pool(gpu, feature, &on_images, &mut on_y, &mut on_taken)?;
        self.note_feature("max-pooling", &feature, &on_y, pooled, &y)?;
        self.note("max-pooling, places", &feature, &on_taken, &taken)?;
        let dy = self.kept(&noisy_feature(pooled, 13));
        let mut dx = vec![f32::NAN; feature.storage()];
        cpu::max_pool_backward(self.ctx, &taken, &dy, feature, &mut dx);
        let mut on_dx = self.blank_feature(feature)?;
        let on_dy = upload_feature(gpu, &dy)?;
        passes::max_pool_gradient(gpu, feature, &on_taken, &on_dy, &mut on_dx)?;
        let what = "max-pooling, gradient";
        self.note_feature(what, &feature, &on_dx, feature, &dx)?;

        let means = feature.images * feature.channels;
        let mut y = vec![f32::NAN; means];
        cpu::mean_pool_forward(self.ctx, &images, feature, &mut y);
        let mut on_y = self.blank(means)?;
        passes::pool(gpu, feature, &on_images, &mut on_y)?;
        self.note("mean pooling", &feature, &on_y, &y)?;
        let dy = noise(means, 14);
        cpu::mean_pool_backward(self.ctx, &dy, feature, &mut dx);
        let mut on_dx = self.blank_feature(feature)?;
        passes::pool_gradient(gpu, feature, &gpu.upload(&dy)?, &mut on_dx)?;
        let what = "mean pooling, gradient";
        self.note_feature(what, &feature, &on_dx, feature, &dx)
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
                allowed: TOLERANCE,
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
            // Read together, they are what they are alone.
            let all: Vec<_> = many.iter().chain([&on_batch]).collect();
            let together = gather::download_many(gpu, &all)?;
            let mut same = together.len() == all.len();
            for (numbers, found) in all.into_iter().zip(&together) {
                same &= gpu.download(numbers)? == *found;
            }
            self.found.push(Difference {
                what: "many tensors read",
                shape: format!("{shape:?}"),
                error: if same { 0.0 } else { f64::INFINITY },
                allowed: 0.0,
            });
        }
        Ok(())
    }
}
