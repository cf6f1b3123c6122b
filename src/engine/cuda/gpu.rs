//! What kernels are launched on.

use super::arguments::Kernel;
use crate::engine::cpu::Feature;
use crate::manifest::Precision;

/// Where something lies in a GPU's memory; what `kernels/` calls a pointer.
pub type Address = u64;

/// Memory for what an operator needs besides its operands. Its next launch may write it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// Images on their way in.
    Pixels,
    Labels,
    /// Weights in the order of a sweep.
    Packed,
    /// Sums of parts.
    Partial,
    /// Factors and offsets of a normalisation.
    Lines,
    /// Counts blocks that have ended: zero between launches.
    Counter,
    /// Of the cross-entropy.
    Sums,
    /// Of the cross-entropy of steps that were not asked for yet.
    Ledger,
    /// Many tensors on their way out.
    Gathered,
}

/// A GPU, or what stands in for one. Work is done in the order of the calls; only `receive` and `download` wait for it.
pub trait Gpu {
    type Error: std::fmt::Debug;
    /// Floats in the GPU's memory.
    type Numbers;
    /// Bytes in the GPU's memory that no kernel changes.
    type Bytes;
    /// Launches that were noted.
    type Graph;

    /// What products are made of, and activations and their gradients kept in; everything else is floats.
    fn precision(&self) -> Precision;

    /// Floats of memory that a feature takes.
    fn floats(&self, feature: Feature) -> usize {
        match self.precision() {
            Precision::Fp32 | Precision::Tf32 => feature.storage(),
            Precision::Bf16 => feature.storage().div_ceil(2),
        }
    }

    /// Where the numbers begin, a multiple of 16.
    fn address(&self, numbers: &Self::Numbers) -> Address;

    fn len(&self, numbers: &Self::Numbers) -> usize;

    fn upload(&self, values: &[f32]) -> Result<Self::Numbers, Self::Error>;

    fn download(&self, numbers: &Self::Numbers) -> Result<Vec<f32>, Self::Error>;

    /// Copies bytes that stay.
    fn keep(&self, bytes: &[u8]) -> Result<Self::Bytes, Self::Error>;

    fn bytes_address(&self, bytes: &Self::Bytes) -> Address;

    /// At least so many bytes, zero before their first use.
    fn scratch(&self, slot: Slot, bytes: usize) -> Result<Address, Self::Error>;

    /// Copies plain values to a slot; they may change once this returns.
    fn send<T: Copy>(&self, slot: Slot, values: &[T]) -> Result<Address, Self::Error>;

    /// Waits for all work before and copies bytes from a slot.
    fn receive(&self, slot: Slot, bytes: &mut [u8]) -> Result<(), Self::Error>;

    /// From here on launches are noted besides being made. False where that is switched off.
    fn begin_noting(&self) -> bool;

    /// What was noted since; `None` where a slot's memory was exchanged meanwhile, or launches were not noted.
    fn end_noting(&self) -> Result<Option<Self::Graph>, Self::Error>;

    /// Makes noted launches again, in their order. False, with none made, where a slot's memory was exchanged since.
    ///
    /// # Safety
    /// As for each of the launches.
    unsafe fn launch_graph(&self, graph: &Self::Graph) -> Result<bool, Self::Error>;

    /// Launches a kernel on a grid of blocks.
    ///
    /// # Safety
    /// Every address in `arguments` is that of memory of this GPU that lives until the work is done or is freed in its
    /// order, and is large enough for what the kernel does with it; nothing else uses what it writes meanwhile.
    unsafe fn launch<A: Copy>(
        &self,
        kernel: Kernel<A>,
        grid: [usize; 3],
        arguments: &A,
    ) -> Result<(), Self::Error>;
}

/// Checks a number of floats, as the CPU's kernels do: a wrong one is a bug of the caller.
pub fn check<G: Gpu>(gpu: &G, what: &str, numbers: &G::Numbers, len: usize) {
    assert_eq!(gpu.len(numbers), len, "floats of {what}");
}

/// As [`check`] for a feature.
pub fn check_feature<G: Gpu>(gpu: &G, what: &str, numbers: &G::Numbers, feature: Feature) {
    check(gpu, what, numbers, gpu.floats(feature));
}
