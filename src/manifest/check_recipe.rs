//! What a recipe is refused for, beyond keys and types.

use anyhow::Result;

use super::Recipe;
use super::resolve::Overrides;
use super::source::Source;
use crate::exit::Exit;

/// Training images of CIFAR-10.
const TRAINING_IMAGES: usize = 50_000;

/// A recipe that is merged: the error names the place that the value came from.
pub(super) fn recipe(
    recipe: &Recipe,
    runs: &Source,
    network: Option<&str>,
    profile: &str,
    set: &Overrides,
) -> Result<()> {
    let Some((field, message)) = fault(recipe) else {
        return Ok(());
    };
    if let Some(given) = set.of(field) {
        return Err(Exit::Usage.error(format!("--set {given}: {message}")));
    }
    let keys: Vec<&str> = field.split('.').collect();
    let mut places: Vec<Vec<&str>> = Vec::new();
    if let Some(network) = network {
        places.push(vec!["profiles", profile, "exceptions", network]);
    }
    places.push(vec!["profiles", profile, "recipe"]);
    if let Some(network) = network {
        places.push(vec!["exceptions", network]);
    }
    places.push(vec!["recipe"]);
    let place = places
        .into_iter()
        .map(|prefix| [prefix, keys.clone()].concat())
        .find(|place| runs.line_of(place).is_some())
        .unwrap_or_default();
    Err(runs.error(&place, &message))
}

/// The first field whose value makes no sense, and why.
pub(super) fn fault(recipe: &Recipe) -> Option<(&'static str, String)> {
    let r = recipe;
    let positive = |value: f64| value.is_finite() && value > 0.0;
    let share = |value: f64| (0.0..1.0).contains(&value);
    let sorted = r.drops.windows(2).all(|pair| pair[0] < pair[1]) && r.drops.first() != Some(&0);
    let group = r.batch_norm.group;
    let e = &r.evaluation;
    let faults: &[(bool, &'static str, String)] = &[
        (
            r.batch == 0,
            "batch",
            "batch = 0; a mini-batch has at least one image".into(),
        ),
        (
            r.batch > TRAINING_IMAGES,
            "batch",
            format!(
                "batch = {}, more than the {TRAINING_IMAGES} training images",
                r.batch
            ),
        ),
        (
            r.iterations == 0,
            "iterations",
            "iterations = 0; at least one mini-batch is trained".into(),
        ),
        (
            !positive(r.learning_rate),
            "learning_rate",
            format!("learning_rate = {}; give a number above 0", r.learning_rate),
        ),
        (
            !sorted,
            "drops",
            format!(
                "drops = {:?} are not in ascending order above 0; sort them and remove repetitions",
                r.drops
            ),
        ),
        (
            !positive(r.drop_factor),
            "drop_factor",
            format!(
                "drop_factor = {}; give a number above 0, the paper has 0.1",
                r.drop_factor
            ),
        ),
        (
            !share(r.momentum),
            "momentum",
            format!("momentum = {}; give 0 or more and less than 1", r.momentum),
        ),
        (
            !(r.weight_decay.is_finite() && r.weight_decay >= 0.0),
            "weight_decay",
            format!("weight_decay = {}; give 0 or more", r.weight_decay),
        ),
        (
            ![8, 16, 32].contains(&r.image_size),
            "image_size",
            format!("image_size = {}; there are 32, 16 and 8", r.image_size),
        ),
        (
            r.augmentation.pad > r.image_size,
            "augmentation.pad",
            format!(
                "augmentation.pad = {}, more than the image's {} pixels",
                r.augmentation.pad, r.image_size
            ),
        ),
        (
            !(group == 0 || r.batch.is_multiple_of(group)),
            "batch_norm.group",
            format!(
                "batch_norm.group = {group} does not divide the batch of {}; give a divisor, or 0 for the whole mini-batch",
                r.batch
            ),
        ),
        (
            !(r.batch_norm.momentum > 0.0 && r.batch_norm.momentum <= 1.0),
            "batch_norm.momentum",
            format!(
                "batch_norm.momentum = {}; give more than 0 and at most 1",
                r.batch_norm.momentum
            ),
        ),
        (
            !positive(r.batch_norm.epsilon),
            "batch_norm.epsilon",
            format!(
                "batch_norm.epsilon = {}; give a number above 0",
                r.batch_norm.epsilon
            ),
        ),
        (
            e.interval == 0,
            "evaluation.interval",
            "evaluation.interval = 0; give iterations between evaluations".into(),
        ),
        (
            e.statistics_images == 0 || e.statistics_images > TRAINING_IMAGES,
            "evaluation.statistics_images",
            format!(
                "evaluation.statistics_images = {}; give 1 to {TRAINING_IMAGES}",
                e.statistics_images
            ),
        ),
        (
            e.statistics_batch == 0,
            "evaluation.statistics_batch",
            "evaluation.statistics_batch = 0; statistics need images".into(),
        ),
        (
            e.clean_images > TRAINING_IMAGES,
            "evaluation.clean_images",
            format!(
                "evaluation.clean_images = {}; give at most {TRAINING_IMAGES}",
                e.clean_images
            ),
        ),
        (
            r.init.from.is_some(),
            "init.from",
            format!(
                "init.from = {:?} for networks under their usual names; it belongs into the recipe of one of [variants]",
                r.init.from.as_deref().unwrap_or("")
            ),
        ),
        (
            r.warm_up.as_ref().is_some_and(|w| w.window == 0),
            "warm_up.window",
            "warm_up.window = 0; a mean needs at least one mini-batch".into(),
        ),
        (
            r.warm_up
                .as_ref()
                .is_some_and(|w| !positive(w.learning_rate)),
            "warm_up.learning_rate",
            "warm_up.learning_rate must be above 0; the paper has 0.01".into(),
        ),
        (
            r.warm_up
                .as_ref()
                .is_some_and(|w| !(w.until_error_below > 0.0 && w.until_error_below <= 100.0)),
            "warm_up.until_error_below",
            "warm_up.until_error_below must be above 0 and at most 100 %; the paper has 80".into(),
        ),
    ];
    faults
        .iter()
        .find(|(wrong, ..)| *wrong)
        .map(|(_, field, message)| (*field, message.clone()))
}
