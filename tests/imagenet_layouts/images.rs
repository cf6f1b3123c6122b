//! The same eight images in every layout.

use std::fs;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use refig::record::foreign::ForeignImage;
use refig::record::parquet::foreign_to_bytes;

/// Sorted, as labels are.
pub const SYNSETS: [&str; 2] = ["n01440764", "n02102040"];

/// Training images: class, name, bytes.
pub fn train() -> Vec<(&'static str, String, Vec<u8>)> {
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
pub fn test() -> Vec<(&'static str, String, Vec<u8>)> {
    let images = [1, 2].map(|number: u8| {
        // The first is of the second class.
        let class = SYNSETS[usize::from(2 - number)];
        let name = format!("ILSVRC2012_val_0000000{number}.JPEG");
        (class, name, vec![0xf0 + number; 50])
    });
    images.into()
}

pub fn write(path: PathBuf, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

pub fn tar(members: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
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

pub fn folders(root: &Path, val: &str) {
    for (part, images) in [("train", train()), (val, test())] {
        for (class, name, bytes) in images {
            write(root.join(part).join(class).join(name), bytes);
        }
    }
}

/// Class folders for training, and one folder for validation.
pub fn flat(root: &Path) {
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
pub fn devkit() -> (Vec<u8>, &'static str) {
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

/// The archive of each class, as in the official one of training images.
fn class_archives() -> [(String, Vec<u8>); 2] {
    SYNSETS.map(|class| {
        let own = train().into_iter().filter(|image| image.0 == class);
        (
            format!("{class}.tar"),
            tar(own.map(|(_, name, bytes)| (name, bytes))),
        )
    })
}

/// The official archive of training images unpacked once, and one folder for validation with a list of labels.
pub fn unpacked_once(root: &Path) {
    for (name, bytes) in class_archives() {
        write(root.join("train").join(name), bytes);
    }
    let mut list = String::new();
    for (class, name, bytes) in test() {
        list += &format!("{name} {class}\n");
        write(root.join("val").join(name), bytes);
    }
    write(root.join("val.txt"), list);
}

pub fn official(root: &Path) {
    write(root.join("ILSVRC2012_img_train.tar"), tar(class_archives()));
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

pub fn parquet(root: &Path) {
    for (part, images) in [("train", train()), ("validation", test())] {
        let rows: Vec<ForeignImage> = images
            .into_iter()
            .map(|(class, name, bytes)| ForeignImage {
                bytes,
                label: i64::from(class == SYNSETS[1]),
                path: Some(name.replace(".JPEG", &format!("_{class}.JPEG"))),
            })
            .collect();
        let files = rows.chunks(4);
        let all = files.len();
        for (number, rows) in files.enumerate() {
            let name = format!("data/{part}-0000{number}-of-0000{all}.parquet");
            write(root.join(name), foreign_to_bytes(rows, 2).unwrap());
        }
    }
}
