//! Lists a network's layers with shapes, parameters, multiply-adds and activation memory.

use serde::Serialize;

use super::{Convolution, Join, Memory, Network, Stem};

/// One layer of the forward pass for one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LayerRow {
    /// torchvision's name.
    pub name: String,
    /// `3x3 conv, 16, BN, ReLU`.
    pub kind: String,
    /// Channels, height, width.
    pub output: [usize; 3],
    /// Learnt values: weights, batch-norm scale and shift, bias.
    pub parameters: u64,
    /// In convolutions and the classifier; the paper's "FLOPs (multiply-adds)".
    pub multiply_adds: u64,
    /// Bytes of the 32-bit outputs of the convolution and of the batch normalisation that follows.
    pub activation_bytes: u64,
}

/// A network and its layers, as `describe` prints them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    pub network: String,
    /// None for networks that the paper cites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shortcut: Option<super::Shortcut>,
    pub image_size: usize,
    pub depth: usize,
    pub parameters: u64,
    /// For the forward pass of one image.
    pub multiply_adds: u64,
    /// For the forward pass of one image, with all outputs kept.
    pub activation_bytes: u64,
    pub layers: Vec<LayerRow>,
    /// Of a training step, if a mini-batch was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
}

/// Bytes of a 32-bit float.
const FLOAT: u64 = 4;

impl Network {
    /// Number of learnt values, without running statistics.
    pub fn parameter_count(&self) -> u64 {
        self.parameters()
            .iter()
            .filter(|parameter| parameter.role.is_parameter())
            .map(|parameter| parameter.shape.iter().product::<usize>() as u64)
            .sum()
    }

    /// Multiply-adds of convolutions and classifier in the forward pass of one image of `image_size` x `image_size` pixels.
    pub fn multiply_adds(&self, image_size: usize) -> u64 {
        self.layers(image_size)
            .iter()
            .map(|row| row.multiply_adds)
            .sum()
    }

    /// Bytes of all layer outputs for one image, as a straightforward engine keeps them for the backward pass.
    pub fn activation_bytes(&self, image_size: usize) -> u64 {
        self.layers(image_size)
            .iter()
            .map(|row| row.activation_bytes)
            .sum()
    }

    /// Every layer in the order of the forward pass, for one image of `image_size` x `image_size` pixels.
    pub fn layers(&self, image_size: usize) -> Vec<LayerRow> {
        let mut rows = Vec::new();
        let stem = self.stem_convolution();
        let mut side = convolved(&stem, image_size);
        rows.push(convolution(&stem, side, "BN, ReLU"));
        if self.stem == Stem::Imagenet {
            side = side.div_ceil(2);
            rows.push(parameterless(
                "maxpool",
                "3x3 max-pool, stride 2",
                [stem.outputs, side, side],
            ));
        }
        for block in self.blocks() {
            let input = side;
            let last = block.convolutions.len() - 1;
            for (index, conv) in block.convolutions.iter().enumerate() {
                side = convolved(conv, side);
                let followed_by = match (&block.join, index == last) {
                    (Join::None, _) | (_, false) => "BN, ReLU",
                    (Join::Identity, true) => "BN, + identity, ReLU",
                    (Join::Subsample { .. }, true) => "BN, + subsampled and zero-padded, ReLU",
                    (Join::Projection(_), true) => "BN, + projection, ReLU",
                };
                rows.push(convolution(conv, side, followed_by));
            }
            if let Join::Projection(projection) = &block.join {
                rows.push(convolution(projection, convolved(projection, input), "BN"));
            }
        }
        let (features, classes) = (self.features(), self.classes);
        rows.push(parameterless(
            "avgpool",
            "global average pool",
            [features, 1, 1],
        ));
        rows.push(LayerRow {
            name: "fc".into(),
            kind: format!("{classes}-d fully connected"),
            output: [classes, 1, 1],
            parameters: ((features + 1) * classes) as u64,
            multiply_adds: (features * classes) as u64,
            activation_bytes: classes as u64 * FLOAT,
        });
        rows
    }

    /// The network and its layers, with totals.
    pub fn describe(&self, image_size: usize) -> Description {
        Description {
            network: self.name.clone(),
            shortcut: Some(self.shortcut),
            image_size,
            depth: self.depth(),
            parameters: self.parameter_count(),
            multiply_adds: self.multiply_adds(image_size),
            activation_bytes: self.activation_bytes(image_size),
            layers: self.layers(image_size),
            memory: None,
        }
    }
}

/// Side of the output, with a padding of `kernel / 2`.
pub(super) fn convolved(conv: &Convolution, side: usize) -> usize {
    (side + 2 * (conv.kernel / 2) - conv.kernel) / conv.stride + 1
}

fn convolution(conv: &Convolution, side: usize, followed_by: &str) -> LayerRow {
    let weights = (conv.kernel * conv.kernel * conv.inputs * conv.outputs) as u64;
    let pixels = (side * side) as u64;
    let stride = match conv.stride {
        1 => String::new(),
        stride => format!(", stride {stride}"),
    };
    LayerRow {
        name: conv.name.clone(),
        kind: format!(
            "{0}x{0} conv, {1}{stride}, {followed_by}",
            conv.kernel, conv.outputs
        ),
        output: [conv.outputs, side, side],
        parameters: weights + 2 * conv.outputs as u64,
        multiply_adds: weights * pixels,
        activation_bytes: 2 * FLOAT * conv.outputs as u64 * pixels,
    }
}

fn parameterless(name: &str, kind: &str, output: [usize; 3]) -> LayerRow {
    LayerRow {
        name: name.into(),
        kind: kind.into(),
        output,
        parameters: 0,
        multiply_adds: 0,
        activation_bytes: FLOAT * output.iter().product::<usize>() as u64,
    }
}

impl Description {
    /// A human-readable table.
    pub fn text(&self) -> String {
        let kind = self
            .layers
            .iter()
            .map(|row| row.kind.len())
            .max()
            .unwrap_or(0);
        let name = self
            .layers
            .iter()
            .map(|row| row.name.len())
            .max()
            .unwrap_or(0);
        let shortcut = self
            .shortcut
            .map_or_else(String::new, |option| format!(" (shortcut {option:?})"));
        let mut text = format!(
            "{}{shortcut}, one image of {} x {} pixels\n\n{:<name$}  {:<kind$}  {:>12}  {:>12}  {:>14}  {:>12}\n",
            self.network,
            self.image_size,
            self.image_size,
            "layer",
            "what",
            "output",
            "parameters",
            "multiply-adds",
            "activations",
        );
        for row in &self.layers {
            let [channels, height, width] = row.output;
            text += &format!(
                "{:<name$}  {:<kind$}  {:>12}  {:>12}  {:>14}  {:>9.1} kB\n",
                row.name,
                row.kind,
                format!("{channels}x{height}x{width}"),
                grouped(row.parameters),
                grouped(row.multiply_adds),
                row.activation_bytes as f64 / 1e3,
            );
        }
        text += &format!(
            "\n{} weighted layers, {} parameters, {} multiply-adds, {:.2} MB of activations\n",
            self.depth,
            grouped(self.parameters),
            grouped(self.multiply_adds),
            self.activation_bytes as f64 / 1e6,
        );
        if let Some(memory) = &self.memory {
            text += &format!("\n{}", memory.text());
        }
        text
    }

    /// As pretty-printed JSON.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

/// Groups digits by thousands: `269,722`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
