//! Which devices there are to train on, and which one is meant.

use std::fmt;

/// How a program is built that trains on NVIDIA GPUs.
pub const BUILD_WITH_CUDA: &str = "cargo build --release --features cuda";

/// What a network trains on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Device {
    #[default]
    Cpu,
    /// An NVIDIA GPU, by the driver's number.
    Cuda(usize),
}

impl Device {
    /// The kind, as a run's identity has it: `cpu` or `cuda`.
    pub fn kind(self) -> &'static str {
        match self {
            Device::Cpu => "cpu",
            Device::Cuda(_) => "cuda",
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// A GPU that the driver shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub number: usize,
    pub name: String,
    /// Bytes.
    pub memory: u64,
    /// Compute capability, such as (9, 0).
    pub capability: (u32, u32),
}

/// Whether this build can train on NVIDIA GPUs at all.
pub fn has_cuda() -> bool {
    cfg!(feature = "cuda")
}

/// The GPUs that the driver shows; none, with the driver's words, where it shows none.
pub fn cards() -> Result<Vec<Card>, String> {
    #[cfg(feature = "cuda")]
    return super::cuda::cards();
    #[cfg(not(feature = "cuda"))]
    Err(format!(
        "this build has no CUDA; one that has: {BUILD_WITH_CUDA}"
    ))
}

/// Opens a GPU, loads the kernels and holds every operator against the CPU's on small shapes. What is wrong, in one line.
pub fn usable(number: usize) -> Result<Card, String> {
    let cards = cards()?;
    let Some(card) = cards.iter().find(|card| card.number == number) else {
        return Err(format!(
            "there is no GPU {number}; the driver shows {}",
            match cards.len() {
                0 => "none".to_string(),
                1 => "one, number 0".to_string(),
                count => format!("{count}, from number 0"),
            }
        ));
    };
    #[cfg(feature = "cuda")]
    super::cuda_operators::open(number, crate::manifest::Precision::Fp32)?;
    Ok(card.clone())
}
