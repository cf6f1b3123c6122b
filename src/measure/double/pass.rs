//! A forward pass, what it tells, and its backward pass.

use std::collections::BTreeSet;

use crate::data::ImageSize;
use crate::network::{Convolution, Join};

use super::map::{Map, convolve_backward, subsample_backward};
use super::{Double, Values};

/// A convolution with its normalisation.
pub(super) struct Layer {
    pub(super) convolution: Convolution,
    pub(super) input: Map,
    /// The convolution's output, normalised but neither scaled nor shifted.
    pub(super) normalised: Map,
    pub(super) mean: Vec<f64>,
    pub(super) variance: Vec<f64>,
}

/// The input of a ReLU.
pub(super) struct ReluInput {
    /// The normalisation before it.
    pub(super) name: String,
    pub(super) before: Map,
}

/// A block's layers, and the size and channels of its input.
pub(super) struct BlockPass {
    pub(super) layers: Vec<Layer>,
    pub(super) join: Join,
    pub(super) projection: Option<Layer>,
    pub(super) input: (ImageSize, usize),
}

/// A place at a ReLU: which one, in the order of the forward pass, and the index of the value.
pub type Place = (usize, usize);

/// A forward pass, with all that the backward pass needs.
pub struct Pass<'a> {
    pub(super) double: &'a Double<'a>,
    pub(super) labels: &'a [u16],
    pub(super) stem: Layer,
    /// Where each maximum of the stem's pooling came from.
    pub(super) maxima: Option<Vec<usize>>,
    pub(super) blocks: Vec<BlockPass>,
    pub(super) relus: Vec<ReluInput>,
    pub(super) last: Map,
    /// The classifier's inputs, `[images][features]`.
    pub(super) features: Vec<f64>,
    /// `[images][classes]`.
    pub logits: Vec<f64>,
}

impl Pass<'_> {
    /// The mean cross-entropy.
    pub fn loss(&self) -> f64 {
        let rows = self.logits.chunks(self.classes()).zip(self.labels);
        let losses = rows.map(|(row, &label)| -softmax(row)[usize::from(label)].ln());
        losses.sum::<f64>() / self.labels.len() as f64
    }

    /// Activations at ReLUs.
    pub fn activations(&self) -> usize {
        self.relus.iter().map(|relu| relu.before.data.len()).sum()
    }

    /// The places whose value is within `distance` of 0, in units of the ReLU's root mean square, the nearest first.
    pub fn near(&self, distance: f64) -> Vec<Place> {
        let mut near = Vec::new();
        for (number, relu) in self.relus.iter().enumerate() {
            let values = &relu.before.data;
            let square = values.iter().map(|value| value * value).sum::<f64>();
            let unit = (square / values.len().max(1) as f64).sqrt();
            for (index, value) in values.iter().enumerate() {
                if value.abs() <= distance * unit {
                    near.push((value.abs() / unit, (number, index)));
                }
            }
        }
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        near.into_iter().map(|(_, place)| place).collect()
    }

    /// The normalisation before a ReLU.
    pub fn name(&self, place: Place) -> &str {
        self.relus
            .get(place.0)
            .map_or("", |relu| relu.name.as_str())
    }

    /// A ReLU's input, and its channel.
    #[cfg(test)]
    pub fn value(&self, place: Place) -> (f64, usize) {
        let before = &self.relus[place.0].before;
        (before.data[place.1], place.1 % before.channels)
    }

    /// Mean and unbiased variance of each normalisation, under the names of its running statistics.
    pub fn statistics(&self) -> Vec<(String, Vec<f64>)> {
        let blocks = self.blocks.iter();
        let layers = blocks.flat_map(|block| block.layers.iter().chain(&block.projection));
        let mut all = Vec::new();
        for layer in [&self.stem].into_iter().chain(layers) {
            let count = (layer.normalised.data.len() / layer.normalised.channels) as f64;
            let unbiased = if count > 1.0 {
                count / (count - 1.0)
            } else {
                1.0
            };
            let variance = layer.variance.iter().map(|value| value * unbiased);
            let norm = &layer.convolution.norm;
            all.push((format!("{norm}.running_mean"), layer.mean.clone()));
            all.push((format!("{norm}.running_var"), variance.collect()));
        }
        all
    }

    /// Gradients of the mean cross-entropy with the mini-batch's statistics. The ReLUs at `flipped` count on the other side
    /// of their kink.
    pub fn backward(&self, flipped: &BTreeSet<Place>) -> Values {
        let mut gradients = Values::new();
        let channels = self.last.channels;
        let images = self.labels.len();
        let mut dlogits = Vec::new();
        for (row, &label) in self.logits.chunks(self.classes()).zip(self.labels) {
            for (class, share) in softmax(row).into_iter().enumerate() {
                let hit = f64::from(u8::from(class == usize::from(label)));
                dlogits.push((share - hit) / images as f64);
            }
        }
        let weight = &self.double.values["fc.weight"];
        let mut dweight = vec![0.0f64; weight.len()];
        let mut dbias = vec![0.0f64; self.classes()];
        let mut dfeatures = vec![0.0f64; self.features.len()];
        for (place, &slope) in dlogits.iter().enumerate() {
            let (image, class) = (place / self.classes(), place % self.classes());
            dbias[class] += slope;
            for channel in 0..channels {
                let (feature, at) = (image * channels + channel, class * channels + channel);
                dweight[at] += slope * self.features[feature];
                dfeatures[feature] += slope * weight[at];
            }
        }
        gradients.insert("fc.weight".into(), dweight);
        gradients.insert("fc.bias".into(), dbias);

        let mut d = Map::zeros(images, self.last.size, channels);
        let pixels = d.size.pixels() as f64;
        let image_size = d.size.pixels() * channels;
        for (place, value) in d.data.iter_mut().enumerate() {
            *value = dfeatures[place / image_size * channels + place % channels] / pixels;
        }
        let mut relu = self.relus.len();
        for block in self.blocks.iter().rev() {
            let mut shortcut = None;
            let last = block.layers.len() - 1;
            for (index, layer) in block.layers.iter().enumerate().rev() {
                relu -= 1;
                self.mask(relu, flipped, &mut d);
                if index == last {
                    shortcut = Some(d.clone());
                }
                d = self.layer_backward(layer, d, &mut gradients);
            }
            match (&block.join, &block.projection, shortcut) {
                (Join::Identity, _, Some(shortcut)) => d.add(&shortcut),
                (Join::Subsample { .. }, _, Some(shortcut)) => {
                    let mut whole = Map::zeros(images, block.input.0, block.input.1);
                    subsample_backward(&shortcut, &mut whole);
                    d.add(&whole);
                }
                (_, Some(projection), Some(shortcut)) => {
                    d.add(&self.layer_backward(projection, shortcut, &mut gradients));
                }
                _ => {}
            }
        }
        if let Some(maxima) = &self.maxima {
            let stem = &self.stem.normalised;
            let mut whole = Map::zeros(images, stem.size, stem.channels);
            for (&from, value) in maxima.iter().zip(&d.data) {
                whole.data[from] += value;
            }
            d = whole;
        }
        self.mask(0, flipped, &mut d);
        self.layer_backward(&self.stem, d, &mut gradients);
        gradients
    }

    fn classes(&self) -> usize {
        self.double.network.classes
    }

    /// The gradient before a ReLU, from that after it.
    fn mask(&self, relu: usize, flipped: &BTreeSet<Place>, d: &mut Map) {
        let before = &self.relus[relu].before.data;
        for (index, (value, before)) in d.data.iter_mut().zip(before).enumerate() {
            if (*before > 0.0) == flipped.contains(&(relu, index)) {
                *value = 0.0;
            }
        }
    }

    /// Files the gradients of a layer's parameters and returns that of its input.
    fn layer_backward(&self, layer: &Layer, mut d: Map, gradients: &mut Values) -> Map {
        let (norm, channels) = (&layer.convolution.norm, d.channels);
        let scale = &self.double.values[&format!("{norm}.weight")];
        let inverse = self.double.inverse(&layer.variance);
        let mut dscale = vec![0.0f64; channels];
        let mut dshift = vec![0.0f64; channels];
        for (place, (slope, value)) in d.data.iter().zip(&layer.normalised.data).enumerate() {
            dscale[place % channels] += slope * value;
            dshift[place % channels] += slope;
        }
        let count = (d.data.len() / channels) as f64;
        for (place, (slope, value)) in d.data.iter_mut().zip(&layer.normalised.data).enumerate() {
            let channel = place % channels;
            let mean = (dshift[channel] + value * dscale[channel]) / count;
            *slope = scale[channel] * inverse[channel] * (*slope - mean);
        }
        gradients.insert(format!("{norm}.weight"), dscale);
        gradients.insert(format!("{norm}.bias"), dshift);
        let name = format!("{}.weight", layer.convolution.name);
        let weight = &self.double.values[&name];
        let (dweight, dx) = convolve_backward(&layer.input, weight, &layer.convolution, &d);
        gradients.insert(name, dweight);
        dx
    }
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|value| (value - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
