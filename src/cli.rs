//! The command line: clap's types, and nothing of what they do.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Reproduces the figures of "Deep Residual Learning for Image Recognition" and says with numbers how close it came.
#[derive(Debug, Parser)]
#[command(name = "refig", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub places: Places,
}

/// Where experiments, runs and reports lie.
#[derive(Clone, Debug, Args)]
pub struct Places {
    /// Folder of the experiments' manifests.
    #[arg(long, global = true, default_value = "experiments", value_name = "DIR")]
    pub experiments_dir: PathBuf,
    /// Folder of the runs' records.
    #[arg(long, global = true, default_value = "results", value_name = "DIR")]
    pub results_dir: PathBuf,
    /// Folder of figures and verdicts.
    #[arg(long, global = true, default_value = "reports", value_name = "DIR")]
    pub reports_dir: PathBuf,
    /// Only errors and the final verdict.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train what is missing of an experiment, draw its figure and check it.
    Reproduce(ReproduceArgs),
    /// Compare the recorded errors with expectations and claims; trains nothing.
    Check(CheckArgs),
    /// Draw an experiment's figure again from the records.
    Render(RenderArgs),
    /// Write the pages of an experiment again from the records, or those of all with an index: a site of its own.
    Report(ReportArgs),
    /// What `reproduce` would do: every run as done, resumes or new, with time, disk and download. Changes nothing.
    Plan(ReproduceArgs),
    /// Every run in the results folder. Changes nothing.
    Status(StatusArgs),
    /// The runs as they go, with their latest errors, from their files; on any machine that sees the results folder.
    Watch(WatchArgs),
    /// What differs between two runs: recipe, provenance, numbers. Exit code 0 if recipe and numbers are the same, else 1.
    Diff(DiffArgs),
    /// The records in the formats of other programs.
    Export(ExportArgs),
    /// The experiments, a line each.
    List,
    /// A network's layers, shapes, parameters, multiply-adds and activation memory.
    Describe(DescribeArgs),
    /// Fetch or verify a data set.
    Data {
        #[command(subcommand)]
        action: DataAction,
    },
    /// Replay recorded training steps and compare the engine's numbers with them.
    Parity(ParityArgs),
    /// Measure speed.
    Bench {
        #[command(subcommand)]
        what: BenchWhat,
    },
    /// The test error of a network with weights from a safetensors file (torchvision's names).
    Evaluate(EvaluateArgs),
    /// What this machine has to train with, and what is missing. Changes nothing.
    Doctor(DoctorArgs),
    /// Remove runs that no experiment names, after asking.
    Clean(CleanArgs),
    /// Print the JSON schema of manifests.
    Schema,
}

/// Which runs of which experiment.
#[derive(Clone, Debug, Args)]
pub struct SelectionArgs {
    /// The experiment's name (`refig list`), or a path to a manifest.
    pub experiment: String,
    /// A named scale of the recipe. Default: `paper` where a usable GPU and CIFAR-10 are there, `quick` otherwise.
    #[arg(long)]
    pub profile: Option<String>,
    /// Seeds: a list (`0,2`) or an inclusive range (`0..4` is five seeds). Default: the profile's.
    #[arg(long, value_name = "SEEDS")]
    pub seeds: Option<String>,
    /// Only these networks, comma-separated; an optional one among them is trained. `reproduce` then still draws and checks
    /// every run that is there.
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    pub networks: Vec<String>,
    /// Change a field, as `recipe.batch=64`; repeatable. The run is then not the paper's recipe and says so.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    pub overrides: Vec<String>,
    /// Which images the runs were made on.
    #[arg(long, value_enum, default_value_t = DataKind::Any)]
    pub data: DataKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DataKind {
    /// What the results folder holds, CIFAR-10 before synthetic.
    Any,
    Cifar10,
    Synthetic,
}

#[derive(Clone, Debug, Args)]
pub struct DataArgs {
    /// CIFAR-10 in the official binary layout: a folder or the `.tar.gz`. Default: $CIFAR10_DIR, the cache, a download.
    #[arg(long, value_name = "PATH")]
    pub data_dir: Option<PathBuf>,
    /// Another address to download from; repeatable, tried in order before the official one.
    #[arg(long = "mirror", value_name = "URL")]
    pub mirrors: Vec<String>,
    /// Never use the network.
    #[arg(long)]
    pub offline: bool,
}

#[derive(Clone, Debug, Args)]
pub struct ComputeArgs {
    /// What computes: cpu, cuda (the first GPU), cuda:N or auto (a GPU where this build and the machine have a usable one).
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: String,
    /// Threads that compute. Default: the machine's. Results do not depend on it.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Force an instruction set of the CPU: avx512, avx2 or portable. Default: the best there is.
    #[arg(long, value_name = "SET")]
    pub instructions: Option<String>,
}

/// What is computed in, where no recipe says it.
#[derive(Clone, Debug, Args)]
pub struct PrecisionArgs {
    /// fp32, or on a GPU tf32 (factors of eleven bits) or bf16 (factors of eight, activations in 16).
    #[arg(long, value_enum, default_value_t = PrecisionArg::Fp32)]
    pub precision: PrecisionArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrecisionArg {
    Fp32,
    Tf32,
    Bf16,
}

#[derive(Clone, Debug, Args)]
pub struct ReproduceArgs {
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Start over instead of going on with partial runs or skipping finished ones.
    #[arg(long)]
    pub fresh: bool,
    /// Leave out the paper's own curves.
    #[arg(long)]
    pub no_reference: bool,
    /// Refuse to run where the program's sources differ from their commit (`results/` and `reports/` aside).
    #[arg(long)]
    pub require_clean: bool,
}

#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// What is printed; the report's folder gets every file all the same.
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub format: CheckFormat,
    /// An error lower than expected by more than the tolerance is a failure too.
    #[arg(long)]
    pub strict: bool,
    /// Record the present errors as the profile's baseline NAME, for --against. Refused on CI and where sources are changed.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["against", "strict"])]
    pub accept: Option<String>,
    /// Accept a baseline of fewer than three seeds.
    #[arg(long, requires = "accept")]
    pub allow_few_seeds: bool,
    /// Compare with the profile's baseline NAME as well.
    #[arg(long, value_name = "NAME")]
    pub against: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    Text,
    /// As `verdict.json`.
    Json,
    /// As `report.md`.
    Markdown,
    /// As `junit.xml`.
    Junit,
    /// Annotations at the manifest's lines; the report is appended to $GITHUB_STEP_SUMMARY.
    Github,
}

#[derive(Clone, Debug, Args)]
pub struct RenderArgs {
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Leave out the paper's own curves.
    #[arg(long)]
    pub no_reference: bool,
}

#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// The experiment's name (`refig list`), or a path to a manifest.
    #[arg(required_unless_present = "all")]
    pub experiment: Option<String>,
    /// Only this profile. Default: every profile that has runs.
    #[arg(long)]
    pub profile: Option<String>,
    /// Every experiment, and an index of all reports.
    #[arg(long, conflicts_with = "experiment")]
    pub all: bool,
    /// Seeds, as for `reproduce`. Default: those of the report that is there, else the profile's, and others that are
    /// complete.
    #[arg(long, value_name = "SEEDS")]
    pub seeds: Option<String>,
    /// Leave out the paper's own curves.
    #[arg(long)]
    pub no_reference: bool,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct StatusArgs {
    /// Go on as `watch` does.
    #[arg(long)]
    pub follow: bool,
}

#[derive(Clone, Debug, Args)]
pub struct WatchArgs {
    /// Only its runs, and those that wait. Default: every run in the results folder.
    pub experiment: Option<String>,
    /// The experiment's profile.
    #[arg(long, requires = "experiment")]
    pub profile: Option<String>,
    /// Seeds, as for `reproduce`.
    #[arg(long, value_name = "SEEDS", requires = "experiment")]
    pub seeds: Option<String>,
    /// Show what there is and end.
    #[arg(long)]
    pub once: bool,
    /// Seconds between two looks.
    #[arg(long, default_value_t = LOOK_EVERY, value_name = "SECONDS")]
    pub interval: u64,
}

/// Seconds between two looks at the runs.
const LOOK_EVERY: u64 = 5;

impl Default for WatchArgs {
    /// Every run, until all are done.
    fn default() -> Self {
        Self {
            experiment: None,
            profile: None,
            seeds: None,
            once: false,
            interval: LOOK_EVERY,
        }
    }
}

#[derive(Clone, Debug, Args)]
pub struct DiffArgs {
    /// A run's folder, its name as `status` shows it, or the beginning of its identity.
    pub one: String,
    /// The run to hold against it.
    pub other: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportKind {
    /// `runs.csv`, and each run's iterations and evaluations.
    Csv,
    /// An event file for each run; `tensorboard --logdir DIR` shows them.
    Tensorboard,
}

#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    #[arg(value_enum)]
    pub format: ExportKind,
    /// Only the runs of its figure. Default: every run in the results folder.
    pub experiment: Option<String>,
    /// The experiment's profile.
    #[arg(long, requires = "experiment")]
    pub profile: Option<String>,
    /// Of these seeds alone.
    #[arg(long, value_name = "SEEDS", requires = "experiment")]
    pub seeds: Option<String>,
    /// Folder that the files are written into.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

#[derive(Clone, Debug, Args)]
pub struct NetworkArgs {
    /// Option for shortcuts that change shape: A, B or C (section 4.1). Default: A, B for the networks of bottlenecks.
    #[arg(long)]
    pub shortcut: Option<String>,
    /// Side of the input images in pixels. Default: 32, 224 for the networks of Table 1.
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<usize>,
}

#[derive(Clone, Debug, Args)]
pub struct DescribeArgs {
    /// As in manifests (`plain-20`, `resnet-110`) or of Table 1 (`plain-34`, `resnet-50`).
    pub network: String,
    #[command(flatten)]
    pub options: NetworkArgs,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Draw the column of layers with its shortcuts into this file instead (the paper's Fig. 3).
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DataName {
    Cifar10,
}

#[derive(Clone, Debug, Subcommand)]
pub enum DataAction {
    /// Put a data set into the cache folder.
    Fetch {
        #[arg(value_enum)]
        name: DataName,
        /// A local `.tar.gz` or an address instead of the official one.
        #[arg(long, value_name = "FILE|URL")]
        from: Option<String>,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Read a data set whole and compare its digests.
    Verify {
        #[arg(value_enum)]
        name: DataName,
        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Clone, Debug, Args)]
pub struct ParityArgs {
    /// Recorded steps (safetensors).
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Largest relative error allowed.
    #[arg(long, default_value_t = 1e-4)]
    pub tolerance: f64,
    #[command(flatten)]
    pub precision: PrecisionArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

#[derive(Clone, Debug, Subcommand)]
pub enum BenchWhat {
    /// A training step: milliseconds, images/s, GFLOP/s, share of the measured peak, and the loader's cost.
    Step(BenchStepArgs),
    /// Each distinct convolution of a network, forward and backward: milliseconds, GFLOP/s, share of the measured peak.
    Operators(BenchOperatorsArgs),
    /// Training steps beside PyTorch's, in turn, with the ratio of every pair.
    Compare(BenchCompareArgs),
}

#[derive(Clone, Debug, Args)]
pub struct BenchStepArgs {
    #[arg(long, default_value = "resnet-20")]
    pub network: String,
    #[arg(long, default_value_t = 128)]
    pub batch: usize,
    #[arg(long, default_value_t = 10)]
    pub steps: usize,
    /// Also time steps that are fed by a loader, in turn with steps that are not.
    #[arg(long)]
    pub with_loader: bool,
    /// Measure once for every line of the standard input and print a line of JSON each.
    #[arg(long, hide = true)]
    pub serve: bool,
    #[command(flatten)]
    pub precision: PrecisionArgs,
    #[command(flatten)]
    pub options: NetworkArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Debug, Args)]
pub struct BenchOperatorsArgs {
    #[arg(long, default_value = "resnet-20")]
    pub network: String,
    #[arg(long, default_value_t = 128)]
    pub batch: usize,
    /// Times that each operator is measured; the median counts.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    #[command(flatten)]
    pub options: NetworkArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Debug, Args)]
pub struct BenchCompareArgs {
    /// Names, separated by commas.
    #[arg(
        long,
        default_value = "resnet-20",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    pub networks: Vec<String>,
    #[arg(long, default_value_t = 128)]
    pub batch: usize,
    /// Turns of each side.
    #[arg(long, default_value_t = 10)]
    pub pairs: usize,
    /// Steps in a turn; their median counts.
    #[arg(long, default_value_t = 5)]
    pub steps: usize,
    /// How PyTorch takes its steps, separated by commas: each is a comparison of its own.
    #[arg(long, value_enum, default_value = "eager", value_delimiter = ',')]
    pub mode: Vec<PytorchMode>,
    /// A Python that has PyTorch (benches/requirements.txt).
    #[arg(long, default_value = "python3", value_name = "PATH")]
    pub python: PathBuf,
    #[command(flatten)]
    pub precision: PrecisionArgs,
    #[command(flatten)]
    pub options: NetworkArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PytorchMode {
    Eager,
    /// The whole step as one CUDA graph.
    Graphs,
    /// The network through torch.compile.
    Compile,
}

#[derive(Clone, Debug, Args)]
pub struct EvaluateArgs {
    pub network: String,
    /// safetensors with torchvision's names.
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Batch-norm statistics. Default: the file's metadata, else `moving`.
    #[arg(long, value_enum)]
    pub statistics: Option<StatisticsArg>,
    /// Input normalisation: `per-pixel-mean` or `channel-mean-std`. Default: the file's metadata, else the paper's.
    #[arg(long)]
    pub normalisation: Option<String>,
    #[command(flatten)]
    pub options: NetworkArgs,
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatisticsArg {
    Moving,
    Population,
}

#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub data: DataArgs,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Debug, Args)]
pub struct CleanArgs {
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}
