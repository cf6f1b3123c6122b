//! A network that trains on a dfdx device: the implementation of [`Engine`].

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use dfdx::prelude::NoneTape;

use crate::counted::counted;
use crate::data::{Batch, ImageSize};
use crate::network::Network;
use crate::recipe::Pooling;
use crate::weights::{Tensor, Weights};

use super::accumulation::Accumulation;
use super::activation::Activation;
use super::arithmetic::{Arithmetic, Moments};
use super::contract::{
    Differentiable, Engine, FirstStep, Hyperparameters, Statistics, Step, Tally,
};
use super::cpu::{CrossEntropy, Feature};
use super::error::device_error;
use super::layer_sums::{Response, Sums};
use super::loss_ledger::LossLedger;
use super::mini_batch::{ImageCache, MiniBatch};
use super::model::{Model, NormMode, NormStatistics};
use super::pass::{Forward, Pass};
use super::population::PopulationSums;
use super::recorded_pass::RecordedPass;
use super::residency::Numbers;
use super::session::{Buffer, Session};

const NO_POPULATION: &str =
    "no population statistics; call begin_population, add_population and finish_population first";

pub struct Trainer<D: Arithmetic> {
    model: Model<D>,
    hyper: Hyperparameters,
    /// Of the images that it trains on.
    image_size: ImageSize,
    classes: usize,
    /// Shape of the latest mini-batch; the pool keeps memory for it.
    placed: Option<Feature>,
    cache: ImageCache<D>,
    losses: LossLedger<D>,
    /// The pass that a step replays, if the device can.
    recorded: Option<RecordedPass<D>>,
    /// Whether recording was given up: the device cannot replay a pass, or a replay gave different bits and was discarded.
    unreplayable: bool,
    sums: Vec<PopulationSums>,
    population: Option<Vec<Moments<Numbers<D>>>>,
}

// SAFETY: a trainer owns everything that shares its device, and `Residency` promises that a device may be moved together
// with all of it.
unsafe impl<D: Arithmetic> Send for Trainer<D> {}

impl<D: Arithmetic> Trainer<D> {
    /// Creates a network with every tensor zero.
    pub fn new(
        session: Arc<Session<D>>,
        network: &Network,
        image_size: usize,
        hyper: &Hyperparameters,
    ) -> Result<Self> {
        let model = Model::new(session, network, hyper.norm_epsilon, hyper.norm_group);
        let model = model.map_err(device_error)?;
        Ok(Self {
            sums: vec![PopulationSums::default(); model.running().count()],
            model,
            hyper: *hyper,
            image_size: ImageSize::square(image_size),
            classes: network.classes,
            placed: None,
            cache: ImageCache::default(),
            losses: LossLedger::default(),
            recorded: None,
            unreplayable: false,
            population: None,
        })
    }

    /// The shape of a mini-batch to train on, or to evaluate as in training.
    fn check(&self, batch: &Batch) -> Result<Feature> {
        if batch.size != self.image_size {
            return Err(anyhow!(
                "a mini-batch of images of {}; the engine takes {}",
                batch.size,
                self.image_size
            ));
        }
        self.shape(batch)
    }

    /// The shape of a mini-batch of any image size.
    fn shape(&self, batch: &Batch) -> Result<Feature> {
        let (images, size) = (batch.labels.len(), batch.size);
        let label = batch.labels.iter().max();
        let values = images * size.pixels() * 3;
        let (found, expected) = match (&batch.drawn, &batch.crops) {
            (None, None) => (batch.pixels.len(), values),
            (None, Some(crops)) if crops.shifts.len() == images => (crops.bytes.len(), values),
            (None, Some(crops)) => (crops.shifts.len(), images),
            (Some(drawn), _) => (drawn.decisions.len(), images),
        };
        if let Some(drawn) = &batch.drawn
            && ImageSize::square(drawn.from.images().size) != size
        {
            return Err(anyhow!(
                "a mini-batch of images of {size}, drawn from {:?}",
                drawn.from
            ));
        }
        if values == 0 || found != expected {
            return Err(anyhow!(
                "a mini-batch of {} of {size} with {} instead of {expected}",
                counted(images, "image"),
                counted(found, "value")
            ));
        }
        match label {
            Some(&label) if usize::from(label) >= self.classes => Err(anyhow!(
                "label {label} in a mini-batch; the network has {}",
                counted(self.classes, "class")
            )),
            _ => Ok(Feature {
                halo: self.model.image_halo(),
                ..Feature::new(images, size.height, size.width, 3)
            }),
        }
    }

    /// Brings in a mini-batch of this shape, which was checked.
    fn place(&mut self, batch: &Batch, shape: Feature) -> Result<MiniBatch<D>> {
        let session = &self.model.session;
        let before = self.placed.replace(shape);
        if before.is_some_and(|before| (before.height, before.width) != (shape.height, shape.width))
        {
            // Nothing lies at another image size, a recorded pass neither.
            self.recorded = None;
            session.keep_only(&[]);
        } else if before != Some(shape) {
            // The memory that a recorded pass writes must not be freed.
            let recorded = self.recorded.as_ref().map(RecordedPass::images);
            session.keep_only(&[shape.images, recorded.unwrap_or(shape.images)]);
        }
        let mut images = session.lend(shape).map_err(device_error)?;
        let labels = self
            .cache
            .place(session, batch, shape, images.numbers_mut());
        Ok(MiniBatch {
            labels: labels.map_err(device_error)?,
            images: Activation::new(shape, images).map_err(device_error)?,
        })
    }

    /// Calls `with` on the pass over a mini-batch, or a piece of one of `of` images: a replay of the recorded pass, or a new
    /// one. From the second mini-batch of a size on, new passes are recorded if the device can.
    fn with_pass(
        &mut self,
        batch: &Batch,
        of: usize,
        with: impl FnOnce(&mut Self, &Pass<D>) -> Result<()>,
    ) -> Result<()> {
        let shape = self.check(batch)?;
        let serves = |known: &mut RecordedPass<D>| known.serves(shape.images, of);
        if let Some(mut recorded) = self.recorded.take_if(serves) {
            let session = self.model.session.clone();
            // SAFETY: `place` keeps the storage of this size or drops the recording; so does `restore`, which moves parameters.
            let replayed = unsafe { recorded.replay(&session, &mut self.cache, batch) };
            if replayed.map_err(device_error)? {
                with(self, &recorded.pass)?;
                self.recorded = Some(recorded);
                return Ok(());
            }
        }
        // By the second mini-batch of a size all its scratch memory and buffers exist, so nothing is reallocated while
        // recording.
        let record = self.placed == Some(shape) && self.recorded.is_none() && !self.unreplayable;
        let placed = self.place(batch, shape)?;
        if !record || !D::begin_recording(&self.model.session.workers) {
            let pass = self.model.pass(placed, of)?;
            return with(self, &pass);
        }
        let (images, labels) = (placed.images.clone(), placed.labels.clone());
        let pass = self.model.pass(placed, of);
        let session = self.model.session.clone();
        let launches = match D::end_recording(&session.workers) {
            Ok(Some(launches)) => launches,
            // Scratch memory was reallocated meanwhile: try again with the next mini-batch.
            Ok(None) => return with(self, &pass?),
            // The driver makes no graph. Single launches still work, or report the failure themselves.
            Err(_) => {
                self.unreplayable = true;
                return with(self, &pass?);
            }
        };
        let mut recorded = RecordedPass::new(images.clone(), of, pass?, launches);
        // SAFETY: nothing has been freed since the pass.
        if unsafe { recorded.is_exact(&session) }.map_err(device_error)? {
            drop(images);
            with(self, &recorded.pass)?;
            self.recorded = Some(recorded);
            return Ok(());
        }
        self.unreplayable = true;
        drop(recorded);
        let pass = self.model.pass(MiniBatch { images, labels }, of)?;
        with(self, &pass)
    }

    /// Updates parameters and moving averages.
    fn update(
        &mut self,
        gradients: &[Buffer<D>],
        statistics: &NormStatistics<D>,
        learning_rate: f32,
    ) -> Result<()> {
        let (model, hyper) = (&mut self.model, &self.hyper);
        model.descend(hyper, gradients, learning_rate)?;
        model.average(hyper, statistics)
    }

    /// Enters the outcome of a pass, the `last` of its step or one of several.
    fn enter(&mut self, forward: &Forward<D>, last: bool) -> Result<()> {
        let Forward { logits, labels } = forward;
        let session = &self.model.session;
        let entered = self.losses.enter(session, logits, labels, last);
        entered.map_err(device_error)
    }

    /// A step whose passes take a piece of the mini-batch each.
    fn begin_in_pieces(&mut self, batch: &Batch, learning_rate: f32) -> Result<()> {
        let (images, piece) = (batch.labels.len(), self.hyper.micro_batch);
        let mut sums = Accumulation::new(images, piece, self.hyper.norm_group)?;
        for first in (0..images).step_by(piece) {
            let end = (first + piece).min(images);
            self.with_pass(&batch.part(first..end), images, |trainer, pass| {
                let added = sums.add(&trainer.model.session, first, pass);
                added.map_err(device_error)?;
                trainer.enter(&pass.forward, end == images)
            })?;
        }
        let (gradients, statistics) = sums.finish();
        self.update(&gradients, &statistics, learning_rate)
    }

    /// Sums of loss and errors. Waits for the device.
    fn cross_entropy(&self, forward: &Forward<D>) -> Result<CrossEntropy> {
        let (workers, logits) = (&self.model.session.workers, forward.logits.values.numbers());
        D::cross_entropy(workers, logits, &forward.labels, self.classes).map_err(device_error)
    }

    /// Runs a batch of this shape forward in evaluation mode.
    fn predict(
        &mut self,
        batch: &Batch,
        shape: Feature,
        statistics: Statistics,
    ) -> Result<Forward<D>> {
        self.with_moments(statistics, |trainer, moments| {
            let placed = trainer.place(batch, shape)?;
            let model = &trainer.model;
            model.predict(&mut NoneTape, placed, &mut NormMode::Fixed(moments))
        })
    }

    /// Calls `with` on the statistics of every normalisation.
    fn with_moments<R>(
        &mut self,
        statistics: Statistics,
        with: impl FnOnce(&mut Self, &[Moments<Numbers<D>>]) -> Result<R>,
    ) -> Result<R> {
        match statistics {
            Statistics::Moving => {
                let copy = |index: usize| {
                    let values = &self.model.tensors[index].variable.values;
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
                let moments = self.population.take().context(NO_POPULATION)?;
                let done = with(self, &moments);
                self.population = Some(moments);
                done
            }
        }
    }

    /// Runs a batch forward and sums the output of each normalisation.
    fn observe(
        &mut self,
        batch: &Batch,
        fixed: Option<&[Moments<Numbers<D>>]>,
    ) -> Result<Vec<Response>> {
        let mut statistics = NormStatistics::new();
        let mut found = vec![Response::default(); self.sums.len()];
        let session = self.model.session.clone();
        let sums = |activation: &Activation<D>| {
            let (shape, numbers) = (activation.shape, activation.values.numbers());
            let (device, workers) = (&session.device, &session.workers);
            let data = device.download_activation(workers, numbers, shape)?;
            Ok(Sums::of(shape.pixels() as u64, shape.channels, &data))
        };
        let mut observer = |norm: usize, before: &Activation<D>, after: &Activation<D>| {
            found[norm] = Response {
                normalised: sums(before)?,
                output: sums(after)?,
            };
            Ok(())
        };
        let mode = match fixed {
            None => NormMode::Batch(&mut statistics),
            Some(moments) => NormMode::Fixed(moments),
        };
        let mut observed = NormMode::Observed {
            mode: Box::new(mode),
            observer: &mut observer,
        };
        let shape = self.check(batch)?;
        let placed = self.place(batch, shape)?;
        self.model.predict(&mut NoneTape, placed, &mut observed)?;
        Ok(found)
    }
}

impl<D: Arithmetic> Engine for Trainer<D> {
    fn begin_step(&mut self, batch: &Batch, learning_rate: f32) -> Result<()> {
        let images = self.check(batch)?.images;
        if (1..images).contains(&self.hyper.micro_batch) {
            return self.begin_in_pieces(batch, learning_rate);
        }
        self.with_pass(batch, images, |trainer, pass| {
            trainer.update(&pass.gradients, &pass.statistics, learning_rate)?;
            trainer.enter(&pass.forward, true)
        })
    }

    fn finish_steps(&mut self) -> Result<Vec<Step>> {
        let steps = self.losses.finish(&self.model.session);
        steps.map_err(device_error)
    }

    fn steps_in_flight(&self) -> usize {
        D::STEPS_IN_FLIGHT
    }

    fn normalises(&self) -> bool {
        D::NORMALISES
    }

    fn repeats(&self) -> bool {
        self.recorded.is_some()
    }

    fn begin_population(&mut self) -> Result<()> {
        self.sums.fill(PopulationSums::default());
        self.population = None;
        Ok(())
    }

    fn add_population(&mut self, batch: &Batch) -> Result<()> {
        let mut statistics = NormStatistics::new();
        let shape = self.check(batch)?;
        let placed = self.place(batch, shape)?;
        self.model
            .predict(&mut NoneTape, placed, &mut NormMode::Batch(&mut statistics))?;
        let session = &self.model.session;
        let moments = statistics
            .values()
            .flat_map(|found| [&found.moments.mean, &found.moments.variance]);
        let moments = session
            .device
            .download_many(&session.workers, &moments.collect::<Vec<_>>())
            .map_err(device_error)?;
        let (pairs, _) = moments.as_chunks::<2>();
        for ((norm, found), [mean, variance]) in statistics.iter().zip(pairs) {
            let channels = found.shape.feature.channels;
            let groups = mean.chunks(channels).zip(variance.chunks(channels));
            for (group, (mean, variance)) in groups.enumerate() {
                self.sums[*norm].add(found.shape.values(group), mean, variance);
            }
        }
        Ok(())
    }

    fn finish_population(&mut self, pooling: Pooling) -> Result<()> {
        let device = &self.model.session.device;
        let moments = self.sums.iter().map(|sums| {
            let (mean, variance) = sums
                .finish(pooling)
                .context("population statistics without images; call add_population first")?;
            Ok(Moments {
                mean: device.upload(&mean).map_err(device_error)?,
                variance: device.upload(&variance).map_err(device_error)?,
            })
        });
        self.population = Some(moments.collect::<Result<_>>()?);
        Ok(())
    }

    fn evaluate(&mut self, batch: &Batch, statistics: Statistics) -> Result<Tally> {
        let shape = self.check(batch)?;
        let forward = self.predict(batch, shape, statistics)?;
        let sums = self.cross_entropy(&forward)?;
        Ok(Tally {
            images: batch.labels.len() as u64,
            loss: sums.loss,
            wrong: sums.wrong.into(),
            wrong_top5: sums.wrong_top5.into(),
        })
    }

    fn logits(&mut self, batch: &Batch, statistics: Statistics) -> Result<Vec<f32>> {
        let shape = self.shape(batch)?;
        let forward = self.predict(batch, shape, statistics)?;
        self.model.download(forward.logits.values.numbers())
    }

    fn state(&self, velocity: bool) -> Result<Weights> {
        self.model.state(velocity)
    }

    fn restore(&mut self, state: &Weights) -> Result<()> {
        self.model.restore(state)?;
        self.population = None;
        // Its launches hold the addresses of the old parameters.
        self.recorded = None;
        Ok(())
    }
}

impl<D: Arithmetic> Differentiable for Trainer<D> {
    fn responses(
        &mut self,
        batch: &Batch,
        statistics: Option<Statistics>,
    ) -> Result<Vec<Response>> {
        match statistics {
            None => self.observe(batch, None),
            Some(statistics) => self.with_moments(statistics, |trainer, moments| {
                trainer.observe(batch, Some(moments))
            }),
        }
    }

    fn differentiate(&mut self, batch: &Batch) -> Result<FirstStep> {
        let shape = self.check(batch)?;
        let placed = self.place(batch, shape)?;
        let found = self.model.pass(placed, batch.labels.len())?;
        let mut gradients = Weights::default();
        let parameters = self.model.tensors.iter();
        let parameters = parameters.filter(|named| named.role.is_parameter());
        for (named, gradient) in parameters.zip(&found.gradients) {
            let data = self.model.download(gradient.numbers())?;
            let shape = named.shape.clone();
            gradients
                .tensors
                .insert(named.name.clone(), Tensor { shape, data });
        }
        let sums = self.cross_entropy(&found.forward)?;
        Ok(FirstStep {
            loss: (sums.loss / batch.labels.len() as f64) as f32,
            logits: self.model.download(found.forward.logits.values.numbers())?,
            gradients,
        })
    }
}
