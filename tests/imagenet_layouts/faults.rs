//! What is refused or named: labels that nothing tells, damaged files, classes that are not there.

use std::fs;
use std::path::Path;
use std::process::Command;

use refig::data::imagenet::{open, verify};
use refig::exit::Exit;

use super::images::{
    SYNSETS, devkit, flat, folders, official, parquet, tar, test, train, unpacked_once, write,
};
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

#[cfg(unix)]
#[test]
fn a_link_to_an_image_or_a_class_that_is_not_there_is_refused() {
    let places = Places::new();
    for (name, link) in [
        ("image", "train/n01440764/n01440764_9.JPEG"),
        ("class", "train/n01443537"),
    ] {
        folders(&places.at(name), "val");
        let link = places.at(name).join(link);
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        let told = refused(&places.at(name));
        assert!(
            told.contains("leads nowhere") && told.contains(&link.display().to_string()),
            "{told}"
        );
        // Of what is no image, nothing is missed.
        fs::rename(&link, places.at(name).join("train/n01440764/list")).unwrap();
        let (found, _) = load(&places.at(name), &places.at("cache"));
        assert_eq!(found.skipped, 1);
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let places = Places::new();
    // The same image twice in a list: fine with one class, refused with two.
    flat(&places.at("flat"));
    let list: String = test()
        .into_iter()
        .map(|(class, name, _)| format!("{name} {class}\n"))
        .collect();
    let (class, name, _) = test().remove(0);
    let other = SYNSETS[usize::from(class == SYNSETS[0])];
    write(places.at("flat/val.txt"), format!("{list}{name} {class}\n"));
    load(&places.at("flat"), &places.at("cache"));
    write(places.at("flat/val.txt"), format!("{list}{name} {other}\n"));
    let told = refused(&places.at("flat"));
    assert!(told.contains("val.txt: ILSVRC2012_val_00000001"), "{told}");
    assert!(told.contains(class) && told.contains(other), "{told}");
    // The ground truth of more images than there are: those are a part. Of more than ImageNet has: it is another file.
    fs::remove_file(places.at("flat/val.txt")).unwrap();
    let (meta, truth) = devkit();
    let truth_file = places.at("flat/ILSVRC2012_validation_ground_truth.txt");
    write(places.at("flat/meta.mat"), meta);
    write(truth_file.clone(), format!("{truth}{}", "1\n".repeat(7)));
    load(&places.at("flat"), &places.at("cache"));
    write(truth_file, format!("{truth}{}", "1\n".repeat(50_000)));
    let told = refused(&places.at("flat"));
    assert!(told.contains("50002 lines"), "{told}");
    // An image twice in an archive.
    let mut members = Vec::new();
    for (part, images) in [("train", train()), ("val", test())] {
        for (class, name, bytes) in images {
            members.push((format!("set/{part}/{class}/{name}"), bytes));
        }
    }
    let (name, _) = members[2].clone();
    write(places.at("set.tar"), tar(members.clone()));
    load(&places.at("set.tar"), &places.at("cache"));
    members.push((name.clone(), b"another".to_vec()));
    write(places.at("set.tar"), tar(members));
    let told = refused(&places.at("set.tar"));
    assert!(
        told.contains(&format!("{name} is twice in set.tar")),
        "{told}"
    );
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_left_out_and_never_waited_for() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let pipe = |path: &Path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let made = Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    let places = Places::new();
    folders(&places.at("set"), "val");
    let (plain, _) = load(&places.at("set"), &places.at("cache"));
    let class = places.at("set/train/n01440764");
    pipe(&class.join("pipe.JPEG"));
    // A folder that is named like an image, with one in it, and beside class folders.
    let inner = class.join("folder.JPEG");
    fs::create_dir(&inner).unwrap();
    fs::create_dir(places.at("set/train/empty.JPEG")).unwrap();
    let (found, _) = load(&places.at("set"), &places.at("cache"));
    assert_eq!(found.train.digest(), plain.train.digest());
    assert_eq!(found.skipped, 1);
    write(inner.join("inner.JPEG"), "inner");
    let (found, _) = load(&places.at("set"), &places.at("cache"));
    assert_eq!(found.train.len(), plain.train.len() + 1);
    // A name that is not UTF-8. Some file systems have none.
    if fs::write(class.join(OsStr::from_bytes(b"\xff.JPEG")), "x").is_ok() {
        let (again, _) = load(&places.at("set"), &places.at("cache"));
        assert_eq!(again.train.digest(), found.train.digest());
        assert_eq!(again.skipped, 2);
    }
    // Pipes in place of archives.
    pipe(&places.at("pipes/ILSVRC2012_img_train.tar"));
    pipe(&places.at("pipes/ILSVRC2012_img_val.tar"));
    pipe(&places.at("set.tar"));
    write(places.at("pipes/val.txt"), "x n01440764\n");
    for name in ["pipes", "set.tar"] {
        let told = refused(&places.at(name));
        assert!(told.contains("not a regular file"), "{name}: {told}");
    }
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
    unpacked_once(&places.at("unpacked once"));
    let path = places.at("unpacked once/train/n02102040.tar");
    let whole = fs::read(&path).unwrap();
    // In the second image, behind the first, and inside a header.
    for length in [1600, 700, 100] {
        fs::write(&path, &whole[..length]).unwrap();
        let told = refused(&places.at("unpacked once"));
        assert!(told.contains("n02102040.tar"), "{length}: {told}");
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

/// What `refig data verify imagenet` prints and tells of images that are not all of ImageNet.
fn verified(set: &Path, cache: &Path) -> [String; 2] {
    let output = Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(["data", "verify", "imagenet", "--data-dir"])
        .arg(set)
        .env("REFIG_CACHE", cache)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(Exit::Data as i32));
    [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap())
}

#[test]
fn verifying_looks_for_the_known_odd_files() {
    let places = Places::new();
    let (set, cache) = (places.at("set"), places.at("cache"));
    folders(&set, "val");
    let odd = || {
        let [printed, told] = verified(&set, &cache);
        let lines = printed.lines().filter(|line| line.contains("in CMYK"));
        (lines.map(str::to_owned).collect::<Vec<String>>(), told)
    };
    let (lines, told) = odd();
    assert_eq!(
        lines,
        [
            "0 of 22 known training images in CMYK or YCCK; the PNG called n02105855_2933.JPEG is not there"
        ]
    );
    assert!(!told.contains("published bytes"), "{told}");
    // The PNG, one of the images in CMYK, and another image under the name of the validation image in CMYK.
    for name in [
        "train/n02105855/n02105855_2933.JPEG",
        "train/n01739381/n01739381_1309.JPEG",
        "val/n02105855/ILSVRC2012_val_00019877.JPEG",
    ] {
        write(set.join(name), name);
    }
    let (lines, told) = odd();
    assert_eq!(
        lines,
        [
            "1 of 22 known training images in CMYK or YCCK (n01739381_1309); the PNG called n02105855_2933.JPEG is there"
        ]
    );
    let wrong = "ILSVRC2012_val_00019877.JPEG does not have the published bytes";
    assert!(told.contains(wrong), "{told}");
}

#[test]
fn verifying_names_what_is_missing_and_what_is_mislabelled() {
    let places = Places::new();
    folders(&places.at("set"), "val");
    let [printed, told] = verified(&places.at("set"), &places.at("cache"));
    assert!(printed.contains("2 of 1000 classes"), "{printed}");
    // The first two validation images are of other classes in ImageNet.
    assert!(
        printed.contains("0 of 2 known image-label pairs agree"),
        "{printed}"
    );
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
