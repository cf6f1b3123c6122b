//! Architectures as plain data: stages, blocks, shortcuts, shapes and the names of parameters. Nothing here computes.
//!
//! `name.rs` turns `resnet-110` into a network, `describe.rs` counts and lists its layers.

mod describe;
mod name;

pub use describe::{Description, LayerRow, grouped};

use serde::{Deserialize, Serialize};

/// With or without shortcuts; otherwise the same network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    Plain,
    Resnet,
}

/// What stands before the first stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// 3x3 convolution, stride 1 (section 4.2).
    Cifar,
    /// 7x7 convolution, stride 2, padding 3, then 3x3 max-pooling, stride 2, padding 1 (Table 1).
    Imagenet,
}

/// How a shortcut crosses a change of shape (section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Shortcut {
    /// Subsample `x[:, :, ::2, ::2]` and append zero channels at the end: no parameters.
    A,
    /// A 1x1 projection with batch normalisation where stride or width change, identity elsewhere.
    B,
    /// A 1x1 projection with batch normalisation everywhere.
    C,
}

/// A network: enough to derive every layer, shape and parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Network {
    /// As in manifests and folders: `plain-20`, `resnet-110`.
    pub name: String,
    pub family: Family,
    pub stem: Stem,
    /// Blocks of each stage; the first block of every stage but the first has stride 2 in its first convolution.
    pub blocks: Vec<usize>,
    /// Channels of the first stage's 3x3 convolutions; doubles at each stage.
    pub base_width: usize,
    /// 1x1, 3x3, 1x1 with four times the width at the end, instead of two 3x3.
    pub bottleneck: bool,
    pub shortcut: Shortcut,
    pub classes: usize,
}

/// A convolution without bias, followed by batch normalisation. Padding is `kernel / 2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// torchvision's name: `layer2.0.conv1`.
    pub name: String,
    /// Of the batch normalisation behind it: `layer2.0.bn1`, `layer2.0.downsample.1`.
    pub norm: String,
    pub kernel: usize,
    pub stride: usize,
    pub inputs: usize,
    pub outputs: usize,
}

/// What is added to a block's last batch normalisation before its last ReLU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Join {
    /// Plain networks: nothing.
    None,
    /// The block's input as it is.
    Identity,
    /// Option A: every `stride`-th pixel, zero channels appended up to the block's outputs.
    Subsample { stride: usize },
    /// Options B and C: a 1x1 convolution and its batch normalisation, without ReLU.
    Projection(Convolution),
}

/// A block: convolutions, each followed by batch normalisation and ReLU; the last ReLU comes after the addition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub convolutions: Vec<Convolution>,
    pub join: Join,
}

/// What a parameter or running statistic is, which decides its initial value and whether weight decay may apply.
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
    /// Learnt by gradient descent; the others are running statistics.
    pub fn is_parameter(self) -> bool {
        !matches!(self, Role::RunningMean | Role::RunningVariance)
    }
}

/// A named tensor of a network. Shapes are torchvision's: `[outputs, inputs, k, k]`, `[channels]`, `[classes, features]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub shape: Vec<usize>,
    pub role: Role,
}

impl Network {
    /// The CIFAR-10 network of section 4.2 with `depth = 6n + 2` weighted layers, or `None` where there is none of that depth.
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
        })
    }

    /// The ImageNet network of Table 1 with `depth` weighted layers, or `None` where the paper has none: 18, 34, 50, 101 and
    /// 152 layers with shortcuts, 18 and 34 without.
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
        })
    }

    /// The convolution in front of the first stage. The stem's width is `base_width`.
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

    /// Every block, from the input to the classifier.
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
        let plan: &[(usize, usize, usize)] = if self.bottleneck {
            &[(1, stride, width), (3, 1, width), (1, 1, 4 * width)]
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

    /// Channels that reach the classifier.
    pub fn features(&self) -> usize {
        let width = self.base_width << (self.blocks.len() - 1);
        if self.bottleneck { 4 * width } else { width }
    }

    /// Every convolution in the order of the forward pass; a projection follows its block's own.
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

    /// Every named tensor in the order of the forward pass. A parameter's place in this list is the key of its random stream.
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
