//! What is refused or named: labels that nothing tells, damaged files, classes that are not there.

use std::fs;
use std::process::Command;

use refig::data::imagenet::{open, verify};
use refig::exit::Exit;

use super::images::{flat, folders, official, parquet, tar, test, write};
use super::places::{Places, load, refused};

#[test]
fn nothing_is_guessed() {
    let places = Places::new();
    flat(&places.at("flat"));
    let told = refused(&places.at("flat"));
    assert!(
        told.contains("ILSVRC2012_devkit_t12.tar.gz") && told.contains("class folders"),
        "{told}"
    );
    // Numbers of classes in another order are no labels.
    write(
        places.at("flat/val.txt"),
        "ILSVRC2012_val_00000001.JPEG 65\n",
    );
    assert!(refused(&places.at("flat")).contains("nothing tells"));
    // Ground truth without the order of its numbers.
    write(
        places.at("flat/ILSVRC2012_validation_ground_truth.txt"),
        "1\n2\n",
    );
    assert!(refused(&places.at("flat")).contains("meta.mat"));
    flat(&places.at("short"));
    write(
        places.at("short/val.txt"),
        "ILSVRC2012_val_00000001.JPEG n01440764\n",
    );
    assert!(refused(&places.at("short")).contains("ILSVRC2012_val_00000002"));
    folders(&places.at("images"), "val");
    fs::rename(
        places.at("images/val/n01440764"),
        places.at("images/val/images"),
    )
    .unwrap();
    assert!(refused(&places.at("images")).contains("images"));
    folders(&places.at("half"), "val");
    fs::remove_dir_all(places.at("half/val")).unwrap();
    assert!(refused(&places.at("half")).contains("no validation images"));
    let flat_tree = test()
        .into_iter()
        .map(|(_, name, bytes)| (format!("set/val/{name}"), bytes));
    write(places.at("flat.tar"), tar(flat_tree));
    assert!(refused(&places.at("flat.tar")).contains("without class folders"));
    let twice = [("0", 1), ("0", 2), ("10", 3)];
    for part in ["train", "val"] {
        for (class, byte) in twice {
            write(
                places
                    .at("numbers")
                    .join(part)
                    .join(class)
                    .join(format!("{byte}.jpg")),
                [byte],
            );
        }
    }
    let (_, notes) = load(&places.at("numbers"), &places.at("cache"));
    assert!(
        notes.iter().any(|note| note.contains("sorted as text")),
        "{notes:?}"
    );
}

#[test]
fn damaged_archives_and_shards_are_named() {
    let places = Places::new();
    official(&places.at("official"));
    let path = places.at("official/ILSVRC2012_img_train.tar");
    let whole = fs::read(&path).unwrap();
    // In the middle of an image, and inside the inner archive's header.
    for length in [1600, 700, 100] {
        fs::write(&path, &whole[..length]).unwrap();
        let told = refused(&places.at("official"));
        assert!(
            told.contains("ILSVRC2012_img_train.tar"),
            "{length}: {told}"
        );
    }
    parquet(&places.at("parquet"));
    let path = places.at("parquet/data/train-00000-of-00002.parquet");
    let whole = fs::read(&path).unwrap();
    for length in [0, 10, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let told = refused(&places.at("parquet"));
        assert!(
            told.contains("train-00000-of-00002.parquet"),
            "{length}: {told}"
        );
    }
    // Whatever is damaged inside is an error or other bytes, and never a panic.
    for at in (4..whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[at] ^= 0x55;
        fs::write(&path, changed).unwrap();
        let _ = open(&places.at("parquet"), &places.at("cache"), &mut |_| Ok(()));
    }
}

#[test]
fn a_missing_shard_is_named() {
    let places = Places::new();
    parquet(&places.at("parquet"));
    load(&places.at("parquet"), &places.at("cache"));
    let path = places.at("parquet/data/train-00001-of-00002.parquet");
    fs::remove_file(&path).unwrap();
    let told = refused(&places.at("parquet"));
    assert!(
        told.contains("lacks 1 of the 2 files") && told.contains("train-00001-of-00002.parquet"),
        "{told}"
    );
    let (set, cache) = (places.at("parquet"), places.at("cache"));
    let found = verify(&set, &cache, false, &mut |_| Ok(()));
    assert_eq!(found.unwrap_err().to_string(), told);
    // A part on purpose.
    let whole = path.with_file_name("train-00000-of-00002.parquet");
    fs::rename(&whole, path.with_file_name("train-00000.parquet")).unwrap();
    let (found, _) = load(&places.at("parquet"), &places.at("cache"));
    assert_eq!(found.train.len(), 4);
}

#[test]
fn verifying_compares_archives_with_the_official_ones() {
    let places = Places::new();
    official(&places.at("official"));
    let (set, cache) = (places.at("official"), places.at("cache"));
    let found = verify(&set, &cache, false, &mut |_| Ok(())).unwrap();
    let size = fs::metadata(places.at("official/ILSVRC2012_img_val.tar")).unwrap();
    let line = format!(
        "ILSVRC2012_img_val.tar has {} bytes, and the official archive 6744924160 (md5 29b22e2961454d5413ddabcf34fc5622)",
        size.len()
    );
    let lines = found.lines;
    assert!(lines.iter().any(|own| own.starts_with(&line)), "{lines:?}");
}

#[test]
fn verifying_names_what_is_missing_and_what_is_mislabelled() {
    let places = Places::new();
    folders(&places.at("set"), "val");
    let output = Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(["data", "verify", "imagenet", "--data-dir"])
        .arg(places.at("set"))
        .env("REFIG_CACHE", places.at("cache"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(Exit::Data as i32));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("2 of 1000 classes"), "{printed}");
    // The first two validation images are of other classes in ImageNet.
    assert!(
        printed.contains("0 of 2 known image-label pairs agree"),
        "{printed}"
    );
    let told = String::from_utf8(output.stderr).unwrap();
    for part in [
        "2 of 1000 classes",
        "6 training images",
        "49998 of 50000 validation images are missing by their numbers (ILSVRC2012_val_00000003, ",
        "wrong order",
        "n01443537",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
