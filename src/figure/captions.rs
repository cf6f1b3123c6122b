//! A figure's captions and colours.

use std::collections::BTreeSet;

use super::curve_figure::Colour;
use crate::judge::{RunEvidence, Verdict};
use crate::manifest::Experiment;
use crate::origin::Origin;

/// The watermark of a figure of runs on synthetic images.
pub(super) fn watermark(runs: &[RunEvidence]) -> Option<String> {
    is_synthetic(runs).then(|| "SYNTHETIC".to_owned())
}

/// Whether any run used synthetic images.
pub(super) fn is_synthetic(runs: &[RunEvidence]) -> bool {
    runs.iter()
        .any(|run| run.view.file.notes.data == Origin::Synthetic)
}

/// Parses `#rrggbb`; grey for anything else, which loading a manifest rejects.
pub(super) fn colour(text: &str) -> Colour {
    let part = |place: usize| {
        text.get(1 + 2 * place..3 + 2 * place)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
    };
    match (part(0), part(1), part(2)) {
        (Some(red), Some(green), Some(blue)) => (red, green, blue),
        _ => (128, 128, 128),
    }
}

/// What differs from the paper's recipe, and what is read otherwise than by default.
pub(super) fn recipe(experiment: &Experiment) -> Vec<String> {
    let differences = experiment.departures();
    set_apart(
        "Not the paper's recipe",
        &differences,
        &experiment.readings(),
    )
}

/// Why errors are not comparable with the paper's, if they are not, and what is read otherwise than by default.
pub(super) fn errors(verdict: &Verdict) -> Vec<String> {
    let lead = "Not comparable with the paper's errors";
    set_apart(lead, &verdict.differences, &verdict.readings)
}

/// Differences from the paper after what they mean, and readings of what it leaves open: a sentence of each that there are.
fn set_apart(lead: &str, differences: &[String], readings: &[String]) -> Vec<String> {
    let open = "Where the paper leaves the choice open";
    [(lead, differences), (open, readings)]
        .into_iter()
        .filter(|(_, phrases)| !phrases.is_empty())
        .map(|(lead, phrases)| format!("{lead}: {}.", phrases.join(", ")))
        .collect()
}

/// Profile, data, device, precision, seeds.
pub(super) fn line(experiment: &Experiment, runs: &[RunEvidence]) -> String {
    let mut parts = vec![format!("profile {}", experiment.profile)];
    let notes = runs.iter().map(|run| &run.view.file.notes);
    parts.extend(joined(notes.map(|notes| {
        format!("{}{}", experiment.images(notes.data), notes.treated())
    })));
    let processors = runs.iter().map(|run| run.view.file.processors());
    parts.extend(joined(processors));
    let precisions = runs
        .iter()
        .map(|run| run.plan().recipe.precision.name().to_owned());
    parts.extend(joined(precisions));
    let seeds: BTreeSet<u64> = runs.iter().map(|run| run.plan().seed).collect();
    let named: Vec<String> = seeds.iter().map(u64::to_string).collect();
    parts.push(match named.len() {
        1 => format!("seed {}", named[0]),
        count => format!("mean of n = {count} seeds ({})", named.join(", ")),
    });
    parts.join(" · ")
}

/// Joins distinct texts; none if there are none.
fn joined(texts: impl Iterator<Item = String>) -> Option<String> {
    let different: BTreeSet<String> = texts.collect();
    let different: Vec<String> = different.into_iter().collect();
    (!different.is_empty()).then(|| different.join(" and "))
}

/// The networks that have barely learned, which every figure names; none if all have.
pub(super) fn barely_learned(verdict: &Verdict) -> Option<String> {
    verdict.near_chance().map(|line| sentence(&line))
}

/// Turns a fragment into a sentence.
pub(super) fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}
