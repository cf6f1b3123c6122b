//! Runs: `run`, `status`, `watch`, `diff`, `export` and `clean`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::compute::ComputeArgs;
use super::data::DataArgs;
use super::format::Format;
use super::select::data_kind;
use super::train::CheckpointArgs;
use crate::origin::DataKind;

/// Which runs: all, or those of an experiment.
#[derive(Clone, Debug, Default, Args)]
pub struct RunsArgs {
    /// Only runs of this experiment. Default: every run in the results folder.
    pub experiment: Option<String>,
    /// Profile of the experiment.
    #[arg(long, requires = "experiment")]
    pub profile: Option<String>,
    /// Seeds, as for `reproduce`.
    #[arg(long, value_name = "SEEDS", requires = "experiment")]
    pub seeds: Option<String>,
    /// The runs with this field changed, as for `reproduce`; repeatable.
    #[arg(long = "set", value_name = "FIELD=VALUE", requires = "experiment")]
    pub overrides: Vec<String>,
}

/// `run`: its flags make a run of a plan, its subcommands move a run.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct RunArgs {
    #[command(subcommand)]
    pub action: Option<RunAction>,
    #[command(flatten)]
    pub work: WorkArgs,
}

/// One run of a plan, and what it is made with.
#[derive(Clone, Debug, Args)]
pub struct WorkArgs {
    /// Make one run of this plan, which `refig plan EXPERIMENT --out FILE` wrote.
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// The number of the run in the plan, from 0.
    #[arg(long, value_name = "N", requires = "plan", conflicts_with = "run")]
    pub index: Option<usize>,
    /// The name of the run in the plan.
    #[arg(long, value_name = "NAME", requires = "plan")]
    pub run: Option<String>,
    #[command(flatten)]
    pub data: DataArgs,
    /// Use only such images, as for `reproduce`.
    #[arg(long = "data", value_name = "DATA", value_parser = data_kind(), default_value = "any")]
    pub kind: DataKind,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub checkpoints: CheckpointArgs,
    /// Start over instead of resuming or skipping.
    #[arg(long)]
    pub fresh: bool,
    /// Take runs over from processes on other hosts that were killed.
    ///
    /// Only those that give no sign of life for some seconds. Such a process that hung and goes on ends without saving anything
    /// more. On the same host a killed process is never in the way.
    // A script may add it to a command that has it.
    #[arg(long, overrides_with = "take_over")]
    pub take_over: bool,
    /// Output format.
    ///
    /// JSON: an object a line with `run`, the name, and `event`: `started` (`iteration`, `iterations`), `progress`
    /// (`iteration`, `learning_rate`, `loss`, `error`, the mean of the last 20 mini-batches; at most five a second), `phase`
    /// (`phase`, `done` and `total` images), `evaluation` (as in the records), `checkpoint` (`iteration`), `note` and
    /// `warning` (`text`); and at the end `finished` (`ending`, `trained`, `exit`), `stopped` (`exit`) or `failed` (`error`,
    /// `exit`).
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Stop, as after SIGTERM, when standard input ends.
    #[arg(long, hide = true, requires = "plan")]
    pub stop_with_parent: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub enum RunAction {
    /// Write a run, finished or partial, into one file.
    Pack {
        /// Folder of the run, its name as in `status`, or a prefix of its identity.
        run: String,
        /// File to write; replaces an older pack, but no other file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Check a packed run and put it into the results folder.
    ///
    /// Refuses to replace the same run where it is as far along or cannot be read.
    Unpack {
        /// File that `run pack` wrote.
        file: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, Args)]
pub struct StatusArgs {
    /// Keep following the runs, like `watch`.
    #[arg(long)]
    pub follow: bool,
    /// Output format.
    ///
    /// JSON: `runs`, each with `folder`, `identity`, `profile`, `network`, `seed`, `data` (cifar10, imagenet,
    /// imagenet-part, other or synthetic), `state` (finished, diverged, running, stopped or elsewhere), `host` (if elsewhere),
    /// `iteration` and `iterations`; `skipped`, each with `folder` and `why`; and `queue`, what a cluster's queue says of
    /// launched runs, by folder: `job`, `state` and `reason`.
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "follow")]
    pub format: Format,
}

#[derive(Clone, Debug, Args)]
pub struct WatchArgs {
    #[command(flatten)]
    pub runs: RunsArgs,
    /// Print the current state and exit.
    #[arg(long)]
    pub once: bool,
    /// Seconds between updates.
    #[arg(long, default_value_t = INTERVAL, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub interval: u64,
}

/// Default seconds between updates.
const INTERVAL: u64 = 5;

impl Default for WatchArgs {
    /// Every run, until all are done.
    fn default() -> Self {
        Self {
            runs: RunsArgs::default(),
            once: false,
            interval: INTERVAL,
        }
    }
}

#[derive(Clone, Debug, Args)]
pub struct DiffArgs {
    /// Folder of a run, its name as in `status`, or a prefix of its identity.
    pub one: String,
    /// The run to compare with.
    pub other: String,
    /// Output format.
    ///
    /// JSON: `one` and `other`, the folders; `same`; `recipe`, `provenance` and `numbers`, the differences, each with `what`,
    /// `one` and `other`; `records`, a sentence; and `same_records`.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportKind {
    /// `runs.csv`, and the iterations and evaluations of each run.
    Csv,
    /// An event file per run, for `tensorboard --logdir DIR`.
    Tensorboard,
}

#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// Output format.
    #[arg(value_enum)]
    pub format: ExportKind,
    #[command(flatten)]
    pub runs: RunsArgs,
    /// Output folder.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

#[derive(Clone, Debug, Args)]
pub struct CleanArgs {
    /// Do not ask for confirmation.
    #[arg(long)]
    pub yes: bool,
}
