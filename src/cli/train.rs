//! Training: `reproduce`, and `plan` with the same arguments and a format.

use std::path::PathBuf;

use clap::Args;

use super::compute::ComputeArgs;
use super::data::DataArgs;
use super::format::Format;
use super::limits::{MOST_JOBS, within};
use super::select::SelectionArgs;

#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub reproduce: ReproduceArgs,
    /// Output format.
    ///
    /// JSON: `experiment`, `profile`, `why` (this profile), `data`; `runs`, each with `folder`, `state` (new, partial or
    /// done), `iterations`, `iterations_left` and `seconds`; in total `iterations`, `iterations_left` and `seconds`, in which
    /// `mean_image_seconds` are included; `images` with `training` and `test`; `memory_bytes` of the largest step (null if
    /// nothing is left), on a GPU of its memory, and `loading_memory_bytes` for images and the program besides; `disk_bytes`
    /// for results, `disk_free_bytes` (null if unknown), `data_bytes` of the images on disk, and `download_bytes`.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Also write the plan to a file, for `refig run --plan FILE`.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Only write the plan, for machines of this kind: cuda, or a CPU with avx512, avx2 or portable instructions.
    ///
    /// This machine need not be one.
    #[arg(long, value_name = "PROCESSOR", requires = "out", conflicts_with_all = ["device", "devices", "instructions", "format"])]
    pub processor: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[command(group(clap::ArgGroup::new("at_once").args(["jobs", "devices"]).multiple(true)))]
pub struct ReproduceArgs {
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Make N runs at a time on each device, each in a process of its own.
    ///
    /// They share the CPUs; with --threads, each has that many threads.
    #[arg(long, value_name = "N", value_parser = within(MOST_JOBS))]
    pub jobs: Option<usize>,
    /// Make runs on these devices at the same time, such as cuda:0,cuda:1, each run in a process of its own.
    ///
    /// GPUs or the CPU, not both: their numbers differ in rounding.
    #[arg(
        long,
        value_name = "DEVICES",
        value_delimiter = ',',
        conflicts_with = "device"
    )]
    pub devices: Vec<String>,
    /// With --jobs or --devices: after a run fails, stop the others too, with their states saved.
    #[arg(long, requires = "at_once")]
    pub fail_fast: bool,
    #[command(flatten)]
    pub checkpoints: CheckpointArgs,
    /// Start over instead of resuming partial runs and skipping finished ones.
    #[arg(long)]
    pub fresh: bool,
    /// Also resume runs that were begun on another kind of processor, such as a GPU, on this one.
    ///
    /// From there on their numbers differ in rounding. Their figures, pages and verdicts say where they went.
    #[arg(long, conflicts_with_all = ["fresh", "at_once"])]
    pub any_processor: bool,
    /// Take runs over from processes on other hosts that were killed.
    ///
    /// Only those that give no sign of life for some seconds. Such a process that hung and goes on ends without saving anything
    /// more. On the same host a killed process is never in the way.
    // A script may add it to a command that has it.
    #[arg(long, overrides_with = "take_over")]
    pub take_over: bool,
    /// Omit the paper's curves from the figure.
    #[arg(long)]
    pub no_reference: bool,
    /// Fail if the sources have uncommitted changes outside `results/` and `reports/`.
    #[arg(long)]
    pub require_clean: bool,
}

/// How often the state of a run is saved.
#[derive(Clone, Copy, Debug, Args)]
pub struct CheckpointArgs {
    /// Save the state of a run at least this often, besides at every evaluation, and how far its final test with several views is.
    /// Default: 120. Does not affect the results.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub checkpoint_every: Option<u64>,
}
