//! Networks by name: `plain-20`, `resnet-110` and those of Table 1, `resnet-50`, in any case.

use anyhow::Result;

use super::{Family, Network, Shortcut};
use crate::exit::Exit;

/// Images with at least this many pixels a side are ImageNet's where a name has both meanings.
const SMALLEST_IMAGENET: usize = 64;

impl Network {
    /// The network that a name means, and the side of its images. A depth of Table 1 (18, 34, 50, 101, 152) is its ImageNet
    /// network with 1000 classes, at 224 pixels unless told otherwise; 50 and 152 are also of the form 6n+2, and for images
    /// below 64 pixels they are CIFAR's. Every other depth is CIFAR's with 10 classes, at 32 pixels unless told otherwise.
    /// The shortcuts are the paper's unless given: option B for bottlenecks (section 4.1), A elsewhere.
    ///
    /// # Errors
    /// [`Exit::Usage`] as [`Network::parse_cifar`], and for a side that two subsamplings do not divide.
    pub fn parse(
        name: &str,
        shortcut: Option<Shortcut>,
        image_size: Option<usize>,
    ) -> Result<(Self, usize)> {
        if image_size.is_none_or(|size| size >= SMALLEST_IMAGENET)
            && let Some(network) = Self::parse_imagenet(name, shortcut)
        {
            return Ok((network, image_size.unwrap_or(224)));
        }
        let size = image_size.unwrap_or(32);
        if size < 4 || !size.is_multiple_of(4) {
            return Err(Exit::Usage.error(format!(
                "an image size of {size}: must be a multiple of 4, for two subsamplings; the paper's is 32"
            )));
        }
        let network = Self::parse_cifar(name, shortcut.unwrap_or(Shortcut::A), 10)?;
        Ok((network, size))
    }

    /// The network of Table 1 with this name, if it is one of them.
    fn parse_imagenet(name: &str, shortcut: Option<Shortcut>) -> Option<Self> {
        let lower = name.trim().to_lowercase();
        let (family, depth) = match lower.split_once('-')? {
            ("plain", depth) => (Family::Plain, depth),
            ("resnet", depth) => (Family::Resnet, depth),
            _ => return None,
        };
        let number: usize = depth.parse().ok()?;
        let mut network = Self::imagenet(family, number, Shortcut::A, 1000)?;
        if number.to_string() != depth {
            return None;
        }
        let usual = if network.bottleneck {
            Shortcut::B
        } else {
            Shortcut::A
        };
        network.shortcut = shortcut.unwrap_or(usual);
        Some(network)
    }

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
