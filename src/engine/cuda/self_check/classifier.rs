//! Checks the classifier and its loss.

use super::comparison::{Comparison, TOLERANCE};
use super::difference::Difference;
use super::noise::noise;
use crate::engine::cpu::{self, LinearShape};
use crate::engine::cuda::classifier;
use crate::engine::cuda::gpu::Gpu;
use crate::engine::cuda::labels::Labels;

impl<G: Gpu> Comparison<'_, G> {
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
        // Large logits, and ties.
        let logits: Vec<f32> = y.iter().map(|value| (4.0 * value).round() * 25.0).collect();
        let on_logits = gpu.upload(&logits)?;
        let expected = cpu::cross_entropy(&logits, &labels, outputs);
        let on_labels = Labels::put(gpu, &labels)?;
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
        // As a piece of a mini-batch of three times as many.
        let of = 3 * images;
        cpu::cross_entropy_gradient(&logits, &labels, outputs, of, &mut gradient);
        let mut on_gradient = self.blank(images * outputs)?;
        classifier::cross_entropy_gradient(
            gpu,
            &on_logits,
            on_labels,
            outputs,
            of,
            &mut on_gradient,
        )?;
        self.note("cross-entropy, gradient", &shape, &on_gradient, &gradient)
    }
}
