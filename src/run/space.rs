//! Checks before a run starts that the disk has room for it.

use std::path::Path;

use anyhow::Result;

use crate::exit::Exit;
use crate::plan::RunPlan;

/// Bytes of a stored float.
const FLOAT: u64 = 4;
/// Bytes for everything not counted: `run.toml`, the log, the evaluations, file-system overhead.
const MARGIN: u64 = 4 << 20;
/// Bytes of an iteration's row: six columns of eight bytes, in the parts and in the joined file.
const ROW: u64 = 2 * 6 * 8;
/// Copies of all weights: two checkpoints and one being written, each with weights and velocity, and the final weights.
const COPIES: u64 = 3 * 2 + 1;

/// The peak disk usage of a run, in bytes.
pub fn needed(plan: &RunPlan) -> u64 {
    let values: usize = plan
        .network
        .parameters()
        .iter()
        .map(|parameter| parameter.shape.iter().product::<usize>())
        .sum();
    COPIES * FLOAT * values as u64 + ROW * plan.recipe.iterations + MARGIN
}

/// Bytes of the files in a run's folder.
pub fn used(folder: &Path) -> u64 {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .filter(|metadata| metadata.is_file())
        .map(|metadata| metadata.len())
        .sum()
}

/// Free bytes at `folder`, which need not exist yet; `None` if the system does not say.
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

/// Checks that at least `needed` bytes are free.
///
/// # Errors
/// [`Exit::Storage`] with both numbers.
pub fn check(folder: &Path, needed: u64, available: Option<u64>) -> Result<()> {
    match available {
        Some(available) if available < needed => Err(Exit::Storage.error(format!(
            "{}: {} MB free, but {} MB needed; make room, or name another folder with --results-dir",
            folder.display(),
            available >> 20,
            needed.div_ceil(1 << 20)
        ))),
        _ => Ok(()),
    }
}
