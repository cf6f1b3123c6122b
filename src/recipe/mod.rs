//! The recipe: every choice that affects a run's numbers. The defaults are the paper's. `evaluation.rs` has
//! those of evaluations, `crop.rs` those that only pictures of many sizes need.

mod crop;
mod evaluation;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::origin::DataName;

pub use crop::{ColourKind, ColourRecipe, ColourScale, Crop, MOST_CROP, MOST_SIDE, Resize};
pub use evaluation::{EvaluationRecipe, FinalViews, Pooling, ViewAverage};

/// How to train and evaluate a network. Section numbers refer to arXiv:1512.03385v1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// Mini-batch size (section 4.2: 128), 1 to 50,000.
    pub batch: usize,
    /// Images per piece in which a step computes its mini-batch, to save memory; divides `batch`. The pieces' gradients are
    /// added and the parameters updated once. Batch normalisation sees a piece at a time: it must be a multiple of
    /// `batch_norm.group`, and with a group of 0 each piece is a group (the authors' ImageNet GPUs had 32 images each).
    /// Defaults to the whole mini-batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// Number of mini-batches (section 4.2: 64k), 1 to 100 million.
    pub iterations: u64,
    /// Learning rate before the first drop (section 4.2: 0.1).
    pub learning_rate: f64,
    /// Iterations after which to multiply the learning rate by `drop_factor` (section 4.2: 32k and 48k), each before the last;
    /// `[]` for a constant rate.
    pub drops: Vec<u64>,
    pub drop_factor: f64,
    /// A lower learning rate until training starts to converge (section 4.2, ResNet-110). Off by default, and with `false`.
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
    /// Crops of photographs, in place of `augmentation.pad`. Only for data sets of pictures of many sizes, which need it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    pub partial_batch: PartialBatch,
    pub normalisation: Normalisation,
    pub split: TrainingSplit,
    pub shortcut: Shortcut,
    pub batch_norm: BatchNorm,
    pub evaluation: EvaluationRecipe,
    pub precision: Precision,
    /// Image width and height in pixels: 32, or 16 or 8 for downsampled images; with `crop`, that of the crop (section 3.4:
    /// 224).
    pub image_size: usize,
    /// Initial weights, if not random.
    pub init: Init,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WarmUp {
    /// Section 4.2: 0.01.
    pub learning_rate: f64,
    /// The warm-up ends once the mean error of the last `window` mini-batches is below this, in % (section 4.2: 80).
    pub until_error_below: f64,
    /// Number of mini-batches to average. Not given in the paper; 20 matches the scatter of its training curves.
    pub window: usize,
}

/// `v = m v + g; w -= lr v` (PyTorch) or `v = m v + lr g; w -= v` (Caffe, used by the authors). They differ after a drop of
/// the learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MomentumForm {
    Caffe,
    Pytorch,
}

/// Parameters subject to weight decay. Caffe's default, and so the likely reading of section 4.2, is all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecayOn {
    /// All learnable parameters.
    All,
    /// Weights of convolutions and the classifier, but not biases or batch-norm scale and shift.
    Weights,
}

/// Convolutions start from a normal distribution with deviation `sqrt(2 / fan)` (reference 13 of the paper, He et al. 2015).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Initialisation {
    /// Fan of the convolutions.
    pub fan: Fan,
    /// Initialisation of the classifier.
    pub classifier: ClassifierInitialisation,
    /// Initial scale of the last batch normalisation in each residual branch. Below 1, every block starts near the
    /// identity; at 0, as the identity (Goyal et al. 2017, section 5.1). Defaults to 1, like all other scales.
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
    /// Normal, deviation 0.01; bias 0, as AlexNet starts its weights (Krizhevsky et al. 2012, section 5).
    SmallNormal,
    /// Uniform in ±1/sqrt(inputs), weights and bias (PyTorch's default).
    Uniform,
}

/// Section 4.2: pad 4 pixels on each side and take a random crop of the image or its mirror image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// Pixels of padding on each side. 0 disables cropping.
    pub pad: usize,
    pub padding_value: PaddingValue,
    pub flip: bool,
}

/// Value of padded pixels. Not given in the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PaddingValue {
    /// 0 after normalisation: normalise, then pad and crop.
    Zero,
    /// 0 before normalisation, i.e. black: pad and crop, then normalise.
    Black,
}

/// What to do with the last images of a pass if the batch size does not divide the training set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartialBatch {
    /// Fill the batch from the next pass (Caffe).
    Wrap,
    /// Skip them in this pass.
    Drop,
    /// Use a smaller batch.
    Short,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Normalisation {
    /// Subtract each pixel's mean over the training images (section 4.2), then divide by 64 (`data::PIXEL_SCALE`), which
    /// gives the pixels of CIFAR-10, 0 to 255, about unit variance.
    PerPixelMean,
    /// Subtract each channel's mean over the training images and divide by its deviation.
    ChannelMeanStd,
}

/// Images to train on. In section 4.2, 45k/5k served to find the schedule and all 50k gave the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TrainingSplit {
    #[serde(rename = "50k")]
    All,
    /// Hold out a tenth of the training images and use it in place of the test set.
    #[serde(rename = "45k/5k")]
    HoldOut,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BatchNorm {
    /// Weight of a new batch in the moving average.
    pub momentum: f64,
    pub epsilon: f64,
    /// Images per group for statistics during training; 0, or as many as the mini-batch or more, for the whole mini-batch. The
    /// authors' mini-batches of 128 were 64 images on each of two GPUs (arXiv:1603.05027, appendix).
    pub group: usize,
}

/// Precision of the factors in convolutions and of stored activations. Sums, statistics, parameters and the classifier
/// always use 32-bit floats.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats throughout, without TF32, as in the paper (2015, before tensor cores).
    #[default]
    Fp32,
    /// Factors rounded to TF32's 11-bit significand. GPUs only.
    Tf32,
    /// Factors with bfloat16's 8-bit significand; activations and their gradients in 16 bits, master weights in 32. GPUs
    /// only.
    Bf16,
}

impl Precision {
    /// The name in manifests and on the command line.
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
    /// In variants, the plain network of the same experiment whose final weights to start from, with the same seed. Blocks
    /// that compute the identity are appended to each stage (section 1, the solution by construction).
    pub from: Option<String>,
}

/// How shortcuts handle a change of shape (section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Shortcut {
    /// Subsample `x[:, :, ::2, ::2]` and append zero channels. No parameters.
    A,
    /// 1x1 projection with batch normalisation where stride or width change, identity elsewhere.
    B,
    /// 1x1 projection with batch normalisation everywhere.
    C,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            batch: 128,
            micro_batch: None,
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
            crop: None,
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

/// The most images of a mini-batch, of any data set: two hundred times the paper's largest, 256.
pub const MOST_IMAGES: u64 = 50_000;

/// The most iterations, over a thousand times the paper's. Their products with images stay far from overflow.
pub const MOST_ITERATIONS: u64 = 100_000_000;

/// A size in a recipe and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    pub field: &'static str,
    pub value: u64,
    pub least: u64,
    pub most: u64,
}

impl std::fmt::Display for Size {
    /// `batch = 0; use 1 to 50000`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            field,
            value,
            least,
            most,
        } = self;
        write!(f, "{field} = {value}; use {least} to {most}")
    }
}

impl Recipe {
    /// Whether the schedule is the beginning of another's: the same mini-batches at the same constant rate, to at most its first
    /// drop.
    pub fn begins(&self, whole: &Recipe) -> bool {
        let constant = whole.drops.first().copied().unwrap_or(whole.iterations);
        self.drops.is_empty()
            && self.iterations <= constant
            && self.iterations < whole.iterations
            && (self.batch, self.learning_rate) == (whole.batch, whole.learning_rate)
    }

    /// How many of its iterations stand for one of another schedule's: one where it is the beginning of that, otherwise as many as
    /// are the same fraction.
    pub fn iterations_per(&self, whole: &Recipe) -> f64 {
        match self.begins(whole) {
            true => 1.0,
            false => self.iterations as f64 / whole.iterations as f64,
        }
    }

    /// The data set that it is for. Pictures of many sizes need crops, and no others have them.
    fn data(&self) -> DataName {
        match self.crop {
            None => DataName::Cifar10,
            Some(_) => DataName::Imagenet,
        }
    }

    /// The first size beyond its limits. Checked wherever a recipe is read, so that sizes can be multiplied and allocated
    /// without another look.
    pub fn outsized(&self) -> Option<Size> {
        let size = |field, value, least, most| Size {
            field,
            value,
            least,
            most,
        };
        let images = |field, value: usize, least| size(field, value as u64, least, MOST_IMAGES);
        let all = self.data().size().training_images as u64;
        let drawn = |field, value: usize, least| size(field, value as u64, least, all);
        let (e, side) = (&self.evaluation, self.image_size as u64);
        let mut sizes = vec![
            images("batch", self.batch, 1),
            size("iterations", self.iterations, 1, MOST_ITERATIONS),
            match self.crop {
                None => size("image_size", side, 8, 32),
                Some(_) => size("image_size", side, 32, MOST_CROP),
            },
            size("augmentation.pad", self.augmentation.pad as u64, 0, side),
            images("batch_norm.group", self.batch_norm.group, 0),
            size("evaluation.interval", e.interval, 1, MOST_ITERATIONS),
            drawn("evaluation.statistics_images", e.statistics_images, 1),
            images("evaluation.statistics_batch", e.statistics_batch, 1),
            drawn("evaluation.clean_images", e.clean_images, 0),
        ];
        if let Some(micro_batch) = self.micro_batch {
            sizes.push(images("micro_batch", micro_batch, 1));
        }
        let scales = e.scales.iter();
        sizes.extend(scales.map(|&side| size("evaluation.scales", side.into(), 32, MOST_CROP)));
        if let Some(warm_up) = &self.warm_up {
            let window = warm_up.window as u64;
            sizes.push(size("warm_up.window", window, 1, MOST_ITERATIONS));
        }
        if let Some(crop) = &self.crop {
            sizes.extend(crop.sizes(side));
        }
        sizes
            .into_iter()
            .find(|size| !(size.least..=size.most).contains(&size.value))
    }
}

/// Mini-batches averaged into one training error. The scatter of the paper's curves matches 20 mini-batches of 128 images.
pub const TRAINING_WINDOW: usize = 20;

impl Default for WarmUp {
    fn default() -> Self {
        Self {
            learning_rate: 0.01,
            until_error_below: 80.0,
            window: TRAINING_WINDOW,
        }
    }
}

/// For the schema only. TOML has no null, so profiles turn a warm-up off with `false`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "used for its schema only")]
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
            group: 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_behind_a_statistic_are_at_most_those_of_the_data_set() {
        let said = |crop: Option<Crop>, statistics: usize, clean: usize| {
            let mut recipe = Recipe::default();
            if crop.is_some() {
                (recipe.crop, recipe.image_size) = (crop, 224);
            }
            recipe.evaluation.statistics_images = statistics;
            recipe.evaluation.clean_images = clean;
            recipe.outsized().map(|size| size.to_string())
        };
        let crop = || Some(Crop::default());
        assert_eq!(said(None, 50_000, 50_000), None);
        assert_eq!(said(crop(), 1_281_167, 1_281_167), None);
        for (said, expected) in [
            (
                said(None, 50_001, 0),
                "evaluation.statistics_images = 50001; use 1 to 50000",
            ),
            (
                said(crop(), 1_281_168, 0),
                "evaluation.statistics_images = 1281168; use 1 to 1281167",
            ),
            (
                said(crop(), 1, 1_281_168),
                "evaluation.clean_images = 1281168; use 0 to 1281167",
            ),
        ] {
            assert_eq!(said.as_deref(), Some(expected));
        }
    }
}
