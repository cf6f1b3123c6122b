//! Data sets: pickles, archives, Parquet files, pictures, and the devkit's list of classes.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use refig::data::imagenet::{Framing, PictureLoader, Pictures, Scratch, View, decode, frame, open};
use refig::data::{Batch, ImageSize, MeanImage, Order, RECORD_BYTES, load};
use refig::exit::Exit;
use refig::recipe::{Crop, Recipe};
use refig::record::Split;
use refig::record::foreign::{ForeignImage, ForeignImages};
use refig::record::parquet::foreign_to_bytes;

use super::common::cifar::{Shape, parquet, pickle, png};
use super::hold::{Files, Kind, folder};

/// A block of a tar, and where a header has its sum and its mark.
const BLOCK: usize = 512;
const SUM: std::ops::Range<usize> = 148..156;
const MARK: std::ops::Range<usize> = 257..262;
/// The side of a crop.
const SIDE: usize = 16;
const SYNSETS: [&str; 2] = ["n01440764", "n02102040"];

/// A tar with the sums that its headers need, so that what is behind them is reached.
pub fn summed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for header in bytes.chunks_exact_mut(BLOCK) {
        if header[MARK] == *b"ustar" {
            header[SUM].fill(b' ');
            let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
            let text = format!("{sum:06o}\0 ");
            header[SUM].copy_from_slice(text.as_bytes());
        }
    }
    bytes
}

fn gzip(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut zipped = GzEncoder::new(Vec::new(), level);
    zipped.write_all(bytes).unwrap();
    zipped.finish().unwrap()
}

/// A tar of these files.
fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
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

/// A tar with what an attacker puts in: links, a path that leads out, a long name, more bytes than there are.
fn hostile() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut member = |kind, name: &str, link: &str, size: u64, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, bytes).unwrap();
    };
    use tar::EntryType;
    member(EntryType::Symlink, "train", "/etc", 0, b"");
    member(EntryType::Link, "val/link.JPEG", "/etc/passwd", 0, b"");
    member(EntryType::Regular, "../../out.JPEG", "", 3, b"out");
    member(EntryType::Regular, "/train/n01440764/a.JPEG", "", 3, b"abs");
    member(EntryType::GNULongName, "././@LongLink", "", 8, b"train/x\0");
    member(
        EntryType::Regular,
        "train/n01440764/a.JPEG",
        "",
        1 << 40,
        b"few",
    );
    tar.into_inner().unwrap()
}

/// A few records.
fn records(count: usize) -> Vec<u8> {
    let mut records = vec![0; count * RECORD_BYTES];
    for (index, record) in records.chunks_exact_mut(RECORD_BYTES).enumerate() {
        record[0] = (index % 10) as u8;
        record[100] = index as u8;
    }
    records
}

/// The Python version's files, each with a few records.
fn python(folder: &Path) -> Vec<std::path::PathBuf> {
    let names = (1..=5).map(|number| format!("data_batch_{number}"));
    let names = names.chain(["test_batch".to_owned()]);
    let write = |name: String| {
        let path = folder.join(name);
        std::fs::write(&path, pickle(&records(2), 4)).unwrap();
        path
    };
    names.map(write).collect()
}

#[test]
fn pickles() {
    let kind = Kind::new("pickles", 40);
    let folder = folder();
    let first = python(folder.path()).remove(0);
    let pickles = [2, 4, 5].map(|protocol| pickle(&records(2), protocol));
    kind.hold(&pickles, |_, bytes| {
        std::fs::write(&first, bytes).unwrap();
        load(folder.path()).map(drop)
    });
}

#[test]
fn batches() {
    let kind = Kind::new("batches", 5);
    let folder = folder();
    let names = (1..=5).map(|number| format!("data_batch_{number}.bin"));
    for name in names.chain(["test_batch.bin".to_owned()]) {
        std::fs::write(folder.path().join(name), records(3)).unwrap();
    }
    let first = folder.path().join("data_batch_1.bin");
    kind.hold(&[records(3)], |_, bytes| {
        std::fs::write(&first, bytes).unwrap();
        load(folder.path()).map(drop)
    });
}

#[test]
fn archives() {
    let kind = Kind::new("archives", 20);
    let folder = folder();
    let path = folder.path().join("cifar-10-python.tar.gz");
    let members: Vec<(String, Vec<u8>)> = (1..=5)
        .map(|number| {
            let name = format!("cifar-10-batches-py/data_batch_{number}");
            (name, pickle(&records(2), 4))
        })
        .collect();
    let whole = tar(&members);
    let files = [
        gzip(&whole, Compression::fast()),
        // A bomb.
        gzip(&vec![0; 4 << 20], Compression::best()),
        whole,
        hostile(),
    ];
    kind.hold(&files, |which, bytes| {
        let zipped = match which {
            0 | 1 => bytes.to_vec(),
            _ => gzip(&summed(bytes), Compression::none()),
        };
        std::fs::write(&path, zipped).unwrap();
        load(&path).map(drop)
    });
}

#[test]
fn shards() {
    let kind = Kind::new("shards", 150);
    let folder = folder();
    let path = folder.path().join("images.parquet");
    let rows: Vec<(Vec<u8>, i64)> = records(12)
        .chunks_exact(RECORD_BYTES)
        .map(|record| (png(record), i64::from(record[0])))
        .collect();
    let mut files = Vec::new();
    for (snappy, dictionary, version) in [(false, false, 1), (true, true, 1), (true, true, 2)] {
        let shape = Shape {
            rows_per_group: 5,
            column: "img",
            snappy,
            dictionary,
            version,
        };
        files.push(parquet(&rows, shape));
    }
    let images: Vec<ForeignImage> = rows
        .iter()
        .map(|(bytes, label)| ForeignImage {
            bytes: bytes.clone(),
            label: *label,
            path: Some("n01440764_1.JPEG".into()),
        })
        .collect();
    files.push(foreign_to_bytes(&images, 5).unwrap());
    kind.hold(&files, |which, bytes| {
        std::fs::write(&path, bytes).unwrap();
        let read = || -> anyhow::Result<()> {
            // As ImageNet's are read, and as CIFAR-10's.
            let (images, most) = match which {
                3 => (ForeignImages::open_named(&path)?, 2 << 30),
                _ => (ForeignImages::open(&path)?, 64 << 20),
            };
            for group in 0..images.groups() {
                images.read(group, most)?;
            }
            Ok(())
        };
        // What quotes a name makes one line of it.
        read().map_err(|error| anyhow::anyhow!(refig::console::one_line(&format!("{error:#}"))))
    });
}

#[test]
fn pictures() {
    let kind = Kind::new("pictures", 300);
    let mut files: Vec<Vec<u8>> = Vec::new();
    for entry in std::fs::read_dir("tests/fixtures/pictures").unwrap() {
        files.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    // Their order in a folder is any.
    files.sort();
    files.push(gzip(&files[0], Compression::fast()));
    files.push(png(&records(1)));
    kind.hold(&files, |_, bytes| {
        let picture = decode(bytes)?;
        assert_eq!(picture.pixels.len(), 3 * picture.width * picture.height);
        // However narrow it is, a crop of it can be made.
        let mut crop = vec![0; 3 * SIDE * SIDE];
        let size = ImageSize::square(SIDE);
        for view in View::ten_crops(SIDE as u32 + 4, size) {
            let draw = view.draw(0);
            frame(&picture, &draw, size, &mut Scratch::default(), &mut crop);
        }
        // And all of it seen, or the middle of it.
        let whole = View::whole(SIDE as u32, picture.size());
        let mut crop = vec![0; 3 * whole.size.pixels()];
        let draw = whole.draw(0);
        frame(
            &picture,
            &draw,
            whole.size,
            &mut Scratch::default(),
            &mut crop,
        );
        Ok(())
    });
}

/// An element of a MAT file.
fn element(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn array(class: u8, count: i32, name: &str, parts: &[u8]) -> Vec<u8> {
    let flags = [class, 0, 0, 0, 0, 0, 0, 0];
    let shape = [1i32.to_le_bytes(), count.to_le_bytes()].concat();
    let head = [
        element(6, &flags),
        element(5, &shape),
        element(1, name.as_bytes()),
        parts.to_vec(),
    ];
    element(14, &head.concat())
}

/// The devkit's `meta.mat`.
fn meta() -> Vec<u8> {
    let number = |value: f64| array(6, 1, "", &element(9, &value.to_le_bytes()));
    let text = |value: &str| array(4, value.len() as i32, "", &element(16, value.as_bytes()));
    let mut names: Vec<u8> = Vec::new();
    for name in ["ILSVRC2012_ID", "WNID", "num_children"] {
        names.extend(name.as_bytes());
        names.resize(names.len().next_multiple_of(16), 0);
    }
    let mut parts = [element(5, &16i32.to_le_bytes()), element(1, &names)].concat();
    for (id, name, children) in [(1.0, SYNSETS[1], 0.0), (2.0, SYNSETS[0], 0.0)] {
        parts.extend([number(id), text(name), number(children)].concat());
    }
    let mut meta = vec![b' '; 128];
    meta[124..].copy_from_slice(&[0, 1, b'I', b'M']);
    meta.extend(array(2, 2, "synsets", &parts));
    meta
}

/// The official archives and the devkit, with two classes.
#[test]
fn official() {
    let kind = Kind::new("official", 5);
    let (folder, cache) = (folder(), folder());
    let root = folder.path();
    let inner: Vec<(String, Vec<u8>)> = SYNSETS
        .iter()
        .map(|class| {
            let image = (format!("{class}_1.JPEG"), class.as_bytes().to_vec());
            (format!("{class}.tar"), tar(&[image]))
        })
        .collect();
    let flat: Vec<(String, Vec<u8>)> = (1..=2)
        .map(|number| {
            let name = format!("ILSVRC2012_val_0000000{number}.JPEG");
            (name, vec![number; 50])
        })
        .collect();
    let data = root.join("ILSVRC2012_devkit_t12/data");
    std::fs::create_dir_all(&data).unwrap();
    let truth = "ILSVRC2012_validation_ground_truth.txt";
    let paths = vec![
        root.join("ILSVRC2012_img_train.tar"),
        root.join("ILSVRC2012_img_val.tar"),
        data.join("meta.mat"),
        data.join(truth),
    ];
    let whole = [tar(&inner), tar(&flat), meta(), b"1\n2\n".to_vec()];
    for (path, bytes) in paths.iter().zip(&whole) {
        std::fs::write(path, bytes).unwrap();
    }
    let files = Files::of(paths);
    let look = || {
        // Else an image that has not changed its time would be taken from there.
        std::fs::remove_dir_all(cache.path().join("imagenet")).ok();
        open(root, cache.path(), &mut |_| Ok(())).map(drop)
    };
    look().unwrap();
    kind.hold(files.whole(), |which, bytes| {
        let bytes = match which {
            0 | 1 => summed(bytes),
            _ => bytes.to_vec(),
        };
        files.with(which, &bytes, look)
    });
}

/// A tar of class folders, and one of an attacker.
#[test]
fn trees() {
    let kind = Kind::new("trees", 5);
    let (folder, cache) = (folder(), folder());
    let path = folder.path().join("set.tar");
    let mut members = Vec::new();
    for part in ["train", "val"] {
        for class in SYNSETS {
            members.push((
                format!("set/{part}/{class}/{class}_1.JPEG"),
                class.as_bytes().to_vec(),
            ));
        }
    }
    let files = [tar(&members), hostile()];
    kind.hold(&files, |_, bytes| {
        std::fs::write(&path, summed(bytes)).unwrap();
        std::fs::remove_dir_all(cache.path().join("imagenet")).ok();
        open(&path, cache.path(), &mut |_| Ok(())).map(drop)
    });
}

/// Photographs in class folders, through the loader.
#[test]
fn photographs() {
    let kind = Kind::new("photographs", 15);
    let (folder, cache) = (folder(), folder());
    let mut paths = Vec::new();
    for (number, name) in [
        "turned.JPEG",
        "progressive.JPEG",
        "restarts.JPEG",
        "grey.JPEG",
        "cmyk-adobe.JPEG",
        "png.JPEG",
    ]
    .into_iter()
    .enumerate()
    {
        let part = if number < 4 { "train" } else { "val" };
        let class = folder.path().join(part).join(SYNSETS[number % 2]);
        std::fs::create_dir_all(&class).unwrap();
        let path = class.join(name);
        std::fs::copy(Path::new("tests/fixtures/pictures").join(name), &path).unwrap();
        paths.push(path);
    }
    let recipe = Recipe {
        batch: 4,
        image_size: SIDE,
        crop: Some(Crop {
            shorter_side: [20, 28],
            test_side: 20,
            ..Crop::default()
        }),
        ..Recipe::default()
    };
    let files = Files::of(paths);
    let load = || -> anyhow::Result<()> {
        // Else a file that has not changed its time would be taken from there.
        std::fs::remove_dir_all(cache.path().join("imagenet")).ok();
        let collection = open(folder.path(), cache.path(), &mut |_| Ok(()))?;
        let framing = Framing::new(recipe.crop.as_ref().unwrap(), SIDE, true);
        let mean = MeanImage {
            size: SIDE,
            mean: vec![100.0; 3 * SIDE * SIDE],
            divisor: [1.0; 3],
        };
        let pictures = Arc::new(Pictures::new(Arc::new(collection), framing, 20, mean, 2));
        let order = Order::new(pictures.len(Split::Train), &recipe, 1)?;
        let mut loader = PictureLoader::new(pictures.clone(), order, 1, 0, false)?;
        let batch = loader.next()?;
        assert_eq!(batch.pixels.len(), 4 * 3 * SIDE * SIDE);
        let mut batch = Batch::default();
        pictures.plain(Split::Test, &[0, 1], false, &mut batch)
    };
    load().unwrap();
    kind.hold(files.whole(), |which, bytes| {
        let done = files.with(which, bytes, load);
        if let Err(error) = &done {
            // A thread's panic.
            assert_ne!(Exit::of(error), Exit::Internal, "{error:#}");
        }
        done
    });
}
