//! What a manifest may hold. Everything here is read by serde, which refuses unknown keys and wrong types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Recipe;

/// An experiment of refig: a figure or a table with all that it needs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The file's name without `.toml`.
    pub name: String,
    /// One line that says what is shown.
    pub title: String,
    /// What is made of the runs.
    #[serde(default)]
    pub kind: Kind,
    /// Another experiment whose runs are drawn; this one then has no recipe of its own and trains nothing but variants.
    pub runs_from: Option<String>,
    /// What is trained: `plain-20`, `resnet-110`. Any depth of 6n+2.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Trained only when asked for by name, drawn where a run exists.
    #[serde(default)]
    pub optional_networks: Vec<String>,
    /// Seeds of the runs.
    #[serde(default)]
    pub seeds: Vec<u64>,
    /// Where the recipe differs from the paper's, which is the default.
    #[serde(default)]
    #[allow(dead_code, reason = "read for its types; merging takes the table")]
    pub recipe: Recipe,
    /// Where a network's recipe differs from the others'.
    #[serde(default)]
    pub exceptions: BTreeMap<String, Recipe>,
    /// Networks under names of their own: one of `networks` with another recipe.
    #[serde(default)]
    pub variants: BTreeMap<String, VariantFile>,
    /// Of kind `responses`: what the paper leaves open about how responses are measured.
    pub responses: Option<Responses>,
    pub panels: Vec<PanelFile>,
    /// Named changes of scale.
    #[serde(default)]
    pub profiles: BTreeMap<String, ProfileFile>,
    /// Orderings that the paper asserts.
    #[serde(default)]
    pub claims: Vec<ClaimFile>,
    #[serde(default)]
    pub style: StyleFile,
}

/// What an experiment shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Errors over iterations (Figs. 1 and 6).
    #[default]
    Curves,
    /// Final errors beside the paper's, a row a network (Table 6).
    Table,
    /// Standard deviations of the layers' responses (Fig. 7).
    Responses,
    /// Values of a reference file as bars; nothing is trained.
    Bars,
}

/// A network of the experiment with another recipe, under a name of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct VariantFile {
    /// The network whose layers it has. The variant is trained at the profiles at which this network is.
    pub of: String,
    /// As shown; the variant's name by default.
    pub label: Option<String>,
    /// Where its recipe differs from that network's.
    #[serde(default)]
    pub recipe: Recipe,
}

/// How responses are measured: what the paper leaves open (section 4.2, "Analysis of Layer Responses").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Responses {
    /// Which images are shown to the network, without augmentation.
    pub images: ResponseImages,
    /// How many of them; drawn once for all networks.
    pub count: usize,
    /// What batch normalisation normalises with.
    pub statistics: ResponseStatistics,
    /// How a layer's channels become one number.
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
    /// Each mini-batch's own, as while training.
    Batch,
    /// Estimated on training images as for the test error (`recipe.evaluation`).
    Population,
    /// The moving average of training.
    Moving,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResponsePooling {
    /// The deviation of all values of the layer together: images, places and channels.
    Layer,
    /// The mean of the channels' own deviations.
    ChannelMean,
}

/// The order of the layers along the axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LayerOrder {
    /// From the input to the output.
    #[default]
    Original,
    /// By falling deviation.
    Sorted,
}

/// One set of axes, or some rows of a table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PanelFile {
    pub title: String,
    /// In the order of the legend. None for bars.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Which curves are drawn; both by default.
    #[serde(default = "both")]
    pub shows: Vec<Metric>,
    /// The panel is drawn only where a run of this network exists.
    pub only_with: Option<String>,
    /// Share of the iterations at which the horizontal axis begins.
    #[serde(default)]
    pub begins_at: f64,
    /// Of kind `responses`: the order of the layers.
    #[serde(default)]
    pub order: LayerOrder,
    /// Of kind `bars`: the name of the vertical axis.
    pub axis: Option<String>,
    /// The paper's own curves or values.
    pub reference: Option<ReferenceFile>,
}

/// The paper's own curves or values for a panel.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReferenceFile {
    /// CSV (of a table: TOML), relative to the manifest.
    pub file: String,
    /// Rows with one of these values in the column `panel`.
    #[serde(default)]
    pub panels: Vec<String>,
}

/// A change of scale.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProfileFile {
    /// One line that says what it is for.
    pub summary: String,
    /// Where the recipe differs at this scale.
    pub recipe: Recipe,
    /// Where a network's recipe differs from the others' at this scale.
    pub exceptions: BTreeMap<String, Recipe>,
    /// The networks that are trained at this scale; all by default.
    pub networks: Option<Vec<String>>,
    pub seeds: Option<Vec<u64>>,
    /// Limits of the vertical axis, %; what fits by default.
    pub error_axis: Option<[f64; 2]>,
    /// Mini-batches in the mean that is drawn and judged as the training error.
    pub training_window: Option<usize>,
    /// Goes on with the built-in synthetic images where no CIFAR-10 can be had.
    pub synthetic: bool,
    /// What the runs of this profile should end at.
    pub expectations: Vec<Expectation>,
}

/// An ordering: in every chain the error falls from one network to the next.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimFile {
    /// The claim in words.
    pub says: String,
    /// Chains of networks, each from the highest error to the lowest.
    pub falls: Vec<Vec<String>>,
    #[serde(default = "test_only")]
    pub metrics: Vec<Metric>,
    /// By how many points at least, for each profile in which the claim is made; below 0 it may rise by as much.
    pub margin: BTreeMap<String, f64>,
    #[serde(default = "any_data")]
    pub data: DataKind,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StyleFile {
    /// Colour of each depth, or of a network by name, as `#rrggbb`.
    pub colours: BTreeMap<String, String>,
    /// Training curves dashed (Fig. 6) or solid (Fig. 1).
    pub dashed_training: bool,
}

/// What is judged, %.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Mean error of the last mini-batches (`Experiment::training_window` of them), augmented, at the last iteration.
    TrainingError,
    /// Error on the test images with `population` statistics at the last iteration.
    TestError,
    /// Of kind `responses`: the mean over the 3x3 layers of their responses' standard deviation. No error, and only for claims.
    Response,
}

/// On which images an expectation or a claim is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataKind {
    Cifar10,
    Synthetic,
    /// Wherever the claim is looked at.
    Any,
}

impl DataKind {
    /// Whether it speaks about runs on the synthetic set (`true`) or on CIFAR-10 (`false`).
    pub fn covers(self, synthetic: bool) -> bool {
        match self {
            DataKind::Any => true,
            DataKind::Synthetic => synthetic,
            DataKind::Cifar10 => !synthetic,
        }
    }
}

impl Metric {
    /// `training error`, `test error`.
    pub fn text(self) -> &'static str {
        match self {
            Metric::TrainingError => "training error",
            Metric::TestError => "test error",
            Metric::Response => "layer responses",
        }
    }
}

/// A value that a run should end at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    pub network: String,
    pub metric: Metric,
    /// %.
    pub value: f64,
    /// Points on either side. Without one, three deviations of the runs, at least 0.5 and at most 1 around the paper's
    /// values, at least 2 and at most 5 around a scaled profile's own.
    #[serde(default)]
    pub tolerance: Option<f64>,
    /// Where the value is from.
    pub source: String,
    /// The deviation over the runs that the value is the mean of, points, where the source gives it.
    #[serde(default)]
    pub deviation: Option<f64>,
    /// How many runs these were.
    #[serde(default)]
    pub runs: Option<usize>,
    #[serde(default = "cifar10")]
    pub data: DataKind,
    /// Where it stands in its manifest, counted from 1.
    #[serde(skip)]
    pub line: Option<usize>,
}

impl Default for StyleFile {
    fn default() -> Self {
        Self {
            colours: BTreeMap::new(),
            dashed_training: true,
        }
    }
}

fn both() -> Vec<Metric> {
    vec![Metric::TrainingError, Metric::TestError]
}

fn test_only() -> Vec<Metric> {
    vec![Metric::TestError]
}

fn any_data() -> DataKind {
    DataKind::Any
}

fn cifar10() -> DataKind {
    DataKind::Cifar10
}
