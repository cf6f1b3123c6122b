//! Device, threads and precision of computations, and `doctor`, which shows what is available.

use clap::{Args, ValueEnum};

use super::data::DataArgs;
use super::format::Format;
use super::limits::{MOST_MEMORY, MOST_THREADS, within};

#[derive(Clone, Debug, Args)]
pub struct ComputeArgs {
    /// Device: cpu, cuda (the first GPU), cuda:N, or auto (a GPU if this build and the machine have a usable one).
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: String,
    /// Number of threads. Default: one per CPU. Does not affect the results.
    #[arg(long, value_name = "N", value_parser = within(MOST_THREADS))]
    pub threads: Option<usize>,
    /// CPU instruction set: avx512, avx2 or portable. Default: the best available.
    #[arg(long, value_name = "SET")]
    pub instructions: Option<String>,
    /// Memory in MiB for the activations that a training step keeps for its backward pass. Above it some are computed again,
    /// which takes longer. Default: 1024 on the CPU, no limit on GPUs. Does not affect the results.
    #[arg(long, value_name = "MIB", value_parser = within(MOST_MEMORY))]
    pub keep_memory: Option<usize>,
}

/// Precision, for commands without a recipe.
#[derive(Clone, Debug, Args)]
pub struct PrecisionArgs {
    /// Precision: fp32, or on GPUs tf32 (11-bit significands) or bf16 (8-bit significands, 16-bit activations).
    #[arg(long, value_enum, default_value_t = PrecisionArg::Fp32)]
    pub precision: PrecisionArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrecisionArg {
    Fp32,
    Tf32,
    Bf16,
}

#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}
