//! A network being trained on a dfdx device: steps, evaluation, statistics, its state in and out.

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use dfdx::prelude::*;

use crate::data::Batch;
use crate::exit::Exit;
use crate::manifest::Pooling;
use crate::network::Network;
use crate::weights::{self, Weights};

use super::bunch::Bunch;
use super::cpu::{CrossEntropy, Feature};
use super::differentiable::cross_entropy;
use super::model::{Model, Normalise};
use super::operators::{Moments, Numbers, Operators};
use super::pass::{Forward, Gathered, Pass, Recorded};
use super::placed::Kept;
use super::population::Pooled;
use super::storage::{Activation, Session};
use super::{
    Differentiable, Engine, FirstStep, Hyperparameters, Response, Statistics, Step, Sums, Tally,
};

/// dfdx's errors are not `Send`: their text is kept.
pub(super) fn device(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("the device failed: {error}")
}

pub struct Trainer<D: Operators> {
    model: Model<D>,
    hyper: Hyperparameters,
    image_size: usize,
    classes: usize,
    /// Images of the last mini-batch: the pool keeps memory for these.
    images: usize,
    kept: Kept<D>,
    bunch: Bunch<D>,
    /// The step's pass, where the device makes it again by itself.
    recorded: Option<Recorded<D>>,
    /// The device cannot make a pass again, or gave other bits, which was seen and not used.
    unrepeatable: bool,
    pooled: Vec<Pooled>,
    population: Option<Vec<Moments<Numbers<D>>>>,
}

// SAFETY: the trainer holds everything that shares its device, and `Operators` promises that a device may move with all of it.
unsafe impl<D: Operators> Send for Trainer<D> {}

/// A mini-batch where the network reads it.
struct Placed<D: Operators> {
    images: Activation<D>,
    labels: D::Labels,
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
            recorded: None,
            unrepeatable: false,
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

    fn place(&mut self, batch: &Batch) -> Result<Placed<D>> {
        let shape = self.check(batch)?;
        let session = &self.model.session;
        if shape.images != self.images {
            // What a recorded pass writes stays where it is.
            let recorded = self.recorded.as_ref().map(Recorded::images);
            session.keep_only(&[shape.images, recorded.unwrap_or(shape.images)]);
            self.images = shape.images;
        }
        let mut images = session.lend(shape).map_err(device)?;
        let labels = self.kept.place(session, batch, shape, images.numbers_mut());
        Ok(Placed {
            labels: labels.map_err(device)?,
            images: Activation::new(shape, images).map_err(device)?,
        })
    }

    fn forward<T: Tape<f32, D>>(
        &mut self,
        tape: &mut T,
        placed: Placed<D>,
        normalise: &mut Normalise<'_, D>,
    ) -> Result<Forward<D>> {
        let logits = self.model.forward(tape, placed.images, normalise);
        Ok(Forward {
            logits: logits.map_err(device)?,
            labels: placed.labels,
        })
    }

    /// Forward and backward; nothing of the network changes.
    fn pass(&mut self, placed: Placed<D>) -> Result<Pass<D>> {
        let mut statistics = Gathered::new();
        let mut tape = OwnedTape::<f32, D>::default();
        let forward = self.forward(&mut tape, placed, &mut Normalise::Batch(&mut statistics))?;
        let session = &self.model.session;
        cross_entropy(session, &mut tape, &forward.logits, &forward.labels);
        // Its value is nobody's business: the backward pass starts from a gradient of 1.
        let loss = session.device.try_tensor_from_vec(vec![0.0], ());
        let gathered = loss.map_err(device)?.put_tape(tape).try_backward();
        let mut gathered = gathered.map_err(device)?;
        let mut gradients = Vec::new();
        for named in &self.model.tensors {
            if named.role.is_parameter() {
                let gradient = named.tensor.key.take(&mut gathered, session);
                let gradient = gradient.map_err(device)?;
                gradients
                    .push(gradient.with_context(|| format!("no gradient reached {}", named.name))?);
            }
        }
        Ok(Pass {
            forward,
            statistics,
            gradients,
        })
    }

    /// Does with the pass of a mini-batch what a step does: the recorded pass made again, or a new one, recorded from the
    /// second mini-batch of a size on where the device can.
    fn with_pass(
        &mut self,
        batch: &Batch,
        with: impl FnOnce(&mut Self, &Pass<D>) -> Result<()>,
    ) -> Result<()> {
        let images = self.check(batch)?.images;
        if let Some(mut recorded) = self.recorded.take_if(|known| known.images() == images) {
            let session = self.model.session.clone();
            // SAFETY: `place` keeps the storage for its size, and `restore`, which moves parameters, drops it.
            if unsafe { recorded.replay(&session, &mut self.kept, batch) }.map_err(device)? {
                with(self, &recorded.pass)?;
                self.recorded = Some(recorded);
                return Ok(());
            }
        }
        // By then every slot and buffer of this size is there, so that nothing is exchanged on the way.
        let again = self.images == images && self.recorded.is_none() && !self.unrepeatable;
        let placed = self.place(batch)?;
        let workers = &self.model.session.workers;
        if !again || !D::begin_recording(workers) {
            let pass = self.pass(placed)?;
            return with(self, &pass);
        }
        let (images, labels) = (placed.images.clone(), placed.labels.clone());
        let pass = self.pass(placed);
        let session = self.model.session.clone();
        let launches = match D::end_recording(&session.workers) {
            Ok(Some(launches)) => launches,
            // A slot was exchanged on the way: the next mini-batch may do better.
            Ok(None) => return with(self, &pass?),
            // A driver that makes no graph: the single launches serve. If it has failed altogether they say so.
            Err(_) => {
                self.unrepeatable = true;
                return with(self, &pass?);
            }
        };
        let mut recorded = Recorded::new(images.clone(), pass?, launches);
        // SAFETY: nothing has been freed since.
        if unsafe { recorded.repeats(&session) }.map_err(device)? {
            drop(images);
            with(self, &recorded.pass)?;
            self.recorded = Some(recorded);
            return Ok(());
        }
        self.unrepeatable = true;
        drop(recorded);
        let pass = self.pass(Placed { images, labels })?;
        with(self, &pass)
    }

    /// Sums of loss and errors. Waits for the device.
    fn sums(&self, forward: &Forward<D>) -> Result<CrossEntropy> {
        let (workers, logits) = (&self.model.session.workers, forward.logits.values.numbers());
        D::cross_entropy(workers, logits, &forward.labels, self.classes).map_err(device)
    }

    /// Logits in evaluation mode, still on the device.
    fn evaluated(&mut self, batch: &Batch, statistics: Statistics) -> Result<Forward<D>> {
        self.with_moments(statistics, |trainer, moments| {
            let placed = trainer.place(batch)?;
            trainer.forward(&mut NoneTape, placed, &mut Normalise::Fixed(moments))
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
            let (device, workers) = (&session.device, &session.workers);
            let data = device.download_activation(workers, numbers, shape)?;
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
        let placed = self.place(batch)?;
        self.forward(&mut NoneTape, placed, &mut shown)?;
        Ok(found)
    }

    fn download(&self, storage: &Numbers<D>) -> Result<Vec<f32>> {
        self.model.session.device.download(storage).map_err(device)
    }
}

impl<D: Operators> Engine for Trainer<D> {
    fn begin_step(&mut self, batch: &Batch, learning_rate: f32) -> Result<()> {
        self.with_pass(batch, |trainer, pass| {
            let (model, hyper) = (&mut trainer.model, &trainer.hyper);
            model.descend(hyper, &pass.gradients, learning_rate)?;
            model.average(hyper, &pass.statistics)?;
            let Forward { logits, labels } = &pass.forward;
            let entered = trainer.bunch.enter(&trainer.model.session, logits, labels);
            entered.map_err(device)
        })
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

    fn repeats(&self) -> bool {
        self.recorded.is_some()
    }

    fn begin_population(&mut self) -> Result<()> {
        self.pooled.fill(Pooled::default());
        self.population = None;
        Ok(())
    }

    fn add_population(&mut self, batch: &Batch) -> Result<()> {
        let mut statistics = Gathered::new();
        let placed = self.place(batch)?;
        self.forward(
            &mut NoneTape,
            placed,
            &mut Normalise::Batch(&mut statistics),
        )?;
        let session = &self.model.session;
        let moments = statistics
            .values()
            .flat_map(|found| [&found.moments.mean, &found.moments.variance]);
        let moments = session
            .device
            .download_many(&session.workers, &moments.collect::<Vec<_>>())
            .map_err(device)?;
        let (pairs, _) = moments.as_chunks::<2>();
        for ((norm, found), [mean, variance]) in statistics.iter().zip(pairs) {
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
        // Its launches have the addresses of what was there.
        self.recorded = None;
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
        let placed = self.place(batch)?;
        let found = self.pass(placed)?;
        let mut gradients = Weights::default();
        let parameters = self.model.tensors.iter();
        let parameters = parameters.filter(|named| named.role.is_parameter());
        for (named, gradient) in parameters.zip(&found.gradients) {
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
