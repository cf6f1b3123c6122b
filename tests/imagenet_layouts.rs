//! ImageNet's layouts: the same eight images in every one give the same order, labels and digest, and nothing is guessed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use refig::data::Progress;
use refig::data::imagenet::{Collection, Packing, Split, open, pack, verify};
use refig::exit::Exit;
use refig::record::foreign::ForeignImage;
use refig::record::parquet::foreign_to_bytes;
use tempfile::TempDir;

/// Sorted, as labels are.
const SYNSETS: [&str; 2] = ["n01440764", "n02102040"];

/// Training images: class, name, bytes.
fn train() -> Vec<(&'static str, String, Vec<u8>)> {
    let images = (0..6).map(|index| {
        let class = SYNSETS[index / 3];
        (
            class,
            format!("{class}_{index}.JPEG"),
            vec![index as u8; 100 + index],
        )
    });
    images.collect()
}

/// Validation images.
fn test() -> Vec<(&'static str, String, Vec<u8>)> {
    let images = [1, 2].map(|number: u8| {
        // The first is of the second class.
        let class = SYNSETS[usize::from(2 - number)];
        let name = format!("ILSVRC2012_val_0000000{number}.JPEG");
        (class, name, vec![0xf0 + number; 50])
    });
    images.into()
}

fn write(path: PathBuf, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn tar(members: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes.as_slice())
            .unwrap();
    }
    tar.into_inner().unwrap()
}

fn folders(root: &Path, val: &str) {
    for (part, images) in [("train", train()), (val, test())] {
        for (class, name, bytes) in images {
            write(root.join(part).join(class).join(name), bytes);
        }
    }
}

/// Class folders for training, and one folder for validation.
fn flat(root: &Path) {
    for (class, name, bytes) in train() {
        write(root.join("train").join(class).join(name), bytes);
    }
    for (_, name, bytes) in test() {
        write(root.join("val").join(name), bytes);
    }
}

/// An element of a MAT file.
fn element(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn array(class: u8, count: i32, name: &str, parts: Vec<u8>) -> Vec<u8> {
    let flags = [class, 0, 0, 0, 0, 0, 0, 0];
    let shape = [1i32.to_le_bytes(), count.to_le_bytes()].concat();
    let head = [
        element(6, &flags),
        element(5, &shape),
        element(1, name.as_bytes()),
        parts,
    ];
    element(14, &head.concat())
}

/// The devkit's `meta.mat` and ground truth. Its order is not that of the synsets.
fn devkit() -> (Vec<u8>, &'static str) {
    let number = |value: f64| array(6, 1, "", element(9, &value.to_le_bytes()));
    let text = |value: &str| array(4, value.len() as i32, "", element(16, value.as_bytes()));
    let mut names: Vec<u8> = Vec::new();
    for name in ["ILSVRC2012_ID", "WNID", "num_children"] {
        names.extend(name.as_bytes());
        names.resize(names.len().next_multiple_of(16), 0);
    }
    let mut parts = [element(5, &16i32.to_le_bytes()), element(1, &names)].concat();
    let rows = [
        (1.0, SYNSETS[1], 0.0),
        (2.0, SYNSETS[0], 0.0),
        (3.0, "n00001740", 2.0),
    ];
    for (id, name, children) in rows {
        parts.extend([number(id), text(name), number(children)].concat());
    }
    let mut meta = vec![b' '; 128];
    meta[124..].copy_from_slice(&[0, 1, b'I', b'M']);
    meta.extend(array(2, 3, "synsets", parts));
    (meta, "1\n2\n")
}

fn official(root: &Path) {
    let inner = SYNSETS.map(|class| {
        let own = train().into_iter().filter(|image| image.0 == class);
        (
            format!("{class}.tar"),
            tar(own.map(|(_, name, bytes)| (name, bytes))),
        )
    });
    write(root.join("ILSVRC2012_img_train.tar"), tar(inner));
    let flat = test().into_iter().map(|(_, name, bytes)| (name, bytes));
    write(root.join("ILSVRC2012_img_val.tar"), tar(flat));
    let (meta, truth) = devkit();
    let data = "ILSVRC2012_devkit_t12/data";
    let members = [
        (format!("{data}/meta.mat"), meta),
        (
            format!("{data}/ILSVRC2012_validation_ground_truth.txt"),
            truth.as_bytes().to_vec(),
        ),
    ];
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::Write::write_all(&mut zipped, &tar(members)).unwrap();
    write(
        root.join("ILSVRC2012_devkit_t12.tar.gz"),
        zipped.finish().unwrap(),
    );
}

fn parquet(root: &Path) {
    for (part, images) in [("train", train()), ("validation", test())] {
        let rows: Vec<ForeignImage> = images
            .into_iter()
            .map(|(class, name, bytes)| ForeignImage {
                bytes,
                label: i64::from(class == SYNSETS[1]),
                path: Some(name.replace(".JPEG", &format!("_{class}.JPEG"))),
            })
            .collect();
        for (number, rows) in rows.chunks(4).enumerate() {
            let name = format!("data/{part}-0000{number}-of-00002.parquet");
            write(root.join(name), foreign_to_bytes(rows, 2).unwrap());
        }
    }
}

fn load(place: &Path, cache: &Path) -> (Collection, Vec<String>) {
    let mut notes = Vec::new();
    let mut show = |progress| {
        if let Progress::Note(note) = progress {
            notes.push(note);
        }
        Ok(())
    };
    let collection = open(place, cache, &mut show).unwrap();
    (collection, notes)
}

fn refused(place: &Path) -> String {
    let cache = tempfile::tempdir().unwrap();
    let error = open(place, cache.path(), &mut |_| Ok(())).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Data, "{error:#}");
    format!("{error:#}")
}

/// Labels and bytes in their order.
fn contents(split: &Split) -> Vec<(u16, Vec<u8>)> {
    let images = (0..split.len()).map(|index| {
        let mut bytes = vec![9; 3];
        split.read(index, &mut bytes).unwrap();
        (split.label(index), bytes)
    });
    images.collect()
}

struct Places {
    folder: TempDir,
}

impl Places {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

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
        "wrong order",
        "n01443537",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

/// The slice of Imagenette, where it is at hand.
#[test]
fn the_slice_of_imagenette_is_read_in_place() {
    let slice = Path::new("../shared/data/imagenette-160-mini.tar");
    if !slice.exists() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let (found, _) = load(slice, cache.path());
    assert_eq!(found.classes.len(), 10);
    assert_eq!((found.train.len(), found.test.len()), (2000, 800));
    let mut bytes = Vec::new();
    found.train.read(0, &mut bytes).unwrap();
    assert!(bytes.starts_with(&[0xff, 0xd8]), "a JPEG");
    let findings = verify(slice, cache.path(), true, &mut |_| Ok(())).unwrap();
    let why = findings.verdict.unwrap_err();
    assert!(
        why.contains("10 of 1000 classes") && !why.contains("wrong order"),
        "{why}"
    );
    let all = "2800 of 2800 images can be decoded";
    assert!(findings.lines.iter().any(|line| line == all));
}
