//! Checks crops normalised on a GPU: their pixels must be the loader's, bit for bit.

use std::sync::Arc;

use super::comparison::Comparison;
use super::difference::{Difference, exact_error};
use crate::data::{Crops, ImageSize, MeanImage};
use crate::engine::cpu::{self, Feature};
use crate::engine::cuda::crops::{Mean, put_crops};
use crate::engine::cuda::feature::download_feature;
use crate::engine::cuda::gpu::Gpu;
use crate::random::{Purpose, Stream};

/// Random crops of a size, each with a shift of its own, and a mean image of `mean_size` pixels.
fn random(images: usize, size: ImageSize, mean_size: usize) -> Crops {
    let mut stream = Stream::new(11, Purpose::Synthetic, 0, 0);
    let bytes = images * size.pixels() * 3;
    Crops {
        bytes: (0..bytes).map(|_| stream.below(256) as u8).collect(),
        shifts: (0..images)
            .map(|_| [(); 3].map(|()| 10.0 * stream.normal() as f32))
            .collect(),
        mean: Arc::new(MeanImage {
            size: mean_size,
            mean: (0..mean_size * mean_size * 3)
                .map(|_| 255.0 * stream.uniform() as f32)
                .collect(),
            divisor: [64.0, 58.395, 57.12],
        }),
    }
}

impl<G: Gpu> Comparison<'_, G> {
    /// One mini-batch of crops: the same bits.
    pub fn crops(
        &mut self,
        images: usize,
        size: ImageSize,
        mean_size: usize,
        halo: usize,
    ) -> Result<(), G::Error> {
        let crops = random(images, size, mean_size);
        let feature = Feature {
            halo,
            ..Feature::new(images, size.height, size.width, 3)
        };
        let mut expected = vec![f32::NAN; feature.storage()];
        cpu::add_halo(self.ctx, &crops.pixels(size), feature, &mut expected);
        let mut into = self.blank_feature(feature)?;
        let mean = Mean::new(self.gpu, &crops.mean, size)?;
        put_crops(self.gpu, &mean, &crops, feature, &mut into)?;
        let found = download_feature(self.gpu, &into, feature)?;
        self.found.push(Difference {
            what: "crops normalised",
            shape: format!("{feature:?}, a mean image of {mean_size} pixels"),
            error: exact_error(&found, &self.kept(&expected)),
            allowed: 0.0,
        });
        Ok(())
    }
}
