//! Opens a GPU for training: the kernels are loaded and checked first.

use dfdx::prelude::Cuda;

use super::nvidia::Nvidia;
use super::self_check::self_check;
use crate::recipe::Precision;

/// Opens a GPU that the driver lists, loads the kernels and checks every operator against the CPU's: in 32-bit floats, and
/// then in the requested precision.
///
/// # Errors
/// What is wrong, in one line.
pub fn open(number: usize, precision: Precision) -> Result<(Cuda, Nvidia), String> {
    let device = Cuda::try_build(number, 0)
        .map_err(|error| format!("GPU {number} cannot be opened: {error}"))?;
    let mut gpu = Nvidia::new(&device).map_err(|error| format!("GPU {number}: {error}"))?;
    let mut precisions = vec![Precision::Fp32];
    precisions.extend((precision != Precision::Fp32).then_some(precision));
    for precision in precisions {
        gpu.compute_in(precision);
        let failures = self_check(&gpu).map_err(|error| {
            format!("GPU {number}: the kernels of the self-check do not run: {error}")
        })?;
        if let Some(first) = failures.first() {
            return Err(format!(
                "GPU {number} refused: in {}, {} of {} differs by {:.1e} from the CPU's result, and {} more checks fail",
                precision.name(),
                first.what,
                first.shape,
                first.error,
                failures.len() - 1
            ));
        }
    }
    Ok((device, gpu))
}
