//! Speed and numbers of the engine: `bench` and `parity`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::compute::{ComputeArgs, PrecisionArgs};
use super::format::Format;
use super::limits::{MOST_IMAGES, MOST_PIXELS, MOST_ROUNDS, MOST_THREADS, positive, within};
use super::network::NetworkArgs;

#[derive(Clone, Debug, Args)]
pub struct ParityArgs {
    /// Recorded steps (safetensors).
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Largest relative error to accept. Larger ones are compared with double precision: activations within rounding of a
    /// ReLU's kink are no error of the engine.
    #[arg(long, default_value_t = 1e-4, value_parser = positive)]
    pub tolerance: f64,
    #[command(flatten)]
    pub precision: PrecisionArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
}

#[derive(Clone, Debug, Subcommand)]
pub enum BenchWhat {
    /// Time training steps: milliseconds, images/s, GFLOP/s, share of the measured peak, and the cost of loading.
    Step(BenchStepArgs),
    /// Time each distinct convolution of a network, forward and backward.
    Operators(BenchOperatorsArgs),
    /// Time training steps against PyTorch, alternating between the two.
    Compare(BenchCompareArgs),
    /// Time the loader of ImageNet's pictures: images/s, and where the time goes; also against PyTorch's.
    ///
    /// A sample of the training images is copied to the folder for temporary files ($TMPDIR), where both sides read it.
    Loader(BenchLoaderArgs),
}

#[derive(Clone, Debug, Args)]
pub struct BenchStepArgs {
    /// Network to train.
    #[arg(long, default_value = "resnet-20")]
    pub network: String,
    /// Images per mini-batch.
    #[arg(long, default_value_t = 128, value_parser = within(MOST_IMAGES))]
    pub batch: usize,
    /// Steps to time.
    #[arg(long, default_value_t = 10, value_parser = within(MOST_ROUNDS))]
    pub steps: usize,
    /// Compute batch norm's statistics over groups of this many images, as `batch_norm.group` in a recipe, and also time steps over
    /// whole mini-batches, alternating between the two.
    #[arg(long, value_name = "IMAGES", value_parser = within(MOST_IMAGES))]
    pub group: Option<usize>,
    /// Also time steps fed by a loader, alternating with steps that are not.
    #[arg(long)]
    pub with_loader: bool,
    /// Measure once per line of standard input and print a line of JSON each time.
    #[arg(long, hide = true)]
    pub serve: bool,
    #[command(flatten)]
    pub precision: PrecisionArgs,
    #[command(flatten)]
    pub options: NetworkArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Debug, Args)]
pub struct BenchOperatorsArgs {
    /// Network whose convolutions to time.
    #[arg(long, default_value = "resnet-20")]
    pub network: String,
    /// Images per mini-batch.
    #[arg(long, default_value_t = 128, value_parser = within(MOST_IMAGES))]
    pub batch: usize,
    /// Measurements per operator; the median is reported.
    #[arg(long, default_value_t = 5, value_parser = within(MOST_ROUNDS))]
    pub rounds: usize,
    #[command(flatten)]
    pub options: NetworkArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Debug, Args)]
pub struct BenchCompareArgs {
    /// Networks to train, comma-separated.
    #[arg(
        long,
        default_value = "resnet-20",
        value_delimiter = ',',
        value_name = "NAMES"
    )]
    pub networks: Vec<String>,
    /// Images per mini-batch.
    #[arg(long, default_value_t = 128, value_parser = within(MOST_IMAGES))]
    pub batch: usize,
    /// Number of turns each.
    #[arg(long, default_value_t = 10, value_parser = within(MOST_ROUNDS))]
    pub pairs: usize,
    /// Steps per turn; the median is used.
    #[arg(long, default_value_t = 5, value_parser = within(MOST_ROUNDS))]
    pub steps: usize,
    /// PyTorch modes to compare with, comma-separated.
    #[arg(long, value_enum, default_value = "eager", value_delimiter = ',')]
    pub mode: Vec<PytorchMode>,
    /// Python interpreter with PyTorch (see benches/requirements.txt).
    #[arg(long, default_value = "python3", value_name = "PATH")]
    pub python: PathBuf,
    #[command(flatten)]
    pub precision: PrecisionArgs,
    #[command(flatten)]
    pub options: NetworkArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Debug, Args)]
pub struct BenchLoaderArgs {
    /// ImageNet or a part of it, in any of its layouts. Default: $IMAGENET_DIR, or else synthetic pictures.
    #[arg(long, value_name = "PATH")]
    pub data_dir: Option<PathBuf>,
    /// Make N photographs instead, of ImageNet's mean size (500x375 pixels, 110 kB), and every 256th of 4000x3000.
    #[arg(long, value_name = "N", conflicts_with = "data_dir", value_parser = within(MOST_IMAGES))]
    pub synthetic: Option<usize>,
    /// Images per mini-batch.
    #[arg(long, default_value_t = 64, value_parser = within(MOST_IMAGES))]
    pub batch: usize,
    /// Mini-batches per turn; against PyTorch rounded up to a multiple of the threads.
    #[arg(long, default_value_t = 20, value_parser = within(MOST_ROUNDS))]
    pub batches: usize,
    /// Number of turns each; the median is used.
    #[arg(long, default_value_t = 10, value_parser = within(MOST_ROUNDS))]
    pub pairs: usize,
    /// Number of threads, and of PyTorch's workers. Default: one per CPU.
    #[arg(long, value_name = "N", value_parser = within(MOST_THREADS))]
    pub threads: Option<usize>,
    /// Width and height of the crops, 32 to 256.
    #[arg(long, default_value_t = 224, value_name = "PIXELS", value_parser = within(MOST_PIXELS))]
    pub size: usize,
    /// Take turns with this Python interpreter's PyTorch and torchvision (see benches/requirements.txt).
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PytorchMode {
    Eager,
    /// The whole step as one CUDA graph.
    Graphs,
    /// torch.compile.
    Compile,
}
