//! Images that cannot be decoded, and pictures that are made smaller: named, counted, and never taken for the originals.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::images::{jpeg, picture_recipe as recipe};
use refig::data::imagenet::{Packing, decode, open, pack};
use refig::data::{DataSet, PictureRequest, Progress, open_pictures};
use refig::exit::Exit;
use refig::origin::Origin;
use tempfile::TempDir;

const SYNSETS: [&str; 2] = ["n01440764", "n02102040"];

/// Six training and two validation images, of 80 x 60 and 60 x 48 pixels.
struct Set {
    folder: TempDir,
}

impl Set {
    fn new() -> Self {
        let set = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for seed in 0..8 {
            let path = set.image(seed);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let (width, height) = if seed % 2 == 0 { (80, 60) } else { (60, 48) };
            fs::write(path, jpeg(width, height, seed)).unwrap();
        }
        set
    }

    fn image(&self, seed: usize) -> PathBuf {
        let part = if seed < 6 { "train" } else { "val" };
        let class = SYNSETS[seed % 2];
        self.at("set")
            .join(part)
            .join(class)
            .join(format!("{class}_{seed}.JPEG"))
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Cuts off the end of an image.
    fn truncate(&self, seed: usize) {
        let bytes = fs::read(self.image(seed)).unwrap();
        fs::write(self.image(seed), &bytes[..bytes.len() / 2]).unwrap();
    }
}

/// What opening a place gives, its notes, and whether images were decoded for it.
fn opened(dir: &Path, cache: &Path, skip_unreadable: bool) -> (DataSet, Vec<String>, bool) {
    let request = PictureRequest {
        skip_unreadable,
        ..PictureRequest::new(Some(dir), cache)
    };
    let (mut notes, mut decoded) = (Vec::new(), false);
    let data = open_pictures(&request, &mut |progress| {
        match progress {
            Progress::Note(note) => notes.push(note),
            Progress::Decode { .. } => decoded = true,
            _ => {}
        }
        Ok(())
    });
    (data.unwrap(), notes, decoded)
}

#[test]
fn an_image_that_cannot_be_decoded_is_an_error_by_name_unless_it_is_to_be_skipped() {
    let set = Set::new();
    let (dir, cache) = (set.at("set"), set.at("cache"));
    let (whole, notes, decoded) = opened(&dir, &cache, true);
    assert!(notes.is_empty() && decoded, "{notes:?}");
    let (plain, _, decoded) = opened(&dir, &cache, false);
    assert!(!decoded, "nobody asked");
    // Without such images, the flag changes nothing.
    assert_eq!((whole.digest(), whole.unreadable()), (plain.digest(), 0));

    set.truncate(3);
    let (data, _, _) = opened(&dir, &cache, false);
    let error = data
        .for_recipe(&recipe(), &cache, 2, &mut |_| Ok(()))
        .err()
        .unwrap();
    assert_eq!(Exit::of(&error), Exit::Data);
    let error = format!("{error:#}");
    for part in ["n02102040_3.JPEG", "truncated JPEG", "--skip-unreadable"] {
        assert!(error.contains(part), "{part}: {error}");
    }

    let (data, notes, decoded) = opened(&dir, &cache, true);
    assert!(decoded);
    assert!(
        notes.len() == 1 && notes[0].contains("n02102040_3.JPEG cannot be decoded"),
        "{notes:?}"
    );
    assert_eq!((data.unreadable(), data.size().training_images), (1, 5));
    assert_eq!(data.origin(), Origin::ImagenetPart);
    let described = data.description();
    assert!(
        described.contains("5 training and 2 validation images, without 1 that cannot be decoded"),
        "{described}"
    );
    data.for_recipe(&recipe(), &cache, 2, &mut |_| Ok(()))
        .unwrap();
    // Which they are is kept.
    let (again, notes, decoded) = opened(&dir, &cache, true);
    assert!(!decoded && notes.len() == 1, "{notes:?}");
    assert_eq!(again.digest(), data.digest());
    // It is the set in which the file is not there.
    fs::remove_file(set.image(3)).unwrap();
    let (removed, _, _) = opened(&dir, &cache, false);
    assert_eq!(removed.digest(), data.digest());

    // Another image is another set.
    set.truncate(6);
    let (other, _, _) = opened(&dir, &cache, true);
    assert_ne!(other.digest(), data.digest());
    assert_eq!(other.size().test_images, 1);
}

/// The mean image is computed before any worker starts, so each image is decoded for it once and a bad one is named once.
#[test]
fn workers_do_not_start_without_a_mean_image() {
    let set = Set::new();
    set.truncate(3);
    let output = Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(["reproduce", "fig4", "--profile", "smoke", "--jobs", "2"])
        .args(["--device", "cpu", "--data-dir"])
        .arg(set.at("set"))
        .arg("--results-dir")
        .arg(set.at("results"))
        .arg("--reports-dir")
        .arg(set.at("reports"))
        .env("REFIG_CACHE", set.at("cache"))
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(Exit::Data as i32), "{told}");
    assert_eq!(told.matches("n02102040_3.JPEG").count(), 1, "{told}");
    assert!(!told.contains("failed: "), "{told}");
}

#[test]
fn an_empty_file_is_an_error_by_name() {
    let set = Set::new();
    let cache = set.at("cache");
    fs::write(set.image(3), "").unwrap();
    let (data, _, _) = opened(&set.at("set"), &cache, false);
    let read = data.for_recipe(&recipe(), &cache, 2, &mut |_| Ok(()));
    let error = read.err().unwrap();
    assert_eq!(Exit::of(&error), Exit::Data);
    let error = format!("{error:#}");
    for part in ["n02102040_3.JPEG", "empty file", "--skip-unreadable"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn a_damaged_list_is_made_again_and_an_interrupted_one_goes_on() {
    let set = Set::new();
    let (dir, cache) = (set.at("set"), set.at("cache"));
    set.truncate(0);
    let request = PictureRequest {
        skip_unreadable: true,
        ..PictureRequest::new(Some(&dir), &cache)
    };
    let stopped = open_pictures(&request, &mut |progress| match progress {
        Progress::Decode { .. } => Err(Exit::Interrupted.error("stopped")),
        _ => Ok(()),
    });
    assert_eq!(Exit::of(&stopped.unwrap_err()), Exit::Interrupted);
    let (data, _, _) = opened(&dir, &cache, true);
    assert_eq!(data.unreadable(), 1);
    for entry in fs::read_dir(&cache).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("unreadable-") {
            let mut bytes = fs::read(&path).unwrap();
            let last = bytes.len() - 3;
            bytes[last] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let (again, notes, decoded) = opened(&dir, &cache, true);
    assert!(decoded);
    let why = |note: &String| {
        note.starts_with("decoding all images again, because ")
            && note.ends_with(" cannot be used: its digest is wrong")
    };
    assert!(notes.iter().any(why), "{notes:?}");
    assert_eq!(again.digest(), data.digest());
}

#[test]
fn verifying_decodes_when_asked_and_counts() {
    let set = Set::new();
    set.truncate(2);
    let verify = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_refig"))
            .args(["data", "verify", "imagenet", "--data-dir"])
            .arg(set.at("set"))
            .args(arguments)
            .env("REFIG_CACHE", set.at("cache"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(Exit::Data as i32));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let (printed, _) = verify(&[]);
    assert!(printed.contains("not decoded"), "{printed}");
    let (printed, told) = verify(&["--decode"]);
    assert!(
        printed.contains("n01440764_2.JPEG cannot be decoded")
            && printed.contains("7 of 8 images can be decoded"),
        "{printed}"
    );
    assert!(
        told.contains("1 image cannot be decoded: get it again"),
        "{told}"
    );
}

#[test]
fn shrunk_pictures_are_other_images_and_say_so() {
    let set = Set::new();
    let (dir, out, cache) = (set.at("set"), set.at("out"), set.at("cache"));
    let shrink = |side| Packing {
        shrink: Some(side),
        ..Packing::default()
    };
    let packed = pack(&dir, &out, &cache, shrink(50), &mut |_| Ok(())).unwrap();
    assert_eq!((packed.images, packed.shrunk), (8, Some(50)));
    let before = open(&dir, &cache, &mut |_| Ok(())).unwrap();
    let after = open(&out, &cache, &mut |_| Ok(())).unwrap();
    assert_ne!(before.train.digest(), after.train.digest());
    assert_eq!(after.classes, before.classes);
    let sizes = |split: &refig::data::imagenet::Split| {
        let mut sizes = Vec::new();
        for index in 0..split.len() {
            let mut bytes = Vec::new();
            split.read(index, &mut bytes).unwrap();
            let picture = decode(&bytes).unwrap();
            sizes.push((picture.width, picture.height, bytes));
        }
        sizes.sort();
        sizes
    };
    let (originals, found) = (sizes(&before.train), sizes(&after.train));
    let widths = |sizes: &[(usize, usize, Vec<u8>)]| -> Vec<(usize, usize)> {
        sizes.iter().map(|size| (size.0, size.1)).collect()
    };
    assert_eq!(widths(&found)[..3], [(60, 48); 3]);
    assert_eq!(widths(&found)[3..], [(66, 50); 3]);
    assert_eq!(found[..3], originals[..3], "small ones stay as they are");

    let (data, _, _) = opened(&out, &cache, false);
    assert_eq!(
        (data.shrunk(), data.origin()),
        (Some(50), Origin::ImagenetPart)
    );
    let described = data.description();
    assert!(
        described.contains("shrunk to a shorter side of 50 pixels"),
        "{described}"
    );
    // Packing them again as they are does not make them originals.
    let again = set.at("again");
    let packed = pack(&out, &again, &cache, Packing::default(), &mut |_| Ok(())).unwrap();
    assert_eq!(packed.shrunk, Some(50));
    let (same, _, _) = opened(&again, &cache, false);
    assert_eq!((same.shrunk(), same.digest()), (Some(50), data.digest()));
    // One folder has one size.
    let error = pack(&dir, &out, &cache, shrink(40), &mut |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("--out"), "{error}");
}

#[test]
fn a_picture_that_cannot_be_shrunk_is_named_or_left_out() {
    let set = Set::new();
    let (dir, cache) = (set.at("set"), set.at("cache"));
    set.truncate(4);
    let packing = Packing {
        shrink: Some(50),
        ..Packing::default()
    };
    let error = pack(&dir, &set.at("out"), &cache, packing, &mut |_| Ok(())).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Data);
    let error = format!("{error:#}");
    assert!(
        error.contains("n01440764_4.JPEG") && error.contains("--skip-unreadable"),
        "{error}"
    );
    let packing = Packing {
        skip_unreadable: true,
        ..packing
    };
    let packed = pack(&dir, &set.at("rest"), &cache, packing, &mut |_| Ok(())).unwrap();
    assert_eq!((packed.images, packed.unreadable), (7, 1));
}
