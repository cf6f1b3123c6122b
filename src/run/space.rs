//! Whether the disk has room for a run, before hours go into it.

use std::path::Path;

use anyhow::Result;

use crate::exit::Exit;
use crate::plan::RunPlan;

/// Bytes of a float in files.
const FLOAT: u64 = 4;
/// Room for what is not counted: `run.toml`, the log, the evaluations, the file system's blocks.
const MARGIN: u64 = 4 << 20;
/// Bytes of an iteration's row: six columns of eight bytes, in the parts and in the joined file.
const ROW: u64 = 2 * 6 * 8;
/// A run keeps two checkpoints and writes a third, each with weights and velocity, and the final weights.
const COPIES: u64 = 3 * 2 + 1;

/// The most bytes that a run takes while it goes on.
pub fn needed(plan: &RunPlan) -> u64 {
    let values: usize = plan
        .network
        .parameters()
        .iter()
        .map(|parameter| parameter.shape.iter().product::<usize>())
        .sum();
    COPIES * FLOAT * values as u64 + ROW * plan.recipe.iterations + MARGIN
}

/// Bytes free where `folder` is or will be; none where the system does not say.
pub fn available(folder: &Path) -> Option<u64> {
    let folder = if folder.is_absolute() {
        folder.to_path_buf()
    } else {
        std::env::current_dir().ok()?.join(folder)
    };
    folder
        .ancestors()
        .find(|ancestor| ancestor.exists())
        .and_then(|ancestor| fs4::available_space(ancestor).ok())
}

/// Refuses to begin where there is not the room for `needed` bytes.
///
/// # Errors
/// [`Exit::Storage`] with both figures.
pub fn check(folder: &Path, needed: u64, available: Option<u64>) -> Result<()> {
    match available {
        Some(available) if available < needed => Err(Exit::Storage.error(format!(
            "{}: {} MB are free, {} MB are needed; make room, or name another folder with --results-dir",
            folder.display(),
            available >> 20,
            needed.div_ceil(1 << 20)
        ))),
        _ => Ok(()),
    }
}
