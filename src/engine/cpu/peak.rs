//! The CPU's peak throughput: multiply-adds on registers, on all threads.

use std::time::Instant;

use super::context::Context;
use super::vector::{Kernel, Vector, dispatch};
use crate::processor::Instructions;

/// Rounds of a timed task.
const ROUNDS: usize = 1_000_000;

/// Independent chains of multiply-adds, enough to hide their latency.
const CHAINS: usize = 12;

/// Measurements per sample, of which the best counts.
const TRIES: usize = 2;

/// The current peak in GFLOP/s; a multiply-add counts as two operations. Takes a few milliseconds. Sample it before and
/// after what it is compared with, since a CPU's speed changes with temperature and load.
pub fn peak_sample(ctx: &Context) -> f64 {
    let lanes = match ctx.instructions {
        Instructions::Avx512 => 16,
        Instructions::Avx2 => 8,
        Instructions::Portable => 4,
    };
    let threads = ctx.threads.count();
    let operations = (2 * lanes * CHAINS * ROUNDS * threads) as f64;
    let mut best = 0.0f64;
    for _ in 0..TRIES {
        let start = Instant::now();
        ctx.threads
            .run(threads, &|_| dispatch(ctx.instructions, &Chains));
        best = best.max(operations / start.elapsed().as_secs_f64() / 1e9);
    }
    best
}

struct Chains;

impl Kernel for Chains {
    #[inline(always)]
    unsafe fn run<V: Vector>(&self) {
        // SAFETY: registers only, except for the final stores to an array of sixteen floats.
        unsafe {
            let factor = V::splat(std::hint::black_box(0.999));
            let addend = V::splat(std::hint::black_box(0.001));
            let mut chains = [addend; CHAINS];
            for _ in 0..ROUNDS {
                for c in 0..CHAINS {
                    chains[c] = chains[c].mul_add(factor, addend);
                }
            }
            let mut lanes = [0.0f32; 16];
            for chain in chains {
                chain.store(lanes.as_mut_ptr());
                std::hint::black_box(&lanes);
            }
        }
    }
}
