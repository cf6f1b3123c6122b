//! One network on any dfdx device: its named tensors and its forward pass.

use std::collections::BTreeMap;
use std::sync::Arc;

use dfdx::prelude::*;

use crate::network::{Convolution, Join, Network, Role, Stem};

use super::activation::{Activation, Variable};
use super::arithmetic::{Arithmetic, Moments};
use super::cpu::{ConvShape, Feature, NormShape};
use super::differentiable::{
    BatchStatistics, Epilogue, Shortcut, classifier, convolution, max_pool, mean_pool,
    normalisation, normalisation_fixed, subsample,
};
use super::gradient::Key;
use super::residency::{Numbers, Residency};
use super::session::Session;

/// A parameter or running statistic.
pub struct NamedTensor<D: Residency> {
    pub name: String,
    pub shape: Vec<usize>,
    pub role: Role,
    pub variable: Variable<D>,
    /// The momentum's; running statistics have none.
    pub velocity: Option<Numbers<D>>,
}

/// A normalisation's tensors, as indices into `Model::tensors`.
#[derive(Clone, Copy, Debug)]
struct NormTensors {
    scale: usize,
    shift: usize,
    mean: usize,
    variance: usize,
}

/// A convolution and the batch normalisation after it.
struct Layer {
    convolution: Convolution,
    /// Index into `Model::tensors`.
    weight: usize,
    /// Index of the normalisation, in the order of `Network::convolutions`.
    norm: usize,
}

/// How a block's input reaches its output past the layers.
enum ShortcutPath {
    None,
    Identity,
    Subsample,
    Projection(Layer),
}

struct Block {
    layers: Vec<Layer>,
    shortcut: ShortcutPath,
}

/// A network's tensors on a device and the order in which they are used.
pub struct Model<D: Residency> {
    pub session: Arc<Session<D>>,
    pub tensors: Vec<NamedTensor<D>>,
    stem: Layer,
    /// Whether the stem ends in max-pooling.
    max_pool: bool,
    blocks: Vec<Block>,
    norms: Vec<NormTensors>,
    /// Weight and bias, as indices into `tensors`.
    classifier: [usize; 2],
    classes: usize,
    epsilon: f32,
    group: usize,
}

/// The statistics of every normalisation of one mini-batch, by its index in the order of `Model::running`.
pub type NormStatistics<D> = BTreeMap<usize, BatchStatistics<D>>;

/// Which statistics a forward pass normalises with.
pub enum NormMode<'a, D: Residency> {
    /// The mini-batch's own, which are collected here.
    Batch(&'a mut NormStatistics<D>),
    /// Given ones, in the order of `Model::running`.
    Fixed(&'a [Moments<Numbers<D>>]),
    /// As `mode`, calling `observer` after each normalisation. Not for gradients.
    Observed {
        mode: Box<NormMode<'a, D>>,
        observer: &'a mut NormObserver<'a, D>,
    },
}

/// Called with a normalisation's index, its output before addition and ReLU, and the output after both.
pub type NormObserver<'a, D> =
    dyn FnMut(usize, &Activation<D>, &Activation<D>) -> Result<(), <D as HasErr>::Err> + 'a;

impl<D: Arithmetic> Model<D> {
    /// Creates a model with every tensor zero. It normalises in groups of `group` images, 0 for all.
    pub fn new(
        session: Arc<Session<D>>,
        network: &Network,
        epsilon: f32,
        group: usize,
    ) -> Result<Self, D::Err> {
        let device = &session.device;
        let mut tensors = Vec::new();
        let mut indices = BTreeMap::new();
        for parameter in network.parameters() {
            let len = parameter.shape.iter().product();
            indices.insert(parameter.name.clone(), tensors.len());
            tensors.push(NamedTensor {
                name: parameter.name,
                shape: parameter.shape,
                role: parameter.role,
                variable: Variable {
                    values: Arc::new(device.allocate(len)?),
                    key: Key::of_parameter(device, len)?,
                },
                velocity: match parameter.role.is_parameter() {
                    true => Some(device.allocate(len)?),
                    false => None,
                },
            });
        }
        let index = |name: String| indices[&name];
        let convolutions = network.convolutions();
        let norms = convolutions.iter().map(|conv| NormTensors {
            scale: index(format!("{}.weight", conv.norm)),
            shift: index(format!("{}.bias", conv.norm)),
            mean: index(format!("{}.running_mean", conv.norm)),
            variance: index(format!("{}.running_var", conv.norm)),
        });
        let norms = norms.collect();
        let order: BTreeMap<&str, usize> = convolutions
            .iter()
            .enumerate()
            .map(|(place, conv)| (conv.name.as_str(), place))
            .collect();
        let layer = |conv: Convolution| Layer {
            weight: index(format!("{}.weight", conv.name)),
            norm: order[conv.name.as_str()],
            convolution: conv,
        };
        let blocks = network.blocks().into_iter().map(|block| Block {
            layers: block.convolutions.into_iter().map(layer).collect(),
            shortcut: match block.join {
                Join::None => ShortcutPath::None,
                Join::Identity => ShortcutPath::Identity,
                Join::Subsample { .. } => ShortcutPath::Subsample,
                Join::Projection(conv) => ShortcutPath::Projection(layer(conv)),
            },
        });
        let blocks = blocks.collect();
        Ok(Self {
            stem: layer(network.stem_convolution()),
            max_pool: network.stem == Stem::Imagenet,
            blocks,
            norms,
            classifier: [index("fc.weight".into()), index("fc.bias".into())],
            classes: network.classes,
            epsilon,
            group,
            tensors,
            session,
        })
    }

    /// The running mean and variance of every normalisation, as indices into `tensors`.
    pub fn running(&self) -> impl Iterator<Item = [usize; 2]> + '_ {
        self.norms.iter().map(|norm| [norm.mean, norm.variance])
    }

    /// Bytes that a training step keeps for its backward pass if it recomputes nothing: the images, the outputs of every
    /// convolution, and those of normalisations and pooling that a convolution reads. As `Network::memory` states.
    fn kept_bytes(&self, images: Feature) -> usize {
        let after = |layer: &Layer, from: Feature| layer.convolution_shape(from).output();
        let kept = |shape: Feature| D::activation_floats(&self.session.workers, shape);
        let mut shape = after(&self.stem, images);
        let mut floats = kept(images) + kept(shape);
        if self.max_pool {
            floats += shape.max_places().storage();
            shape = shape.max_pooled();
        }
        floats += kept(shape);
        for block in &self.blocks {
            if let ShortcutPath::Projection(projection) = &block.shortcut {
                floats += kept(after(projection, shape));
            }
            for layer in &block.layers {
                shape = after(layer, shape);
                floats += 2 * kept(shape);
            }
        }
        floats * size_of::<f32>()
    }

    fn variable(&self, index: usize) -> &Variable<D> {
        &self.tensors[index].variable
    }

    /// The padding of the first convolution.
    pub fn image_halo(&self) -> usize {
        self.stem.convolution.kernel / 2
    }

    /// Logits, `[images][classes]`, of normalised images in a feature with a halo of `image_halo`.
    pub fn forward<T: Tape<f32, D>>(
        &self,
        tape: &mut T,
        images: Activation<D>,
        mode: &mut NormMode<'_, D>,
    ) -> Result<Activation<D>, D::Err> {
        let recompute = T::OWNS_TAPE && self.kept_bytes(images.shape) > self.session.keep;
        let y = self.convolve(tape, &self.stem, &images, false)?;
        drop(images);
        let mut x = self.normalise(tape, &self.stem, y, Epilogue::relu(), mode)?;
        if self.max_pool {
            x = max_pool(&self.session, tape, &x)?;
        }
        for block in &self.blocks {
            x = self.block(tape, block, x, mode, recompute)?;
        }
        let pooled = mean_pool(&self.session, tape, &x)?;
        let parameters = self.classifier.map(|index| self.variable(index));
        classifier(&self.session, tape, &pooled, parameters, self.classes)
    }

    fn block<T: Tape<f32, D>>(
        &self,
        tape: &mut T,
        block: &Block,
        x: Activation<D>,
        mode: &mut NormMode<'_, D>,
        recompute: bool,
    ) -> Result<Activation<D>, D::Err> {
        // Recorded first, so that its gradient comes last and is added to the first convolution's.
        let mut shortcut = match &block.shortcut {
            ShortcutPath::None | ShortcutPath::Projection(_) => Shortcut::None,
            ShortcutPath::Identity => Shortcut::Identity(x.clone()),
            ShortcutPath::Subsample => {
                let to = block.layers.iter().fold(x.shape, |shape, layer| {
                    layer.convolution_shape(shape).output()
                });
                Shortcut::Subsampled(subsample(&self.session, tape, &x, to)?)
            }
        };
        let mut branch = x.clone();
        let last = block.layers.len() - 1;
        for (index, layer) in block.layers.iter().enumerate() {
            let y = self.convolve(tape, layer, &branch, true)?;
            if index == last
                && let ShortcutPath::Projection(projection) = &block.shortcut
            {
                let y = self.convolve(tape, projection, &x, true)?;
                let y = self.normalise(tape, projection, y, Epilogue::none(), mode)?;
                shortcut = Shortcut::Identity(y);
            }
            let epilogue = match index == last {
                true => Epilogue {
                    shortcut: std::mem::replace(&mut shortcut, Shortcut::None),
                    ..Epilogue::relu()
                },
                // Within a block only the next convolution reads the output.
                false => Epilogue {
                    recompute,
                    ..Epilogue::relu()
                },
            };
            branch = self.normalise(tape, layer, y, epilogue, mode)?;
        }
        Ok(branch)
    }

    fn convolve<T: Tape<f32, D>>(
        &self,
        tape: &mut T,
        layer: &Layer,
        x: &Activation<D>,
        input_gradient: bool,
    ) -> Result<Activation<D>, D::Err> {
        let shape = layer.convolution_shape(x.shape);
        let weight = self.variable(layer.weight);
        convolution(&self.session, tape, shape, x, weight, input_gradient)
    }

    fn normalise<T: Tape<f32, D>>(
        &self,
        tape: &mut T,
        layer: &Layer,
        x: Activation<D>,
        epilogue: Epilogue<D>,
        mode: &mut NormMode<'_, D>,
    ) -> Result<Activation<D>, D::Err> {
        let shape = NormShape {
            feature: x.shape,
            group: self.group,
            epsilon: self.epsilon,
        };
        let norm = self.norms[layer.norm];
        let affine = [self.variable(norm.scale), self.variable(norm.shift)];
        let session = &self.session;
        match mode {
            NormMode::Batch(collected) => {
                let (y, statistics) = normalisation(session, tape, shape, &x, affine, epilogue)?;
                collected.insert(layer.norm, statistics);
                Ok(y)
            }
            NormMode::Fixed(moments) => {
                let moments = &moments[layer.norm];
                let shape = NormShape { group: 0, ..shape };
                normalisation_fixed(session, shape, &x, affine, moments, &epilogue)
            }
            NormMode::Observed { mode, observer } => {
                let before = self.normalise(tape, layer, x.clone(), Epilogue::none(), mode)?;
                let after = self.normalise(tape, layer, x, epilogue, mode)?;
                observer(layer.norm, &before, &after)?;
                Ok(after)
            }
        }
    }
}

impl Layer {
    fn convolution_shape(&self, input: Feature) -> ConvShape {
        ConvShape {
            input,
            outputs: self.convolution.outputs,
            kernel: self.convolution.kernel,
            stride: self.convolution.stride,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dfdx::prelude::Cpu;

    use crate::engine::cpu::Context;
    use crate::network::Shortcut as Shortcuts;
    use crate::processor::Instructions;
    use crate::recipe::Precision;

    #[test]
    fn what_a_step_keeps_is_what_the_network_says() {
        for (name, shortcut, size) in [
            ("resnet-20", Shortcuts::A, 32),
            ("plain-20", Shortcuts::A, 32),
            ("resnet-20", Shortcuts::C, 16),
            ("resnet-34", Shortcuts::A, 224),
            ("resnet-34", Shortcuts::B, 224),
            ("resnet-50", Shortcuts::B, 161),
        ] {
            let (network, _) = Network::parse(name, Some(shortcut), Some(size)).unwrap();
            let context = Context::new(1, Instructions::Portable);
            let session = Session::new(Cpu::default(), context, usize::MAX);
            let model = Model::new(session, &network, 1e-5, 0).unwrap();
            let images = Feature {
                halo: model.image_halo(),
                ..Feature::new(7, size, size, 3)
            };
            let memory = network.memory(size, 7, None, Precision::Fp32);
            assert_eq!(model.kept_bytes(images) as u64, memory.kept.kept, "{name}");
        }
    }

    #[test]
    fn strides_are_those_of_the_layers() {
        let (network, size) = Network::parse("resnet-50", None, Some(64)).unwrap();
        let context = Context::new(2, Instructions::detect());
        let session = Session::new(Cpu::default(), context, usize::MAX);
        let mut model = Model::new(session, &network, 1e-5, 0).unwrap();
        let images = Feature {
            halo: model.image_halo(),
            ..Feature::new(2, size, size, 3)
        };
        let before = model.kept_bytes(images);
        // From the first 1x1 convolution to the 3x3 one.
        for block in &mut model.blocks {
            let stride = std::mem::replace(&mut block.layers[0].convolution.stride, 1);
            block.layers[1].convolution.stride *= stride;
        }
        assert!(model.kept_bytes(images) > before);
        let zeros = model.session.lend(images).unwrap();
        let batch = Activation::new(images, zeros).unwrap();
        let mut statistics = NormStatistics::new();
        let mut mode = NormMode::Batch(&mut statistics);
        let logits = model.forward(&mut NoneTape, batch, &mut mode).unwrap();
        assert_eq!((logits.shape.images, logits.shape.channels), (2, 1000));
        let side = |norm: usize| statistics[&norm].shape.feature.height;
        // The stem, then the first block of the second stage: 1x1, 3x3, 1x1, projection.
        assert_eq!([0, 11, 12, 13, 14].map(side), [32, 16, 8, 8, 8]);
    }
}
