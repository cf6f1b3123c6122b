//! Training: `reproduce`, and `plan` with the same arguments.

use clap::Args;

use super::compute::ComputeArgs;
use super::data::DataArgs;
use super::select::SelectionArgs;

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
