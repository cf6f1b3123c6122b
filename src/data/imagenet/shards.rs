//! Hugging Face's Parquet shards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::classes::{self, first, synset_in, synsets};
use super::listing::{Found, Kind, Listing, MOST_BYTES, NO_GROUP, container};
use super::workers::{cores, each};
use crate::console::one_line;
use crate::data::progress::{Progress, Report};
use crate::exit::Exit;
use crate::record::foreign::{ForeignImage, ForeignImages};

/// The most bytes that reading a row group may take: as stored, decompressed, and as images.
const MOST_GROUP: usize = 2 << 30;

/// Opens a file of images.
///
/// # Errors
/// [`Exit::Data`] if it cannot be read, is damaged, or has no images.
pub(super) fn open(path: &Path) -> Result<ForeignImages> {
    ForeignImages::open_named(path).map_err(|error| damaged(path, &error))
}

/// The images of a row group.
///
/// # Errors
/// [`Exit::Data`] if the file cannot be read, is damaged, or claims an absurd size.
pub(super) fn read_group(file: &ForeignImages, group: usize) -> Result<Vec<ForeignImage>> {
    file.read(group, MOST_GROUP)
        .map_err(|error| damaged(file.path(), &error))
}

fn damaged(path: &Path, error: &anyhow::Error) -> anyhow::Error {
    Exit::Data.error(format!(
        "{}: not a readable Parquet file of images: {}; download it again",
        path.display(),
        one_line(&format!("{error:#}"))
    ))
}

/// Checks that none of the files that the others' names tell of is missing, such as `train-00001-of-00002.parquet`. A name
/// without `-of-` tells of no others.
///
/// # Errors
/// [`Exit::Data`] with the names of those that are.
pub(super) fn check_complete(files: &[PathBuf]) -> Result<()> {
    let mut sets: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    let mut folder = Path::new("");
    for path in files {
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some((part, number, total)) = name.and_then(numbered) {
            sets.entry((part, total)).or_default().push(number);
            folder = path.parent().unwrap_or(folder);
        }
    }
    for ((part, total), found) in sets {
        let (Ok(all), Some(digits)) = (total.parse::<u64>(), found.first().map(|name| name.len()))
        else {
            continue;
        };
        let there: BTreeSet<u64> = found.iter().filter_map(|name| name.parse().ok()).collect();
        let lacks = all - there.range(..all).count() as u64;
        if lacks == 0 {
            continue;
        }
        // More than are shown, so that it is seen where some are not.
        let missing: Vec<String> = (0..all)
            .filter(|number| !there.contains(number))
            .take(10)
            .map(|number| format!("{part}-{number:0digits$}-of-{total}.parquet"))
            .collect();
        let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
        return Err(Exit::Data.error(format!(
            "{} lacks {lacks} of the {all} files that the names of the others tell of ({}): download them, too, or take `-of-{total}` out of the names to use a part on purpose",
            folder.display(),
            first(&missing)
        )));
    }
    Ok(())
}

/// The parts of a name such as `train-00000-of-00294.parquet`. After the last number, Hugging Face may put a digest.
fn numbered(name: &str) -> Option<(&str, &str, &str)> {
    let (before, after) = name.rsplit_once("-of-")?;
    let (part, number) = before.rsplit_once('-')?;
    let end = after.find(|letter: char| !letter.is_ascii_digit())?;
    let total = &after[..end];
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(number) && digits(total)).then_some((part, number, total))
}

/// The place of a row: its group and its number in it.
pub(super) fn place(group: usize, row: usize) -> u64 {
    ((group as u64) << 32) | row as u64
}

/// The inverse of [`place`].
pub(super) fn group_and_row(place: u64) -> (usize, usize) {
    (
        (place >> 32) as usize,
        (place & u64::from(u32::MAX)) as usize,
    )
}

/// A row, before its class is known.
struct Row {
    image: Found,
    label: i64,
}

/// Lists and digests the images in Parquet files.
pub(super) fn list(root: &Path, files: &[PathBuf], progress: &mut Report) -> Result<Listing> {
    let mut containers = Vec::new();
    let mut units = Vec::new();
    for (number, path) in files.iter().enumerate() {
        progress(Progress::Waiting)?;
        containers.push(container(root, path)?);
        let groups = open(path)?.groups();
        units.extend((0..groups).map(|group| (number, group, groups as u64)));
    }
    let sizes: Vec<u64> = containers.iter().map(|container| container.size).collect();
    let total: u64 = sizes.iter().sum();
    let done = AtomicU64::new(0);
    let mut found: Vec<Vec<Row>> = Vec::new();
    found.resize_with(units.len(), Vec::new);
    each(
        cores(),
        units.len(),
        |unit| {
            let (number, group, groups) = units[unit];
            let images = read_group(&open(&files[number])?, group)?;
            done.fetch_add(sizes[number] / groups, Ordering::Relaxed);
            images
                .into_iter()
                .enumerate()
                .map(|(row, image)| read(&files[number], number, place(group, row), image))
                .collect::<Result<Vec<Row>>>()
        },
        |unit| {
            if let Some((unit, rows)) = unit {
                found[unit] = rows;
            }
            let done = done.load(Ordering::Relaxed).min(total);
            progress(Progress::Read { done, total })
        },
    )?;
    progress(Progress::Read { done: total, total })?;
    let rows = found.into_iter().flatten().collect();
    classify(rows, Listing::new(Kind::Shards, containers))
}

fn read(path: &Path, number: usize, place: u64, image: ForeignImage) -> Result<Row> {
    let name = image.path.unwrap_or_else(|| {
        format!(
            "{:08x}-{:08x}.jpg",
            place >> 32,
            place & u64::from(u32::MAX)
        )
    });
    let size = image.bytes.len() as u64;
    if size > MOST_BYTES {
        return Err(Exit::Data.error(format!(
            "{} in {} has {size} bytes, more than the {MOST_BYTES} that an image may have",
            one_line(&name),
            path.display()
        )));
    }
    Ok(Row {
        image: Found {
            name,
            group: NO_GROUP,
            container: number as u32,
            offset: place,
            size,
            modified: 0,
            digest: Some(Sha256::digest(&image.bytes).into()),
        },
        label: image.label,
    })
}

/// Gives each row its class: the synset in the name of its image, else the one that its label has in other rows, else, if
/// all 1000 labels occur, that of ILSVRC.
fn classify(rows: Vec<Row>, mut listing: Listing) -> Result<Listing> {
    let mut known: BTreeMap<i64, String> = BTreeMap::new();
    for row in &rows {
        if let Some(synset) = synset_in(&row.image.name) {
            let before = known.entry(row.label).or_insert_with(|| synset.to_owned());
            if before != synset {
                return Err(Exit::Data.error(format!(
                    "the Parquet files contradict themselves: label {} is both {before} and {synset} ({}); download them again",
                    row.label,
                    one_line(&row.image.name)
                )));
            }
        }
    }
    let labels: BTreeSet<i64> = rows.iter().map(|row| row.label).collect();
    if labels.iter().copied().eq(0..classes::ALL as i64) {
        for (label, synset) in (0..).zip(synsets()) {
            known.entry(label).or_insert_with(|| synset.to_owned());
        }
    }
    let mut groups: BTreeMap<i64, u32> = BTreeMap::new();
    for Row { image, label } in rows {
        let Some(class) = known.get(&label) else {
            return Err(Exit::Data.error(format!(
                "nothing tells the synset of label {label} in the Parquet files: neither the names of the images (`{}`) nor a complete set of {} labels; use the set of 1000 classes or class folders",
                one_line(&image.name),
                classes::ALL
            )));
        };
        let group = *groups.entry(label).or_insert_with(|| listing.group(class));
        listing.images.push(Found { group, ..image });
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_the_names_of_others_tell_of_are_not_missing() {
        let check = |names: &[&str]| {
            let files: Vec<PathBuf> = names.iter().map(|name| Path::new("d").join(name)).collect();
            check_complete(&files).map_err(|error| error.to_string())
        };
        for complete in [
            &[
                "train-00000-of-00002.parquet",
                "train-00001-of-00002.parquet",
            ][..],
            &["train-00000-of-00001-8b4da2bb1e6cc0d3.parquet"],
            &["train-0.parquet", "train-7.parquet"],
            &["train-x-of-00294.parquet", "train-00000-of-many.parquet"],
            &[],
        ] {
            assert_eq!(check(complete), Ok(()));
        }
        let told = check(&["val-00001-of-00003.parquet", "train-0-of-1.parquet"]).unwrap_err();
        let said = "d lacks 2 of the 3 files that the names of the others tell of (val-00000-of-00003.parquet, val-00002-of-00003.parquet): download them";
        assert!(told.starts_with(said), "{told}");
        // An absurd total takes neither time nor memory, and a number beyond it is none of them.
        let told = check(&[
            "train-1-of-99999999999.parquet",
            "train-99999999999-of-99999999999.parquet",
        ]);
        let told = told.unwrap_err();
        assert!(
            told.contains("lacks 99999999998 of the 99999999999"),
            "{told}"
        );
        assert!(
            told.contains("train-2-of-99999999999.parquet") && told.contains(", ..."),
            "{told}"
        );
    }

    fn row(name: &str, label: i64) -> Row {
        let image = ForeignImage {
            bytes: vec![1],
            label,
            path: Some(name.into()),
        };
        read(Path::new("shard"), 0, place(3, 4), image).unwrap()
    }

    fn classified(rows: Vec<Row>) -> Result<Vec<String>> {
        let listing = classify(rows, Listing::new(Kind::Shards, Vec::new()))?;
        let classes = listing.images.iter();
        let classes = classes.map(|image| listing.class(image).unwrap().to_owned());
        Ok(classes.collect())
    }

    #[test]
    fn labels_are_told_by_names_and_never_guessed() {
        assert_eq!(group_and_row(place(3, 4)), (3, 4));
        let known = row("n02102040_1_n02102040.JPEG", 1);
        let other = row("b.jpg", 1);
        assert_eq!(classified(vec![known, other]).unwrap(), ["n02102040"; 2]);
        let unknown = classified(vec![row("a.jpg", 0)]).unwrap_err();
        assert!(unknown.to_string().contains("label 0"), "{unknown}");
        let both = vec![row("n02102040_1.JPEG", 1), row("n01440764_1.JPEG", 1)];
        assert!(classified(both).is_err());
        let all = (0..1000).rev().map(|label| row("a.jpg", label)).collect();
        assert_eq!(classified(all).unwrap()[999], "n01440764");
    }
}
