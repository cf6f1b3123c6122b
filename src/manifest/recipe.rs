//! The recipe: every choice that changes a run's numbers, with the paper's value as default.

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::network::Shortcut;

/// How one network is trained and measured. Sections are those of arXiv:1512.03385v1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Mini-batch size (section 4.2: 128).
    pub batch: usize,
    /// Mini-batches in all (section 4.2: 64k).
    pub iterations: u64,
    /// Learning rate before the first drop (section 4.2: 0.1).
    pub learning_rate: f64,
    /// Iterations after which the learning rate is multiplied by `drop_factor` (section 4.2: 32k and 48k).
    pub drops: Vec<u64>,
    pub drop_factor: f64,
    /// A lower learning rate until the network gets going (section 4.2, ResNet-110); none by default, `false` takes it back.
    #[serde(deserialize_with = "warm_up_or_false")]
    #[schemars(with = "WarmUpOrFalse")]
    pub warm_up: Option<WarmUp>,
    /// Section 4.2: 0.9.
    pub momentum: f64,
    pub momentum_form: MomentumForm,
    /// Section 4.2: 1e-4.
    pub weight_decay: f64,
    pub weight_decay_on: DecayOn,
    pub initialisation: Initialisation,
    pub augmentation: Augmentation,
    pub partial_batch: PartialBatch,
    pub normalisation: Normalisation,
    pub split: TrainingSplit,
    pub shortcut: Shortcut,
    pub batch_norm: BatchNorm,
    pub evaluation: EvaluationRecipe,
    pub precision: Precision,
    /// Side of the images in pixels: 32, or 16 or 8 for images averaged down.
    pub image_size: usize,
    /// Where the weights start.
    pub init: Init,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WarmUp {
    /// Section 4.2: 0.01.
    pub learning_rate: f64,
    /// Ends for good once the mean error of the last `window` mini-batches is below this, % (section 4.2: 80).
    pub until_error_below: f64,
    /// Mini-batches in the mean; the paper does not say, 20 fits the scatter of its training curves.
    pub window: usize,
}

/// `v = m v + g; w -= lr v` (PyTorch) or `v = m v + lr g; w -= v` (Caffe, which the authors used). They differ after a drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MomentumForm {
    Caffe,
    Pytorch,
}

/// On which parameters weight decay acts. Caffe's default, and so the likely reading of section 4.2, is all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecayOn {
    /// Every learnt parameter.
    All,
    /// Weights of convolutions and of the classifier: no biases, no batch-norm scale and shift.
    Weights,
}

/// Normal with deviation `sqrt(2 / fan)` for convolutions (reference 13 of the paper, He et al. 2015).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Initialisation {
    /// The fan of convolutions.
    pub fan: Fan,
    /// The classifier's weights.
    pub classifier: ClassifierInitialisation,
    /// Where the scale of the last batch normalisation of each residual branch starts: below 1 every block starts near
    /// the identity, with 0 as the identity (Goyal et al. 2017, section 5.1). Absent: at 1, like every other scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residual_scale: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fan {
    In,
    Out,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClassifierInitialisation {
    /// Normal, deviation `sqrt(2 / inputs)`; bias 0.
    HeFanIn,
    /// Normal, deviation `sqrt(2 / classes)`; bias 0.
    HeFanOut,
    /// Uniform in ±1/sqrt(inputs), weights and bias (PyTorch's default).
    Uniform,
}

/// Section 4.2: 4 pixels padded on each side, a random crop of it or of its mirror image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Pixels on each side; 0 turns cropping off.
    pub pad: usize,
    pub padding_value: PaddingValue,
    pub flip: bool,
}

/// What padded pixels hold; the paper does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PaddingValue {
    /// 0 after normalisation: images are normalised, then padded and cropped.
    Zero,
    /// Black: 0 before normalisation. Images are padded and cropped, then normalised.
    Black,
}

/// What a pass does with the images left over when the batch does not divide the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartialBatch {
    /// The batch is filled from the next pass (Caffe).
    Wrap,
    /// The rest is left out of this pass.
    Drop,
    /// A smaller batch.
    Short,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Normalisation {
    /// The mean of each pixel over the training images is subtracted (section 4.2), then the scale 0..255 is divided by
    /// the fixed number 64 (`data::PIXEL_SCALE`), which gives CIFAR-10's pixels about unit variance.
    PerPixelMean,
    /// The mean of each channel over the training images is subtracted, and the deviation of each channel divided by.
    ChannelMeanStd,
}

/// Section 4.2: the schedule was found on 45k/5k, the results are of all 50k.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TrainingSplit {
    #[serde(rename = "50k")]
    All,
    /// A tenth of the training images is held out and takes the place of the test set.
    #[serde(rename = "45k/5k")]
    HoldOut,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNorm {
    /// Weight of the new batch in the moving average.
    pub momentum: f64,
    pub epsilon: f64,
    /// Images over which statistics are taken while training, 0 for the whole mini-batch. The authors' 128 were 64 on each of two GPUs.
    pub group: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationRecipe {
    /// Iterations between evaluations (the paper's curves have a point every 1000); the last iteration is always evaluated.
    pub interval: u64,
    /// Training images over which the `population` statistics are pooled (the authors: virtually all).
    pub statistics_images: usize,
    /// Images in each forward pass that statistics are taken over.
    pub statistics_batch: usize,
    pub pooling: Pooling,
    /// Training images of the clean pass after the last iteration; 0 leaves it out.
    pub clean_images: usize,
}

/// How the batches' statistics become those of the population.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Mean of the batches' means and of their (biased) variances: the authors' "average (not moving average)".
    Average,
    /// Variance of all images together: also the spread of the batches' means.
    Total,
}

/// What the products of convolutions are made of, and what activations are kept in. Sums, statistics, parameters and the
/// classifier are 32-bit floats in all of them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats throughout, the paper's (2015, before tensor cores); no TF32 hidden in it.
    #[default]
    Fp32,
    /// Factors rounded to the eleven bits of TF32. GPUs only.
    Tf32,
    /// Factors of eight bits, and activations and their gradients kept in 16; master weights of 32. GPUs only.
    Bf16,
}

impl Precision {
    /// As in manifests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Fp32 => "fp32",
            Precision::Tf32 => "tf32",
            Precision::Bf16 => "bf16",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Init {
    /// Of a variant: the plain network of the same experiment whose final weights, with the same seed, it starts from. Every
    /// stage is filled up with blocks that compute the identity (section 1, the solution by construction).
    pub from: Option<String>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            batch: 128,
            iterations: 64_000,
            learning_rate: 0.1,
            drops: vec![32_000, 48_000],
            drop_factor: 0.1,
            warm_up: None,
            momentum: 0.9,
            momentum_form: MomentumForm::Caffe,
            weight_decay: 1e-4,
            weight_decay_on: DecayOn::All,
            initialisation: Initialisation::default(),
            augmentation: Augmentation::default(),
            partial_batch: PartialBatch::Wrap,
            normalisation: Normalisation::PerPixelMean,
            split: TrainingSplit::All,
            shortcut: Shortcut::A,
            batch_norm: BatchNorm::default(),
            evaluation: EvaluationRecipe::default(),
            precision: Precision::Fp32,
            image_size: 32,
            init: Init::default(),
        }
    }
}

/// Mini-batches in the mean that stands for the training error: the scatter of the paper's curves fits 20.
pub(super) const DEFAULT_TRAINING_WINDOW: usize = 20;

impl Default for WarmUp {
    fn default() -> Self {
        Self {
            learning_rate: 0.01,
            until_error_below: 80.0,
            window: 20,
        }
    }
}

/// For the schema: TOML has no null, so a profile takes a warm-up back with `false`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum WarmUpOrFalse {
    Rule(WarmUp),
    Off(bool),
    Null(()),
}

fn warm_up_or_false<'de, D: Deserializer<'de>>(from: D) -> Result<Option<WarmUp>, D::Error> {
    struct Rule;
    impl<'de> Visitor<'de> for Rule {
        type Value = Option<WarmUp>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a table with learning_rate, until_error_below and window, or false")
        }
        fn visit_bool<E: Error>(self, on: bool) -> Result<Self::Value, E> {
            match on {
                false => Ok(None),
                true => Err(E::invalid_value(Unexpected::Bool(on), &self)),
            }
        }
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            WarmUp::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }
    from.deserialize_any(Rule)
}

impl Default for Initialisation {
    fn default() -> Self {
        Self {
            fan: Fan::In,
            classifier: ClassifierInitialisation::HeFanIn,
            residual_scale: None,
        }
    }
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            pad: 4,
            padding_value: PaddingValue::Zero,
            flip: true,
        }
    }
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self {
            momentum: 0.1,
            epsilon: 1e-5,
            group: 0,
        }
    }
}

impl Default for EvaluationRecipe {
    fn default() -> Self {
        Self {
            interval: 1000,
            statistics_images: 50_000,
            statistics_batch: 128,
            pooling: Pooling::Average,
            clean_images: 50_000,
        }
    }
}
