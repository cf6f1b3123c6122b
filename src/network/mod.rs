//! Architectures as plain data: stages, blocks, shortcuts, shapes and parameter names.
//!
//! - `mod.rs` has `Network` and derives its blocks, convolutions and parameters
//! - `cited.rs` has AlexNet and VGG, which the paper compares with; they are described, not trained
//! - `name.rs` parses names such as `resnet-110`
//! - `describe.rs` lists a network's layers and counts parameters, multiply-adds and activations
//! - `memory.rs` adds up the memory of a training step
//! - `initialise.rs` generates initial weights, `fit.rs` tells whether weights are a network's

mod cited;
mod describe;
mod fit;
mod initialise;
mod memory;
mod name;

pub use crate::recipe::Shortcut;
pub use cited::{Cited, CitedLayer, complexity};
pub use describe::{Description, LayerRow, grouped};
pub use initialise::initialise;
pub use memory::{Activations, Memory};

use serde::{Deserialize, Serialize};

/// Whether a network has shortcuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    Plain,
    Resnet,
}

/// The layers before the first stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// 3x3 convolution, stride 1 (section 4.2).
    Cifar,
    /// 7x7 convolution, stride 2, padding 3, then 3x3 max-pooling, stride 2, padding 1 (Table 1).
    Imagenet,
}

/// The convolution of a bottleneck that has the stride.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum StrideIn {
    /// The first 1x1, as in the authors' models.
    #[default]
    #[serde(rename = "1x1")]
    First,
    /// The 3x3, as in torchvision's ResNet-50, -101 and -152. A little more to compute.
    #[serde(rename = "3x3")]
    Middle,
}

impl StrideIn {
    /// Whether it is the default, which is left out of files.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A network, from which every layer, shape and parameter is derived.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network {
    /// The name in manifests and folders: `plain-20`, `resnet-110`.
    pub name: String,
    pub family: Family,
    pub stem: Stem,
    /// Blocks per stage. The first convolution of every stage but the first has stride 2.
    pub blocks: Vec<usize>,
    /// Channels of the 3x3 convolutions in the first stage, doubled at each further stage.
    pub base_width: usize,
    /// Whether a block is 1x1, 3x3, 1x1 with four times the width at the end, instead of two 3x3.
    pub bottleneck: bool,
    pub shortcut: Shortcut,
    pub classes: usize,
    /// Which convolution of a bottleneck has the stride.
    #[serde(default, skip_serializing_if = "StrideIn::is_default")]
    pub stride_in: StrideIn,
}

/// A convolution without bias, followed by batch normalisation. Padding is `kernel / 2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// torchvision's name: `layer2.0.conv1`.
    pub name: String,
    /// Name of the batch normalisation that follows: `layer2.0.bn1`, `layer2.0.downsample.1`.
    pub norm: String,
    pub kernel: usize,
    pub stride: usize,
    pub inputs: usize,
    pub outputs: usize,
}

/// What is added to the output of a block's last batch normalisation, before the last ReLU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Join {
    /// Plain networks: nothing.
    None,
    /// The block's input.
    Identity,
    /// Option A: every `stride`-th pixel of the input, padded with zero channels.
    Subsample { stride: usize },
    /// Options B and C: a 1x1 convolution and batch normalisation, without ReLU.
    Projection(Convolution),
}

/// Convolutions, each followed by batch normalisation and ReLU; the last ReLU comes after the addition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub convolutions: Vec<Convolution>,
    pub join: Join,
}

/// The kind of a parameter or running statistic, which decides its initial value and whether weight decay may apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    ConvolutionWeight,
    Scale,
    Shift,
    RunningMean,
    RunningVariance,
    ClassifierWeight,
    ClassifierBias,
}

impl Role {
    /// Whether it is learnt by gradient descent rather than a running statistic.
    pub fn is_parameter(self) -> bool {
        !matches!(self, Role::RunningMean | Role::RunningVariance)
    }
}

/// A named tensor of a network. Shapes follow torchvision: `[outputs, inputs, k, k]`, `[channels]`, `[classes, features]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub shape: Vec<usize>,
    pub role: Role,
}

impl Network {
    /// The CIFAR-10 network of section 4.2 with `depth` weighted layers, or `None` if `depth` is not `6n + 2` with `n > 0`.
    pub fn cifar(family: Family, depth: usize, shortcut: Shortcut, classes: usize) -> Option<Self> {
        let n = depth.checked_sub(2).filter(|layers| layers % 6 == 0)? / 6;
        let prefix = match family {
            Family::Plain => "plain",
            Family::Resnet => "resnet",
        };
        (n > 0).then(|| Self {
            name: format!("{prefix}-{depth}"),
            family,
            stem: Stem::Cifar,
            blocks: vec![n; 3],
            base_width: 16,
            bottleneck: false,
            shortcut,
            classes,
            stride_in: StrideIn::default(),
        })
    }

    /// The ImageNet network of Table 1 with `depth` weighted layers, or `None` if the paper has none: there are 18, 34, 50,
    /// 101 and 152 layers with shortcuts, and 18 and 34 without.
    pub fn imagenet(
        family: Family,
        depth: usize,
        shortcut: Shortcut,
        classes: usize,
    ) -> Option<Self> {
        let (blocks, bottleneck) = match depth {
            18 => ([2, 2, 2, 2], false),
            34 => ([3, 4, 6, 3], false),
            50 => ([3, 4, 6, 3], true),
            101 => ([3, 4, 23, 3], true),
            152 => ([3, 8, 36, 3], true),
            _ => return None,
        };
        let prefix = match family {
            Family::Plain if bottleneck => return None,
            Family::Plain => "plain",
            Family::Resnet => "resnet",
        };
        Some(Self {
            name: format!("{prefix}-{depth}"),
            family,
            stem: Stem::Imagenet,
            blocks: blocks.into(),
            base_width: 64,
            bottleneck,
            shortcut,
            classes,
            stride_in: StrideIn::default(),
        })
    }

    /// The convolution before the first stage, with `base_width` outputs.
    pub fn stem_convolution(&self) -> Convolution {
        let (kernel, stride) = match self.stem {
            Stem::Cifar => (3, 1),
            Stem::Imagenet => (7, 2),
        };
        Convolution {
            name: "conv1".into(),
            norm: "bn1".into(),
            kernel,
            stride,
            inputs: 3,
            outputs: self.base_width,
        }
    }

    /// Every block in the order of the forward pass.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut inputs = self.base_width;
        for (stage, &count) in self.blocks.iter().enumerate() {
            let width = self.base_width << stage;
            for place in 0..count {
                let stride = if stage > 0 && place == 0 { 2 } else { 1 };
                let block = self.block(stage, place, inputs, width, stride);
                inputs = block
                    .convolutions
                    .last()
                    .map_or(inputs, |last| last.outputs);
                blocks.push(block);
            }
        }
        blocks
    }

    fn block(
        &self,
        stage: usize,
        place: usize,
        inputs: usize,
        width: usize,
        stride: usize,
    ) -> Block {
        let prefix = format!("layer{}.{place}", stage + 1);
        // (kernel, stride, outputs) of each convolution.
        let (first, middle) = match self.stride_in {
            StrideIn::First => (stride, 1),
            StrideIn::Middle => (1, stride),
        };
        let plan: &[(usize, usize, usize)] = if self.bottleneck {
            &[(1, first, width), (3, middle, width), (1, 1, 4 * width)]
        } else {
            &[(3, stride, width), (3, 1, width)]
        };
        let mut channels = inputs;
        let mut convolutions = Vec::new();
        for (index, &(kernel, stride, outputs)) in plan.iter().enumerate() {
            convolutions.push(Convolution {
                name: format!("{prefix}.conv{}", index + 1),
                norm: format!("{prefix}.bn{}", index + 1),
                kernel,
                stride,
                inputs: channels,
                outputs,
            });
            channels = outputs;
        }
        let changes = stride != 1 || channels != inputs;
        let join = match (self.family, self.shortcut) {
            (Family::Plain, _) => Join::None,
            (Family::Resnet, Shortcut::A) if changes => Join::Subsample { stride },
            (Family::Resnet, Shortcut::A) => Join::Identity,
            (Family::Resnet, Shortcut::B) if !changes => Join::Identity,
            (Family::Resnet, _) => Join::Projection(Convolution {
                name: format!("{prefix}.downsample.0"),
                norm: format!("{prefix}.downsample.1"),
                kernel: 1,
                stride,
                inputs,
                outputs: channels,
            }),
        };
        Block { convolutions, join }
    }

    /// Inputs of the classifier.
    pub fn features(&self) -> usize {
        let width = self.base_width << (self.blocks.len() - 1);
        if self.bottleneck { 4 * width } else { width }
    }

    /// Every convolution in the order of the forward pass; a projection follows the convolutions of its block.
    pub fn convolutions(&self) -> Vec<Convolution> {
        let mut all = vec![self.stem_convolution()];
        for block in self.blocks() {
            all.extend(block.convolutions);
            if let Join::Projection(projection) = block.join {
                all.push(projection);
            }
        }
        all
    }

    /// Every named tensor in the order of the forward pass. A parameter's position in this list keys its random stream.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut all = Vec::new();
        for conv in self.convolutions() {
            all.push(Parameter {
                name: format!("{}.weight", conv.name),
                shape: vec![conv.outputs, conv.inputs, conv.kernel, conv.kernel],
                role: Role::ConvolutionWeight,
            });
            for (suffix, role) in [
                ("weight", Role::Scale),
                ("bias", Role::Shift),
                ("running_mean", Role::RunningMean),
                ("running_var", Role::RunningVariance),
            ] {
                all.push(Parameter {
                    name: format!("{}.{suffix}", conv.norm),
                    shape: vec![conv.outputs],
                    role,
                });
            }
        }
        all.push(Parameter {
            name: "fc.weight".into(),
            shape: vec![self.classes, self.features()],
            role: Role::ClassifierWeight,
        });
        all.push(Parameter {
            name: "fc.bias".into(),
            shape: vec![self.classes],
            role: Role::ClassifierBias,
        });
        all
    }
}
