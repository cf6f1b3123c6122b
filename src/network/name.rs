//! Parses network names, ignoring case: `plain-20` and `resnet-110` for CIFAR-10, `resnet-50` and others of Table 1.

use anyhow::Result;

use super::{Family, Network, Shortcut};
use crate::exit::Exit;
use crate::nearest::{nearest, remedy};
use crate::origin::DataName;

/// The networks of Table 1, and the plain ones of section 4.1.
const TABLE_1: [&str; 7] = [
    "plain-18",
    "plain-34",
    "resnet-18",
    "resnet-34",
    "resnet-50",
    "resnet-101",
    "resnet-152",
];

/// From this image size on, a name that is both a CIFAR and an ImageNet network means the latter.
const SMALLEST_IMAGENET: usize = 64;

/// A guard against typos. The paper's largest images have a side of 640 pixels.
const LARGEST_IMAGE: usize = 4096;

/// More would exhaust the memory. The paper's deepest network has 1202 layers.
const MAX_DEPTH: usize = 20_000;

/// Over ten times the widths of the paper, 16 and 64.
const MAX_WIDTH: usize = 1024;

/// The paper's networks have 3 and 4.
const MAX_STAGES: usize = 4;

/// A hundred times those of ImageNet.
const MAX_CLASSES: usize = 100_000;

impl Network {
    /// The network with this name, and its image size. The depths of Table 1 (18, 34, 50, 101, 152) are ImageNet networks
    /// with 1000 classes, by default at 224 pixels. 50 and 152 are also of the form 6n+2 and mean CIFAR networks for images
    /// below 64 pixels. Every other depth is a CIFAR network with 10 classes, by default at 32 pixels. The default
    /// shortcuts are the paper's: option B for bottlenecks (section 4.1), A elsewhere.
    ///
    /// # Errors
    /// [`Exit::Usage`] as for [`Network::parse_cifar`], and for a CIFAR image size that is not a multiple of 4.
    pub fn parse(
        name: &str,
        shortcut: Option<Shortcut>,
        image_size: Option<usize>,
    ) -> Result<(Self, usize)> {
        if image_size.is_none_or(|size| size >= SMALLEST_IMAGENET)
            && let Some(network) = Self::parse_imagenet(name, shortcut)
        {
            return match image_size.unwrap_or(224) {
                size if size > LARGEST_IMAGE => Err(too_large(size)),
                size => Ok((network, size)),
            };
        }
        let size = image_size.unwrap_or(32);
        if size > LARGEST_IMAGE {
            return Err(too_large(size));
        }
        if size < 4 || !size.is_multiple_of(4) {
            return Err(Exit::Usage.error(format!(
                "image size {size}: must be a multiple of 4, because the network subsamples twice; the paper's is 32"
            )));
        }
        let shortcut = shortcut.unwrap_or(Shortcut::A);
        let network = Self::parse_cifar(name, shortcut, DataName::Cifar10.classes())?;
        Ok((network, size))
    }

    /// The network of Table 1 with this name, such as `plain-34` or `resnet-152`.
    ///
    /// # Errors
    /// [`Exit::Usage`] for any other name, with the nearest.
    pub fn parse_table_1(name: &str, shortcut: Shortcut, classes: usize) -> Result<Self> {
        let Some(network) = Self::parse_imagenet(name, Some(shortcut)) else {
            return Err(Exit::Usage.error(format!(
                "network \"{name}\": not in Table 1; {}",
                remedy(name, TABLE_1)
            )));
        };
        Ok(Self { classes, ..network })
    }

    /// The network of Table 1 with this name, if there is one.
    fn parse_imagenet(name: &str, shortcut: Option<Shortcut>) -> Option<Self> {
        let lower = name.trim().to_lowercase();
        let (family, depth) = match lower.split_once('-')? {
            ("plain", depth) => (Family::Plain, depth),
            ("resnet", depth) => (Family::Resnet, depth),
            _ => return None,
        };
        let number: usize = depth.parse().ok()?;
        let classes = DataName::Imagenet.classes();
        let mut network = Self::imagenet(family, number, Shortcut::A, classes)?;
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
    /// [`Exit::Usage`] for an unknown family, or for a depth that is not 6n+2, with the nearest valid depths.
    pub fn parse_cifar(name: &str, shortcut: Shortcut, classes: usize) -> Result<Self> {
        let refuse = |why: String| Exit::Usage.error(format!("network \"{name}\": {why}"));
        let lower = name.trim().to_lowercase();
        let (family, depth) = lower.split_once('-').ok_or_else(|| {
            refuse("not a family and a depth; write plain-20 or resnet-20".into())
        })?;
        let family = match family {
            "plain" => Family::Plain,
            "resnet" => Family::Resnet,
            other => {
                return Err(refuse(match nearest(other, ["plain", "resnet"]) {
                    Some(family) => {
                        format!("unknown family \"{other}\"; did you mean \"{family}\"?")
                    }
                    None => format!("unknown family \"{other}\"; known are plain and resnet"),
                }));
            }
        };
        let depth: usize = match depth.parse::<usize>() {
            Ok(depth) if depth > MAX_DEPTH => {
                return Err(refuse(format!(
                    "{depth} layers are too many; use at most {MAX_DEPTH}"
                )));
            }
            Ok(depth) if depth.to_string().len() == depth_digits(&lower) => depth,
            _ => {
                return Err(refuse(format!(
                    "\"{depth}\" is not a depth; write a number of the form 6n+2 from 8 to {MAX_DEPTH}, such as 20"
                )));
            }
        };
        Self::cifar(family, depth, shortcut, classes).ok_or_else(|| {
            let below = (depth.saturating_sub(2) / 6).max(1) * 6 + 2;
            refuse(format!(
                "depth {depth} is not 6n+2; the nearest are {below} and {}",
                below + 6
            ))
        })
    }

    /// What is too large for a network, if anything. A network that was read from a file has any sizes.
    pub(crate) fn outsized(&self) -> Option<String> {
        let blocks = (self.blocks.iter()).fold(0_usize, |sum, &count| sum.saturating_add(count));
        let faults = [
            (
                !(1..=MAX_STAGES).contains(&self.blocks.len()),
                format!("{} stages; use 1 to {MAX_STAGES}", self.blocks.len()),
            ),
            (
                blocks > MAX_DEPTH,
                format!("{blocks} blocks; use at most {MAX_DEPTH}"),
            ),
            (
                !(1..=MAX_WIDTH).contains(&self.base_width),
                format!("base_width = {}; use 1 to {MAX_WIDTH}", self.base_width),
            ),
            (
                !(1..=MAX_CLASSES).contains(&self.classes),
                format!("classes = {}; use 1 to {MAX_CLASSES}", self.classes),
            ),
        ];
        let (_, fault) = faults.into_iter().find(|(wrong, _)| *wrong)?;
        Some(format!("network \"{}\": {fault}", self.name))
    }

    /// Number of weighted layers, as in the name.
    pub fn depth(&self) -> usize {
        let each = if self.bottleneck { 3 } else { 2 };
        2 + each * self.blocks.iter().sum::<usize>()
    }
}

fn too_large(size: usize) -> anyhow::Error {
    Exit::Usage.error(format!(
        "image size {size}: use at most {LARGEST_IMAGE} pixels"
    ))
}

/// Length of the text after the dash, to reject `plain-020` and `plain-+20`.
fn depth_digits(name: &str) -> usize {
    name.split_once('-').map_or(0, |(_, depth)| depth.len())
}
