//! Prepares mini-batches ahead on worker threads, in an order that depends only on the seed.

use std::any::Any;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use anyhow::Result;

use super::augment;
use super::images::ImageSet;
use super::minibatch::{Batch, Decision, Originals};
use super::normalise::Normaliser;
use super::order::Order;
use crate::exit::Exit;
use crate::recipe::{Augmentation, Recipe};

/// Finished mini-batches that each worker may queue.
const AHEAD: usize = 2;

/// An endless sequence of augmented mini-batches. Worker `w` of `n` prepares mini-batches `w, w + n, w + 2n, ...`, and
/// the loader takes from the workers in turn, so thread timing does not affect the order. Dropping it stops the workers.
pub struct Loader {
    preparer: Preparer,
    workers: Vec<Worker>,
    iteration: u64,
    /// The worker that has the next mini-batch.
    turn: usize,
    /// The worker that made the last one and gets its memory back.
    last: usize,
}

/// One thread and the channels to it.
struct Worker {
    ready: Option<Receiver<Batch>>,
    used: Sender<Batch>,
    thread: Option<JoinHandle<()>>,
}

/// Everything needed to make a mini-batch.
#[derive(Clone)]
struct Preparer {
    originals: Arc<Originals>,
    augmentation: Augmentation,
    order: Order,
    decisions: Vec<Decision>,
    /// Whether to make pixels; otherwise a batch holds decisions only.
    applies: bool,
}

impl Preparer {
    fn fill(&mut self, iteration: u64, batch: &mut Batch) {
        self.order.decisions(iteration, &mut self.decisions);
        let (originals, augmentation) = (&self.originals, &self.augmentation);
        if self.applies {
            let (images, normaliser) = (originals.images(), originals.normaliser());
            augment::apply(images, normaliser, augmentation, &self.decisions, batch);
        } else {
            originals.fill(augmentation, &self.decisions, batch);
        }
    }
}

impl Loader {
    /// The mini-batches of `recipe` and `seed`, starting after `first_iteration` updates (0 for a new run). With 0
    /// `workers`, each is prepared by the caller's thread.
    ///
    /// # Errors
    /// Those of [`Order::new`], if the normaliser is for another image size, or if a thread cannot be started.
    pub fn new(
        images: Arc<ImageSet>,
        normaliser: Normaliser,
        recipe: &Recipe,
        seed: u64,
        first_iteration: u64,
        workers: usize,
    ) -> Result<Self> {
        let originals = Arc::new(Originals::new(images, normaliser)?);
        Self::of(originals, recipe, seed, first_iteration, workers)
    }

    /// As [`Loader::new`], of images with their normaliser.
    ///
    /// # Errors
    /// As [`Loader::new`].
    pub fn of(
        originals: Arc<Originals>,
        recipe: &Recipe,
        seed: u64,
        first_iteration: u64,
        workers: usize,
    ) -> Result<Self> {
        let mut loader = Self::drawing(originals, recipe, seed, first_iteration)?;
        loader.preparer.applies = true;
        for worker in 0..workers {
            let preparer = loader.preparer.clone();
            let first = first_iteration + worker as u64;
            let stride = workers as u64;
            loader
                .workers
                .push(Worker::start(worker, move |ready, used| {
                    prepare(preparer, first, stride, &ready, &used);
                })?);
        }
        Ok(loader)
    }

    /// The same mini-batches as decisions only, for a device that holds `originals`. They take microseconds and need no
    /// worker.
    ///
    /// # Errors
    /// Those of [`Order::new`].
    pub fn drawing(
        originals: Arc<Originals>,
        recipe: &Recipe,
        seed: u64,
        first_iteration: u64,
    ) -> Result<Self> {
        let order = Order::new(originals.images().len(), recipe, seed)?;
        Ok(Self {
            preparer: Preparer {
                originals,
                augmentation: recipe.augmentation.clone(),
                order,
                decisions: Vec::with_capacity(recipe.batch),
                applies: false,
            },
            workers: Vec::new(),
            iteration: first_iteration,
            turn: 0,
            last: 0,
        })
    }

    /// The next mini-batch.
    ///
    /// # Errors
    /// [`Exit::Internal`] if the worker has panicked, with its message.
    #[allow(clippy::should_implement_trait)] // endless and fallible: a `for` loop would hide both
    pub fn next(&mut self) -> Result<Batch> {
        let iteration = self.iteration;
        self.iteration += 1;
        let Some(worker) = self.workers.get_mut(self.turn) else {
            let mut batch = Batch::default();
            self.preparer.fill(iteration, &mut batch);
            return Ok(batch);
        };
        let received = worker.ready.as_ref().and_then(|ready| ready.recv().ok());
        let Some(batch) = received else {
            return Err(Exit::Internal.error(format!(
                "the worker preparing mini-batch {iteration} failed: {}",
                worker.join().unwrap_or_else(|| "it has exited".into())
            )));
        };
        self.last = self.turn;
        self.turn = (self.turn + 1) % self.workers.len();
        Ok(batch)
    }

    /// Returns a used mini-batch so that its memory can be reused.
    pub fn recycle(&mut self, batch: Batch) {
        if let Some(worker) = self.workers.get(self.last) {
            // Fails only if the worker has exited.
            worker.used.send(batch).ok();
        }
    }
}

/// A worker's loop. Returns when the loader is dropped.
fn prepare(
    mut preparer: Preparer,
    first: u64,
    stride: u64,
    ready: &SyncSender<Batch>,
    used: &Receiver<Batch>,
) {
    let mut iteration = first;
    loop {
        let mut batch = used.try_recv().unwrap_or_default();
        preparer.fill(iteration, &mut batch);
        if ready.send(batch).is_err() {
            return;
        }
        iteration += stride;
    }
}

impl Worker {
    fn start(
        number: usize,
        work: impl FnOnce(SyncSender<Batch>, Receiver<Batch>) + Send + 'static,
    ) -> Result<Self> {
        let (ready_sender, ready) = sync_channel(AHEAD);
        let (used, used_receiver) = channel();
        let thread = std::thread::Builder::new()
            .name(format!("loader-{number}"))
            .spawn(move || work(ready_sender, used_receiver))
            .map_err(|error| {
                Exit::Internal.error(format!(
                    "cannot start a loader thread: {error}; stop other processes"
                ))
            })?;
        Ok(Self {
            ready: Some(ready),
            used,
            thread: Some(thread),
        })
    }

    /// Joins the thread and returns its panic message, if it panicked.
    fn join(&mut self) -> Option<String> {
        self.ready = None;
        let payload = self.thread.take()?.join().err()?;
        Some(panic_text(payload.as_ref()))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Closes the receiver, which unblocks a worker that is sending.
        self.join();
    }
}

/// The message of a panic.
pub(super) fn panic_text(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "it panicked".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Normalisation;

    #[test]
    fn a_panicking_worker_is_reported_with_its_message() {
        let images = Arc::new(ImageSet {
            size: 2,
            pixels: vec![0; 120],
            labels: vec![0; 10],
            digest: String::new(),
        });
        let normaliser = Normaliser::fit(&images, Normalisation::PerPixelMean);
        let recipe = Recipe {
            batch: 4,
            ..Recipe::default()
        };
        let mut loader = Loader::new(images, normaliser, &recipe, 0, 0, 1).unwrap();
        loader.workers = vec![
            Worker::start(0, |ready, _| {
                ready.send(Batch::default()).unwrap();
                panic!("pixel 7 is missing");
            })
            .unwrap(),
        ];
        assert!(loader.next().is_ok());
        let error = loader.next().unwrap_err().to_string();
        assert!(error.contains("pixel 7 is missing"), "{error}");
        assert!(loader.next().is_err(), "the error persists");
    }
}
