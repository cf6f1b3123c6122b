//! Where images come from. Runs are only compared with runs and values of the same origin.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a run's images come from, in order of preference: figures show CIFAR-10 if they can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The 60,000 images of CIFAR-10, identified by digest.
    Cifar10,
    /// Other images in CIFAR-10's file layout.
    #[default]
    Other,
    /// Images generated from a seed by this program.
    Synthetic,
}

impl Origin {
    /// The name in files: `cifar10`, `other` or `synthetic`.
    pub fn key(self) -> &'static str {
        match self {
            Origin::Cifar10 => "cifar10",
            Origin::Other => "other",
            Origin::Synthetic => "synthetic",
        }
    }

    /// The name in columns: `cifar10`, `other` or `SYNTHETIC`.
    pub fn short(self) -> &'static str {
        match self {
            Origin::Synthetic => "SYNTHETIC",
            other => other.key(),
        }
    }

    /// The name in titles and sentences, with SYNTHETIC always in capitals.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Cifar10 => "CIFAR-10",
            Origin::Other => "images other than CIFAR-10",
            Origin::Synthetic => "SYNTHETIC images",
        }
    }
}

/// The data that an expectation, claim or command applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataKind {
    Cifar10,
    Synthetic,
    /// Data of any origin.
    #[default]
    Any,
}

impl DataKind {
    pub const ALL: [DataKind; 3] = [DataKind::Any, DataKind::Cifar10, DataKind::Synthetic];

    /// The single origin, or `None` for any.
    pub fn only(self) -> Option<Origin> {
        match self {
            DataKind::Cifar10 => Some(Origin::Cifar10),
            DataKind::Synthetic => Some(Origin::Synthetic),
            DataKind::Any => None,
        }
    }

    /// Whether data of this origin is included.
    pub fn admits(self, origin: Origin) -> bool {
        self.only().is_none_or(|only| only == origin)
    }

    /// The name in manifests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            DataKind::Cifar10 => "cifar10",
            DataKind::Synthetic => "synthetic",
            DataKind::Any => "any",
        }
    }
}
