//! Networks that the paper compares with: AlexNet, VGG-16 and VGG-19. They can be described, not trained. Their layers have
//! biases and no batch normalisation; each but the last is followed by ReLU.

use super::describe::{Description, LayerRow};
use super::{Network, Stem};

/// A network of other authors, for images of 224x224 pixels and 1000 classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cited {
    /// As on the command line and in claims: `vgg-16`.
    pub name: &'static str,
    layers: Vec<CitedLayer>,
}

/// A layer of a cited network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CitedLayer {
    Convolution {
        kernel: usize,
        stride: usize,
        padding: usize,
        outputs: usize,
        /// The channels are split among this many; AlexNet's two were two GPUs.
        groups: usize,
        /// Local response normalisation follows.
        normalised: bool,
    },
    /// Max-pooling, stride 2, without padding.
    Pool {
        kernel: usize,
    },
    FullyConnected {
        outputs: usize,
    },
}

/// Their names.
const NAMES: [&str; 3] = ["alexnet", "vgg-16", "vgg-19"];

/// Side of the images.
const SIDE: usize = 224;

/// Bytes of a 32-bit float.
const FLOAT: u64 = 4;

impl Cited {
    /// The cited network with this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let lower = name.trim().to_lowercase();
        let name = NAMES.into_iter().find(|known| *known == lower)?;
        let layers = match name {
            "alexnet" => alexnet(),
            "vgg-16" => vgg([2, 2, 3, 3, 3]),
            _ => vgg([2, 2, 4, 4, 4]),
        };
        Some(Self { name, layers })
    }

    /// The layers from the image to the classifier, each with its row of the description.
    pub fn layers(&self) -> Vec<(CitedLayer, LayerRow)> {
        let (mut channels, mut side) = (3, SIDE);
        let (mut convolutions, mut pools, mut connected) = (0, 0, 0);
        let mut rows = Vec::new();
        for &layer in &self.layers {
            let (mut parameters, mut multiply_adds) = (0, 0);
            let name = match layer {
                CitedLayer::Convolution {
                    kernel,
                    stride,
                    padding,
                    outputs,
                    groups,
                    ..
                } => {
                    convolutions += 1;
                    side = (side + 2 * padding - kernel) / stride + 1;
                    let weights = (kernel * kernel * channels / groups * outputs) as u64;
                    parameters = weights + outputs as u64;
                    multiply_adds = weights * (side * side) as u64;
                    channels = outputs;
                    format!("conv{convolutions}")
                }
                CitedLayer::Pool { kernel } => {
                    pools += 1;
                    side = (side - kernel) / 2 + 1;
                    format!("pool{pools}")
                }
                CitedLayer::FullyConnected { outputs } => {
                    connected += 1;
                    multiply_adds = (channels * side * side * outputs) as u64;
                    parameters = multiply_adds + outputs as u64;
                    (channels, side) = (outputs, 1);
                    format!("fc{connected}")
                }
            };
            let row = LayerRow {
                name,
                kind: layer.text(),
                output: [channels, side, side],
                parameters,
                multiply_adds,
                activation_bytes: FLOAT * (channels * side * side) as u64,
            };
            rows.push((layer, row));
        }
        rows
    }

    /// In convolutions and fully connected layers, for one image.
    pub fn multiply_adds(&self) -> u64 {
        let rows = self.layers().into_iter();
        rows.map(|(_, row)| row.multiply_adds).sum()
    }

    /// The network and its layers, with totals.
    pub fn describe(&self) -> Description {
        let layers: Vec<LayerRow> = self.layers().into_iter().map(|(_, row)| row).collect();
        let sum = |value: fn(&LayerRow) -> u64| -> u64 { layers.iter().map(value).sum() };
        Description {
            network: self.name.into(),
            shortcut: None,
            image_size: SIDE,
            depth: layers.iter().filter(|row| row.parameters > 0).count(),
            parameters: sum(|row| row.parameters),
            multiply_adds: sum(|row| row.multiply_adds),
            activation_bytes: sum(|row| row.activation_bytes),
            layers,
            memory: None,
        }
    }
}

/// Multiply-adds of one image of 224x224 pixels and 1000 classes in a network of Table 1 or a cited one; none for any other
/// name.
pub fn complexity(name: &str) -> Option<u64> {
    if let Some(cited) = Cited::named(name) {
        return Some(cited.multiply_adds());
    }
    let (network, size) = Network::parse(name, None, Some(SIDE)).ok()?;
    (network.stem == Stem::Imagenet).then(|| network.multiply_adds(size))
}

impl CitedLayer {
    /// `3x3 conv, 64`, `2x2 max-pool, /2`, `fc, 4096`: as in Fig. 3.
    pub fn text(self) -> String {
        match self {
            CitedLayer::Convolution {
                kernel,
                stride,
                outputs,
                groups,
                normalised,
                ..
            } => {
                let mut text = format!("{kernel}x{kernel} conv, {outputs}");
                if stride > 1 {
                    text += &format!(", /{stride}");
                }
                if groups > 1 {
                    text += &format!(", {groups} groups");
                }
                if normalised {
                    text += ", LRN";
                }
                text
            }
            CitedLayer::Pool { kernel } => format!("{kernel}x{kernel} max-pool, /2"),
            CitedLayer::FullyConnected { outputs } => format!("fc, {outputs}"),
        }
    }
}

/// A. Krizhevsky, I. Sutskever, G. Hinton, 2012, as implemented in Caffe: images of 227 pixels, here 224 with a padding.
fn alexnet() -> Vec<CitedLayer> {
    let convolution =
        |kernel, stride, padding, outputs, groups, normalised| CitedLayer::Convolution {
            kernel,
            stride,
            padding,
            outputs,
            groups,
            normalised,
        };
    let pool = CitedLayer::Pool { kernel: 3 };
    let mut layers = vec![
        convolution(11, 4, 2, 96, 1, true),
        pool,
        convolution(5, 1, 2, 256, 2, true),
        pool,
        convolution(3, 1, 1, 384, 1, false),
        convolution(3, 1, 1, 384, 2, false),
        convolution(3, 1, 1, 256, 2, false),
        pool,
    ];
    layers.extend(classifier());
    layers
}

/// K. Simonyan, A. Zisserman, 2014: 3x3 convolutions, in five stages of doubling width.
fn vgg(stages: [usize; 5]) -> Vec<CitedLayer> {
    let mut layers = Vec::new();
    for (count, outputs) in stages.into_iter().zip([64, 128, 256, 512, 512]) {
        let convolution = CitedLayer::Convolution {
            kernel: 3,
            stride: 1,
            padding: 1,
            outputs,
            groups: 1,
            normalised: false,
        };
        layers.extend(std::iter::repeat_n(convolution, count));
        layers.push(CitedLayer::Pool { kernel: 2 });
    }
    layers.extend(classifier());
    layers
}

fn classifier() -> [CitedLayer; 3] {
    [4096, 4096, 1000].map(|outputs| CitedLayer::FullyConnected { outputs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiply_adds_are_the_papers() {
        // Table 1 and the text of section 3.3, in thousand millions.
        for (name, billions) in [("vgg-16", 15.3), ("vgg-19", 19.6)] {
            let ours = Cited::named(name).unwrap().multiply_adds() as f64 / 1e9;
            assert!((ours - billions).abs() < 0.03 * billions, "{name}: {ours}");
        }
        // "18% of VGG-19" (section 3.3).
        let (resnet, size) = Network::parse("resnet-34", None, None).unwrap();
        let vgg = Cited::named("VGG-19").unwrap().multiply_adds();
        let share = resnet.multiply_adds(size) as f64 / vgg as f64;
        assert!((share - 0.18).abs() < 0.01, "{share}");
        assert_eq!(complexity("vgg-19"), Some(vgg));
        assert_eq!(complexity("resnet-34"), Some(resnet.multiply_adds(size)));
        assert_eq!(
            (complexity("resnet-20"), complexity("vgg-11")),
            (None, None)
        );
    }

    #[test]
    fn parameters_are_those_of_the_released_models() {
        // Caffe's model zoo for AlexNet, torchvision for VGG.
        for (name, depth, parameters) in [
            ("alexnet", 8, 60_965_224),
            ("vgg-16", 16, 138_357_544),
            ("vgg-19", 19, 143_667_240),
        ] {
            let described = Cited::named(name).unwrap().describe();
            assert_eq!((described.depth, described.parameters), (depth, parameters));
        }
    }

    #[test]
    fn shapes_follow_from_strides_and_padding() {
        let rows = Cited::named("alexnet").unwrap().describe().layers;
        let output = |name: &str| rows.iter().find(|row| row.name == name).unwrap().output;
        assert_eq!(output("conv1"), [96, 55, 55]);
        assert_eq!(output("pool1"), [96, 27, 27]);
        assert_eq!(output("pool3"), [256, 6, 6]);
        assert_eq!(output("fc3"), [1000, 1, 1]);
        let rows = Cited::named("vgg-16").unwrap().describe().layers;
        assert_eq!(rows[17].output, [512, 7, 7]);
        assert!(Cited::named("vgg-11").is_none());
    }
}
