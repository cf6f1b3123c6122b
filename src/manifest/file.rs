//! The manifest format. serde rejects unknown keys and wrong types; `validate/` checks the rest.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::margin::Margin;
use crate::network::{Stem, StrideIn};
use crate::origin::{DataKind, DataName};
use crate::recipe::Recipe;

/// A refig experiment: one figure or table and everything needed to reproduce it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The file name without `.toml`: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// A one-line title.
    pub title: String,
    /// What to produce from the runs.
    #[serde(default)]
    pub kind: Kind,
    /// Another experiment whose runs to draw. This one then has no recipe of its own and trains only its variants.
    pub runs_from: Option<String>,
    /// The data set to train on.
    #[serde(default)]
    pub data: DataName,
    /// The layers before the first stage of ImageNet's networks: `7x7` with max-pooling, the default for ImageNet; or `3x3`,
    /// for small images. On CIFAR-10, either makes the names those of Table 1.
    pub stem: Option<StemFile>,
    /// Which convolution of a bottleneck has the stride.
    #[serde(default)]
    pub stride_in: StrideIn,
    /// Networks to train: `plain-20` or `resnet-110`, with depths of the form 6n+2, on CIFAR-10; `plain-34` or `resnet-50`,
    /// with the depths of Table 1, on ImageNet.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Networks to train only on request (`--networks`), and to draw if they have a run.
    #[serde(default)]
    pub optional_networks: Vec<String>,
    /// Seeds, one run of each network per seed, from 0 to 2^63 - 1.
    #[serde(default)]
    pub seeds: Vec<u64>,
    /// Changes to the default recipe, which is the paper's.
    #[serde(default)]
    #[allow(dead_code, reason = "type check only; the table is what gets merged")]
    pub recipe: Recipe,
    /// Changes to the recipe of single networks.
    #[serde(default)]
    pub exceptions: BTreeMap<String, Recipe>,
    /// Networks under names of their own: one of `networks` with another recipe.
    #[serde(default)]
    pub variants: BTreeMap<String, VariantFile>,
    /// How to measure responses. Required for kind `responses`.
    pub responses: Option<Responses>,
    pub panels: Vec<PanelFile>,
    /// Named scales of the experiment. Without any, the only profile is `default`.
    #[serde(default)]
    pub profiles: BTreeMap<String, ProfileFile>,
    /// Expected results, if there is only one profile.
    #[serde(default)]
    pub expectations: Vec<Expectation>,
    /// Orderings claimed by the paper.
    #[serde(default)]
    pub claims: Vec<ClaimFile>,
    #[serde(default)]
    pub style: StyleFile,
}

/// The layers before the first stage of a network of Table 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(super) enum StemFile {
    /// A 3x3 convolution, stride 1.
    #[serde(rename = "3x3")]
    Small,
    /// A 7x7 convolution and 3x3 max-pooling, stride 2 each.
    #[serde(rename = "7x7")]
    Large,
}

impl StemFile {
    pub fn stem(self) -> Stem {
        match self {
            StemFile::Small => Stem::Cifar,
            StemFile::Large => Stem::Imagenet,
        }
    }
}

/// What an experiment shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Errors over iterations (Figs. 1 and 6).
    #[default]
    Curves,
    /// Final errors next to the paper's, one row per network (Table 6).
    Table,
    /// Final errors beside the paper's as bars, a pair per network (slide 35 of the talk on the paper).
    Columns,
    /// Standard deviations of layer responses (Fig. 7).
    Responses,
    /// Bars of reference data. Nothing is trained.
    Bars,
}

impl Kind {
    /// Whether it shows final errors, which `shows` may choose, beside values of the paper.
    pub fn lists_errors(self) -> bool {
        matches!(self, Kind::Table | Kind::Columns)
    }
}

/// A network of the experiment with another recipe and a name of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VariantFile {
    /// The base network, which defines the layers. The variant is trained at the same profiles.
    pub of: String,
    /// Label in figures. Defaults to the variant's name.
    pub label: Option<String>,
    /// Changes to the base network's recipe.
    #[serde(default)]
    pub recipe: Recipe,
}

/// How to measure responses, where the paper leaves it open (section 4.2, "Analysis of Layer Responses").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Responses {
    /// Images to feed to the network, without augmentation.
    pub images: ResponseImages,
    /// Number of images, drawn once for all networks; at most those of the data set (CIFAR-10: 50,000 of training, 10,000 of test).
    pub count: usize,
    /// Statistics for batch normalisation.
    pub statistics: ResponseStatistics,
    /// How to reduce a layer's channels to one number.
    pub pooling: ResponsePooling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResponseImages {
    Training,
    Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResponseStatistics {
    /// Of each mini-batch, as in training.
    Batch,
    /// Estimated on training images, as for the test error (`recipe.evaluation`).
    Population,
    /// The moving average from training.
    Moving,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResponsePooling {
    /// The deviation of all values of the layer: images, positions and channels.
    Layer,
    /// The mean of the channels' deviations.
    ChannelMean,
}

/// The order of the layers along the axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LayerOrder {
    /// From input to output.
    #[default]
    Original,
    /// By descending deviation.
    Sorted,
}

/// One set of axes, or a group of table rows.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PanelFile {
    pub title: String,
    /// Networks in legend order. Not used for bars.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Curves to draw, `training-error` and `test-error`; defaults to both. For kinds `table` and `columns`, the errors to list;
    /// defaults to `test-error`.
    #[serde(default = "both")]
    pub shows: Vec<Metric>,
    /// Draw the panel only if this network has a run.
    pub only_with: Option<String>,
    /// Start of the horizontal axis, as a fraction of the iterations.
    #[serde(default)]
    pub begins_at: f64,
    /// Order of the layers, for kind `responses`.
    #[serde(default)]
    pub order: LayerOrder,
    /// Label of the vertical axis, for kind `bars`.
    pub axis: Option<String>,
    /// The paper's curves or values.
    pub reference: Option<ReferenceFile>,
}

/// The paper's curves or values for a panel.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReferenceFile {
    /// CSV file, or TOML for kinds `table` and `columns`. Relative to the manifest.
    pub file: String,
    /// Values of the column `panel` to include.
    #[serde(default)]
    pub panels: Vec<String>,
}

/// One scale of the experiment.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProfileFile {
    /// A one-line description.
    pub summary: String,
    /// Changes to the recipe at this scale.
    pub recipe: Recipe,
    /// Changes to the recipe of single networks at this scale.
    pub exceptions: BTreeMap<String, Recipe>,
    /// Networks to train at this scale. Defaults to all.
    pub networks: Option<Vec<String>>,
    pub seeds: Option<Vec<u64>>,
    /// Limits of the vertical axis in %. Fitted to the data by default.
    pub error_axis: Option<[f64; 2]>,
    /// Mini-batches averaged into one training error. Defaults to 20.
    pub training_window: Option<usize>,
    /// Fall back to built-in synthetic images if the data set is not available.
    pub synthetic: bool,
    /// Expected results of the runs at this scale.
    pub expectations: Vec<Expectation>,
}

/// An ordering: the error falls from each network of a chain to the next.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimFile {
    /// The claim in words.
    pub says: String,
    /// Chains of networks, each from the highest error to the lowest.
    pub falls: Vec<Vec<String>>,
    #[serde(default = "test_only")]
    pub metrics: Vec<Metric>,
    /// The smallest drop, in points: a number for every profile that trains the networks (default: 0), or a table of the
    /// profiles that make the claim. A negative margin allows a rise by that much.
    #[serde(default)]
    pub margin: Margin,
    #[serde(default)]
    pub data: DataKind,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StyleFile {
    /// Colours as `#rrggbb`, by depth or by network name. The others take turns in a palette safe for the colour-blind.
    pub colours: BTreeMap<String, String>,
    /// Draw training curves dashed (Fig. 6) instead of solid (Fig. 1).
    pub dashed_training: bool,
}

impl Default for StyleFile {
    fn default() -> Self {
        Self {
            colours: BTreeMap::new(),
            dashed_training: true,
        }
    }
}

/// The quantity to judge, in % unless noted.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Mean error of the last mini-batches (`training_window`), augmented, at the last iteration.
    TrainingError,
    /// Error on the test images with `population` statistics, at the last iteration: the whole image of CIFAR-10, the centre
    /// crop of ImageNet's validation images.
    TestError,
    /// As `test-error`, but wrong only if the class is not among the five likeliest.
    Top5Error,
    /// Error with ten crops of each test image averaged: corners, centre and their mirror images.
    TenCropError,
    TenCropTop5,
    /// Error with the whole test image at several scales averaged.
    MultiScaleError,
    MultiScaleTop5,
    /// Standard deviation of the responses, averaged over the 3x3 layers. Not an error; only for claims of kind `responses`.
    Response,
    /// Multiply-adds of one image of 224x224 pixels and 1000 classes, in thousand millions, computed from the networks of
    /// Table 1, `alexnet`, `vgg-16` and `vgg-19`. Only for claims; no run is needed.
    MultiplyAdds,
}

impl Metric {
    /// Errors that are only shown where they are asked for, or where the paper gives them (ImageNet).
    pub const FURTHER: [Metric; 5] = [
        Metric::Top5Error,
        Metric::TenCropError,
        Metric::TenCropTop5,
        Metric::MultiScaleError,
        Metric::MultiScaleTop5,
    ];

    /// As in sentences: `training error`, `test error`.
    pub fn text(self) -> &'static str {
        match self {
            Metric::TrainingError => "training error",
            Metric::TestError => "test error",
            Metric::Top5Error => "top-5 error",
            Metric::TenCropError => "10-crop error",
            Metric::TenCropTop5 => "10-crop top-5 error",
            Metric::MultiScaleError => "multi-scale error",
            Metric::MultiScaleTop5 => "multi-scale top-5 error",
            Metric::Response => "layer responses",
            Metric::MultiplyAdds => "multiply-adds (10^9)",
        }
    }

    /// Whether it is drawn over iterations.
    pub fn is_curve(self) -> bool {
        matches!(self, Metric::TrainingError | Metric::TestError)
    }

    /// Whether it is an error in %, measured with runs.
    pub fn is_error(self) -> bool {
        !matches!(self, Metric::Response | Metric::MultiplyAdds)
    }
}

/// The expected result of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    pub network: String,
    pub metric: Metric,
    /// In %.
    pub value: f64,
    /// Allowed difference in points, in either direction. Defaults to three deviations of the runs, limited to 0.5-1 for
    /// the paper's values and 2-5 for a scaled profile's own.
    #[serde(default)]
    pub tolerance: Option<f64>,
    /// Where the value comes from.
    pub source: String,
    /// Standard deviation in points over the runs averaged in `value`, if known.
    #[serde(default)]
    pub deviation: Option<f64>,
    /// Number of runs averaged in `value`.
    #[serde(default)]
    pub runs: Option<usize>,
    /// Defaults to the paper's images.
    #[serde(default = "cifar10")]
    pub data: DataKind,
    /// Line in the manifest, counted from 1.
    #[serde(skip)]
    pub line: Option<usize>,
}

fn both() -> Vec<Metric> {
    vec![Metric::TrainingError, Metric::TestError]
}

fn test_only() -> Vec<Metric> {
    vec![Metric::TestError]
}

fn cifar10() -> DataKind {
    DataKind::Cifar10
}
