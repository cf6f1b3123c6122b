//! The classes: synsets of WordNet such as n01440764, numbered by their order as text, as everywhere but in the devkit.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::console::one_line;
use crate::counted::{counted, is_or_are};
use crate::exit::Exit;

/// The 1000 synsets of ILSVRC 2012 in their order, as in timm's `imagenet_synsets.txt` and torchvision.
const SYNSETS: &str = include_str!("synsets.txt");
/// How many classes ILSVRC 2012 has.
pub(super) const ALL: usize = 1000;
/// The most classes that a label can number.
pub(super) const MOST: usize = 1 << 16;

/// The synsets of ILSVRC 2012, sorted.
pub(super) fn synsets() -> impl Iterator<Item = &'static str> {
    SYNSETS.lines()
}

/// Whether `name` is written as a synset: n and eight digits.
pub(super) fn is_synset(name: &str) -> bool {
    name.strip_prefix('n').is_some_and(|digits| {
        digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// The synset in the name of an image: Hugging Face writes `n01440764_10026_n01440764.JPEG` and
/// `ILSVRC2012_val_00000293_n01440764.JPEG`, the archives of training images `n01440764_10026.JPEG`.
pub(super) fn synset_in(name: &str) -> Option<&str> {
    let file = name.rsplit('/').next()?;
    let stem = file.split('.').next()?;
    let last = stem.rsplit('_').next().filter(|last| is_synset(last));
    last.or_else(|| stem.split('_').next().filter(|first| is_synset(first)))
}

/// The number in `ILSVRC2012_val_00000293.JPEG`, with whatever follows it.
pub(super) fn validation_number(name: &str) -> Option<usize> {
    let file = name.rsplit('/').next()?;
    let digits = file.strip_prefix("ILSVRC2012_val_")?.get(..8)?;
    digits.parse().ok().filter(|&number| number > 0)
}

/// Which of `count` validation images are missing among `names`, if there are numbers in these.
pub(super) fn missing_numbers<'a>(
    names: impl Iterator<Item = &'a str>,
    count: usize,
) -> Option<String> {
    let mut there = BTreeSet::new();
    let mut without = 0;
    for name in names {
        match validation_number(name).filter(|&number| number <= count) {
            Some(number) => {
                there.insert(number);
            }
            None => without += 1,
        }
    }
    let missing: Vec<usize> = (1..=count)
        .filter(|number| !there.contains(number))
        .collect();
    // Images under other names may be the missing ones.
    if there.is_empty() || missing.len() <= without {
        return None;
    }
    let all: Vec<String> = missing
        .iter()
        .map(|number| format!("ILSVRC2012_val_{number:08}"))
        .collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    Some(format!(
        "{} of {count} validation images {} missing by their numbers ({})",
        missing.len(),
        is_or_are(missing.len()),
        first(&all)
    ))
}

/// The classes of a collection, from those that have training images and those that have test images.
///
/// # Errors
/// [`Exit::Data`] if a class has test images only, or if there are too many.
pub(super) fn join<'a>(
    train: impl Iterator<Item = &'a str>,
    test: impl Iterator<Item = &'a str>,
    source: &str,
) -> Result<Vec<String>> {
    let train: BTreeSet<&str> = train.collect();
    let test: BTreeSet<&str> = test.collect();
    let strange: Vec<&str> = test.difference(&train).copied().collect();
    if !train.is_empty() && !strange.is_empty() {
        return Err(Exit::Data.error(format!(
            "{source}: validation but no training images of {} ({}): the two sets do not belong together, or `val` is not sorted into class folders",
            counted(strange.len(), "class"),
            first(&strange)
        )));
    }
    let classes = if train.is_empty() { test } else { train };
    if classes.len() > MOST {
        return Err(too_many(source));
    }
    Ok(classes.into_iter().map(str::to_owned).collect())
}

/// The error for what has more classes than labels can number.
pub(super) fn too_many(source: &str) -> anyhow::Error {
    Exit::Data.error(format!(
        "{source} has more classes than the {MOST} that are supported; name the folder that holds `train` and `val`"
    ))
}

/// What is odd about the names of the classes.
pub(super) fn doubt(classes: &[String]) -> Option<String> {
    let other: Vec<&str> = classes
        .iter()
        .map(String::as_str)
        .filter(|name| !is_synset(name))
        .collect();
    if other.is_empty() {
        return None;
    }
    let order = if other.iter().all(|name| name.parse::<u64>().is_ok()) && other.len() > 1 {
        "; numbers are sorted as text (0, 1, 10, 100, ..., 2), so a class's label is not its number"
    } else {
        ""
    };
    Some(format!(
        "{} of {} {} not named by synsets ({}){order}",
        other.len(),
        counted(classes.len(), "class folder"),
        is_or_are(other.len()),
        first(&other)
    ))
}

/// The first few of many names.
pub(super) fn first(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| one_line(name))
        .collect();
    let shown = shown.join(", ");
    if names.len() > SHOWN {
        format!("{shown}, ...")
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_complete_and_sorted() {
        let list: Vec<&str> = synsets().collect();
        assert_eq!(list.len(), ALL);
        assert!(list.is_sorted() && list.iter().all(|name| is_synset(name)));
        // The first, the last, and one that everybody knows.
        assert_eq!(
            (list[0], list[65], list[999]),
            ("n01440764", "n01751748", "n15075141")
        );
    }

    #[test]
    fn names_tell_synsets_and_numbers() {
        for (name, synset) in [
            ("n01440764_10026.JPEG", Some("n01440764")),
            ("n01440764_10026_n01440764.JPEG", Some("n01440764")),
            (
                "x/ILSVRC2012_val_00000293_n01440764.JPEG",
                Some("n01440764"),
            ),
            ("ILSVRC2012_val_00000293.JPEG", None),
            ("n0144076_1.JPEG", None),
        ] {
            assert_eq!(synset_in(name), synset, "{name}");
        }
        assert_eq!(
            validation_number("val/ILSVRC2012_val_00000293.JPEG"),
            Some(293)
        );
        assert_eq!(validation_number("ILSVRC2012_val_00000000.JPEG"), None);
        assert_eq!(validation_number("ILSVRC2012_val_é0000000.JPEG"), None);
    }

    #[test]
    fn missing_validation_images_are_named() {
        const COUNT: usize = 50_000;
        let name = |number: usize| format!("val/ILSVRC2012_val_{number:08}.JPEG");
        let said = |left_out: &[usize], more: &[&str]| {
            let own: Vec<String> = (1..=COUNT)
                .filter(|number| !left_out.contains(number))
                .map(name)
                .collect();
            let more = more.iter().copied();
            missing_numbers(own.iter().map(String::as_str).chain(more), COUNT)
        };
        assert_eq!(said(&[], &[]), None);
        assert_eq!(
            said(&[123, 49_999], &[]).as_deref(),
            Some(
                "2 of 50000 validation images are missing by their numbers (ILSVRC2012_val_00000123, ILSVRC2012_val_00049999)"
            )
        );
        // One twice does not stand for another, and one under another name may.
        assert!(said(&[123], &["ILSVRC2012_val_00000001 (1).JPEG"]).is_some());
        assert!(said(&[123], &["val/x.JPEG"]).is_none());
        let many: Vec<usize> = (1..=7).collect();
        let told = said(&many, &[]).unwrap();
        assert!(told.contains("val_00000005, ...)"), "{told}");
        assert_eq!(
            missing_numbers(["a.JPEG", "b.JPEG"].into_iter(), COUNT),
            None
        );
    }

    #[test]
    fn classes_are_those_of_the_training_images() {
        let join = |train: &[&'static str], test: &[&'static str]| {
            super::join(train.iter().copied(), test.iter().copied(), "here")
        };
        assert_eq!(join(&["b", "a", "c"], &["a"]).unwrap(), ["a", "b", "c"]);
        assert_eq!(join(&[], &["b", "a"]).unwrap(), ["a", "b"]);
        let error = join(&["a"], &["images"]).unwrap_err().to_string();
        assert!(error.contains("images"), "{error}");
    }

    #[test]
    fn numbers_as_class_names_are_doubted() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(doubt(&names(&["n01440764", "n02102040"])), None);
        assert!(
            doubt(&names(&["0", "1", "10"]))
                .unwrap()
                .contains("as text")
        );
        assert!(
            !doubt(&names(&["tench", "church"]))
                .unwrap()
                .contains("as text")
        );
    }
}
