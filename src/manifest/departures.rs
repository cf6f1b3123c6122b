//! How an experiment's recipe differs from the paper's, and which other readings it takes where the paper leaves a choice open.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::experiment::{Experiment, NetworkEntry};
use crate::network::{Family, Network, Stem, StrideIn};
use crate::origin::DataName;
use crate::recipe::{
    EvaluationRecipe, FinalViews, Init, Recipe, Shortcut, TRAINING_WINDOW, WarmUp,
};

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

/// Fields that the paper leaves open: any value is a reading of its recipe, and none a departure from it. docs/reading.md says why
/// each default was chosen.
const OPEN: [&str; 14] = [
    "momentum_form",
    "weight_decay_on",
    "partial_batch",
    "augmentation.padding_value",
    "initialisation.fan",
    "initialisation.classifier",
    "batch_norm.group",
    "batch_norm.momentum",
    "batch_norm.epsilon",
    "evaluation.statistics_augmented",
    "evaluation.pooling",
    "warm_up.window",
    "crop.resize",
    "crop.colour.scale",
];

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

    /// Departures from the paper's recipe, as phrases such as `batch 64 (paper: 128)`. The evaluation schedule does not
    /// count as recipe, except for the number of images behind the statistics.
    pub fn departures(&self) -> Vec<String> {
        self.phrases(Differences::of_final_errors)
    }

    /// Each network's departures, as [`Experiment::departures`] but without its name.
    pub fn departures_by_network(&self) -> BTreeMap<String, Vec<String>> {
        self.by_network(Differences::of_final_errors)
    }

    /// Each network's departures while training lasts: to end before the paper's first drop is none. Up to there, curves are
    /// comparable with the paper's; final errors are not.
    pub fn departures_on_the_way(&self) -> BTreeMap<String, Vec<String>> {
        self.by_network(|found| found.departures)
    }

    /// Other readings than the default ones where the paper leaves a choice open, as phrases such as
    /// `weight_decay_on weights (default: all)`.
    pub fn readings(&self) -> Vec<String> {
        let mut readings = self.phrases(|found| found.readings);
        let window = self.training_window;
        if window != TRAINING_WINDOW {
            readings.push(format!(
                "training_window {window} (default: {TRAINING_WINDOW})"
            ));
        }
        readings
    }

    /// Phrases of the networks that are not optional.
    fn by_network(&self, which: fn(Differences) -> Vec<String>) -> BTreeMap<String, Vec<String>> {
        let entries = self.networks.iter().filter(|entry| !entry.optional);
        entries
            .map(|entry| {
                let found = Differences::of(entry, self.data);
                (entry.name.clone(), which(found))
            })
            .collect()
    }

    /// The same, each once. Those that most networks do not share name theirs.
    fn phrases(&self, which: fn(Differences) -> Vec<String>) -> Vec<String> {
        let of = self.by_network(which);
        let mut phrases: Vec<String> = Vec::new();
        for entry in &self.networks {
            for phrase in of.get(&entry.name).into_iter().flatten() {
                let sharing = of.values().filter(|other| other.contains(phrase)).count();
                let phrase = match 2 * sharing > of.len() {
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

/// How a network's recipe differs from the paper's, in phrases.
#[derive(Default)]
struct Differences {
    /// That it ends early, if up to there the schedule is the paper's.
    end: Option<String>,
    departures: Vec<String>,
    readings: Vec<String>,
}

impl Differences {
    /// All that keeps final errors from being compared with the paper's.
    fn of_final_errors(self) -> Vec<String> {
        self.end.into_iter().chain(self.departures).collect()
    }

    fn of(entry: &NetworkEntry, data: DataName) -> Self {
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
            statistics_augmented: papers.statistics_augmented,
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
        let mut found = Self::default();
        if ours.begins(&paper) {
            let (first, all) = (ours.iterations, paper.iterations);
            found.end = Some(format!("the first {first} iterations (paper: {all})"));
            ours.iterations = all;
            ours.drops.clone_from(&paper.drops);
        }
        if let (Ok(ours), Ok(mut theirs)) =
            (serde_json::to_value(&ours), serde_json::to_value(&paper))
        {
            if data == DataName::Imagenet {
                theirs["crop"] = papers_crop();
            }
            found.compare("", &ours, &theirs);
        }
        let several = &ours.evaluation.final_views;
        if !several.is_empty() && ours.evaluation.view_average != papers.view_average {
            (found.departures)
                .push("several views averaged before the softmax (paper: after it)".into());
        }
        if several.contains(&FinalViews::MultiScale) && ours.evaluation.scales != papers.scales {
            let scales = &ours.evaluation.scales;
            (found.departures).push(format!("scales {scales:?} (paper: {:?})", papers.scales));
        }
        if entry.network.bottleneck && entry.network.stride_in == StrideIn::Middle {
            (found.departures)
                .push("stride in the 3x3 convolution (paper: in the first 1x1)".into());
        }
        found
    }

    fn compare(&mut self, path: &str, ours: &Value, theirs: &Value) {
        match (ours, theirs) {
            (Value::Object(a), Value::Object(b)) => {
                for (key, value) in a {
                    let path = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    // What is not written is the default: a switch is off.
                    let absent = match value {
                        Value::Bool(_) => Value::Bool(false),
                        _ => Value::Null,
                    };
                    self.compare(&path, value, b.get(key).unwrap_or(&absent));
                }
            }
            (a, b) if a == b => {}
            (a, b) if OPEN.contains(&path) => {
                self.readings
                    .push(format!("{path} {} (default: {})", short(a), short(b)))
            }
            (a, b) => self
                .departures
                .push(format!("{path} {} (paper: {})", short(a), short(b))),
        }
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
        Value::Object(_) => "on".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that no recipe has would never match, and its field would count as a departure.
    #[test]
    fn open_fields_are_fields_of_the_recipe() {
        let mut recipe = papers_recipe(DataName::Imagenet);
        recipe.evaluation.statistics_augmented = true;
        recipe.warm_up = Some(WarmUp::default());
        let mut written = serde_json::to_value(&recipe).unwrap();
        written["crop"] = papers_crop();
        for path in OPEN {
            let pointer = format!("/{}", path.replace('.', "/"));
            assert!(written.pointer(&pointer).is_some(), "{path}");
        }
    }
}
