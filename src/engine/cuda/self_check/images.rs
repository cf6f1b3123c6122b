//! Checks mini-batches drawn on a GPU: their pixels must be the loader's, bit for bit.

use std::sync::Arc;

use super::comparison::Comparison;
use super::difference::{Difference, exact_error};
use crate::data::{Decision, Drawn, ImageSet, Normaliser, Originals};
use crate::engine::cpu::{self, Feature};
use crate::engine::cuda::feature::download_feature;
use crate::engine::cuda::gpu::{Gpu, Slot};
use crate::engine::cuda::images::{Images, draw_images};
use crate::engine::cuda::labels::Labels;
use crate::random::{Purpose, Stream};
use crate::recipe::{Normalisation, PaddingValue};

/// Random images with a normaliser fitted to them.
pub fn originals(count: usize, size: usize, normalisation: Normalisation) -> Arc<Originals> {
    let mut stream = Stream::new(9, Purpose::Synthetic, 0, 0);
    let images = ImageSet {
        size,
        pixels: (0..count * 3 * size * size)
            .map(|_| stream.below(256) as u8)
            .collect(),
        // More classes than a byte tells apart.
        labels: (0..count).map(|_| stream.below(1000) as u16).collect(),
        digest: String::new(),
    };
    let normaliser = Normaliser::fit(&images, normalisation);
    let originals = Originals::new(Arc::new(images), normaliser);
    Arc::new(originals.expect("fitted to these images"))
}

impl<G: Gpu> Comparison<'_, G> {
    /// Every offset within a padding, flipped and not, in mini-batches of `batch` images.
    pub fn drawn(
        &mut self,
        size: usize,
        batch: usize,
        padding_value: PaddingValue,
        pad: usize,
        halo: usize,
    ) -> Result<(), G::Error> {
        let originals = originals(7, size, Normalisation::PerPixelMean);
        let on_gpu = Images::new(self.gpu, &originals)?;
        let offsets = 0..=2 * pad as u8;
        let all: Vec<Decision> = offsets
            .clone()
            .flat_map(|top| offsets.clone().map(move |left| (top, left)))
            .flat_map(|(top, left)| [false, true].map(|flip| (top, left, flip)))
            .enumerate()
            .map(|(place, (top, left, flip))| Decision {
                index: (place % 7) as u32,
                top,
                left,
                flip,
            })
            .collect();
        for decisions in all.chunks(batch) {
            let drawn = Drawn {
                from: Arc::clone(&originals),
                pad,
                padding_value,
                decisions: decisions.to_vec(),
            };
            self.same(&on_gpu, &drawn, halo)?;
        }
        Ok(())
    }

    /// One mini-batch: the same bits and the same classes.
    pub fn same(&mut self, on_gpu: &Images<G>, drawn: &Drawn, halo: usize) -> Result<(), G::Error> {
        let set = drawn.from.images();
        let feature = Feature {
            halo,
            ..Feature::new(drawn.decisions.len(), set.size, set.size, 3)
        };
        let mut expected = vec![f32::NAN; feature.storage()];
        cpu::add_halo(self.ctx, &drawn.pixels(), feature, &mut expected);
        let mut into = self.blank_feature(feature)?;
        let labels: Labels = draw_images(self.gpu, on_gpu, drawn, feature, &mut into)?;
        let found = download_feature(self.gpu, &into, feature)?;
        let expected = self.kept(&expected);
        let mut classes = vec![0; labels.images * size_of::<u16>()];
        self.gpu.receive(Slot::Labels, &mut classes)?;
        let (classes, _) = classes.as_chunks::<2>();
        let same_classes = drawn
            .decisions
            .iter()
            .zip(classes)
            .all(|(decision, class)| {
                set.labels[decision.index as usize] == u16::from_ne_bytes(*class)
            });
        self.found.push(Difference {
            what: "images drawn",
            shape: format!("{feature:?} {:?} {}", drawn.padding_value, drawn.pad),
            error: match same_classes {
                true => exact_error(&found, &expected),
                false => f64::INFINITY,
            },
            allowed: 0.0,
        });
        Ok(())
    }
}
