//! Checks batch normalisation and option A's gradient.

use super::comparison::Comparison;
use super::noise::{noise, noisy_feature};
use crate::engine::cpu::{self, Feature, NormShape};
use crate::engine::cuda::feature::upload_feature;
use crate::engine::cuda::gpu::Gpu;
use crate::engine::cuda::norm::{self, Gate, Shortcut};
use crate::engine::cuda::passes;

impl<G: Gpu> Comparison<'_, G> {
    /// Without a shortcut, with one of the same shape and with option A's; forward with the batch's and with given
    /// statistics, backward through every kind of gate.
    pub fn normalisation(&mut self, shape: NormShape) -> Result<(), G::Error> {
        let feature = shape.feature;
        let channels = feature.channels;
        let moments = shape.groups() * channels;
        // Means far from 0, which would expose a variance computed from plain squares.
        let mut x = noisy_feature(feature, 5);
        x.iter_mut()
            .filter(|x| **x != 0.0)
            .for_each(|x| *x = 0.3 * *x + 3.0);
        let x = self.kept(&x);
        let scale: Vec<f32> = noise(channels, 6).iter().map(|value| value + 1.5).collect();
        let shift = noise(channels, 7);
        let before = Feature {
            height: 2 * feature.height,
            width: 2 * feature.width - 1,
            channels: channels.div_ceil(2),
            ..feature
        };
        let same = self.kept(&noisy_feature(feature, 8));
        let wide = self.kept(&noisy_feature(before, 9));
        let gpu = self.gpu;
        let on_x = upload_feature(gpu, &x)?;
        let (on_scale, on_shift) = (gpu.upload(&scale)?, gpu.upload(&shift)?);
        let (on_same, on_wide) = (upload_feature(gpu, &same)?, upload_feature(gpu, &wide)?);
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
                0 => Shortcut::None,
                1 => Shortcut::Identity(&on_same),
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
            let mut on_y = self.blank_feature(feature)?;
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
            self.note_feature("batch norm", &shape, &on_y, feature, &y)?;
            self.note("batch norm, mean", &shape, &on_mean, &mean)?;
            self.note("batch norm, variance", &shape, &on_variance, &variance)?;

            let mut fixed = vec![f32::NAN; feature.storage()];
            cpu::norm_inference(
                self.ctx,
                shape,
                &x,
                &scale,
                &shift,
                &mean,
                &variance,
                shortcut(),
                relu,
                &mut fixed,
            );
            let mut on_fixed = self.blank_feature(feature)?;
            let given = [gpu.upload(&mean)?, gpu.upload(&variance)?];
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
            let what = "batch norm, given statistics";
            self.note_feature(what, &shape, &on_fixed, feature, &fixed)?;

            // The same statistics and outputs on both sides, so that the same gates are open.
            let dy = self.kept(&noisy_feature(feature, 10));
            let (on_mean, on_variance) = (gpu.upload(&mean)?, gpu.upload(&variance)?);
            let on_y = upload_feature(gpu, &y)?;
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
                let mut on_dy = upload_feature(gpu, &dy)?;
                let mut on_dx = self.blank_feature(feature)?;
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
                let what = "batch norm, gradient handed on";
                self.note_feature(what, &shape, &on_dy, feature, &ours)?;
                if apart {
                    let what = "batch norm, input gradient";
                    self.note_feature(what, &shape, &on_dx, feature, &dx)?;
                }
                self.note("batch norm, scale gradient", &shape, &on_dscale, &dscale)?;
                self.note("batch norm, shift gradient", &shape, &on_dshift, &dshift)?;
            }
            if kind == 2 {
                let (mut dx, mut on_dx) = (wide.clone(), upload_feature(gpu, &wide)?);
                cpu::shortcut_a_backward(self.ctx, &dy, feature, &mut dx, before);
                let on_dy = upload_feature(gpu, &dy)?;
                passes::subsample_gradient(gpu, &on_dy, feature, &mut on_dx, before)?;
                let what = "option A, gradient";
                self.note_feature(what, &shape, &on_dx, before, &dx)?;
            }
        }
        Ok(())
    }
}
