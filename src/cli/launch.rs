//! Training on a cluster: flags of `reproduce`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Clone, Debug, Default, Args)]
pub struct LaunchArgs {
    /// Submit the missing runs to a cluster, and the job that draws and checks, and end.
    ///
    /// Starting the same command again submits what is neither complete nor queued. See docs/cluster.md.
    #[arg(
        long,
        value_enum,
        value_name = "QUEUE",
        conflicts_with_all = ["fresh", "jobs", "devices", "fail_fast", "any_processor"]
    )]
    pub launch: Option<LauncherArg>,
    /// What the cluster wants to know of a job (TOML): partition, time, GPUs, modules and more.
    #[arg(long, value_name = "FILE", requires = "launch")]
    pub site: Option<PathBuf>,
    /// Print what would be submitted if nothing was queued, and submit nothing.
    #[arg(long, requires = "launch")]
    pub print: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LauncherArg {
    /// By `sbatch`.
    Slurm,
    /// By `hq submit`.
    Hyperqueue,
}
