//! When and how a network is evaluated.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationRecipe {
    /// Iterations between evaluations. Defaults to a tenth of the iterations, but at most the 1000 of the paper's curves. The
    /// last iteration is always evaluated.
    pub interval: u64,
    /// Training images behind the `population` statistics (the authors: virtually all).
    pub statistics_images: usize,
    /// Whether these images are augmented, as those that the network learns from are. The authors do not say.
    #[serde(skip_serializing_if = "is_default")]
    pub statistics_augmented: bool,
    /// Batch size of the forward passes that gather statistics.
    pub statistics_batch: usize,
    pub pooling: Pooling,
    /// Training images to evaluate without augmentation after the last iteration; 0 for none.
    pub clean_images: usize,
    /// Tests after the last iteration with several views of each picture.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub final_views: Vec<FinalViews>,
    /// What is averaged over the views.
    #[serde(skip_serializing_if = "is_default")]
    pub view_average: ViewAverage,
    /// Shorter sides of the multi-scale test (section 3.4: 224, 256, 384, 480, 640).
    #[serde(skip_serializing_if = "is_papers_scales")]
    pub scales: Vec<u32>,
}

/// Several views of each picture in a test.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FinalViews {
    /// Four corners, the centre, and their mirror images (Tables 2 and 3).
    TenCrop,
    /// The whole picture at each of `scales`; the network is fully convolutional (Table 4).
    MultiScale,
}

/// Section 3.4.
const SCALES: [u32; 5] = [224, 256, 384, 480, 640];

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_papers_scales(scales: &[u32]) -> bool {
    scales == SCALES
}

/// How to combine the statistics of batches into those of the population.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Average the batches' means and (biased) variances: the authors' "average (not moving average)".
    Average,
    /// Variance over all images, which includes the spread of the batches' means.
    Total,
}

impl Pooling {
    /// Its key in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Pooling::Average => "average",
            Pooling::Total => "total",
        }
    }
}

/// What is averaged over several views of an image: ten crops, several scales.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ViewAverage {
    /// Probabilities, as the authors do (README of KaimingHe/deep-residual-networks).
    #[default]
    Softmax,
    /// Outputs of the classifier.
    Logits,
}

impl EvaluationRecipe {
    /// The interval of a run where the manifest gives none: a tenth of the iterations, but at most the paper's.
    pub fn usual_interval(iterations: u64) -> u64 {
        (iterations / 10).clamp(1, Self::default().interval)
    }
}

impl Default for EvaluationRecipe {
    fn default() -> Self {
        Self {
            interval: 1000,
            statistics_images: 50_000,
            statistics_augmented: false,
            statistics_batch: 128,
            pooling: Pooling::Average,
            clean_images: 50_000,
            final_views: Vec::new(),
            view_average: ViewAverage::default(),
            scales: SCALES.to_vec(),
        }
    }
}
