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

/// The digest of CIFAR-10's training and test records, see [`crate::data::Dataset::digest`].
pub const CIFAR10_DIGEST: &str = "9ed84342a06d22b2238869634bf51a3c9da3c4785abfada5e8fd1451e84b7768";
/// The digest of the built-in synthetic set.
pub const SYNTHETIC_DIGEST: &str =
    "30a70e2ecfab06dd95b4f72f470389be50de3a5d3fcf5140051235e4cd65af17";

impl Origin {
    /// The origin of the images with this digest. Images with an unknown digest are not CIFAR-10, whatever was `written`.
    pub fn of(digest: &str, written: Origin) -> Self {
        match (digest, written) {
            (CIFAR10_DIGEST, _) => Origin::Cifar10,
            (SYNTHETIC_DIGEST, _) | (_, Origin::Synthetic) => Origin::Synthetic,
            _ => Origin::Other,
        }
    }

    /// The digest of the images of this origin, as far as there is only one such set.
    pub fn digest(self) -> &'static str {
        match self {
            Origin::Cifar10 => CIFAR10_DIGEST,
            Origin::Other => "other",
            Origin::Synthetic => SYNTHETIC_DIGEST,
        }
    }

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
