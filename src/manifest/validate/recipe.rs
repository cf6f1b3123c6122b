//! Values of a merged recipe.

use anyhow::Result;

use super::super::overrides::Overrides;
use super::super::source::Source;
use crate::exit::Exit;
use crate::recipe::{Recipe, TrainingSplit};

/// The largest learning rate and weight decay; a thousand times what works.
const LARGEST_RATE: f64 = 1000.0;

/// An invalid value.
pub(in crate::manifest) struct Fault {
    /// The fields that may be to blame.
    pub fields: Vec<&'static str>,
    pub message: String,
}

impl Fault {
    /// The last `--set` argument of a field to blame, if any.
    pub fn given<'a>(&self, set: &'a Overrides) -> Option<&'a str> {
        self.fields.iter().find_map(|field| set.of(field))
    }
}

/// Rejects the first invalid value, naming the line or the `--set` that it comes from.
pub(in crate::manifest) fn check(
    recipe: &Recipe,
    runs: &Source,
    network: Option<&str>,
    profile: &str,
    set: &Overrides,
) -> Result<()> {
    let Some(fault) = fault(recipe) else {
        return Ok(());
    };
    if let Some(given) = fault.given(set) {
        return Err(Exit::Usage.error(format!("--set {given}: {}", fault.message)));
    }
    let mut prefixes: Vec<Vec<&str>> = Vec::new();
    if let Some(network) = network {
        prefixes.push(vec!["profiles", profile, "exceptions", network]);
    }
    prefixes.push(vec!["profiles", profile, "recipe"]);
    if let Some(network) = network {
        prefixes.push(vec!["exceptions", network]);
    }
    prefixes.push(vec!["recipe"]);
    for prefix in prefixes {
        for field in &fault.fields {
            let place: Vec<&str> = prefix.iter().copied().chain(field.split('.')).collect();
            if let Some(line) = runs.line_of(&place) {
                return Err(runs.error_at(Some(line), &fault.message));
            }
        }
    }
    Err(runs.error_at(None, &fault.message))
}

/// The first invalid value.
pub(in crate::manifest) fn fault(recipe: &Recipe) -> Option<Fault> {
    if let Some(size) = recipe.outsized() {
        return Some(Fault {
            fields: vec![size.field],
            message: size.to_string(),
        });
    }
    if let Some(message) = late_drop(recipe) {
        return Some(Fault {
            fields: vec!["drops", "iterations"],
            message,
        });
    }
    let (field, message) = wrong_value(recipe)?;
    Some(Fault {
        fields: vec![field],
        message,
    })
}

/// A drop of the learning rate that never takes effect, most often because only `iterations` was changed.
fn late_drop(recipe: &Recipe) -> Option<String> {
    let (drops, end) = (&recipe.drops, recipe.iterations);
    let late = drops.iter().find(|&&drop| drop >= end)?;
    let remedy = match end {
        4.. => format!(
            "e.g. drops = [{}, {}], or drops = [] (--set 'recipe.drops=[]' on the command line)",
            end / 2,
            end - end.div_ceil(4)
        ),
        _ => "drops = []".into(),
    };
    Some(format!(
        "iterations = {end} with drops = {drops:?}: the drop of the learning rate at {late} is not before the end; set {remedy} for a constant rate"
    ))
}

fn wrong_value(r: &Recipe) -> Option<(&'static str, String)> {
    // As the 32-bit floats that are computed with.
    let positive = |value: f64| value as f32 > 0.0 && value.is_finite();
    let rate = |value: f64| positive(value) && value <= LARGEST_RATE;
    let sorted = r.drops.windows(2).all(|pair| pair[0] < pair[1]) && r.drops.first() != Some(&0);
    let group = r.batch_norm.group;
    let mut faults: Vec<(bool, &'static str, String)> = vec![
        (
            !rate(r.learning_rate),
            "learning_rate",
            format!(
                "learning_rate = {}; use a number above 0 and at most {LARGEST_RATE} (paper: 0.1)",
                r.learning_rate
            ),
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
            !(positive(r.drop_factor) && r.drop_factor <= 1.0),
            "drop_factor",
            format!(
                "drop_factor = {}; use a number above 0 and at most 1 (paper: 0.1)",
                r.drop_factor
            ),
        ),
        (
            !(0.0..1.0).contains(&r.momentum),
            "momentum",
            format!(
                "momentum = {}; use at least 0 and below 1 (paper: 0.9)",
                r.momentum
            ),
        ),
        (
            !(0.0..=LARGEST_RATE).contains(&r.weight_decay),
            "weight_decay",
            format!(
                "weight_decay = {}; use 0 to {LARGEST_RATE} (paper: 0.0001)",
                r.weight_decay
            ),
        ),
        (
            r.crop.is_none() && ![8, 16, 32].contains(&r.image_size),
            "image_size",
            format!("image_size = {}; use 32, 16 or 8", r.image_size),
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
            !(positive(r.batch_norm.epsilon) && r.batch_norm.epsilon <= 1.0),
            "batch_norm.epsilon",
            format!(
                "batch_norm.epsilon = {}; use a number above 0 and at most 1",
                r.batch_norm.epsilon
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
    if let Some(piece) = r.micro_batch {
        faults.extend([
            (
                !r.batch.is_multiple_of(piece),
                "micro_batch",
                format!(
                    "micro_batch = {piece} does not divide batch = {}; use a divisor, or leave it out for one piece",
                    r.batch
                ),
            ),
            (
                group > 0 && !piece.is_multiple_of(group),
                "micro_batch",
                format!(
                    "micro_batch = {piece} is not a multiple of batch_norm.group = {group}; use one, or batch_norm.group = 0 for the micro-batch"
                ),
            ),
        ]);
    }
    if let Some(scale) = r.initialisation.residual_scale {
        faults.push((
            !(0.0..=1000.0).contains(&scale),
            "initialisation.residual_scale",
            format!("initialisation.residual_scale = {scale}; use 0 to 1000"),
        ));
    }
    let e = &r.evaluation;
    let mut views = e.final_views.clone();
    views.sort();
    views.dedup();
    faults.extend([
        (
            e.scales.is_empty(),
            "evaluation.scales",
            "evaluation.scales = []; give at least one side in pixels".into(),
        ),
        (
            views.len() < e.final_views.len(),
            "evaluation.final_views",
            "evaluation.final_views names a view twice; remove one".into(),
        ),
        (
            r.crop.is_none() && !e.final_views.is_empty(),
            "evaluation.final_views",
            "evaluation.final_views is for data = \"imagenet\"; remove it".into(),
        ),
        (
            r.crop.is_some() && r.split == TrainingSplit::HoldOut,
            "split",
            "split = \"45k/5k\" is for CIFAR-10; remove it".into(),
        ),
    ]);
    if let Some(crop) = &r.crop {
        let [least, most] = crop.shorter_side;
        faults.extend([
            (
                least > most,
                "crop.shorter_side",
                format!(
                    "crop.shorter_side = [{least}, {most}]; use [smallest, largest] (paper: [256, 480])"
                ),
            ),
            (
                !(0.0..=10.0).contains(&crop.colour.deviation),
                "crop.colour.deviation",
                format!(
                    "crop.colour.deviation = {}; use 0 to 10 (AlexNet: 0.1)",
                    crop.colour.deviation
                ),
            ),
        ]);
    }
    if let Some(warm_up) = &r.warm_up {
        let error = warm_up.until_error_below;
        faults.extend([
            (
                !rate(warm_up.learning_rate),
                "warm_up.learning_rate",
                format!(
                    "warm_up.learning_rate = {}; use a number above 0 and at most {LARGEST_RATE} (paper: 0.01)",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_micro_batch_divides_the_mini_batch_and_holds_whole_groups() {
        let said = |micro_batch, group| {
            let mut recipe = Recipe {
                batch: 256,
                micro_batch: Some(micro_batch),
                ..Recipe::default()
            };
            recipe.batch_norm.group = group;
            fault(&recipe).map(|fault| fault.message)
        };
        for (micro_batch, group) in [(32, 0), (32, 32), (64, 32), (256, 64), (1, 1)] {
            assert_eq!(said(micro_batch, group), None);
        }
        for (micro_batch, group, says) in [
            (48, 0, "does not divide batch = 256; use a divisor"),
            (512, 0, "does not divide batch = 256"),
            (32, 64, "not a multiple of batch_norm.group = 64; use one"),
            (0, 0, "use 1 to 50000"),
        ] {
            let text = said(micro_batch, group).unwrap();
            assert!(text.contains(says), "{text}");
        }
    }
}
