//! How an experiment's recipe differs from the paper's.

use serde_json::{Value, json};

use super::experiment::{Experiment, NetworkEntry};
use crate::network::{Family, Network, Stem, StrideIn};
use crate::origin::DataName;
use crate::recipe::{EvaluationRecipe, FinalViews, Init, Recipe, Shortcut, WarmUp};

/// The paper's recipe for a data set, for networks without exceptions: section 4.2, or section 4.1 with the authors' drops
/// and groups (arXiv:1603.05027, appendix).
pub fn papers_recipe(data: DataName) -> Recipe {
    let mut paper = Recipe::default();
    if data == DataName::Imagenet {
        paper.batch = 256;
        paper.iterations = 600_000;
        paper.drops = vec![150_137, 300_274];
        paper.batch_norm.group = 32;
        paper.image_size = 224;
    }
    paper
}

/// The paper's crops of ImageNet's images (section 3.4), with AlexNet's colour shifts as published.
fn papers_crop() -> Value {
    json!({
        "shorter_side": [256, 480],
        "test_side": 256,
        "colour": { "kind": "alexnet", "deviation": 0.1, "scale": "eigenvalues" },
        "resize": "bilinear-antialiased",
    })
}

/// The paper's shortcuts: projections in bottlenecks, else none (section 4.1).
fn papers_shortcut(network: &Network) -> Shortcut {
    match network.bottleneck {
        true => Shortcut::B,
        false => Shortcut::A,
    }
}

impl Experiment {
    /// Whether the paper trained such networks on this data set: those of section 4.2 on CIFAR-10, those of Table 1 on
    /// ImageNet.
    pub fn is_of_the_paper(&self) -> bool {
        let known = |network: &Network| match self.data {
            DataName::Cifar10 => network.stem == Stem::Cifar && network.blocks.len() == 3,
            DataName::Imagenet => network.stem == Stem::Imagenet,
        };
        self.networks.iter().all(|entry| known(&entry.network))
    }

    /// Whether every network uses the paper's recipe.
    pub fn is_papers_recipe(&self) -> bool {
        self.departures().is_empty()
    }

    /// Departures from the paper's recipe, as phrases such as `batch 64 (paper: 128)`. The evaluation schedule does not
    /// count as recipe, except for the number of images behind the statistics.
    pub fn departures(&self) -> Vec<String> {
        let entries: Vec<_> = (self.networks.iter())
            .filter(|entry| !entry.optional)
            .map(|entry| (entry, departures(entry, self.data)))
            .collect();
        let mut phrases: Vec<String> = Vec::new();
        for (entry, own) in &entries {
            for phrase in own {
                let sharing = (entries.iter())
                    .filter(|(_, other)| other.contains(phrase))
                    .count();
                // Name the network unless most networks share the departure.
                let phrase = match 2 * sharing > entries.len() {
                    true => phrase.clone(),
                    false => format!("{}: {phrase}", entry.label),
                };
                if !phrases.contains(&phrase) {
                    phrases.push(phrase);
                }
            }
        }
        phrases
    }
}

/// The smallest depth with a warm-up in the paper (section 4.2).
const WARM_UP_DEPTH: usize = 110;

fn departures(entry: &NetworkEntry, data: DataName) -> Vec<String> {
    let mut paper = papers_recipe(data);
    paper.shortcut = papers_shortcut(&entry.network);
    let deep = entry.network.family == Family::Resnet && entry.network.depth() >= WARM_UP_DEPTH;
    if deep && data == DataName::Cifar10 {
        paper.warm_up = Some(WarmUp::default());
    }
    // Does not count as recipe.
    let papers = paper.evaluation;
    paper.evaluation = EvaluationRecipe {
        statistics_images: papers.statistics_images,
        pooling: papers.pooling,
        ..entry.recipe.evaluation.clone()
    };
    let mut ours = entry.recipe.clone();
    if entry.variant_of.is_some() {
        // The point of a variant, and already in its label.
        ours.shortcut = paper.shortcut;
        ours.init = Init::default();
    }
    // Batch normalisation sees the same groups; only sums are rounded otherwise.
    let group = ours.batch_norm.group;
    if group > 0
        && ours
            .micro_batch
            .is_some_and(|piece| piece.is_multiple_of(group))
    {
        ours.micro_batch = None;
    }
    let mut phrases = Vec::new();
    let several = &ours.evaluation.final_views;
    if !several.is_empty() && ours.evaluation.view_average != papers.view_average {
        phrases.push("several views averaged before the softmax (paper: after it)".into());
    }
    if several.contains(&FinalViews::MultiScale) && ours.evaluation.scales != papers.scales {
        let scales = &ours.evaluation.scales;
        phrases.push(format!("scales {scales:?} (paper: {:?})", papers.scales));
    }
    if entry.network.bottleneck && entry.network.stride_in == StrideIn::Middle {
        phrases.push("stride in the 3x3 convolution (paper: in the first 1x1)".into());
    }
    if let (Ok(ours), Ok(mut theirs)) = (serde_json::to_value(&ours), serde_json::to_value(&paper))
    {
        if data == DataName::Imagenet {
            theirs["crop"] = papers_crop();
        }
        differences("", &ours, &theirs, &mut phrases);
    }
    phrases
}

fn differences(path: &str, ours: &Value, theirs: &Value, phrases: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                differences(&path, value, b.get(key).unwrap_or(&Value::Null), phrases);
            }
        }
        (a, b) if a == b => {}
        (a, b) => phrases.push(format!("{path} {} (paper: {})", short(a), short(b))),
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(short).collect();
            format!("[{}]", items.join(", "))
        }
        // The only optional table is the warm-up.
        Value::Object(_) => "warm-up".into(),
        other => other.to_string(),
    }
}
