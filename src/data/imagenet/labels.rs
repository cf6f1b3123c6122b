//! The labels of validation images that lie in one folder or archive without class folders: from the devkit, from Kaggle's
//! table, or from a list.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Result;
use flate2::read::MultiGzDecoder;

use super::classes::{is_synset, validation_number};
use super::matlab;
use crate::console::one_line;
use crate::exit::Exit;

/// The devkit's files.
const TRUTH: &str = "ILSVRC2012_validation_ground_truth.txt";
const META: &str = "meta.mat";
const DEVKIT: &str = "ILSVRC2012_devkit_t12";
/// Kaggle's table.
const KAGGLE: &str = "LOC_val_solution.csv";
/// Other lists that are in use: `name synset` in each line, or a synset in each line in the order of the images' numbers
/// (TensorFlow's).
const LISTS: [&str; 7] = [
    "val_labels.txt",
    "val.txt",
    "val_map.txt",
    "val_synsets.txt",
    "val_annotations.txt",
    "synset_labels.txt",
    "imagenet_2012_validation_synset_labels.txt",
];
/// The most bytes of a list or table, of which each takes several in memory. Kaggle's has 2 MB.
const MOST_TEXT: u64 = 16 << 20;
/// The most bytes that the devkit may unpack to.
const MOST_DEVKIT: u64 = 256 << 20;

/// Validation images of ImageNet.
const IMAGES: usize = 50_000;

/// What to do where labels are missing.
pub(super) const REMEDY: &str = "put ILSVRC2012_devkit_t12.tar.gz (or its data/meta.mat and data/ILSVRC2012_validation_ground_truth.txt), Kaggle's LOC_val_solution.csv, or a list val.txt with `name synset` in each line beside it, or sort the images into class folders";

/// Synsets by image.
#[derive(Debug)]
pub(super) struct Labels {
    pub source: PathBuf,
    /// By name without ending.
    names: HashMap<String, String>,
    /// By the number in the name, from 1.
    numbers: Vec<String>,
}

impl Labels {
    /// The synset of an image by the name of its file.
    pub fn of(&self, name: &str) -> Option<&str> {
        let number = validation_number(name).and_then(|number| self.numbers.get(number - 1));
        let found = number.or_else(|| self.names.get(stem(name)));
        found.map(String::as_str)
    }
}

/// Looks for labels in `folders`, in their order.
///
/// # Errors
/// [`Exit::Data`] if there are none, or if what there is cannot be read.
pub(super) fn find(folders: &[PathBuf], images: &str) -> Result<Labels> {
    for folder in folders {
        let path = folder.join(KAGGLE);
        if path.is_file() {
            let names = kaggle(&text(&path)?).map_err(|fault| contradicts(&path, &fault))?;
            return labelled(&path, names);
        }
        if let Some(labels) = devkit(folder)? {
            return Ok(labels);
        }
        for name in LISTS {
            let path = folder.join(name);
            if !path.is_file() {
                continue;
            }
            // Kaggle's and Caffe's val.txt hold numbers that are no synsets.
            let listed = list(&text(&path)?).map_err(|fault| contradicts(&path, &fault))?;
            if let Some((names, numbers)) = listed {
                return Ok(Labels {
                    source: path,
                    names,
                    numbers,
                });
            }
        }
    }
    Err(Exit::Data.error(format!(
        "{images} holds images without class folders, and nothing tells their classes: {REMEDY}"
    )))
}

fn contradicts(path: &Path, fault: &str) -> anyhow::Error {
    Exit::Data.error(format!(
        "{}: {fault}; keep one line for each image",
        path.display()
    ))
}

fn labelled(path: &Path, names: Option<Names>) -> Result<Labels> {
    match names {
        Some(names) => Ok(Labels {
            source: path.to_owned(),
            names,
            numbers: Vec::new(),
        }),
        None => Err(Exit::Data.error(format!(
            "{}: not Kaggle's table of validation labels (`ImageId,PredictionString` with `name,synset ...`); download it again",
            path.display()
        ))),
    }
}

/// Synsets by name without ending.
type Names = HashMap<String, String>;

/// Adds an image, which may be there with the same synset.
fn add(names: &mut Names, name: &str, synset: &str) -> Result<(), String> {
    let name = stem(name);
    match names.insert(name.to_owned(), synset.to_owned()) {
        Some(before) if before != synset => Err(format!(
            "{} is {before} in one line and {synset} in another",
            one_line(name)
        )),
        _ => Ok(()),
    }
}

/// Kaggle's table: a name, then the synset and boxes. Its rows are in no order. None if it is no such table.
fn kaggle(table: &str) -> Result<Option<Names>, String> {
    let mut names = HashMap::new();
    for line in table.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let row = line.split_once(',').and_then(|(name, prediction)| {
            let synset = prediction.split_whitespace().next()?;
            is_synset(synset).then_some((name.trim(), synset))
        });
        let Some((name, synset)) = row else {
            return Ok(None);
        };
        add(&mut names, name, synset)?;
    }
    Ok((!names.is_empty()).then_some(names))
}

type Listed = (Names, Vec<String>);

/// A list of `name synset`, or of synsets alone. None if it is neither.
fn list(text: &str) -> Result<Option<Listed>, String> {
    let (mut names, mut numbers) = (HashMap::new(), Vec::new());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line
            .split([' ', '\t', ',', ';'])
            .filter(|word| !word.is_empty());
        match (words.next().map(str::trim), words.next().map(str::trim)) {
            (Some(synset), None) if is_synset(synset) => numbers.push(synset.to_owned()),
            (Some(name), Some(synset)) if is_synset(synset) => {
                add(&mut names, name, synset)?;
            }
            _ => return Ok(None),
        }
    }
    // Either kind, not a mixture.
    Ok((names.is_empty() != numbers.is_empty()).then_some((names, numbers)))
}

/// A file's name without folders and ending.
fn stem(name: &str) -> &str {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.split_once('.').map_or(file, |(stem, _)| stem)
}

/// The labels of a devkit in `folder`: its two files, its folder, or its archive.
fn devkit(folder: &Path) -> Result<Option<Labels>> {
    for inner in [
        folder.to_owned(),
        folder.join("data"),
        folder.join(DEVKIT).join("data"),
        folder.join("devkit").join("data"),
    ] {
        let (truth, meta) = (inner.join(TRUTH), inner.join(META));
        if !truth.is_file() {
            continue;
        }
        if !meta.is_file() {
            return Err(Exit::Data.error(format!(
                "{} counts classes in the order of the devkit's meta.mat, which is missing beside it: copy it from {DEVKIT}.tar.gz",
                truth.display()
            )));
        }
        let numbers = translate(&text(&truth)?, &bytes(&meta)?, &truth)?;
        return Ok(Some(devkit_labels(truth, numbers)));
    }
    let archive = folder.join(format!("{DEVKIT}.tar.gz"));
    if !archive.is_file() {
        return Ok(None);
    }
    let unreadable = |error: io::Error| {
        Exit::Data.error(format!(
            "{} is damaged or not the devkit: {}; download it again (md5 fa75699e90414af021442c21a62c3abf)",
            archive.display(),
            one_line(&error.to_string())
        ))
    };
    let (truth, meta) = unpack(&archive).map_err(unreadable)?;
    let numbers = translate(&String::from_utf8_lossy(&truth), &meta, &archive)?;
    Ok(Some(devkit_labels(archive, numbers)))
}

fn devkit_labels(source: PathBuf, numbers: Vec<String>) -> Labels {
    Labels {
        source,
        names: HashMap::new(),
        numbers,
    }
}

/// The two files that are needed, from the devkit's archive.
fn unpack(archive: &Path) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let unzipped = MultiGzDecoder::new(File::open(archive)?).take(MOST_DEVKIT);
    let mut tar = tar::Archive::new(unzipped);
    let (mut truth, mut meta) = (None, None);
    for member in tar.entries()?.raw(true) {
        let member = member?;
        let path = member.path()?.into_owned();
        let into = match path.file_name().and_then(|name| name.to_str()) {
            Some(TRUTH) => &mut truth,
            Some(META) => &mut meta,
            _ => continue,
        };
        let mut bytes = Vec::new();
        member.take(MOST_TEXT).read_to_end(&mut bytes)?;
        *into = Some(bytes);
    }
    truth
        .zip(meta)
        .ok_or_else(|| io::Error::other(format!("it lacks {TRUTH} or {META}")))
}

/// The synset of each line of the ground truth. Its numbers count from 1 in the order of `meta.mat`, not of the synsets.
fn translate(truth: &str, meta: &[u8], path: &Path) -> Result<Vec<String>> {
    let wrong = |what: String| {
        Exit::Data.error(format!(
            "{}: {what}; get the devkit again ({DEVKIT}.tar.gz)",
            path.display()
        ))
    };
    let lines = truth.lines().filter(|line| !line.trim().is_empty());
    // Fewer, and more than there are images, is a part of ImageNet.
    let count = lines.clone().count();
    if count > IMAGES {
        return Err(wrong(format!(
            "the ground truth has {count} lines, where ImageNet has {IMAGES} validation images"
        )));
    }
    let synsets = matlab::synsets(meta).map_err(|error| wrong(format!("meta.mat: {error:#}")))?;
    let classes: HashMap<u32, String> = synsets
        .into_iter()
        .filter(|synset| synset.children == 0)
        .map(|synset| (synset.number, synset.name))
        .collect();
    if let Some(name) = classes.values().find(|name| !is_synset(name)) {
        return Err(wrong(format!("meta.mat names a class '{name}'")));
    }
    lines
        .enumerate()
        .map(|(line, number)| {
            let known = number
                .trim()
                .parse()
                .ok()
                .and_then(|number: u32| classes.get(&number));
            known.cloned().ok_or_else(|| {
                wrong(format!(
                    "line {} of the ground truth is '{}', which is no class of meta.mat",
                    line + 1,
                    one_line(number.trim())
                ))
            })
        })
        .collect()
}

fn text(path: &Path) -> Result<String> {
    bytes(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(MOST_TEXT + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST_TEXT {
            return Err(io::Error::other(format!(
                "it has more than {MOST_TEXT} bytes"
            )));
        }
        Ok(bytes)
    };
    read().map_err(|error: io::Error| {
        Exit::Data.error(format!(
            "cannot read {}: {error}; check the file and its permissions",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_devkit_counts_in_its_own_order() {
        // As in the real one, the devkit's order is not that of the synsets, and ancestors have numbers too.
        let meta = matlab::tests::file(
            &[
                (1, "n02119789", 0),
                (2, "n02100735", 0),
                (3, "n01440764", 0),
                (4, "n00001740", 3),
            ],
            true,
        );
        let path = Path::new("truth");
        assert_eq!(
            translate("3\n1\n2\n", &meta, path).unwrap(),
            ["n01440764", "n02119789", "n02100735"]
        );
        for (truth, part) in [("3\n4\n", "line 2"), ("0\n", "'0'"), ("x\n", "'x'")] {
            let error = translate(truth, &meta, path).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn lists_of_numbers_are_not_taken_for_labels() {
        assert!(
            list("ILSVRC2012_val_00000001 1\n").unwrap().is_none(),
            "Kaggle's ImageSets"
        );
        assert!(
            list("ILSVRC2012_val_00000001.JPEG 65\n").unwrap().is_none(),
            "Caffe's"
        );
        let listed = list("a.JPEG n01751748\nb.JPEG\tn01440764\t0\t1\n");
        let (names, _) = listed.unwrap().unwrap();
        assert_eq!(
            (names["a"].as_str(), names["b"].as_str()),
            ("n01751748", "n01440764")
        );
        let (_, numbers) = list("n01751748\nn01440764\n").unwrap().unwrap();
        assert_eq!(numbers, ["n01751748", "n01440764"]);
        assert!(list("").unwrap().is_none());
    }

    #[test]
    fn kaggles_rows_are_in_no_order() {
        let table = "ImageId,PredictionString\nILSVRC2012_val_00000009,n03794056 1 2 3 4 \nILSVRC2012_val_00000001,n01751748 1 1 2 2 n01751748 3 3 4 4 \n";
        let names = kaggle(table).unwrap().unwrap();
        assert_eq!(names["ILSVRC2012_val_00000001"], "n01751748");
        assert_eq!(names.len(), 2);
        let table = "ImageId,PredictionString\na,b 1\n";
        assert!(kaggle(table).unwrap().is_none());
    }

    #[test]
    fn an_image_has_one_class() {
        let twice = "a.JPEG n01751748\na n01751748\n";
        assert_eq!(list(twice).unwrap().unwrap().0.len(), 1);
        let fault = list("a.JPEG n01751748\na n01440764\n").unwrap_err();
        assert!(fault.contains("a is n01751748"), "{fault}");
        let table = "ImageId,PredictionString\na,n01751748 1\na,n01440764 1\n";
        assert!(kaggle(table).unwrap_err().contains("n01440764"));
    }
}
