//! Data sets, and where images come from. Runs are only compared with runs and values of the same origin.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The data set that an experiment trains on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataName {
    /// 32x32 images of ten classes (section 4.2).
    #[default]
    Cifar10,
    /// JPEGs of 1000 classes (section 4.1), or a part of them.
    Imagenet,
}

impl DataName {
    /// Whether it is the default, which is left out of files.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Of the whole set.
    pub fn size(self) -> Size {
        match self {
            DataName::Cifar10 => Size::CIFAR10,
            DataName::Imagenet => Size::IMAGENET,
        }
    }

    /// Classes of the whole set.
    pub fn classes(self) -> usize {
        self.size().classes
    }

    /// Images that the paper evaluates on.
    pub fn test_images(self) -> usize {
        self.size().test_images
    }

    /// The origin of the paper's own images.
    pub fn origin(self) -> Origin {
        match self {
            DataName::Cifar10 => Origin::Cifar10,
            DataName::Imagenet => Origin::Imagenet,
        }
    }

    /// The paper's images, as the data of an expectation.
    pub fn kind(self) -> DataKind {
        match self {
            DataName::Cifar10 => DataKind::Cifar10,
            DataName::Imagenet => DataKind::Imagenet,
        }
    }
}

/// The size of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    pub classes: usize,
    pub training_images: usize,
    pub test_images: usize,
}

impl Size {
    pub const CIFAR10: Size = Size {
        classes: 10,
        training_images: 50_000,
        test_images: 10_000,
    };
    /// ILSVRC 2012 with its validation set.
    pub const IMAGENET: Size = Size {
        classes: 1000,
        training_images: 1_281_167,
        test_images: 50_000,
    };
}

/// Where a run's images come from, in order of preference: figures show the paper's images if they can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The 60,000 images of CIFAR-10, identified by digest.
    Cifar10,
    /// All images of ImageNet. The digests of archives are published, but none of the images, so these are identified by their
    /// numbers and by the labels of some known ones.
    Imagenet,
    /// Images in one of ImageNet's layouts, but not all of them: some classes, say, or shrunk ones.
    ImagenetPart,
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
            (_, Origin::Imagenet | Origin::ImagenetPart) => written,
            _ => Origin::Other,
        }
    }

    /// The origin of images in one of ImageNet's layouts. `verified` says that known images have their known labels, as
    /// `refig data verify imagenet` checks: with the validation labels in another order, the numbers are right too.
    pub fn of_imagenet(size: Size, verified: bool) -> Self {
        match verified && size == Size::IMAGENET {
            true => Origin::Imagenet,
            false => Origin::ImagenetPart,
        }
    }

    /// The data set that images of this origin are all of; none if they are a part of it, or others.
    pub fn whole(self) -> Option<DataName> {
        match self {
            Origin::Cifar10 => Some(DataName::Cifar10),
            Origin::Imagenet => Some(DataName::Imagenet),
            Origin::ImagenetPart | Origin::Other | Origin::Synthetic => None,
        }
    }

    /// The digest of the images of this origin, as far as there is only one such set.
    pub fn digest(self) -> &'static str {
        match self {
            Origin::Cifar10 => CIFAR10_DIGEST,
            Origin::Synthetic => SYNTHETIC_DIGEST,
            several => several.key(),
        }
    }

    /// The name in files: `cifar10`, `imagenet`, `imagenet-part`, `other` or `synthetic`.
    pub fn key(self) -> &'static str {
        match self {
            Origin::Cifar10 => "cifar10",
            Origin::Imagenet => "imagenet",
            Origin::ImagenetPart => "imagenet-part",
            Origin::Other => "other",
            Origin::Synthetic => "synthetic",
        }
    }

    /// The name in columns: as in files, but SYNTHETIC in capitals.
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
            Origin::Imagenet => "ImageNet",
            Origin::ImagenetPart => "a part of ImageNet",
            Origin::Other => "images other than CIFAR-10",
            Origin::Synthetic => "SYNTHETIC images",
        }
    }
}

/// What was done to pictures before anything saw them, to follow their name: `, shrunk to a shorter side of 480 pixels, without
/// 2 that cannot be decoded`. Empty if nothing was.
pub fn treated(shrunk: Option<u32>, unreadable: usize) -> String {
    let mut text = String::new();
    if let Some(side) = shrunk {
        text += &format!(", shrunk to a shorter side of {side} pixels");
    }
    if unreadable > 0 {
        text += &format!(", without {unreadable} that cannot be decoded");
    }
    text
}

/// The data that an expectation, claim or command applies to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DataKind {
    Cifar10,
    /// All of ImageNet.
    Imagenet,
    /// A part of ImageNet.
    ImagenetPart,
    Synthetic,
    /// Data of any origin.
    #[default]
    Any,
}

impl DataKind {
    pub const ALL: [DataKind; 5] = [
        DataKind::Any,
        DataKind::Cifar10,
        DataKind::Imagenet,
        DataKind::ImagenetPart,
        DataKind::Synthetic,
    ];

    /// The single origin, or `None` for any.
    pub fn only(self) -> Option<Origin> {
        match self {
            DataKind::Cifar10 => Some(Origin::Cifar10),
            DataKind::Imagenet => Some(Origin::Imagenet),
            DataKind::ImagenetPart => Some(Origin::ImagenetPart),
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
            DataKind::Imagenet => "imagenet",
            DataKind::ImagenetPart => "imagenet-part",
            DataKind::Synthetic => "synthetic",
            DataKind::Any => "any",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_of_imagenet_with_its_labels_is_imagenet() {
        assert_eq!(Origin::of_imagenet(Size::IMAGENET, true), Origin::Imagenet);
        assert_eq!(
            Origin::of_imagenet(Size::IMAGENET, false),
            Origin::ImagenetPart
        );
        let one_less = Size {
            training_images: Size::IMAGENET.training_images - 1,
            ..Size::IMAGENET
        };
        assert_eq!(Origin::of_imagenet(one_less, true), Origin::ImagenetPart);
    }

    #[test]
    fn names_in_files_are_those_of_serde() {
        let all = [
            Origin::Cifar10,
            Origin::Imagenet,
            Origin::ImagenetPart,
            Origin::Other,
            Origin::Synthetic,
        ];
        for origin in all {
            assert_eq!(serde_json::json!(origin), origin.key());
        }
        for kind in DataKind::ALL {
            assert_eq!(serde_json::json!(kind), kind.name());
        }
    }
}
