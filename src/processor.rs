//! The processor, as far as a run's numbers depend on it: the CPU with an instruction set, or a GPU.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The instruction set of the CPU kernels. Results differ in the last bits between sets, never within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Instructions {
    /// 16 floats per vector, 32 registers.
    Avx512,
    /// 8 floats per vector, 16 registers, fused multiply-add.
    Avx2,
    /// Plain Rust, for any other processor, such as ARM.
    Portable,
}

impl Instructions {
    pub const ALL: [Instructions; 3] = [
        Instructions::Avx512,
        Instructions::Avx2,
        Instructions::Portable,
    ];

    /// The fastest available set.
    pub fn detect() -> Instructions {
        Instructions::ALL
            .into_iter()
            .find(|set| set.available())
            .unwrap_or(Instructions::Portable)
    }

    /// Whether this machine supports the set.
    pub fn available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => {
                is_x86_feature_detected!("avx512f") && Instructions::Avx2.available()
            }
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Instructions::Avx512 | Instructions::Avx2 => false,
            Instructions::Portable => true,
        }
    }

    /// The name in records and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Instructions::Avx512 => "avx512",
            Instructions::Avx2 => "avx2",
            Instructions::Portable => "portable",
        }
    }

    /// Parses a name, ignoring case.
    pub fn parse(name: &str) -> Option<Instructions> {
        Instructions::ALL
            .into_iter()
            .find(|set| set.name().eq_ignore_ascii_case(name))
    }
}

/// A kind of processor. Serialised as `device` and `instructions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Words", into = "Words")]
pub enum Processor {
    Cpu(Instructions),
    /// Any NVIDIA GPU.
    Cuda,
}

impl Processor {
    /// `cpu` or `cuda`.
    pub fn device(self) -> &'static str {
        match self {
            Processor::Cpu(_) => "cpu",
            Processor::Cuda => "cuda",
        }
    }

    /// `avx512`, `avx2` or `portable`; empty for a GPU.
    pub fn instructions(self) -> &'static str {
        match self {
            Processor::Cpu(set) => set.name(),
            Processor::Cuda => "",
        }
    }
}

/// `cpu (avx512)` or `cuda`.
impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Processor::Cpu(set) => write!(f, "cpu ({})", set.name()),
            Processor::Cuda => f.write_str("cuda"),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Words {
    device: String,
    instructions: String,
}

impl From<Processor> for Words {
    fn from(processor: Processor) -> Self {
        Self {
            device: processor.device().into(),
            instructions: processor.instructions().into(),
        }
    }
}

impl TryFrom<Words> for Processor {
    type Error = String;

    fn try_from(words: Words) -> Result<Self, String> {
        match (
            words.device.as_str(),
            Instructions::parse(&words.instructions),
        ) {
            ("cpu", Some(set)) => Ok(Processor::Cpu(set)),
            ("cuda", None) if words.instructions.is_empty() => Ok(Processor::Cuda),
            _ => Err(format!(
                "no device \"{}\" with instructions \"{}\"; use cpu with one of {}, or cuda",
                words.device,
                words.instructions,
                Instructions::ALL.map(Instructions::name).join(", ")
            )),
        }
    }
}
