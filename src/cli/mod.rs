//! The command line as clap types; `commands` carries it out.
//!
//! - `select.rs`: which runs of which experiment; `train.rs`: reproduce and plan, `launch.rs`: on a cluster
//! - `report.rs`: check, render and report; `runs.rs`: status, watch, diff, export and clean
//! - `network.rs`: describe and evaluate; `bench.rs`: bench and parity; `data.rs`: data and where to find it
//! - `compute.rs`: device, threads and precision, and doctor; `format.rs`: text or JSON
//! - `places.rs`: the folders of a project; `completions.rs`: completions for shells

mod bench;
mod completions;
mod compute;
mod data;
mod format;
mod launch;
mod limits;
mod network;
mod places;
mod report;
mod runs;
mod select;
mod train;

use clap::{Parser, Subcommand};

pub use bench::{
    BenchCompareArgs, BenchLoaderArgs, BenchOperatorsArgs, BenchStepArgs, BenchWhat, ParityArgs,
    PytorchMode,
};
pub use completions::{CompletionsArgs, completions};
pub use compute::{ComputeArgs, DoctorArgs, PrecisionArg, PrecisionArgs};
pub use data::{DataAction, DataArgs, DataName};
pub use format::Format;
pub use launch::{LaunchArgs, LauncherArg};
pub use network::{DescribeArgs, EvaluateArgs, NetworkArgs, StatisticsArg, StrideInArg, ViewsArg};
pub use places::{Places, PlacesArgs};
pub use report::{CheckArgs, CheckFormat, RenderArgs, ReportArgs};
pub use runs::{
    CleanArgs, DiffArgs, ExportArgs, ExportKind, RunAction, RunArgs, RunsArgs, StatusArgs,
    WatchArgs, WorkArgs,
};
pub use select::SelectionArgs;
pub use train::{CheckpointArgs, PlanArgs, ReproduceArgs};

/// Reproduce the figures of "Deep Residual Learning for Image Recognition" and measure how close they come to the paper.
#[derive(Debug, Parser)]
#[command(
    name = "refig",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub places: PlacesArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train the missing runs of an experiment, draw its figure and check the results.
    Reproduce {
        #[command(flatten)]
        args: ReproduceArgs,
        #[command(flatten)]
        launch: LaunchArgs,
    },
    /// Check recorded errors against expectations and claims, without training.
    Check(CheckArgs),
    /// Redraw the figure of an experiment from its records.
    Render(RenderArgs),
    /// Rewrite the reports of one or all experiments from their records.
    Report(ReportArgs),
    /// Show what `reproduce` would do: runs, time, disk space and download. Changes nothing but the file of `--out`.
    Plan(PlanArgs),
    /// List all runs in the results folder.
    Status(StatusArgs),
    /// Follow the progress of runs.
    ///
    /// Reads only the results folder, so it works on any machine that can see it.
    Watch(WatchArgs),
    /// Compare two runs: recipe, provenance and numbers.
    ///
    /// Exits with 0 if recipe and numbers are equal, otherwise with 1.
    Diff(DiffArgs),
    /// Convert records for other programs.
    Export(ExportArgs),
    /// Make one run of a plan, or move a run to another machine.
    ///
    /// `refig run --plan FILE --index N` is what a task of a cluster calls. A run that is complete ends at once with 0, one that
    /// another process is working on with 7.
    Run(RunArgs),
    /// List the experiments.
    ///
    /// Manifests that are refused are named on standard error, with the line and the remedy; the exit code is then 2.
    List {
        /// Output format.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Show a network's layers, shapes, parameters, multiply-adds and activation memory.
    Describe(DescribeArgs),
    /// Fetch, verify or pack a data set.
    Data {
        #[command(subcommand)]
        action: DataAction,
    },
    /// Replay recorded training steps and compare the numbers.
    Parity(ParityArgs),
    /// Measure speed.
    Bench {
        #[command(subcommand)]
        what: BenchWhat,
    },
    /// Measure the test error of weights in a safetensors file (torchvision's names).
    Evaluate(EvaluateArgs),
    /// Show what this machine can train with and what is missing. Changes nothing.
    Doctor(DoctorArgs),
    /// Remove runs that a newer version or a changed recipe has superseded, after confirmation.
    Clean(CleanArgs),
    /// Print the JSON schema of manifests.
    Schema,
    /// Print a script that completes commands and flags in a shell.
    ///
    /// For example, `refig completions bash > ~/.local/share/bash-completion/completions/refig`.
    Completions(CompletionsArgs),
}

impl Command {
    /// Whether the command reads or writes folders of a project.
    pub fn uses_project(&self) -> bool {
        !matches!(
            self,
            Command::Describe(_)
                | Command::Data { .. }
                | Command::Parity(_)
                | Command::Bench { .. }
                | Command::Evaluate(_)
                | Command::Schema
                | Command::Completions(_)
        )
    }
}
