//! Resolves device, threads and instruction set.

use std::sync::OnceLock;

use anyhow::Result;

use crate::cli::{ComputeArgs, PrecisionArg, PrecisionArgs};
use crate::engine::{self, BUILD_WITH_CUDA, Card, Device, Instructions, Options};
use crate::exit::Exit;
use crate::note;
use crate::recipe::Precision;

/// The options of the command line; by default a usable GPU, all threads and the best instruction set.
pub fn options(args: &ComputeArgs) -> Result<Options> {
    options_by("--device", args)
}

/// As [`options`], where the device was named with `flag`.
pub fn options_by(flag: &str, args: &ComputeArgs) -> Result<Options> {
    let threads = args.threads.unwrap_or_else(threads);
    let instructions = args.instructions.as_deref().map(instructions).transpose()?;
    let device = match parse_by(flag, &args.device)? {
        None if instructions.is_some() => Device::Cpu,
        None => automatic(),
        Some(Device::Cuda(_)) if instructions.is_some() => {
            return Err(Exit::Usage.error(format!(
                "--instructions applies to the CPU only; drop it or {flag} {}",
                args.device
            )));
        }
        Some(device @ Device::Cuda(number)) => {
            engine::usable(number).map_err(|why| {
                Exit::Device.error(match engine::has_cuda() {
                    true => format!("{flag} {}: {why}; use {flag} cpu", args.device),
                    false => format!(
                        "{flag} {}: this program was built without CUDA; build it with: {BUILD_WITH_CUDA}",
                        args.device
                    ),
                })
            })?;
            device
        }
        Some(Device::Cpu) => Device::Cpu,
    };
    Ok(Options {
        device,
        threads,
        instructions: Some(instructions.unwrap_or_else(Instructions::detect)),
        keep: args.keep_memory.map(|mebibytes| mebibytes << 20),
        ..Options::default()
    })
}

/// As many threads as there are CPUs to run them.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// As [`options`], in a precision that the device must support.
pub fn precise_options(args: &ComputeArgs, precision: &PrecisionArgs) -> Result<Options> {
    let options = options(args)?.in_precision(self::precision(precision));
    options.check_precision()?;
    Ok(options)
}

/// The precision of the command line.
pub fn precision(args: &PrecisionArgs) -> Precision {
    match args.precision {
        PrecisionArg::Fp32 => Precision::Fp32,
        PrecisionArg::Tf32 => Precision::Tf32,
        PrecisionArg::Bf16 => Precision::Bf16,
    }
}

/// Parses `--device`; none for `auto`.
pub fn parse_device(name: &str) -> Result<Option<Device>> {
    parse_by("--device", name)
}

fn parse_by(flag: &str, name: &str) -> Result<Option<Device>> {
    match name {
        "auto" => return Ok(None),
        "cpu" => return Ok(Some(Device::Cpu)),
        "cuda" => return Ok(Some(Device::Cuda(0))),
        _ => {}
    }
    let number = name
        .strip_prefix("cuda:")
        .and_then(|number| number.parse().ok());
    match number {
        Some(number) => Ok(Some(Device::Cuda(number))),
        None => Err(Exit::Usage.error(format!(
            "{flag} {name}: use cpu, cuda, cuda:N with the GPU's number, or auto"
        ))),
    }
}

/// The options of a processor that this machine need not have, and that is not used here.
pub fn elsewhere(name: &str) -> Result<Options> {
    let (device, set) = match (name, Instructions::parse(name)) {
        ("cuda", _) => (Device::Cuda(0), None),
        (_, Some(set)) => (Device::Cpu, Some(set)),
        (_, None) => {
            return Err(Exit::Usage.error(format!(
                "--processor {name}: use cuda, avx512, avx2 or portable"
            )));
        }
    };
    Ok(Options {
        device,
        instructions: set,
        ..Options::default()
    })
}

fn instructions(name: &str) -> Result<Instructions> {
    let set = Instructions::parse(name).ok_or_else(|| {
        Exit::Usage.error(format!(
            "--instructions {name}: use avx512, avx2 or portable"
        ))
    })?;
    match set.available() {
        true => Ok(set),
        false => Err(Exit::Device.error(format!(
            "--instructions {name}: not supported by this CPU; the best supported set is {}",
            Instructions::detect().name()
        ))),
    }
}

/// The first GPU, opened and checked once, or why it is unusable.
pub fn first_gpu() -> &'static std::result::Result<Card, String> {
    static FOUND: OnceLock<std::result::Result<Card, String>> = OnceLock::new();
    FOUND.get_or_init(|| engine::usable(0))
}

/// A GPU if this build has CUDA and one is usable, else the CPU. A build with CUDA prints why.
fn automatic() -> Device {
    if !engine::has_cuda() {
        return Device::Cpu;
    }
    match first_gpu() {
        Ok(card) => Device::Cuda(card.number),
        Err(why) => {
            static PRINTED: OnceLock<()> = OnceLock::new();
            PRINTED.get_or_init(|| note!("using the CPU, since no GPU is usable: {why}"));
            Device::Cpu
        }
    }
}
