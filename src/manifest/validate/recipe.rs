//! Values of a merged recipe.

use anyhow::Result;

use super::super::overrides::Overrides;
use super::super::source::Source;
use crate::exit::Exit;
use crate::recipe::Recipe;

/// Training images of CIFAR-10.
const TRAINING_IMAGES: usize = 50_000;

/// Rejects the first invalid value, naming the line or the `--set` that it comes from.
pub(in crate::manifest) fn check(
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

/// The first field with an invalid value, and what is wrong with it.
pub(in crate::manifest) fn fault(recipe: &Recipe) -> Option<(&'static str, String)> {
    let r = recipe;
    let positive = |value: f64| value.is_finite() && value > 0.0;
    let sorted = r.drops.windows(2).all(|pair| pair[0] < pair[1]) && r.drops.first() != Some(&0);
    let group = r.batch_norm.group;
    let e = &r.evaluation;
    let mut faults: Vec<(bool, &'static str, String)> = vec![
        (
            r.batch == 0,
            "batch",
            "batch = 0; use at least one image".into(),
        ),
        (
            r.batch > TRAINING_IMAGES,
            "batch",
            format!(
                "batch = {}; use at most the {TRAINING_IMAGES} training images",
                r.batch
            ),
        ),
        (
            r.iterations == 0,
            "iterations",
            "iterations = 0; use at least one mini-batch".into(),
        ),
        (
            !positive(r.learning_rate),
            "learning_rate",
            format!("learning_rate = {}; use a number above 0", r.learning_rate),
        ),
        (
            !sorted,
            "drops",
            format!(
                "drops = {:?} is not in ascending order above 0; sort it and remove duplicates",
                r.drops
            ),
        ),
        (
            !positive(r.drop_factor),
            "drop_factor",
            format!(
                "drop_factor = {}; use a number above 0 (paper: 0.1)",
                r.drop_factor
            ),
        ),
        (
            !(0.0..1.0).contains(&r.momentum),
            "momentum",
            format!("momentum = {}; use at least 0 and below 1", r.momentum),
        ),
        (
            !(r.weight_decay.is_finite() && r.weight_decay >= 0.0),
            "weight_decay",
            format!("weight_decay = {}; use 0 or more", r.weight_decay),
        ),
        (
            ![8, 16, 32].contains(&r.image_size),
            "image_size",
            format!("image_size = {}; use 32, 16 or 8", r.image_size),
        ),
        (
            r.augmentation.pad > r.image_size,
            "augmentation.pad",
            format!(
                "augmentation.pad = {}; use at most the image's {} pixels",
                r.augmentation.pad, r.image_size
            ),
        ),
        (
            !(group == 0 || group >= r.batch || r.batch.is_multiple_of(group)),
            "batch_norm.group",
            format!(
                "batch_norm.group = {group} does not divide batch = {}; use a divisor, or 0 for the whole mini-batch",
                r.batch
            ),
        ),
        (
            !(r.batch_norm.momentum > 0.0 && r.batch_norm.momentum <= 1.0),
            "batch_norm.momentum",
            format!(
                "batch_norm.momentum = {}; use more than 0 and at most 1",
                r.batch_norm.momentum
            ),
        ),
        (
            !positive(r.batch_norm.epsilon),
            "batch_norm.epsilon",
            format!(
                "batch_norm.epsilon = {}; use a number above 0",
                r.batch_norm.epsilon
            ),
        ),
        (
            e.interval == 0,
            "evaluation.interval",
            "evaluation.interval = 0; use at least one iteration".into(),
        ),
        (
            e.statistics_images == 0 || e.statistics_images > TRAINING_IMAGES,
            "evaluation.statistics_images",
            format!(
                "evaluation.statistics_images = {}; use 1 to {TRAINING_IMAGES}",
                e.statistics_images
            ),
        ),
        (
            e.statistics_batch == 0,
            "evaluation.statistics_batch",
            "evaluation.statistics_batch = 0; use at least one image".into(),
        ),
        (
            e.clean_images > TRAINING_IMAGES,
            "evaluation.clean_images",
            format!(
                "evaluation.clean_images = {}; use at most {TRAINING_IMAGES}",
                e.clean_images
            ),
        ),
        (
            r.init.from.is_some(),
            "init.from",
            format!(
                "init.from = {:?} outside a variant; move it to the recipe of one of [variants]",
                r.init.from.as_deref().unwrap_or("")
            ),
        ),
    ];
    if let Some(warm_up) = &r.warm_up {
        let error = warm_up.until_error_below;
        faults.extend([
            (
                warm_up.window == 0,
                "warm_up.window",
                "warm_up.window = 0; average over at least one mini-batch".to_string(),
            ),
            (
                !positive(warm_up.learning_rate),
                "warm_up.learning_rate",
                format!(
                    "warm_up.learning_rate = {}; use a number above 0 (paper: 0.01)",
                    warm_up.learning_rate
                ),
            ),
            (
                !(error > 0.0 && error <= 100.0),
                "warm_up.until_error_below",
                format!(
                    "warm_up.until_error_below = {error}; use a percentage above 0 and at most 100 (paper: 80)"
                ),
            ),
        ]);
    }
    faults
        .into_iter()
        .find(|(wrong, ..)| *wrong)
        .map(|(_, field, message)| (field, message))
}
