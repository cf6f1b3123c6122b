//! What computes: threads and instruction set.

use anyhow::Result;

use crate::cli::ComputeArgs;
use crate::engine::{Instructions, Options};
use crate::exit::Exit;

/// The machine's threads and best instruction set unless the command line says otherwise.
pub fn options(args: &ComputeArgs) -> Result<Options> {
    let instructions = match &args.instructions {
        None => Instructions::detect(),
        Some(name) => {
            let set = Instructions::parse(name).ok_or_else(|| {
                Exit::Usage.error(format!(
                    "--instructions {name}: write avx512, avx2 or portable"
                ))
            })?;
            if !set.available() {
                return Err(Exit::Device.error(format!(
                    "--instructions {name}: this processor has none; the best it has is {}",
                    Instructions::detect().name()
                )));
            }
            set
        }
    };
    let threads = match args.threads {
        Some(0) => return Err(Exit::Usage.error("--threads 0: at least one thread has to compute")),
        Some(threads) => threads,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    Ok(Options {
        threads,
        instructions: Some(instructions),
    })
}
