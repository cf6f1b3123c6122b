//! The devices that a network can train on.

use std::fmt;

/// The command that builds a program with support for NVIDIA GPUs.
pub const BUILD_WITH_CUDA: &str = "cargo build --release --features cuda";

/// The device that a network trains on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Device {
    #[default]
    Cpu,
    /// An NVIDIA GPU, by the driver's number.
    Cuda(usize),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// A GPU that the driver lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub number: usize,
    pub name: String,
    /// Bytes.
    pub memory: u64,
    /// Compute capability, such as (9, 0).
    pub capability: (u32, u32),
}

/// Whether this build can train on NVIDIA GPUs.
pub fn has_cuda() -> bool {
    cfg!(feature = "cuda")
}

/// Why a build without CUDA refuses a GPU.
#[cfg(not(feature = "cuda"))]
pub(super) fn no_cuda() -> String {
    format!("this build lacks CUDA support; rebuild with: {BUILD_WITH_CUDA}")
}
