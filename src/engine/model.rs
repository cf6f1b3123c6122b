//! One network on any dfdx device: its named tensors and its forward pass, written once.

use std::collections::BTreeMap;
use std::sync::Arc;

use dfdx::prelude::*;

use crate::network::{Convolution, Join, Network, Role, Stem};

use super::cpu::{ConvShape, Feature, NormShape};
use super::differentiable::{
    BatchStatistics, Behind, Shortcut, classifier, convolution, max_pool, mean_pool, normalisation,
    normalisation_fixed, subsample,
};
use super::operators::{Moments, Numbers, Operators};
use super::storage::{Activation, Key, Learnt, Session};

/// A parameter or running statistic.
pub struct Named<D: Operators> {
    pub name: String,
    pub shape: Vec<usize>,
    pub role: Role,
    pub tensor: Learnt<D>,
    /// Of the momentum; running statistics have none.
    pub velocity: Option<Numbers<D>>,
}

/// Places in the list of named tensors.
#[derive(Clone, Copy, Debug)]
struct NormPlaces {
    scale: usize,
    shift: usize,
    mean: usize,
    variance: usize,
}

/// A convolution and the batch normalisation behind it.
struct Layer {
    convolution: Convolution,
    weight: usize,
    /// Which of the network's normalisations it is, in the order of `Network::convolutions`.
    norm: usize,
}

enum Joined {
    None,
    Identity,
    Subsample,
    Projection(Layer),
}

struct Block {
    layers: Vec<Layer>,
    join: Joined,
}

/// A network's tensors on a device and the order in which they are used.
pub struct Model<D: Operators> {
    pub session: Arc<Session<D>>,
    pub tensors: Vec<Named<D>>,
    stem: Layer,
    /// Whether the stem ends in max-pooling.
    max_pool: bool,
    blocks: Vec<Block>,
    norms: Vec<NormPlaces>,
    classifier: [usize; 2],
    classes: usize,
    epsilon: f32,
    group: usize,
}

/// Which statistics a forward pass normalises with.
pub enum Normalise<'a, D: Operators> {
    /// The mini-batch's own, which are handed out in the order of `Model::running`.
    Batch(&'a mut BTreeMap<usize, BatchStatistics<D>>),
    /// Given ones, in the same order.
    Fixed(&'a [Moments<Numbers<D>>]),
    /// As `by` does; what comes out of each normalisation is shown. Not for gradients.
    Shown {
        by: Box<Normalise<'a, D>>,
        show: &'a mut Show<'a, D>,
    },
}

/// Is shown a normalisation's place, its output before addition and ReLU, and the output behind them.
pub type Show<'a, D> =
    dyn FnMut(usize, &Activation<D>, &Activation<D>) -> Result<(), <D as HasErr>::Err> + 'a;

impl<D: Operators> Model<D> {
    /// Every tensor zero. Normalisation in groups of `group` images, 0 for all.
    pub fn new(
        session: Arc<Session<D>>,
        network: &Network,
        epsilon: f32,
        group: usize,
    ) -> Result<Self, D::Err> {
        let device = &session.device;
        let mut tensors = Vec::new();
        let mut places = BTreeMap::new();
        for parameter in network.parameters() {
            let len = parameter.shape.iter().product();
            places.insert(parameter.name.clone(), tensors.len());
            tensors.push(Named {
                name: parameter.name,
                shape: parameter.shape,
                role: parameter.role,
                tensor: Learnt {
                    values: Arc::new(device.allocate(len)?),
                    key: Key::of_parameter(device, len)?,
                },
                velocity: match parameter.role.is_parameter() {
                    true => Some(device.allocate(len)?),
                    false => None,
                },
            });
        }
        let place = |name: String| places[&name];
        let convolutions = network.convolutions();
        let norms = convolutions.iter().map(|conv| NormPlaces {
            scale: place(format!("{}.weight", conv.norm)),
            shift: place(format!("{}.bias", conv.norm)),
            mean: place(format!("{}.running_mean", conv.norm)),
            variance: place(format!("{}.running_var", conv.norm)),
        });
        let norms = norms.collect();
        let order: BTreeMap<&str, usize> = convolutions
            .iter()
            .enumerate()
            .map(|(index, conv)| (conv.name.as_str(), index))
            .collect();
        let layer = |conv: Convolution| Layer {
            weight: place(format!("{}.weight", conv.name)),
            norm: order[conv.name.as_str()],
            convolution: conv,
        };
        let blocks = network.blocks().into_iter().map(|block| Block {
            layers: block.convolutions.into_iter().map(layer).collect(),
            join: match block.join {
                Join::None => Joined::None,
                Join::Identity => Joined::Identity,
                Join::Subsample { .. } => Joined::Subsample,
                Join::Projection(conv) => Joined::Projection(layer(conv)),
            },
        });
        let blocks = blocks.collect();
        Ok(Self {
            stem: layer(network.stem_convolution()),
            max_pool: network.stem == Stem::Imagenet,
            blocks,
            norms,
            classifier: [place("fc.weight".into()), place("fc.bias".into())],
            classes: network.classes,
            epsilon,
            group,
            tensors,
            session,
        })
    }

    /// Places of running mean and variance of every normalisation.
    pub fn running(&self) -> impl Iterator<Item = [usize; 2]> + '_ {
        self.norms.iter().map(|norm| [norm.mean, norm.variance])
    }

    /// Bytes of what a training step keeps of images of a shape: of each layer, what its convolution and its normalisation
    /// put out.
    fn kept(&self, images: Feature) -> usize {
        let after = |layer: &Layer, from: Feature| layer.convolution_shape(from).output();
        let both = |shape: Feature| 2 * shape.storage() * size_of::<f32>();
        let mut shape = after(&self.stem, images);
        let mut bytes = both(shape);
        if self.max_pool {
            shape = shape.max_pooled();
        }
        for block in &self.blocks {
            if let Joined::Projection(projection) = &block.join {
                bytes += both(after(projection, shape));
            }
            for layer in &block.layers {
                shape = after(layer, shape);
                bytes += both(shape);
            }
        }
        bytes
    }

    fn learnt(&self, place: usize) -> &Learnt<D> {
        &self.tensors[place].tensor
    }

    /// Zeros that the first convolution reads around each image.
    pub fn image_halo(&self) -> usize {
        self.stem.convolution.kernel / 2
    }

    /// Logits, `[images][classes]`, of normalised images in a feature with a halo.
    pub fn forward<T: Tape<f32, D>>(
        &self,
        tape: &mut T,
        images: Activation<D>,
        normalise: &mut Normalise<'_, D>,
    ) -> Result<Activation<D>, D::Err> {
        let remake = T::OWNS_TAPE && self.kept(images.shape) > self.session.keep;
        let y = self.convolve(tape, &self.stem, &images, false)?;
        drop(images);
        let mut x = self.normalise(tape, &self.stem, y, Behind::relu(), normalise)?;
        if self.max_pool {
            x = max_pool(&self.session, tape, &x)?;
        }
        for block in &self.blocks {
            x = self.block(tape, block, x, normalise, remake)?;
        }
        let pooled = mean_pool(&self.session, tape, &x)?;
        let parameters = self.classifier.map(|place| self.learnt(place));
        classifier(&self.session, tape, &pooled, parameters, self.classes)
    }

    fn block<T: Tape<f32, D>>(
        &self,
        tape: &mut T,
        block: &Block,
        x: Activation<D>,
        normalise: &mut Normalise<'_, D>,
        remake: bool,
    ) -> Result<Activation<D>, D::Err> {
        // Recorded first, so that its gradient comes last: added to the first convolution's.
        let mut shortcut = match &block.join {
            Joined::None | Joined::Projection(_) => Shortcut::None,
            Joined::Identity => Shortcut::Identity(x.clone()),
            Joined::Subsample => {
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
                && let Joined::Projection(projection) = &block.join
            {
                let y = self.convolve(tape, projection, &x, true)?;
                let y = self.normalise(tape, projection, y, Behind::nothing(), normalise)?;
                shortcut = Shortcut::Identity(y);
            }
            let behind = match index == last {
                true => Behind {
                    shortcut: std::mem::replace(&mut shortcut, Shortcut::None),
                    ..Behind::relu()
                },
                // Within a block only the next convolution reads the output.
                false => Behind {
                    remake,
                    ..Behind::relu()
                },
            };
            branch = self.normalise(tape, layer, y, behind, normalise)?;
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
        let weight = self.learnt(layer.weight);
        convolution(&self.session, tape, shape, x, weight, input_gradient)
    }

    fn normalise<T: Tape<f32, D>>(
        &self,
        tape: &mut T,
        layer: &Layer,
        x: Activation<D>,
        behind: Behind<D>,
        normalise: &mut Normalise<'_, D>,
    ) -> Result<Activation<D>, D::Err> {
        let shape = NormShape {
            feature: x.shape,
            group: self.group,
            epsilon: self.epsilon,
        };
        let norm = self.norms[layer.norm];
        let affine = [self.learnt(norm.scale), self.learnt(norm.shift)];
        let session = &self.session;
        match normalise {
            Normalise::Batch(gathered) => {
                let (y, statistics) = normalisation(session, tape, shape, &x, affine, behind)?;
                gathered.insert(layer.norm, statistics);
                Ok(y)
            }
            Normalise::Fixed(moments) => {
                let moments = &moments[layer.norm];
                normalisation_fixed(session, shape, &x, affine, moments, &behind)
            }
            Normalise::Shown { by, show } => {
                let before = self.normalise(tape, layer, x.clone(), Behind::nothing(), by)?;
                let behind = self.normalise(tape, layer, x, behind, by)?;
                show(layer.norm, &before, &behind)?;
                Ok(behind)
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
