//! Checks updates of many small tensors, and reading them.

use super::comparison::Comparison;
use super::difference::Difference;
use super::noise::noise;
use crate::engine::cpu::{self, NormShape, SgdStep};
use crate::engine::cuda::gather;
use crate::engine::cuda::gpu::Gpu;
use crate::engine::cuda::update::{self, MovingAverage, Update};

impl<G: Gpu> Comparison<'_, G> {
    /// Gradient descent on parameters of these lengths, moving averages of `shape`, and reading many tensors at once.
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
            cpu::sgd_update(self.ctx, step, &mut w, &g, &mut v);
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
            // Reading them together gives what reading each alone does.
            let all: Vec<_> = many.iter().chain([&on_batch]).collect();
            let together = gather::download_many(gpu, &all)?;
            let mut same = together.len() == all.len();
            for (numbers, found) in all.into_iter().zip(&together) {
                same &= gpu.download(numbers)? == *found;
            }
            // Copied one behind the other they are there in this order.
            let mut pair = self.blank(batch.len() + channels)?;
            gather::put_at(gpu, &on_batch, &mut pair, 0)?;
            gather::put_at(gpu, &many[0], &mut pair, batch.len())?;
            let first = gpu.download(&many[0])?;
            same &= gpu.download(&pair)? == [&batch[..], &first[..]].concat();
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
