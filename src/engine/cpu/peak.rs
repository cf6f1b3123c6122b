//! What the processor can do: fused multiply-adds from registers alone, on all threads.

use super::Context;
use super::vector::{Kernel, Vector, dispatch};
use std::time::Instant;

/// Rounds of one timed task.
const ROUNDS: usize = 1_000_000;

/// Chains of multiply-adds in flight, enough to hide their latency.
const CHAINS: usize = 12;

/// Measurements of one sample; the better one counts.
const TRIES: usize = 2;

/// GFLOP/s (a multiply-add counts two) at this moment. Takes some milliseconds: to be taken before and after what it is to
/// be compared with, since a processor's speed changes with its temperature and with what else runs on the machine.
pub fn peak_sample(ctx: &Context) -> f64 {
    let lanes = match ctx.instructions {
        super::Instructions::Avx512 => 16,
        super::Instructions::Avx2 => 8,
        super::Instructions::Portable => 4,
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
        // SAFETY: registers only, but for the last stores into an array of sixteen.
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
