//! A network being trained on a dfdx device: steps, evaluation, statistics, its state in and out.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use dfdx::prelude::*;

use crate::data::Batch;
use crate::exit::Exit;
use crate::manifest::{DecayOn, Pooling};
use crate::network::{Network, Role};
use crate::weights::{self, Weights};

use super::bunch::Bunch;
use super::cpu::{CrossEntropy, Feature, SgdStep};
use super::differentiable::{BatchStatistics, cross_entropy};
use super::model::{Model, Normalise};
use super::operators::{Averaging, Descent, Moments, Moving, Numbers, Operators};
use super::placed::Kept;
use super::population::Pooled;
use super::storage::{Activation, Session};
use super::{
    Differentiable, Engine, FirstStep, Hyperparameters, Response, Statistics, Step, Sums, Tally,
};

/// dfdx's errors are not `Send`: their text is kept.
fn device(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("the device failed: {error}")
}

/// Statistics of every normalisation of one mini-batch, by its place.
type Gathered<D> = BTreeMap<usize, BatchStatistics<D>>;

pub struct Trainer<D: Operators> {
    model: Model<D>,
    hyper: Hyperparameters,
    image_size: usize,
    classes: usize,
    /// Images of the last mini-batch: the pool keeps memory for these.
    images: usize,
    kept: Kept<D>,
    bunch: Bunch<D>,
    pooled: Vec<Pooled>,
    population: Option<Vec<Moments<Numbers<D>>>>,
}

// SAFETY: the trainer holds everything that shares its device, and `Operators` promises that a device may move with all of it.
unsafe impl<D: Operators> Send for Trainer<D> {}

/// What a forward pass put out, and the classes that it is held against.
struct Forward<D: Operators> {
    logits: Activation<D>,
    labels: D::Labels,
}

/// What a forward and a backward pass found.
struct Gradient<D: Operators> {
    forward: Forward<D>,
    statistics: Gathered<D>,
    gradients: Gradients<f32, D>,
}

impl<D: Operators> Trainer<D> {
    /// A network with every tensor zero.
    pub fn new(
        session: Arc<Session<D>>,
        network: &Network,
        image_size: usize,
        hyper: &Hyperparameters,
    ) -> Result<Self> {
        let model = Model::new(session, network, hyper.norm_epsilon, hyper.norm_group);
        let model = model.map_err(device)?;
        Ok(Self {
            pooled: vec![Pooled::default(); model.running().count()],
            model,
            hyper: *hyper,
            image_size,
            classes: network.classes,
            images: 0,
            kept: Kept::default(),
            bunch: Bunch::default(),
            population: None,
        })
    }

    fn check(&self, batch: &Batch) -> Result<Feature> {
        let (images, size) = (batch.labels.len(), batch.size);
        let label = batch.labels.iter().max();
        let (found, expected) = match &batch.drawn {
            None => (batch.pixels.len(), images * size * size * 3),
            Some(drawn) if drawn.from.images().size == size => (drawn.decisions.len(), images),
            Some(drawn) => (drawn.from.images().size, size),
        };
        if size != self.image_size || images == 0 || found != expected {
            return Err(anyhow!(
                "a mini-batch of {images} images of {size}x{size} with {found} instead of {expected} numbers given to an engine for {}x{}",
                self.image_size,
                self.image_size
            ));
        }
        match label {
            Some(&label) if usize::from(label) >= self.classes => Err(anyhow!(
                "a label {label} in a mini-batch for {} classes",
                self.classes
            )),
            _ => Ok(Feature {
                halo: self.model.image_halo(),
                ..Feature::new(images, size, size, 3)
            }),
        }
    }

    fn forward<T: Tape<f32, D>>(
        &mut self,
        tape: &mut T,
        batch: &Batch,
        normalise: &mut Normalise<'_, D>,
    ) -> Result<Forward<D>> {
        let shape = self.check(batch)?;
        let session = &self.model.session;
        if shape.images != self.images {
            session.keep_only(shape.images);
            self.images = shape.images;
        }
        let placed = self.kept.place(session, batch, shape).map_err(device)?;
        let logits = self.model.forward(tape, shape, placed.images, normalise);
        Ok(Forward {
            logits: logits.map_err(device)?,
            labels: placed.labels,
        })
    }

    /// Forward and backward; nothing of the network changes.
    fn differentiate(&mut self, batch: &Batch) -> Result<Gradient<D>> {
        let mut statistics = Gathered::new();
        let mut tape = OwnedTape::<f32, D>::default();
        let forward = self.forward(&mut tape, batch, &mut Normalise::Batch(&mut statistics))?;
        let session = &self.model.session;
        cross_entropy(session, &mut tape, &forward.logits, &forward.labels);
        // Its value is nobody's business: the backward pass starts from a gradient of 1.
        let loss = session.device.try_tensor_from_vec(vec![0.0], ());
        let gradients = loss.map_err(device)?.put_tape(tape).try_backward();
        Ok(Gradient {
            forward,
            statistics,
            gradients: gradients.map_err(device)?,
        })
    }

    /// Sums of loss and errors. Waits for the device.
    fn sums(&self, forward: &Forward<D>) -> Result<CrossEntropy> {
        let (workers, logits) = (&self.model.session.workers, forward.logits.values.numbers());
        D::cross_entropy(workers, logits, &forward.labels, self.classes).map_err(device)
    }

    fn descend(&mut self, gradients: &mut Gradients<f32, D>, learning_rate: f32) -> Result<()> {
        let session = self.model.session.clone();
        let mut gathered = Vec::new();
        for named in &self.model.tensors {
            if named.velocity.is_some() {
                let gradient = named.tensor.key.take(gradients, &session).map_err(device)?;
                let gradient =
                    gradient.with_context(|| format!("no gradient reached {}", named.name))?;
                gathered.push(gradient);
            }
        }
        let mut gradients = gathered.iter();
        let mut steps = Vec::with_capacity(gathered.len());
        for named in &mut self.model.tensors {
            let Some(velocity) = &mut named.velocity else {
                continue;
            };
            let gradient = gradients.next().context("a gradient for each parameter")?;
            let decays = match self.hyper.weight_decay_on {
                DecayOn::All => true,
                DecayOn::Weights => {
                    matches!(named.role, Role::ConvolutionWeight | Role::ClassifierWeight)
                }
            };
            let step = SgdStep {
                learning_rate,
                momentum: self.hyper.momentum,
                form: self.hyper.momentum_form,
                weight_decay: if decays { self.hyper.weight_decay } else { 0.0 },
            };
            let weights = Arc::get_mut(&mut named.tensor.values)
                .with_context(|| format!("{} is still in use after the step", named.name))?;
            steps.push(Descent {
                step,
                weights,
                gradient: gradient.numbers(),
                velocity,
            });
        }
        D::descend_all(&session.workers, steps).map_err(device)
    }

    fn average(&mut self, statistics: &Gathered<D>) -> Result<()> {
        let session = self.model.session.clone();
        let running: Vec<_> = self.model.running().collect();
        let mut moved = BTreeMap::new();
        for (norm, batch) in statistics {
            let [mean, variance] = running[*norm];
            moved.insert(mean, (batch.shape, &batch.moments.mean, false));
            moved.insert(variance, (batch.shape, &batch.moments.variance, true));
        }
        let mut moves = Vec::with_capacity(moved.len());
        for (place, named) in self.model.tensors.iter_mut().enumerate() {
            let Some(&(shape, batch, unbiased)) = moved.get(&place) else {
                continue;
            };
            let running = Arc::get_mut(&mut named.tensor.values)
                .with_context(|| format!("{} is still in use after the step", named.name))?;
            let momentum = self.hyper.norm_momentum;
            moves.push(Moving {
                shape,
                averaging: Averaging { momentum, unbiased },
                batch,
                running,
            });
        }
        D::average_all(&session.workers, moves).map_err(device)
    }

    /// Logits in evaluation mode, still on the device.
    fn evaluated(&mut self, batch: &Batch, statistics: Statistics) -> Result<Forward<D>> {
        self.with_moments(statistics, |trainer, moments| {
            trainer.forward(&mut NoneTape, batch, &mut Normalise::Fixed(moments))
        })
    }

    /// Does something with the statistics of every normalisation.
    fn with_moments<R>(
        &mut self,
        statistics: Statistics,
        with: impl FnOnce(&mut Self, &[Moments<Numbers<D>>]) -> Result<R>,
    ) -> Result<R> {
        match statistics {
            Statistics::Moving => {
                let copy = |place: usize| {
                    let values = &self.model.tensors[place].tensor.values;
                    Numbers::<D>::clone(values)
                };
                let moments: Vec<_> = self
                    .model
                    .running()
                    .map(|[mean, variance]| Moments {
                        mean: copy(mean),
                        variance: copy(variance),
                    })
                    .collect();
                with(self, &moments)
            }
            Statistics::Population => {
                let moments = self.population.take().context(
                    "no population statistics: they are gathered before they are asked for",
                )?;
                let done = with(self, &moments);
                self.population = Some(moments);
                done
            }
        }
    }

    /// A forward pass that sums what comes out of each normalisation.
    fn shown(
        &mut self,
        batch: &Batch,
        fixed: Option<&[Moments<Numbers<D>>]>,
    ) -> Result<Vec<Response>> {
        let mut gathered = Gathered::new();
        let mut found = vec![Response::default(); self.pooled.len()];
        let session = self.model.session.clone();
        let sums = |activation: &Activation<D>| {
            let (shape, numbers) = (activation.shape, activation.values.numbers());
            let data = session.device.download(numbers)?;
            Ok(Sums::of(shape.pixels() as u64, shape.channels, &data))
        };
        let mut show = |norm: usize, before: &Activation<D>, behind: &Activation<D>| {
            found[norm] = Response {
                normalised: sums(before)?,
                output: sums(behind)?,
            };
            Ok(())
        };
        let by = match fixed {
            None => Normalise::Batch(&mut gathered),
            Some(moments) => Normalise::Fixed(moments),
        };
        let mut shown = Normalise::Shown {
            by: Box::new(by),
            show: &mut show,
        };
        self.forward(&mut NoneTape, batch, &mut shown)?;
        Ok(found)
    }

    fn download(&self, storage: &Numbers<D>) -> Result<Vec<f32>> {
        self.model.session.device.download(storage).map_err(device)
    }
}

impl<D: Operators> Engine for Trainer<D> {
    fn begin_step(&mut self, batch: &Batch, learning_rate: f32) -> Result<()> {
        let mut found = self.differentiate(batch)?;
        self.descend(&mut found.gradients, learning_rate)?;
        self.average(&found.statistics)?;
        let Forward { logits, labels } = &found.forward;
        let entered = self.bunch.enter(&self.model.session, logits, labels);
        entered.map_err(device)
    }

    fn finish_steps(&mut self) -> Result<Vec<Step>> {
        self.bunch.finish(&self.model.session).map_err(device)
    }

    fn bunch(&self) -> usize {
        D::BUNCH
    }

    fn keeps_images(&self) -> bool {
        D::KEEPS_IMAGES
    }

    fn begin_population(&mut self) -> Result<()> {
        self.pooled.fill(Pooled::default());
        self.population = None;
        Ok(())
    }

    fn add_population(&mut self, batch: &Batch) -> Result<()> {
        let mut statistics = Gathered::new();
        self.forward(&mut NoneTape, batch, &mut Normalise::Batch(&mut statistics))?;
        for (norm, found) in &statistics {
            let mean = self.download(&found.moments.mean)?;
            let variance = self.download(&found.moments.variance)?;
            let channels = found.shape.feature.channels;
            let groups = mean.chunks(channels).zip(variance.chunks(channels));
            for (group, (mean, variance)) in groups.enumerate() {
                self.pooled[*norm].add(found.shape.values(group), mean, variance);
            }
        }
        Ok(())
    }

    fn finish_population(&mut self, pooling: Pooling) -> Result<()> {
        let on = &self.model.session.device;
        let moments = self.pooled.iter().map(|pooled| {
            let (mean, variance) = pooled
                .finish(pooling)
                .context("population statistics over no images at all")?;
            Ok(Moments {
                mean: on.upload(&mean).map_err(device)?,
                variance: on.upload(&variance).map_err(device)?,
            })
        });
        self.population = Some(moments.collect::<Result<_>>()?);
        Ok(())
    }

    fn evaluate(&mut self, batch: &Batch, statistics: Statistics) -> Result<Tally> {
        let forward = self.evaluated(batch, statistics)?;
        let sums = self.sums(&forward)?;
        Ok(Tally {
            images: batch.labels.len() as u64,
            loss: sums.loss,
            wrong: sums.wrong.into(),
            wrong_top5: sums.wrong_top5.into(),
        })
    }

    fn logits(&mut self, batch: &Batch, statistics: Statistics) -> Result<Vec<f32>> {
        let forward = self.evaluated(batch, statistics)?;
        self.download(forward.logits.values.numbers())
    }

    fn state(&self, velocity: bool) -> Result<Weights> {
        let mut state = Weights::default();
        for named in &self.model.tensors {
            let tensor = |numbers| -> Result<weights::Tensor> {
                Ok(weights::Tensor {
                    shape: named.shape.clone(),
                    data: self.download(numbers)?,
                })
            };
            let values = tensor(&named.tensor.values)?;
            state.tensors.insert(named.name.clone(), values);
            if let (true, Some(numbers)) = (velocity, &named.velocity) {
                let name = format!("velocity.{}", named.name);
                state.tensors.insert(name, tensor(numbers)?);
            }
        }
        Ok(state)
    }

    fn restore(&mut self, state: &Weights) -> Result<()> {
        let on = self.model.session.device.clone();
        // Everything is checked before anything changes.
        let mut fresh = Vec::new();
        for named in &self.model.tensors {
            let find = |name: &str| -> Result<Option<Numbers<D>>> {
                let Some(found) = state.tensors.get(name) else {
                    return Ok(None);
                };
                if found.shape != named.shape {
                    return Err(Exit::Storage.error(format!(
                        "tensor {name} is {:?} and not {:?}: these are another network's weights",
                        found.shape, named.shape
                    )));
                }
                on.upload(&found.data).map(Some).map_err(device)
            };
            let values = find(&named.name)?.ok_or_else(|| {
                Exit::Storage.error(format!(
                    "no tensor {}: these are another network's weights",
                    named.name
                ))
            })?;
            let velocity = match &named.velocity {
                None => None,
                Some(old) => Some(match find(&format!("velocity.{}", named.name))? {
                    Some(velocity) => velocity,
                    None => on.allocate(Storage::<f32>::len(&on, old)).map_err(device)?,
                }),
            };
            fresh.push((values, velocity));
        }
        for (named, (values, velocity)) in self.model.tensors.iter_mut().zip(fresh) {
            named.tensor.values = Arc::new(values);
            named.velocity = velocity;
        }
        self.population = None;
        Ok(())
    }
}

impl<D: Operators> Differentiable for Trainer<D> {
    fn responses(
        &mut self,
        batch: &Batch,
        statistics: Option<Statistics>,
    ) -> Result<Vec<Response>> {
        match statistics {
            None => self.shown(batch, None),
            Some(statistics) => self.with_moments(statistics, |trainer, moments| {
                trainer.shown(batch, Some(moments))
            }),
        }
    }

    fn differentiate(&mut self, batch: &Batch) -> Result<FirstStep> {
        let mut found = Trainer::differentiate(self, batch)?;
        let mut gradients = Weights::default();
        for named in &self.model.tensors {
            if !named.role.is_parameter() {
                continue;
            }
            let key = &named.tensor.key;
            let gradient = key.take(&mut found.gradients, &self.model.session);
            let gradient = gradient
                .map_err(device)?
                .with_context(|| format!("no gradient reached {}", named.name))?;
            let data = self.download(gradient.numbers())?;
            let shape = named.shape.clone();
            let tensor = weights::Tensor { shape, data };
            gradients.tensors.insert(named.name.clone(), tensor);
        }
        let sums = self.sums(&found.forward)?;
        Ok(FirstStep {
            loss: (sums.loss / batch.labels.len() as f64) as f32,
            logits: self.download(found.forward.logits.values.numbers())?,
            gradients,
        })
    }
}
