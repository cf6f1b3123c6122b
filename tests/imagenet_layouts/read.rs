//! Layouts that are read, at first and from their index.

use std::fs;
use std::time::{Duration, SystemTime};

use refig::data::Progress;
use refig::data::imagenet::{Packing, pack, verify};
use refig::exit::Exit;

use super::common::images::slice;
use super::images::{
    SYNSETS, devkit, flat, folders, official, parquet, tar, test, train, unpacked_once, write,
};
use super::places::{Places, contents, load, refused};

#[test]
fn every_layout_of_the_same_images_is_the_same_collection() {
    let places = Places::new();
    folders(&places.at("folders"), "val");
    folders(&places.at("nested/imagenette2-160"), "validation");
    let mut members: Vec<(String, Vec<u8>)> = Vec::new();
    for (part, images) in [("train", train()), ("val", test())] {
        // In the other order, and with a name longer than a header has room for.
        for (class, name, bytes) in images.into_iter().rev() {
            let long = "x".repeat(if class == SYNSETS[0] { 120 } else { 0 });
            members.push((format!("./set/{part}/{class}/{long}{name}"), bytes));
        }
    }
    members.push(("./set/train/n01440764/._x.JPEG".into(), vec![1]));
    write(places.at("tree.tar"), tar(members));
    let (meta, truth) = devkit();
    flat(&places.at("devkit"));
    write(places.at("devkit/meta.mat"), meta);
    write(
        places.at("devkit/ILSVRC2012_validation_ground_truth.txt"),
        truth,
    );
    flat(&places.at("list"));
    let list = test()
        .into_iter()
        .map(|(class, name, _)| format!("{name} {class}\n"));
    write(places.at("list/val.txt"), list.collect::<String>());
    flat(&places.at("kaggle/ILSVRC/Data/CLS-LOC"));
    let mut table = "ImageId,PredictionString\n".to_owned();
    for (class, name, _) in test().into_iter().rev() {
        let name = name.trim_end_matches(".JPEG");
        table += &format!("{name},{class} 1 2 3 4 \n");
    }
    write(places.at("kaggle/LOC_val_solution.csv"), table);
    write(
        places.at("kaggle/ILSVRC/ImageSets/CLS-LOC/val.txt"),
        "x 1\n",
    );
    official(&places.at("official"));
    unpacked_once(&places.at("unpacked once"));
    parquet(&places.at("parquet"));

    let cache = places.at("cache");
    let (expected, _) = load(&places.at("folders"), &cache);
    assert_eq!(expected.classes, SYNSETS);
    assert_eq!((expected.train.len(), expected.test.len()), (6, 2));
    let (train_images, test_images) = (contents(&expected.train), contents(&expected.test));
    let first = test_images
        .iter()
        .find(|(_, bytes)| bytes[0] == 0xf1)
        .unwrap();
    assert_eq!(
        first.0, 1,
        "the first validation image is of the second class"
    );
    for name in [
        "nested",
        "nested/imagenette2-160",
        "tree.tar",
        "devkit",
        "list",
        "kaggle",
        "official",
        "official/ILSVRC2012_img_train.tar",
        "unpacked once",
        "parquet",
        "parquet/data",
    ] {
        // The second time from the index.
        for time in ["first", "second"] {
            let (found, _) = load(&places.at(name), &cache);
            let context = format!("{name}, {time} time");
            assert_eq!(found.classes, expected.classes, "{context}");
            assert_eq!(found.train.digest(), expected.train.digest(), "{context}");
            assert_eq!(found.test.digest(), expected.test.digest(), "{context}");
            assert_eq!(contents(&found.train), train_images, "{context}");
            assert_eq!(contents(&found.test), test_images, "{context}");
        }
    }
    let (found, _) = load(&places.at("unpacked once"), &cache);
    assert_eq!(found.layout, "an archive for each class");
}

#[test]
fn hidden_and_foreign_files_are_skipped_and_counted() {
    let places = Places::new();
    folders(&places.at("set"), "val");
    let (plain, _) = load(&places.at("set"), &places.at("cache"));
    assert_eq!(plain.skipped, 0);
    let class = places.at("set/train/n01440764");
    write(class.join(".hidden.JPEG"), "x");
    write(class.join("Thumbs.db"), "x");
    write(class.join(".checkpoints/a.JPEG"), "x");
    write(places.at("set/train/list.txt"), "x");
    #[cfg(unix)]
    {
        // A link back, which would be followed for ever.
        std::os::unix::fs::symlink(&class, class.join("again")).unwrap();
    }
    let (found, _) = load(&places.at("set"), &places.at("cache"));
    assert_eq!(found.train.digest(), plain.train.digest());
    assert_eq!(found.skipped, if cfg!(unix) { 5 } else { 4 });
}

#[test]
fn a_changed_file_is_noticed_and_a_touched_one_is_not() {
    let places = Places::new();
    let (set, cache) = (places.at("set"), places.at("cache"));
    folders(&set, "val");
    let (before, notes) = load(&set, &cache);
    assert!(notes.is_empty(), "{notes:?}");
    let name = "train/n01440764/n01440764_1.JPEG";
    let touch = |seconds| {
        let file = fs::File::options()
            .write(true)
            .open(set.join(name))
            .unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .unwrap();
    };
    touch(1_000_000_000);
    let (same, notes) = load(&set, &cache);
    assert_eq!(same.train.digest(), before.train.digest());
    assert!(notes.is_empty(), "{notes:?}");
    fs::write(set.join(name), vec![77; 101]).unwrap();
    touch(1_000_000_001);
    let (after, notes) = load(&set, &cache);
    assert_ne!(after.train.digest(), before.train.digest());
    assert_eq!(after.test.digest(), before.test.digest());
    assert!(notes.len() == 1 && notes[0].contains(name), "{notes:?}");
    // Bytes that changed without a trace are found by verifying, which trusts nothing.
    fs::write(set.join(name), vec![78; 101]).unwrap();
    touch(1_000_000_001);
    let (trusting, notes) = load(&set, &cache);
    assert_eq!(trusting.train.digest(), after.train.digest());
    assert!(notes.is_empty(), "{notes:?}");
    let mut notes = Vec::new();
    let mut show = |progress| {
        if let Progress::Note(note) = progress {
            notes.push(note);
        }
        Ok(())
    };
    verify(&set, &cache, false, &mut show).unwrap();
    assert!(notes.iter().any(|note| note.contains(name)), "{notes:?}");
}

#[test]
fn a_damaged_index_is_made_again() {
    let places = Places::new();
    let (set, cache) = (places.at("set"), places.at("cache"));
    folders(&set, "val");
    let (before, _) = load(&set, &cache);
    let index = fs::read_dir(cache.join("imagenet"))
        .unwrap()
        .next()
        .unwrap();
    let index = index.unwrap().path();
    let mut bytes = fs::read(&index).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&index, bytes).unwrap();
    let (after, notes) = load(&set, &cache);
    assert_eq!(after.train.digest(), before.train.digest());
    assert!(notes.len() == 1 && notes[0].contains("index"), "{notes:?}");
    assert!(load(&set, &cache).1.is_empty());
}

#[test]
fn a_packed_set_is_the_same_set_and_packing_resumes() {
    let places = Places::new();
    let (set, out, cache) = (places.at("set"), places.at("out"), places.at("cache"));
    folders(&set, "val");
    let (expected, _) = load(&set, &cache);
    // Room for two images in each archive.
    let packing = Packing {
        bytes: 2 * 1024,
        ..Packing::default()
    };
    let mut packed_images = 0;
    let stopped = pack(&set, &out, &cache, packing, &mut |progress| {
        if let Progress::Pack { .. } = progress {
            packed_images += 1;
            if packed_images == 4 {
                return Err(Exit::Interrupted.error("stopped"));
            }
        }
        Ok(())
    });
    assert_eq!(Exit::of(&stopped.unwrap_err()), Exit::Interrupted);
    // A killed process leaves a part of an archive.
    fs::write(out.join("train-0001.tar.999-0.part"), "x").unwrap();
    let told = refused(&out);
    assert!(
        told.contains("interrupted") && told.contains("prepare imagenet"),
        "{told}"
    );
    let first = fs::read(out.join("train-0000.tar")).unwrap();
    let packed = pack(&set, &out, &cache, packing, &mut |_| Ok(())).unwrap();
    assert_eq!((packed.archives, packed.images), (4, 8));
    assert_eq!(fs::read(out.join("train-0000.tar")).unwrap(), first);
    let names = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    assert_eq!(names.count(), 5, "four archives and the plan");
    let (found, _) = load(&out, &cache);
    assert_eq!(found.train.digest(), expected.train.digest());
    assert_eq!(contents(&found.train), contents(&expected.train));
    assert_eq!(contents(&found.test), contents(&expected.test));
    // Other images do not go into the same folder.
    write(set.join("train/n01440764/other.JPEG"), "other");
    let error = pack(&set, &out, &cache, packing, &mut |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("--out"), "{error}");
    let error = pack(&set, &set, &cache, packing, &mut |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("not empty"), "{error}");
}

/// The slice of Imagenette, where it is at hand.
#[test]
fn the_slice_of_imagenette_is_read_in_place() {
    let Some(slice) = slice() else {
        return;
    };
    let cache = tempfile::tempdir().unwrap();
    let (found, _) = load(&slice, cache.path());
    assert_eq!(found.classes.len(), 10);
    assert_eq!((found.train.len(), found.test.len()), (2000, 800));
    let mut bytes = Vec::new();
    found.train.read(0, &mut bytes).unwrap();
    assert!(bytes.starts_with(&[0xff, 0xd8]), "a JPEG");
    let findings = verify(&slice, cache.path(), true, &mut |_| Ok(())).unwrap();
    let why = findings.verdict.unwrap_err();
    assert!(
        why.contains("10 of 1000 classes") && !why.contains("wrong order"),
        "{why}"
    );
    let all = "2800 of 2800 images can be decoded";
    assert!(findings.lines.iter().any(|line| line == all));
}
