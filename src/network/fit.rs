//! Whether tensors are those of a network, and which network they look like.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::{Family, Network, Shortcut, Stem, StrideIn};
use crate::console::one_line;
use crate::counted::counted;
use crate::exit::Exit;
use crate::weights::Tensor;

/// Bounds for networks that a file describes, so that no size is taken on trust. The paper's deepest has 1202 layers, its
/// widest stage starts from 64 channels.
const MOST_BLOCKS: usize = 10_000;
const MOST_STAGES: usize = 8;
const MOST_WIDTH: usize = 4096;
const MOST_CLASSES: usize = 1 << 16;
/// Names to show of each difference.
const SHOWN: usize = 4;

type Tensors = BTreeMap<String, Tensor>;

impl Network {
    /// Checks the sizes of a network that was read from a file.
    ///
    /// # Errors
    /// [`Exit::Usage`] with the first size that is out of bounds.
    pub fn check_sizes(&self) -> Result<()> {
        let blocks = (self.blocks.iter()).try_fold(0usize, |sum, &count| sum.checked_add(count));
        let within = |value: usize, most: usize| (1..=most).contains(&value);
        let wrong = if !within(self.blocks.len(), MOST_STAGES)
            || self.blocks.contains(&0)
            || blocks.is_none_or(|blocks| blocks > MOST_BLOCKS)
        {
            format!(
                "blocks = {:?}: use 1 to {MOST_STAGES} stages of at least one block, {MOST_BLOCKS} in all",
                self.blocks
            )
        } else if !within(self.base_width, MOST_WIDTH) {
            format!("base_width = {}: use 1 to {MOST_WIDTH}", self.base_width)
        } else if !within(self.classes, MOST_CLASSES) {
            format!("classes = {}: use 1 to {MOST_CLASSES}", self.classes)
        } else {
            return Ok(());
        };
        Err(Exit::Usage.error(format!("not a network: {wrong}")))
    }

    /// Checks that `tensors` are this network's, no more and no fewer, before anything is allocated for it.
    ///
    /// # Errors
    /// [`Exit::Usage`] with what differs, and with the networks that the tensors fit.
    pub fn check_tensors(&self, tensors: &Tensors) -> Result<()> {
        let differences = self.differences(tensors);
        if differences.is_empty() {
            return Ok(());
        }
        let fitting = fitting(tensors);
        let hint = match fitting.is_empty() {
            true => String::new(),
            false => format!("; they fit {}", fitting.join(" or ")),
        };
        Err(Exit::Usage.error(format!(
            "not the weights of {}: {}{hint}",
            self.name,
            differences.join(", ")
        )))
    }

    /// What is missing, left over or of another shape, in words.
    fn differences(&self, tensors: &Tensors) -> Vec<String> {
        let mut missing = Vec::new();
        let mut misshapen = Vec::new();
        let mut known = BTreeSet::new();
        for parameter in self.parameters() {
            match tensors.get(&parameter.name) {
                None => missing.push(parameter.name.clone()),
                Some(found) if found.shape != parameter.shape => misshapen.push(format!(
                    "{} {:?} instead of {:?}",
                    parameter.name, found.shape, parameter.shape
                )),
                Some(_) => {}
            }
            known.insert(parameter.name);
        }
        let left_over = tensors.keys().filter(|name| !known.contains(*name));
        let left_over: Vec<String> = left_over.cloned().collect();
        [
            (missing, "missing"),
            (left_over, "left over"),
            (misshapen, "of another shape"),
        ]
        .into_iter()
        .filter(|(names, _)| !names.is_empty())
        .map(|(names, what)| {
            format!(
                "{} {what} ({})",
                counted(names.len(), "tensor"),
                first(&names)
            )
        })
        .collect()
    }
}

/// The first names of a list.
fn first(names: &[String]) -> String {
    // Names come from a file.
    let shown = one_line(&names[..names.len().min(SHOWN)].join(", "));
    match names.len() > SHOWN {
        true => format!("{shown}, ..."),
        false => shown,
    }
}

/// The networks that the tensors are exactly those of, such as `resnet-14 (option B)`. A plain network and a residual one
/// with option A have the same tensors.
fn fitting(tensors: &Tensors) -> Vec<String> {
    let shape = |name: &str| tensors.get(name).map(|tensor| tensor.shape.as_slice());
    let (Some(&[width, 3, kernel, _]), Some(&[classes, _])) =
        (shape("conv1.weight"), shape("fc.weight"))
    else {
        return Vec::new();
    };
    let stem = match kernel {
        3 => Stem::Cifar,
        7 => Stem::Imagenet,
        _ => return Vec::new(),
    };
    let Some(blocks) = blocks_per_stage(tensors) else {
        return Vec::new();
    };
    let bottleneck = tensors.contains_key("layer1.0.conv3.weight");
    let kinds = [
        (Family::Plain, Shortcut::A, "plain"),
        (Family::Resnet, Shortcut::A, "resnet"),
        (Family::Resnet, Shortcut::B, "resnet"),
        (Family::Resnet, Shortcut::C, "resnet"),
    ];
    let mut fitting = Vec::new();
    for (family, shortcut, prefix) in kinds {
        let mut network = Network {
            name: String::new(),
            family,
            stem,
            blocks: blocks.clone(),
            base_width: width,
            bottleneck,
            shortcut,
            classes,
            // The tensors do not tell.
            stride_in: StrideIn::default(),
        };
        if network.check_sizes().is_err() || !network.differences(tensors).is_empty() {
            continue;
        }
        network.name = format!("{prefix}-{}", network.depth());
        if family == Family::Resnet {
            network.name.push_str(&format!(" (option {shortcut:?})"));
        }
        let usual = match (stem, blocks.len()) {
            (Stem::Cifar, ..=3) => 16,
            _ => 64,
        };
        if width != usual {
            network.name.push_str(&format!(" of width {width}"));
        }
        fitting.push(network.name);
    }
    fitting
}

/// The blocks of each stage, by the tensors' names; `None` if there are none, or too many for a network.
fn blocks_per_stage(tensors: &Tensors) -> Option<Vec<usize>> {
    let mut blocks: Vec<usize> = Vec::new();
    for name in tensors.keys() {
        let Some(rest) = name.strip_prefix("layer") else {
            continue;
        };
        let mut parts = rest.split('.');
        let stage: usize = parts.next()?.parse().ok()?;
        let block: usize = parts.next()?.parse().ok()?;
        if !(1..=MOST_STAGES).contains(&stage) || block >= MOST_BLOCKS {
            return None;
        }
        if blocks.len() < stage {
            blocks.resize(stage, 0);
        }
        let count = &mut blocks[stage - 1];
        *count = (*count).max(block + 1);
    }
    (!blocks.is_empty()).then_some(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Empty tensors of the right shapes.
    fn tensors(network: &Network) -> Tensors {
        let parameters = network.parameters().into_iter();
        let tensors = parameters.map(|parameter| {
            let (shape, data) = (parameter.shape, Vec::new());
            (parameter.name, Tensor { shape, data })
        });
        tensors.collect()
    }

    fn network(name: &str, shortcut: Shortcut) -> Network {
        Network::parse_cifar(name, shortcut, 10).unwrap()
    }

    #[test]
    fn weights_of_another_network_are_refused_by_name() {
        let deeper = tensors(&network("resnet-14", Shortcut::A));
        let shallow = network("resnet-8", Shortcut::A);
        shallow.check_tensors(&tensors(&shallow)).unwrap();
        let error = shallow.check_tensors(&deeper).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage);
        let text = error.to_string();
        for says in [
            "resnet-8: 30 tensors left over (layer1.1.bn1.bias",
            "plain-14 or resnet-14 (option A)",
        ] {
            assert!(text.contains(says), "{text}");
        }
        let mut damaged = tensors(&network("resnet-8", Shortcut::B));
        damaged.remove("fc.bias");
        damaged.insert(
            "bn1.bias".into(),
            Tensor {
                shape: vec![17],
                data: vec![],
            },
        );
        let error = network("resnet-8", Shortcut::B).check_tensors(&damaged);
        let text = error.unwrap_err().to_string();
        for says in [
            "1 tensor missing (fc.bias)",
            "1 tensor of another shape (bn1.bias [17] instead of [16])",
        ] {
            assert!(text.contains(says) && !text.contains("fit"), "{text}");
        }
    }

    #[test]
    fn sizes_out_of_bounds_are_refused() {
        let usual = network("resnet-8", Shortcut::A);
        usual.check_sizes().unwrap();
        let blocks = |blocks: &[usize]| Network {
            blocks: blocks.to_vec(),
            ..usual.clone()
        };
        for wrong in [
            blocks(&[]),
            blocks(&[1, 0, 1]),
            blocks(&[usize::MAX, usize::MAX]),
            blocks(&[1; 70]),
            Network {
                base_width: 1 << 60,
                ..usual.clone()
            },
            Network {
                classes: 0,
                ..usual.clone()
            },
        ] {
            let error = wrong.check_sizes().unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Usage);
        }
    }
}
