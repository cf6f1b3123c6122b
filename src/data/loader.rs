//! Mini-batches prepared ahead on other threads, in an order that depends on the seed alone.

use std::any::Any;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use anyhow::Result;

use super::{Batch, Decision, ImageSet, Normaliser, Order, Originals, augment};
use crate::exit::Exit;
use crate::manifest::{Augmentation, Recipe};

/// Mini-batches that wait ready, for each worker.
const AHEAD: usize = 2;

/// An endless run of augmented mini-batches. Worker `w` of `n` prepares the mini-batches `w, w + n, w + 2n, ...`, and
/// they are taken from the workers in turn: which thread is faster changes nothing. Dropping it ends the workers.
pub struct Loader {
    preparer: Preparer,
    workers: Vec<Worker>,
    iteration: u64,
    /// Which worker has the next one.
    turn: usize,
    /// The worker that the last mini-batch came from, to whom its memory goes back.
    last: usize,
}

/// One thread and the channels to it.
struct Worker {
    ready: Option<Receiver<Batch>>,
    used: Sender<Batch>,
    thread: Option<JoinHandle<()>>,
}

/// All that it takes to make a mini-batch.
#[derive(Clone)]
struct Preparer {
    originals: Arc<Originals>,
    augmentation: Augmentation,
    order: Order,
    decisions: Vec<Decision>,
    /// Pixels are made here; else decisions are handed on to a device that makes them.
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
    /// The mini-batches of `recipe` and `seed` from the one after `first_iteration` updates on (0 for a new run).
    /// Without `workers` each is prepared when it is asked for.
    ///
    /// # Errors
    /// When the recipe's mini-batches cannot be formed from these images, or a thread cannot be started.
    pub fn new(
        images: Arc<ImageSet>,
        normaliser: Normaliser,
        recipe: &Recipe,
        seed: u64,
        first_iteration: u64,
        workers: usize,
    ) -> Result<Self> {
        let originals = Arc::new(Originals::new(images, normaliser)?);
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

    /// The same mini-batches as decisions alone, for a device that holds `originals`. Drawing them takes microseconds and no
    /// other thread.
    ///
    /// # Errors
    /// When the recipe's mini-batches cannot be formed from these images.
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
    /// When the thread that prepares it has failed, with what it said.
    #[allow(clippy::should_implement_trait)] // endless and fallible: `for` over it would hide both
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
                "the thread that prepares mini-batch {iteration} failed: {}",
                worker.join().unwrap_or_else(|| "it has ended".into())
            )));
        };
        self.last = self.turn;
        self.turn = (self.turn + 1) % self.workers.len();
        Ok(batch)
    }

    /// Gives the memory of a mini-batch that is no longer needed back to be filled again.
    pub fn recycle(&mut self, batch: Batch) {
        if let Some(worker) = self.workers.get(self.last) {
            // A worker that is gone needs no memory.
            worker.used.send(batch).ok();
        }
    }
}

/// A worker's loop: until the loader is dropped.
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
                    "cannot start a thread for the loader: {error}; free some processes"
                ))
            })?;
        Ok(Self {
            ready: Some(ready),
            used,
            thread: Some(thread),
        })
    }

    /// Waits for the thread's end; what it panicked with, if it did.
    fn join(&mut self) -> Option<String> {
        self.ready = None;
        let payload = self.thread.take()?.join().err()?;
        Some(panic_text(payload.as_ref()))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Without its receiver a worker that waits to send wakes and returns.
        self.join();
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
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
    use crate::manifest::Normalisation;

    #[test]
    fn a_failing_thread_is_told_with_its_words() {
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
        assert!(loader.next().is_err(), "and stays so");
    }
}
