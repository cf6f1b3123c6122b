//! Checks convolutions.

use super::comparison::{Comparison, TENSOR_TOLERANCE, TOLERANCE};
use super::noise::{noise, noisy_feature};
use crate::engine::cpu::{self, ConvShape};
use crate::engine::cuda::convolution::{
    convolve, convolve_input_gradient, convolve_weight_gradient,
};
use crate::engine::cuda::feature::upload_feature;
use crate::engine::cuda::gpu::Gpu;
use crate::recipe::Precision;

impl<G: Gpu> Comparison<'_, G> {
    /// Forward, weight gradient and, for kernels up to 3, input gradient, overwriting and adding.
    pub fn convolution(&mut self, shape: ConvShape) -> Result<(), G::Error> {
        let (input, output) = (shape.input, shape.output());
        let (x, w) = (noisy_feature(input, 1), noise(shape.weights(), 2));
        let (dy, before) = (noisy_feature(output, 3), noisy_feature(input, 4));
        let (on_x, on_dy) = (
            upload_feature(self.gpu, &x)?,
            upload_feature(self.gpu, &dy)?,
        );
        let on_w = self.gpu.upload(&w)?;
        let [x, w, dy] = [&x, &w, &dy].map(|values| self.factors(values));
        let before = self.kept(&before);
        let allowed = match self.gpu.precision() {
            Precision::Fp32 => TOLERANCE,
            Precision::Tf32 | Precision::Bf16 => TENSOR_TOLERANCE,
        };

        let mut y = vec![f32::NAN; output.storage()];
        cpu::conv_forward(self.ctx, &x, &w, &mut y, shape);
        let mut on_y = self.blank_feature(output)?;
        convolve(self.gpu, shape, &on_x, &on_w, &mut on_y)?;
        self.note_feature_within("convolution", &shape, &on_y, output, &y, allowed)?;

        let mut dw = vec![f32::NAN; shape.weights()];
        cpu::conv_weight_gradient(self.ctx, &x, &dy, &mut dw, shape);
        let mut on_dw = self.blank(shape.weights())?;
        convolve_weight_gradient(self.gpu, shape, &on_x, &on_dy, &mut on_dw)?;
        let what = "convolution, weight gradient";
        self.note_within(what, &shape, &on_dw, &dw, allowed)?;

        if shape.kernel > 3 {
            return Ok(());
        }
        for accumulate in [false, true] {
            let (mut dx, mut on_dx) = match accumulate {
                false => (vec![f32::NAN; input.storage()], self.blank_feature(input)?),
                true => (before.clone(), upload_feature(self.gpu, &before)?),
            };
            cpu::conv_input_gradient(self.ctx, &dy, &w, &mut dx, shape, accumulate);
            convolve_input_gradient(self.gpu, shape, &on_dy, &on_w, &mut on_dx, accumulate)?;
            let what = "convolution, input gradient";
            self.note_feature_within(what, &shape, &on_dx, input, &dx, allowed)?;
        }
        Ok(())
    }
}
