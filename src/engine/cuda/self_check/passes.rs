//! Checks passes over whole features: images in, addition, pooling.

use super::comparison::Comparison;
use super::noise::{noise, noisy_feature};
use crate::engine::cpu::{self, Feature};
use crate::engine::cuda::feature::upload_feature;
use crate::engine::cuda::gpu::Gpu;
use crate::engine::cuda::{images, passes};
use crate::engine::residency::Kind;

impl<G: Gpu> Comparison<'_, G> {
    /// Images in, addition, both kinds of pooling.
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
}
