//! Prepares mini-batches of photographs ahead of the network, in an order that depends on the seed alone.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::JoinHandle;

use anyhow::Result;

use super::pictures::Pictures;
use crate::data::loader::panic_text;
use crate::data::minibatch::Batch;
use crate::data::order::Order;
use crate::exit::Exit;

/// The most mini-batches that wait for the network, and the most bytes of them. With the one in preparation and the one in use,
/// 256 images of 224x224 take 620 MB, or 155 MB where the device normalises them.
const AHEAD: usize = 2;
const AHEAD_BYTES: usize = 320 << 20;

/// An endless sequence of augmented mini-batches, one after another, each on all threads. Dropping it stops the work.
pub struct PictureLoader {
    ready: Option<Receiver<Result<Batch>>>,
    used: Sender<Batch>,
    thread: Option<JoinHandle<()>>,
}

impl PictureLoader {
    /// The mini-batches after the first `iteration`, left to be normalised `on_device` or not. None before them is read.
    ///
    /// # Errors
    /// [`Exit::Internal`] if the thread cannot be started.
    pub fn new(
        pictures: Arc<Pictures>,
        mut order: Order,
        seed: u64,
        mut iteration: u64,
        on_device: bool,
    ) -> Result<Self> {
        let bytes = pictures.batch_bytes(order.batch(), on_device).max(1);
        let (sender, ready) = sync_channel(AHEAD.min(AHEAD_BYTES / bytes));
        let (used, spent) = channel::<Batch>();
        let work = move || {
            let mut spots = Vec::new();
            loop {
                let mut batch = spent.try_recv().unwrap_or_default();
                order.spots(iteration, &mut spots);
                let prepared = pictures.training(seed, &spots, on_device, &mut batch);
                let failed = prepared.is_err();
                if sender.send(prepared.map(|()| batch)).is_err() || failed {
                    return;
                }
                iteration += 1;
            }
        };
        let thread = std::thread::Builder::new()
            .name("pictures".into())
            .spawn(work)
            .map_err(|error| {
                Exit::Internal.error(format!(
                    "cannot start the loader: {error}; stop other processes"
                ))
            })?;
        Ok(Self {
            ready: Some(ready),
            used,
            thread: Some(thread),
        })
    }

    /// The next mini-batch.
    ///
    /// # Errors
    /// [`Exit::Data`] for an image that cannot be read or decoded, by name.
    #[allow(clippy::should_implement_trait)] // endless and fallible: a `for` loop would hide both
    pub fn next(&mut self) -> Result<Batch> {
        let received = self.ready.as_ref().and_then(|ready| ready.recv().ok());
        received.unwrap_or_else(|| {
            let why = self.join().unwrap_or_else(|| "it has ended".into());
            Err(Exit::Internal.error(format!(
                "the loader of pictures failed: {why}; please report this"
            )))
        })
    }

    /// Waits for the thread, and gives the message of its panic, if it panicked.
    fn join(&mut self) -> Option<String> {
        // Unblocks the thread that is sending.
        self.ready = None;
        let panic = self.thread.take()?.join().err()?;
        Some(panic_text(panic.as_ref()))
    }

    /// Returns a used mini-batch so that its memory can be reused.
    pub fn recycle(&mut self, batch: Batch) {
        // Fails only if the thread has stopped.
        self.used.send(batch).ok();
    }
}

impl Drop for PictureLoader {
    fn drop(&mut self) {
        self.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        let (sender, ready) = sync_channel(AHEAD);
        let (used, _) = channel::<Batch>();
        let thread = std::thread::spawn(move || {
            sender.send(Ok(Batch::default())).unwrap();
            panic!("pixel 7 is missing");
        });
        let mut loader = PictureLoader {
            ready: Some(ready),
            used,
            thread: Some(thread),
        };
        assert!(loader.next().is_ok());
        let error = loader.next().unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Internal);
        assert!(error.to_string().contains("pixel 7 is missing"), "{error}");
        assert!(loader.next().is_err(), "the error persists");
    }
}
