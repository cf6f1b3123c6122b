//! A network forward, backward and updated in double precision, with plain loops: slow, but simple enough to be trusted.
//!
//! Parity compares the engine with it where errors are larger than rounding explains. A ReLU's gradient jumps at 0, so that
//! an activation within rounding of 0 may count in one pass and not in the other; here the side of each can be chosen.
//!
//! - `mod.rs` runs forward and updates, `pass.rs` backward
//! - `map.rs` has the loops over pixels: convolution, pooling, subsampling

mod map;
mod pass;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::data::Batch;
use crate::engine::Hyperparameters;
use crate::network::{Convolution, Join, Network, Stem};
use crate::weights::Weights;

use map::{Map, convolve, max_pool, moments, subsample};
use pass::{BlockPass, Layer, ReluInput};
pub use pass::{Pass, Place};

/// Values by name: parameters, running statistics or gradients.
pub type Values = BTreeMap<String, Vec<f64>>;

/// Which statistics normalise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalise {
    Batch,
    Running,
}

/// A network's values in double precision.
pub struct Double<'a> {
    network: &'a Network,
    hyper: &'a Hyperparameters,
    pub values: Values,
    velocity: Values,
}

/// The values of `weights` in double precision.
pub fn widen(weights: &Weights) -> Values {
    let wide = |data: &[f32]| data.iter().map(|&value| f64::from(value)).collect();
    let tensors = weights.tensors.iter();
    tensors
        .map(|(name, tensor)| (name.clone(), wide(&tensor.data)))
        .collect()
}

impl<'a> Double<'a> {
    /// A network with the values of an engine's state. Velocities that it lacks are 0.
    pub fn new(network: &'a Network, hyper: &'a Hyperparameters, state: &Weights) -> Self {
        let mut values = widen(state);
        let velocity = network.parameters().into_iter().filter_map(|parameter| {
            let velocity = values.remove(&format!("velocity.{}", parameter.name));
            Some((parameter.name, velocity?))
        });
        let velocity = velocity.collect();
        Self {
            network,
            hyper,
            values,
            velocity,
        }
    }

    /// Runs a mini-batch forward.
    pub fn forward<'b>(&'b self, batch: &'b Batch, normalise: Normalise) -> Pass<'b> {
        let network = self.network;
        let images = Map {
            images: batch.labels.len(),
            size: batch.size,
            channels: 3,
            data: batch.pixels.iter().map(|&value| value.into()).collect(),
        };
        let mut relus = Vec::new();
        let (stem, y) = self.layer(network.stem_convolution(), images, normalise);
        let mut x = relu(&mut relus, &stem.convolution.norm, y);
        let mut maxima = None;
        if network.stem == Stem::Imagenet {
            let (pooled, places) = max_pool(&x);
            (x, maxima) = (pooled, Some(places));
        }
        let mut blocks = Vec::new();
        for block in network.blocks() {
            let input = x;
            let last = block.convolutions.len() - 1;
            let mut branch = input.clone();
            let mut layers = Vec::new();
            let mut projection = None;
            for (index, convolution) in block.convolutions.into_iter().enumerate() {
                let (layer, mut y) = self.layer(convolution, branch, normalise);
                if index == last {
                    match &block.join {
                        Join::None => {}
                        Join::Identity => y.add(&input),
                        Join::Subsample { .. } => subsample(&input, &mut y),
                        Join::Projection(convolution) => {
                            let convolution = convolution.clone();
                            let (layer, z) = self.layer(convolution, input.clone(), normalise);
                            y.add(&z);
                            projection = Some(layer);
                        }
                    }
                }
                branch = relu(&mut relus, &layer.convolution.norm, y);
                layers.push(layer);
            }
            blocks.push(BlockPass {
                layers,
                join: block.join,
                projection,
                input: (input.size, input.channels),
            });
            x = branch;
        }
        let pixels = x.size.pixels() as f64;
        let mut features = vec![0.0f64; x.images * x.channels];
        for (place, value) in x.data.iter().enumerate() {
            let image = place / (x.size.pixels() * x.channels);
            features[image * x.channels + place % x.channels] += value / pixels;
        }
        let (weight, bias) = (&self.values["fc.weight"], &self.values["fc.bias"]);
        let mut logits = Vec::new();
        for inputs in features.chunks(x.channels) {
            for (row, bias) in weight.chunks(x.channels).zip(bias) {
                let product: f64 = row.iter().zip(inputs).map(|(a, b)| a * b).sum();
                logits.push(product + bias);
            }
        }
        Pass {
            double: self,
            labels: &batch.labels,
            stem,
            maxima,
            blocks,
            relus,
            last: x,
            features,
            logits,
        }
    }

    /// A convolution and the normalisation of its output.
    fn layer(&self, convolution: Convolution, input: Map, normalise: Normalise) -> (Layer, Map) {
        let weight = &self.values[&format!("{}.weight", convolution.name)];
        let mut normalised = convolve(&input, weight, &convolution);
        let value = |suffix: &str| &self.values[&format!("{}.{suffix}", convolution.norm)];
        let (mean, variance) = match normalise {
            Normalise::Batch => moments(&normalised),
            Normalise::Running => (value("running_mean").clone(), value("running_var").clone()),
        };
        let inverse = self.inverse(&variance);
        let (scale, shift) = (value("weight"), value("bias"));
        let channels = normalised.channels;
        let mut y = normalised.clone();
        for (place, value) in normalised.data.iter_mut().enumerate() {
            let channel = place % channels;
            *value = (*value - mean[channel]) * inverse[channel];
            y.data[place] = *value * scale[channel] + shift[channel];
        }
        let layer = Layer {
            convolution,
            input,
            normalised,
            mean,
            variance,
        };
        (layer, y)
    }

    /// The inverse of the standard deviation that each channel is divided by.
    fn inverse(&self, variance: &[f64]) -> Vec<f64> {
        let epsilon = f64::from(self.hyper.norm_epsilon);
        let each = variance.iter();
        each.map(|variance| 1.0 / (variance + epsilon).sqrt())
            .collect()
    }

    /// Updates parameters and running statistics, as after the pass that gave `gradients` and `statistics`.
    pub fn update(
        &mut self,
        gradients: &Values,
        statistics: &[(String, Vec<f64>)],
        learning_rate: f32,
    ) {
        let [rate, momentum, decay, fresh] = [
            learning_rate,
            self.hyper.momentum,
            self.hyper.weight_decay,
            self.hyper.norm_momentum,
        ]
        .map(f64::from);
        for (name, gradient) in gradients {
            let Some(weights) = self.values.get_mut(name) else {
                continue;
            };
            let zero = || vec![0.0f64; gradient.len()];
            let velocity = self.velocity.entry(name.clone()).or_insert_with(zero);
            for ((weight, gradient), velocity) in weights.iter_mut().zip(gradient).zip(velocity) {
                *velocity = momentum * *velocity + gradient + decay * *weight;
                *weight -= rate * *velocity;
            }
        }
        for (name, values) in statistics {
            let Some(running) = self.values.get_mut(name) else {
                continue;
            };
            for (running, value) in running.iter_mut().zip(values) {
                *running += fresh * (value - *running);
            }
        }
    }
}

fn relu(relus: &mut Vec<ReluInput>, name: &str, before: Map) -> Map {
    let mut after = before.clone();
    for value in &mut after.data {
        *value = value.max(0.0);
    }
    relus.push(ReluInput {
        name: name.into(),
        before,
    });
    after
}
