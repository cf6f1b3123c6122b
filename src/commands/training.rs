//! How runs are trained, whichever command trains them.

use std::time::Duration;

use crate::cli::{CheckpointArgs, Places};
use crate::data;
use crate::engine::{self, Device};
use crate::orchestrate::Options;

/// Seconds between checkpoints outside evaluations.
const KEEP_EVERY: u64 = 120;

/// Options for training runs of `experiment` with these changes to its recipe, `fresh` or resuming, and whether to take them over
/// from other hosts.
pub fn options(
    (experiment, overrides): (&str, &[String]),
    (fresh, take_over): (bool, bool),
    places: &Places,
    compute: &engine::Options,
    checkpoints: CheckpointArgs,
) -> Options {
    Options {
        results_dir: places.results_dir.clone(),
        fresh,
        take_over,
        experiment: experiment.into(),
        overrides: overrides.to_vec(),
        gpu: match compute.device {
            Device::Cpu => 0,
            Device::Cuda(number) => number,
        },
        moved_to: None,
        threads: compute.threads,
        keep: compute.keep,
        workers: 1,
        keep_every: Duration::from_secs(checkpoints.checkpoint_every.unwrap_or(KEEP_EVERY)),
        cache: data::cache_folder(),
    }
}
