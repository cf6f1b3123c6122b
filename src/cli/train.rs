//! Training: `reproduce`, and `plan` with the same arguments and a format.

use clap::Args;

use super::compute::ComputeArgs;
use super::data::DataArgs;
use super::format::Format;
use super::select::SelectionArgs;

#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub reproduce: ReproduceArgs,
    /// Output format.
    ///
    /// JSON: `experiment`, `profile`, `why` (this profile), `data`; `runs`, each with `folder`, `state` (new, partial or
    /// done), `iterations`, `iterations_left` and `seconds`; and in total `seconds`, `disk_bytes`, `disk_free_bytes`
    /// (null if unknown) and `download_bytes`.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Debug, Args)]
pub struct ReproduceArgs {
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Start over instead of resuming partial runs and skipping finished ones.
    #[arg(long)]
    pub fresh: bool,
    /// Omit the paper's curves from the figure.
    #[arg(long)]
    pub no_reference: bool,
    /// Fail if the sources have uncommitted changes outside `results/` and `reports/`.
    #[arg(long)]
    pub require_clean: bool,
}
