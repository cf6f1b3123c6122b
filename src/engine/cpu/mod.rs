//! Kernels of the CPU: pure functions on slices of floats for every operator that a network needs, forward and backward,
//! with AVX-512, AVX2 or portable code chosen at run time, on a pool of threads. They know nothing of dfdx.
//!
//! Activations are [`Feature`]s, channels innermost with a stored halo of zeros. Every reduction is divided by the shape
//! alone and added in a fixed order: results do not depend on the number of threads, to the bit.
//!
//! Slices of a wrong length are a bug of the caller: kernels panic.

// Loops over registers are written by index, which is what compilers unroll; kernels take what they need by name.
#![allow(clippy::needless_range_loop, clippy::too_many_arguments)]

mod conv;
mod conv_weight;
mod feature;
mod linear;
mod loss;
mod max_pool;
mod norm;
mod norm_backward;
mod peak;
mod pool;
mod sgd;
mod sweep;
#[cfg(test)]
mod tests;
mod threads;
mod vector;
mod winograd;

pub use conv::{ConvShape, conv_forward, conv_input_gradient};
pub use conv_weight::conv_weight_gradient;
pub use feature::{Feature, add_halo};
pub use linear::{LinearShape, linear_backward, linear_forward};
pub use loss::{CrossEntropy, cross_entropy, cross_entropy_gradient};
pub use max_pool::{max_pool_backward, max_pool_forward};
pub use norm::{NormShape, Shortcut, norm_forward, norm_inference};
pub use norm_backward::{Mask, add_into, norm_backward, shortcut_a_backward};
pub use peak::peak_sample;
pub use pool::{mean_pool_backward, mean_pool_forward};
pub use sgd::{SgdStep, moving_average, sgd_update};
pub use threads::Threads;
pub use vector::Instructions;

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

/// What every kernel runs on.
pub struct Context {
    pub(crate) threads: Threads,
    pub(crate) instructions: Instructions,
    /// Kept between calls, so that partial sums cost no fresh pages.
    spare: Mutex<Option<Aligned>>,
}

impl Context {
    /// `threads` threads with an instruction set.
    ///
    /// # Panics
    /// The processor lacks the instruction set; ask [`Instructions::available`] first.
    pub fn new(threads: usize, instructions: Instructions) -> Context {
        assert!(instructions.available(), "no {} here", instructions.name());
        Context {
            threads: Threads::new(threads),
            instructions,
            spare: Mutex::new(None),
        }
    }

    pub fn threads(&self) -> &Threads {
        &self.threads
    }

    pub fn instructions(&self) -> Instructions {
        self.instructions
    }

    /// At least `len` floats of any content, given back when dropped.
    fn scratch(&self, len: usize) -> Scratch<'_> {
        let spare = self.spare.lock().ok().and_then(|mut spare| spare.take());
        let floats = spare
            .filter(|floats| floats.len() >= len)
            .unwrap_or_else(|| Aligned::zeros(len));
        Scratch {
            floats: Some(floats),
            home: &self.spare,
        }
    }
}

/// Borrowed scratch memory.
struct Scratch<'a> {
    floats: Option<Aligned>,
    home: &'a Mutex<Option<Aligned>>,
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

/// One cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([f32; 16]);

/// Floats that begin at a cache line, so that no vector of them straddles two.
struct Aligned {
    lines: Vec<Line>,
    len: usize,
}

impl Aligned {
    fn zeros(len: usize) -> Aligned {
        Aligned {
            lines: vec![Line([0.0; 16]); len.div_ceil(16)],
            len,
        }
    }
}

impl Deref for Aligned {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: a line is sixteen floats without padding, and `len` is at most sixteen times the lines.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the lines are borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
