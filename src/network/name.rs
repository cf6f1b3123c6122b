//! Networks by name: `plain-20`, `resnet-110`, in any case.

use anyhow::Result;

use super::{Family, Network, Shortcut};
use crate::exit::Exit;

impl Network {
    /// The CIFAR network of section 4.2 with this name.
    ///
    /// # Errors
    /// [`Exit::Usage`] for another family, or a depth that is not 6n+2, with the depths that are nearest.
    pub fn parse_cifar(name: &str, shortcut: Shortcut, classes: usize) -> Result<Self> {
        let refuse = |why: String| Exit::Usage.error(format!("network \"{name}\": {why}"));
        let lower = name.trim().to_lowercase();
        let (family, depth) = lower
            .split_once('-')
            .ok_or_else(|| refuse("no family and depth; write plain-20 or resnet-20".into()))?;
        let family = match family {
            "plain" => Family::Plain,
            "resnet" => Family::Resnet,
            other => {
                return Err(refuse(format!(
                    "no family \"{other}\"; there are plain and resnet"
                )));
            }
        };
        let depth: usize = match depth.parse::<usize>() {
            Ok(depth) if depth.to_string().len() == depth_digits(&lower) && depth <= MAX_DEPTH => {
                depth
            }
            _ => {
                return Err(refuse(format!(
                    "\"{depth}\" is no depth; write a number of the form 6n+2 from 8 to {MAX_DEPTH}, such as 20"
                )));
            }
        };
        Self::cifar(family, depth, shortcut, classes).ok_or_else(|| {
            let below = (depth.saturating_sub(2) / 6).max(1) * 6 + 2;
            refuse(format!(
                "a depth of {depth} is not 6n+2; the nearest are {below} and {}",
                below + 6
            ))
        })
    }

    /// Weighted layers: those of the name.
    pub fn depth(&self) -> usize {
        let each = if self.bottleneck { 3 } else { 2 };
        2 + each * self.blocks.iter().sum::<usize>()
    }
}

/// Nothing deeper is asked for (the paper ends at 1202); a slip of the finger would only exhaust the memory.
const MAX_DEPTH: usize = 20_000;

/// Digits behind the dash, so that `plain-020` and `plain-+20` are not second names of `plain-20`.
fn depth_digits(name: &str) -> usize {
    name.split_once('-').map_or(0, |(_, depth)| depth.len())
}
