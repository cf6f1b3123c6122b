//! What a data set is, in words: CIFAR-10 by its digests, a damaged copy of it, other images or SYNTHETIC ones.

use super::records::{CIFAR10_TEST_DIGEST, CIFAR10_TRAIN_DIGEST};
use crate::data::images::Dataset;
use crate::origin::Origin;

/// How CIFAR-10 is called where its digests are known to be the official ones.
pub(in crate::data) const OFFICIAL: &str = "CIFAR-10 (official digest)";

impl Dataset {
    /// What the images are and where they were found, as it follows "on" in a sentence.
    pub fn description(&self) -> String {
        let source = &self.source;
        match (self.origin, self.differing()) {
            (Origin::Cifar10, _) => format!("{OFFICIAL} at {source}"),
            (Origin::Synthetic, _) => source.clone(),
            (Origin::Imagenet | Origin::ImagenetPart, _) => {
                format!("{} at {source}", self.origin.name())
            }
            (Origin::Other, Some(part)) => {
                format!(
                    "images other than CIFAR-10 in its layout (the digest of the {part} differs) at {source}"
                )
            }
            (Origin::Other, None) => {
                format!("images other than CIFAR-10 in its layout at {source}")
            }
        }
    }

    /// Why images in CIFAR-10's layout are not CIFAR-10, as far as digests tell. None for CIFAR-10 and the synthetic set.
    pub fn doubt(&self) -> Option<String> {
        if self.origin != Origin::Other {
            return None;
        }
        let source = &self.source;
        Some(match self.differing() {
            Some(part) => format!(
                "{source} is probably a damaged CIFAR-10: only the digest of the {part} differs"
            ),
            None => format!(
                "{source} has the layout of CIFAR-10 but the digests of other images, or is badly damaged"
            ),
        })
    }

    /// The images that are not CIFAR-10's, if the others are.
    fn differing(&self) -> Option<&'static str> {
        let train = self.train.digest == CIFAR10_TRAIN_DIGEST;
        let test = self.test.digest == CIFAR10_TEST_DIGEST;
        match (train, test) {
            (false, true) => Some("training images"),
            (true, false) => Some("test images"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::ImageSet;

    fn dataset(train: &str, test: &str, origin: Origin) -> Dataset {
        let set = |digest: &str| {
            Arc::new(ImageSet {
                size: 32,
                pixels: Vec::new(),
                labels: Vec::new(),
                digest: digest.into(),
            })
        };
        Dataset {
            origin,
            classes: 10,
            train: set(train),
            test: set(test),
            source: "a folder".into(),
        }
    }

    #[test]
    fn a_damaged_copy_is_told_from_other_images() {
        let (train, test) = (CIFAR10_TRAIN_DIGEST, CIFAR10_TEST_DIGEST);
        let official = dataset(train, test, Origin::Cifar10);
        assert_eq!(
            official.description(),
            "CIFAR-10 (official digest) at a folder"
        );
        assert_eq!(official.doubt(), None);
        for (train, test, part) in [
            ("another", test, "training images"),
            (train, "another", "test images"),
        ] {
            let damaged = dataset(train, test, Origin::Other);
            let (phrase, doubt) = (damaged.description(), damaged.doubt().unwrap());
            assert!(
                phrase.contains("other than CIFAR-10") && phrase.contains(part),
                "{phrase}"
            );
            assert!(
                doubt.contains("probably a damaged CIFAR-10") && doubt.contains(part),
                "{doubt}"
            );
        }
        let other = dataset("another", "another", Origin::Other);
        assert!(other.doubt().unwrap().contains("other images"));
    }
}
