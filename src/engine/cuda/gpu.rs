//! The interface that kernels are launched through.

use super::arguments::Address;
use super::kernel::Kernel;
use crate::engine::cpu::Feature;
use crate::recipe::Precision;

/// Scratch memory: what an operator needs besides its operands. The next operator may overwrite it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// Images on their way to the GPU.
    Pixels,
    Labels,
    /// Weights in the order in which a sweep reads them.
    Packed,
    /// Partial sums.
    Partial,
    /// A normalisation's factors and offsets.
    Lines,
    /// Counts blocks that have finished; zero between launches.
    Counter,
    /// Of a cross-entropy that is read right away.
    Sums,
    /// Cross-entropies of steps that have not been read yet.
    Ledger,
    /// Many tensors on their way to the host.
    Gather,
}

/// A GPU or its stand-in. Work is done in the order of the calls; only `receive` and `download` wait for it.
pub trait Gpu {
    type Error: std::fmt::Debug;
    /// Floats in GPU memory.
    type Numbers;
    /// Bytes in GPU memory that no kernel changes.
    type Bytes;
    /// Recorded launches.
    type Graph;

    /// The precision of products, and the format of activations and their gradients. Everything else is 32-bit floats.
    fn precision(&self) -> Precision;

    /// Memory that a feature takes, in floats.
    fn floats(&self, feature: Feature) -> usize {
        match self.precision() {
            Precision::Fp32 | Precision::Tf32 => feature.storage(),
            Precision::Bf16 => feature.storage().div_ceil(2),
        }
    }

    /// The address of the first number, a multiple of 16.
    fn address(&self, numbers: &Self::Numbers) -> Address;

    fn len(&self, numbers: &Self::Numbers) -> usize;

    fn upload(&self, values: &[f32]) -> Result<Self::Numbers, Self::Error>;

    fn download(&self, numbers: &Self::Numbers) -> Result<Vec<f32>, Self::Error>;

    /// Copies bytes to the GPU to stay there.
    fn keep(&self, bytes: &[u8]) -> Result<Self::Bytes, Self::Error>;

    fn bytes_address(&self, bytes: &Self::Bytes) -> Address;

    /// At least `bytes` bytes, zero before their first use.
    fn scratch(&self, slot: Slot, bytes: usize) -> Result<Address, Self::Error>;

    /// Copies plain values to a slot; the source may change once this returns.
    fn send<T: Copy>(&self, slot: Slot, values: &[T]) -> Result<Address, Self::Error>;

    /// Waits for all earlier work and copies bytes from a slot.
    fn receive(&self, slot: Slot, bytes: &mut [u8]) -> Result<(), Self::Error>;

    /// Starts recording launches, besides making them. Returns false if recording is switched off.
    fn begin_recording(&self) -> bool;

    /// Stops recording. `None` if a slot was reallocated meanwhile or nothing was being recorded.
    fn end_recording(&self) -> Result<Option<Self::Graph>, Self::Error>;

    /// Whether the launches that follow are recorded as aside: they may be repeated at the same time as those after them, up to
    /// the next [`Gpu::join`]. Now they are made in order all the same.
    fn set_aside(&self, aside: bool);

    /// What follows depends on the launches aside, too.
    fn join(&self);

    /// Repeats recorded launches, in order but for those aside. Returns false, having launched nothing, if a slot was reallocated since.
    ///
    /// # Safety
    /// As for each of the launches.
    unsafe fn launch_graph(&self, graph: &Self::Graph) -> Result<bool, Self::Error>;

    /// Launches a kernel on a grid of blocks.
    ///
    /// # Safety
    /// Every address in `arguments` must point to memory of this GPU that stays allocated until the work is done (or is
    /// freed in stream order) and is large enough for the kernel; nothing else may use what the kernel writes in the
    /// meantime.
    unsafe fn launch<A: Copy>(
        &self,
        kernel: Kernel<A>,
        grid: [usize; 3],
        arguments: &A,
    ) -> Result<(), Self::Error>;
}

/// Checks a length in floats. As in the CPU's kernels, a wrong one is a bug in the caller.
pub fn check<G: Gpu>(gpu: &G, what: &str, numbers: &G::Numbers, len: usize) {
    assert_eq!(gpu.len(numbers), len, "floats of {what}");
}

/// As [`check`], for a feature.
pub fn check_feature<G: Gpu>(gpu: &G, what: &str, numbers: &G::Numbers, feature: Feature) {
    check(gpu, what, numbers, gpu.floats(feature));
}
