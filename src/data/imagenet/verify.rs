//! Compares images with the published counts and with labels that are known from elsewhere.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use super::classes::{self, first, synsets, validation_number};
use super::collection::{Collection, Look, survey};
use super::published;
use super::split::Split;
use super::unreadable;
use crate::counted::{counted, is_or_are};
use crate::data::progress::Report;
use crate::digest::sha256;
use crate::origin::Size;

/// Images of ILSVRC 2012.
const TRAIN: usize = Size::IMAGENET.training_images;
const TEST: usize = Size::IMAGENET.test_images;
/// Validation images of each class.
const TEST_EACH: usize = 50;
/// The fewest and the most training images of a class.
const TRAIN_EACH: [usize; 2] = [732, 1300];

/// Numbers of validation images and their classes: the first 24 of TensorFlow's
/// `research/slim/datasets/imagenet_2012_validation_synset_labels.txt` (repository tensorflow/models).
const KNOWN: &[(usize, &str)] = &[
    (1, "n01751748"),
    (2, "n09193705"),
    (3, "n02105855"),
    (4, "n04263257"),
    (5, "n03125729"),
    (6, "n01735189"),
    (7, "n02346627"),
    (8, "n02776631"),
    (9, "n03794056"),
    (10, "n02328150"),
    (11, "n01917289"),
    (12, "n02125311"),
    (13, "n02484975"),
    (14, "n04065272"),
    (15, "n03496892"),
    (16, "n02066245"),
    (17, "n01914609"),
    (18, "n01616318"),
    (19, "n02971356"),
    (20, "n03126707"),
    (21, "n02346627"),
    (22, "n02091244"),
    (23, "n07742313"),
    (24, "n03956157"),
];

/// The same for classes of Imagenette, from the folders of fast.ai's `imagenette2-160`, which holds validation images of
/// ImageNet under their own names. The labels of "Are we done with ImageNet?" (timm's `imagenet_real_labels.json`) agree.
const KNOWN_IMAGENETTE: &[(usize, &str)] = &[
    (9379, "n01440764"),
    (4034, "n03000684"),
    (3351, "n03028079"),
    (1492, "n03394916"),
    (2434, "n03417042"),
    (5996, "n03425413"),
    (4745, "n03888257"),
];

/// Training images in CMYK or YCCK, and one that is a PNG.
const FOUR_COMPONENTS: [&str; 22] = [
    "n01739381_1309",
    "n02077923_14822",
    "n02447366_23489",
    "n02492035_15739",
    "n02747177_10752",
    "n03018349_4028",
    "n03062245_4620",
    "n03347037_9675",
    "n03467068_12171",
    "n03529860_11437",
    "n03544143_17228",
    "n03633091_5218",
    "n03710637_5125",
    "n03961711_5286",
    "n04033995_2932",
    "n04258138_17003",
    "n04264628_27969",
    "n04336792_7448",
    "n04371774_5854",
    "n04596742_4225",
    "n07583066_647",
    "n13037406_4650",
];
const PNG: &str = "n02105855_2933";
/// A validation image in four components, and the sha256 of its bytes.
const ODD_TEST: (usize, &str) = (
    19_877,
    "75413aece0dc58bcd9d4b89f664ab04cee3ade28317d81aeace455029e0000ba",
);

/// What [`verify`] found.
#[derive(Clone, Debug)]
pub struct Findings {
    pub lines: Vec<String>,
    /// What the images are: all of ImageNet, or why they are not.
    pub verdict: std::result::Result<String, String>,
}

/// Reads all images at `dir` and compares them with ILSVRC 2012: archives, classes, counts, known labels, odd files. With `decode`, also
/// decodes them, and names those that cannot be.
///
/// # Errors
/// Those of [`open`](super::open), except that a part may be missing.
pub fn verify(dir: &Path, cache: &Path, decode: bool, progress: &mut Report) -> Result<Findings> {
    let look = Look {
        trust: false,
        leave_out: false,
    };
    let collection = survey(dir, cache, look, progress)?;
    let mut findings = Check {
        collection: &collection,
        lines: Vec::new(),
        faults: Vec::new(),
    };
    findings.places();
    findings.archives(progress)?;
    findings.classes();
    findings.counts("training", &collection.train, TRAIN, TRAIN_EACH);
    findings.counts("validation", &collection.test, TEST, [TEST_EACH; 2]);
    findings.numbers();
    findings.labels();
    findings.odd_files()?;
    match decode {
        true => findings.unreadable(cache, progress)?,
        false => findings
            .lines
            .push("not decoded: --decode finds images that are truncated or damaged".into()),
    }
    Ok(findings.done())
}

/// Whether an opened collection is all of ImageNet, as far as classes, counts, known labels and one known image tell: in a
/// shrunk copy, its bytes differ.
pub fn is_whole(collection: &Collection) -> bool {
    let mut check = Check {
        collection,
        lines: Vec::new(),
        faults: Vec::new(),
    };
    check.classes();
    check.counts("training", &collection.train, TRAIN, TRAIN_EACH);
    check.counts("validation", &collection.test, TEST, [TEST_EACH; 2]);
    let known = check.labels() > 0 && check.odd_files().is_ok();
    known && check.faults.is_empty()
}

struct Check<'a> {
    collection: &'a Collection,
    lines: Vec<String>,
    faults: Vec<String>,
}

impl Check<'_> {
    fn places(&mut self) {
        let Collection {
            source,
            layout,
            skipped,
            shrunk,
            ..
        } = self.collection;
        self.lines.push(format!("{source}: {layout}"));
        if *skipped > 0 {
            let files = match skipped {
                1 => "1 file is hidden or no image".to_owned(),
                _ => format!("{skipped} files are hidden or no images"),
            };
            self.lines.push(format!("{files}: skipped"));
        }
        if let Some(side) = shrunk {
            self.faults.push(format!(
                "its pictures were shrunk to a shorter side of {side} pixels"
            ));
        }
        for (what, split) in [
            ("training", &self.collection.train),
            ("validation", &self.collection.test),
        ] {
            let (images, digest) = (counted(split.len(), "image"), split.digest());
            self.lines
                .push(format!("{what:>10}: {images}, digest {digest}"));
        }
    }

    /// Compares the official archives, by their names, with the published ones.
    fn archives(&mut self, progress: &mut Report) -> Result<()> {
        for split in [&self.collection.train, &self.collection.test] {
            for path in split.containers() {
                match published::compare(path, &published::ARCHIVES, progress)? {
                    Some(Ok(line)) => self.lines.push(line),
                    Some(Err(fault)) => self.faults.push(fault),
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// Names the validation images that are missing, as far as names have numbers.
    fn numbers(&mut self) {
        let test = &self.collection.test;
        let names = (0..test.len()).map(|index| test.file(index));
        if let Some(missing) = classes::missing_numbers(names, TEST) {
            self.faults.push(missing);
        }
    }

    fn classes(&mut self) {
        let own: BTreeSet<&str> = self.collection.classes.iter().map(String::as_str).collect();
        let all: BTreeSet<&str> = synsets().collect();
        let missing: Vec<&str> = all.difference(&own).copied().collect();
        let strange: Vec<&str> = own.difference(&all).copied().collect();
        self.lines.push(format!(
            "{} of {} classes",
            own.len() - strange.len(),
            classes::ALL
        ));
        if !missing.is_empty() {
            self.faults.push(format!(
                "{} of {} classes {} missing ({})",
                missing.len(),
                classes::ALL,
                is_or_are(missing.len()),
                first(&missing)
            ));
        }
        if !strange.is_empty() {
            self.faults.push(format!(
                "{} {} not ImageNet's ({})",
                counted(strange.len(), "class"),
                is_or_are(strange.len()),
                first(&strange)
            ));
        }
    }

    fn counts(&mut self, what: &str, split: &Split, expected: usize, each: [usize; 2]) {
        if split.len() != expected {
            self.faults.push(format!(
                "{} instead of {expected}",
                counted(split.len(), &format!("{what} image"))
            ));
        }
        let mut counts = vec![0usize; self.collection.classes.len()];
        for index in 0..split.len() {
            counts[usize::from(split.label(index))] += 1;
        }
        let wrong: Vec<String> = counts
            .iter()
            .zip(&self.collection.classes)
            .filter(|&(count, _)| !(each[0]..=each[1]).contains(count))
            .map(|(count, class)| format!("{class} has {count}"))
            .collect();
        if wrong.is_empty() || split.is_empty() {
            return;
        }
        let range = if each[0] == each[1] {
            each[0].to_string()
        } else {
            format!("{} to {}", each[0], each[1])
        };
        let shown: Vec<&str> = wrong.iter().map(String::as_str).collect();
        self.faults.push(format!(
            "{} without {range} {what} images ({})",
            counted(wrong.len(), "class"),
            first(&shown)
        ));
    }

    /// Checks labels that are known. Imagenette has validation images among its training images.
    fn labels(&mut self) -> usize {
        let (mut checked, mut wrong) = (0, Vec::new());
        for split in [&self.collection.train, &self.collection.test] {
            for index in 0..split.len() {
                let Some(number) = validation_number(split.file(index)) else {
                    continue;
                };
                let mut known = KNOWN.iter().chain(KNOWN_IMAGENETTE);
                let Some((_, class)) = known.find(|(known, _)| *known == number) else {
                    continue;
                };
                checked += 1;
                let label = &self.collection.classes[usize::from(split.label(index))];
                if label != class {
                    wrong.push(format!("{} is {class}, not {label}", split.file(index)));
                }
            }
        }
        self.lines.push(format!(
            "{} of {checked} known image-label pairs agree",
            checked - wrong.len()
        ));
        if !wrong.is_empty() {
            let shown: Vec<&str> = wrong.iter().map(String::as_str).collect();
            self.faults.push(format!(
                "the labels are in the wrong order or of other images: {}",
                first(&shown)
            ));
        }
        checked
    }

    fn odd_files(&mut self) -> Result<()> {
        let train = &self.collection.train;
        let odd: BTreeSet<&str> = FOUR_COMPONENTS.into_iter().collect();
        let (mut found, mut png) = (Vec::new(), false);
        for index in 0..train.len() {
            let stem = training_stem(train.file(index));
            if let Some(name) = odd.get(stem) {
                found.push(*name);
            }
            png |= stem == PNG;
        }
        found.sort_unstable();
        let which = if found.is_empty() || found.len() == odd.len() {
            String::new()
        } else {
            format!(" ({})", first(&found))
        };
        self.lines.push(format!(
            "{} of {} known training images in CMYK or YCCK{which}; the PNG called {PNG}.JPEG is {}",
            found.len(),
            odd.len(),
            if png { "there" } else { "not there" }
        ));
        let test = &self.collection.test;
        let at =
            (0..test.len()).find(|&index| validation_number(test.file(index)) == Some(ODD_TEST.0));
        let Some(index) = at else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        test.read(index, &mut bytes)?;
        let name = test.file(index);
        if sha256(&bytes) == ODD_TEST.1 {
            self.lines.push(format!(
                "{name}, the validation image in CMYK, is as published"
            ));
        } else {
            self.faults
                .push(format!("{name} does not have the published bytes"));
        }
        Ok(())
    }

    /// Names and counts the images that cannot be decoded.
    fn unreadable(&mut self, cache: &Path, progress: &mut Report) -> Result<()> {
        let mut count = 0;
        for split in [&self.collection.train, &self.collection.test] {
            for image in unreadable::find(split, cache, progress)? {
                let name = split.name(image.index);
                self.lines
                    .push(format!("{name} cannot be decoded: {}", image.why));
                count += 1;
            }
        }
        let all = self.collection.train.len() + self.collection.test.len();
        self.lines
            .push(format!("{} of {all} images can be decoded", all - count));
        if count > 0 {
            let them = if count == 1 { "it" } else { "them" };
            self.faults.push(format!(
                "{} cannot be decoded: get {them} again, or train without {them} with --skip-unreadable",
                counted(count, "image")
            ));
        }
        Ok(())
    }

    fn done(self) -> Findings {
        let own = self.collection.classes.len();
        let verdict = if self.faults.is_empty() {
            Ok("all of ImageNet-1k (ILSVRC 2012)".to_owned())
        } else {
            let what = if own < classes::ALL {
                format!(
                    "a subset of ImageNet with {own} of {} classes",
                    classes::ALL
                )
            } else {
                "not all of ImageNet-1k (ILSVRC 2012)".to_owned()
            };
            Err(format!(
                "{} is {what}: {}",
                self.collection.source,
                self.faults.join("; ")
            ))
        };
        Findings {
            lines: self.lines,
            verdict,
        }
    }
}

/// The name of a training image without folders, ending, and the class that Hugging Face appends.
fn training_stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = file.split('.').next().unwrap_or(file);
    match stem.match_indices('_').nth(1) {
        Some((at, _)) => &stem[..at],
        None => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_what_is_around_them() {
        for name in [
            "train/n02105855/n02105855_2933.JPEG",
            "n02105855_2933_n02105855.JPEG",
        ] {
            assert_eq!(training_stem(name), PNG);
        }
        let all: BTreeSet<&str> = synsets().collect();
        for (_, class) in KNOWN.iter().chain(KNOWN_IMAGENETTE) {
            assert!(all.contains(class), "{class}");
        }
        for name in FOUR_COMPONENTS {
            assert!(all.contains(&name[..9]), "{name}");
        }
    }
}
