//! What an engine runs on: device, threads, instruction set, precision.

use anyhow::Result;

use crate::exit::Exit;
use crate::processor::{Instructions, Processor};
use crate::recipe::Precision;

use super::cpu::Context;
use super::device::Device;

/// What an engine runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    pub device: Device,
    /// Number of threads; 0 for one per core. Results do not depend on it.
    pub threads: usize,
    /// The CPU's instruction set; `None` for the fastest available. Results depend on it through rounding.
    pub instructions: Option<Instructions>,
    /// Arithmetic precision. A device that does not support it is refused.
    pub precision: Precision,
    /// Bytes of activations that a training step may keep. Above that, outputs of normalisations within blocks are dropped
    /// and recomputed for the backward pass, bit for bit. `None` for [`KEEP`] on the CPU and no limit on GPUs.
    pub keep: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            device: Device::default(),
            threads: 0,
            instructions: None,
            precision: Precision::Fp32,
            keep: None,
        }
    }
}

/// 1 GiB: of the paper's CIFAR-10 networks, ResNet-110 at batch 128 is the smallest that recomputes.
pub const KEEP: usize = 1 << 30;

impl Options {
    /// The number of threads that an engine uses.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// The instruction set that an engine uses.
    ///
    /// # Errors
    /// [`Exit::Device`] if the CPU lacks the requested one.
    pub fn instruction_set(&self) -> Result<Instructions> {
        let set = self.instructions.unwrap_or_else(Instructions::detect);
        match set.available() {
            true => Ok(set),
            false => Err(Exit::Device.error(format!(
                "this CPU lacks {} instructions; the best set it has is {}",
                set.name(),
                Instructions::detect().name()
            ))),
        }
    }

    /// The processor as a run's identity records it: the CPU's instruction set, or that it is a GPU.
    ///
    /// # Errors
    /// As [`Options::instruction_set`].
    pub fn processor(&self) -> Result<Processor> {
        match self.device {
            Device::Cpu => Ok(Processor::Cpu(self.instruction_set()?)),
            Device::Cuda(_) => Ok(Processor::Cuda),
        }
    }

    /// The same options in another precision.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Checks that the device supports the precision.
    ///
    /// # Errors
    /// [`Exit::Device`] if it does not, with what it supports.
    pub fn check_precision(&self) -> Result<()> {
        match (self.device, self.precision) {
            (Device::Cuda(_), _) | (Device::Cpu, Precision::Fp32) => Ok(()),
            (Device::Cpu, other) => Err(Exit::Device.error(format!(
                "precision {}: the CPU computes in fp32 only; choose a GPU (--device cuda) or set precision to \"fp32\"",
                other.name()
            ))),
        }
    }

    /// The threads and instruction set, for calling kernels directly.
    ///
    /// # Errors
    /// As [`Options::instruction_set`].
    pub fn context(&self) -> Result<Context> {
        let instructions = self.instruction_set()?;
        Ok(Context::new(self.thread_count(), instructions))
    }
}
