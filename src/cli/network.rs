//! Single networks: `describe` and `evaluate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::compute::{ComputeArgs, PrecisionArgs};
use super::data::DataArgs;
use super::format::Format;
use super::limits::{MOST_IMAGES, MOST_PIXELS, within};

#[derive(Clone, Debug, Args)]
pub struct NetworkArgs {
    /// Shortcut option: A, B or C (section 4.1). Default: B for bottleneck networks, otherwise A.
    #[arg(long)]
    pub shortcut: Option<String>,
    /// Width and height of input images in pixels. Default: 224 for networks of Table 1, otherwise 32.
    #[arg(long, value_name = "PIXELS", value_parser = within(MOST_PIXELS))]
    pub image_size: Option<usize>,
}

#[derive(Clone, Debug, Args)]
pub struct DescribeArgs {
    /// Network as in manifests (`plain-20`, `resnet-110`) or Table 1 (`plain-34`, `resnet-50`), or one that the paper
    /// compares with: `alexnet`, `vgg-16`, `vgg-19`.
    pub network: String,
    #[command(flatten)]
    pub options: NetworkArgs,
    /// Add the memory of a training step with mini-batches of N images, and how many images a GPU of 80 GB holds.
    #[arg(long, value_name = "N", value_parser = within(MOST_IMAGES))]
    pub batch: Option<usize>,
    /// Compute a mini-batch in pieces of N images, as `recipe.micro_batch`.
    #[arg(long, value_name = "N", requires = "batch", value_parser = within(MOST_IMAGES))]
    pub micro_batch: Option<usize>,
    #[command(flatten)]
    pub precision: PrecisionArgs,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Draw the layers and shortcuts to an SVG file instead, as in Fig. 3 of the paper; `-` is standard output.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["format", "batch"])]
    pub svg: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub struct EvaluateArgs {
    /// Network as in manifests (`resnet-20`) or Table 1 (`resnet-50`). Not needed for weights of a run, which name it.
    pub network: Option<String>,
    /// Weights as safetensors with torchvision's names, such as a run's `weights.safetensors`.
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// Batch-norm statistics. Default: both for weights of a run, else the moving averages.
    #[arg(long, value_enum)]
    pub statistics: Option<StatisticsArg>,
    /// Take the population statistics over augmented training images, as the network learnt from them. Default: as the run's
    /// recipe says, else over images as they are.
    #[arg(long)]
    pub statistics_augmented: bool,
    /// Several views of each picture of ImageNet, averaged: `ten-crop` (Tables 2 and 3) or `multi-scale` (Table 4), or both,
    /// comma-separated. They come after the centre crop.
    #[arg(long, value_enum, value_name = "VIEWS", value_delimiter = ',')]
    pub views: Vec<ViewsArg>,
    /// Input normalisation: `per-pixel-mean` or `channel-mean-std`. Default: the run's, else the paper's on CIFAR-10 and
    /// torchvision's, `channel-mean-std`, on ImageNet.
    #[arg(long)]
    pub normalisation: Option<String>,
    /// Which convolution of a bottleneck has the stride, which weights do not tell: `1x1` in the authors' models, `3x3` in
    /// torchvision's. Default: the run's, else `3x3`.
    #[arg(long, value_enum, value_name = "CONVOLUTION")]
    pub stride_in: Option<StrideInArg>,
    #[command(flatten)]
    pub options: NetworkArgs,
    #[command(flatten)]
    pub data: DataArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    /// Output format.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatisticsArg {
    Moving,
    Population,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ViewsArg {
    TenCrop,
    MultiScale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StrideInArg {
    #[value(name = "1x1")]
    First,
    #[value(name = "3x3")]
    Middle,
}
