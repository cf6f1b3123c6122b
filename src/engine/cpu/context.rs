//! What every kernel runs on, and scratch memory.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::aligned::AlignedFloats;
use super::threads::Threads;
use crate::processor::Instructions;

/// The threads and instruction set that kernels run on.
pub struct Context {
    pub(crate) threads: Threads,
    pub(crate) instructions: Instructions,
    /// The direction of the latest pass over the images.
    backwards: AtomicBool,
    /// Scratch memory kept between calls, which saves page faults.
    spare: Mutex<Option<AlignedFloats>>,
}

impl Context {
    /// Creates a pool of `threads` threads that use an instruction set.
    ///
    /// # Panics
    /// If the CPU lacks the instruction set; check [`Instructions::available`] first.
    pub fn new(threads: usize, instructions: Instructions) -> Context {
        assert!(
            instructions.available(),
            "this CPU lacks {} instructions",
            instructions.name()
        );
        Context {
            threads: Threads::new(threads),
            instructions,
            backwards: AtomicBool::new(false),
            spare: Mutex::new(None),
        }
    }

    pub fn threads(&self) -> &Threads {
        &self.threads
    }

    pub fn instructions(&self) -> Instructions {
        self.instructions
    }

    /// Whether the next pass over the images is to begin with the last: each pass goes in the opposite direction of the one
    /// before, because what that read or wrote last is still in the cache if not all of it is.
    pub(super) fn turn(&self) -> bool {
        self.backwards.fetch_xor(true, Ordering::Relaxed)
    }

    /// Runs a pass over the images, whose tasks are in their order, in the direction of [`turn`](Context::turn).
    pub(super) fn pass(&self, tasks: usize, body: &(dyn Fn(usize) + Sync)) {
        if self.turn() {
            self.threads.run(tasks, &|task| body(tasks - 1 - task));
        } else {
            self.threads.run(tasks, body);
        }
    }

    /// At least `len` floats with unspecified contents, returned to the context when dropped.
    pub(super) fn scratch(&self, len: usize) -> Scratch<'_> {
        let spare = self.spare.lock().ok().and_then(|mut spare| spare.take());
        let floats = spare
            .filter(|floats| floats.len() >= len)
            .unwrap_or_else(|| AlignedFloats::zeros(len));
        Scratch {
            floats: Some(floats),
            home: &self.spare,
        }
    }
}

/// Borrowed scratch memory.
pub(super) struct Scratch<'a> {
    floats: Option<AlignedFloats>,
    home: &'a Mutex<Option<AlignedFloats>>,
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        if let Ok(mut spare) = self.home.lock() {
            *spare = self.floats.take();
        }
    }
}

impl Deref for Scratch<'_> {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        self.floats.as_deref().unwrap_or(&[])
    }
}

impl DerefMut for Scratch<'_> {
    fn deref_mut(&mut self) -> &mut [f32] {
        self.floats.as_deref_mut().unwrap_or(&mut [])
    }
}
