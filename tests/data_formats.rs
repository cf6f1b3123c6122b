//! CIFAR-10 as Python, torchvision and Hugging Face leave it: the same images are the same data, and damage is an error.

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use common::cifar::{Shape, parquet, pickle, png};
use refig::data::{
    BATCH_BYTES, Dataset, DownloadError, FOLDER, Pace, Progress, RECORD_BYTES, RECORDS_PER_BATCH,
    Request, TEST_FILE, TRAINING_FILES, fetch, load, open,
};
use refig::exit::Exit;
use refig::random::{Purpose, Stream};
use refig::record::foreign::{ForeignImage, ForeignImages};

const PLAIN: Shape = Shape {
    rows_per_group: 1000,
    column: "img",
    snappy: false,
    dictionary: false,
    version: 1,
};

/// 60,000 different records.
fn records() -> Vec<u8> {
    let mut records = vec![0; 6 * BATCH_BYTES];
    for (index, record) in records.chunks_exact_mut(RECORD_BYTES).enumerate() {
        record[0] = (index * 7 % 10) as u8;
        record[100..104].copy_from_slice(&(index as u32).to_le_bytes());
        record[3000] = 200;
    }
    records
}

fn error(path: &Path) -> String {
    let error = load(path).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Data);
    format!("{error:#}")
}

fn same(one: &Dataset, other: &Dataset) {
    assert_eq!(one.digest(), other.digest());
    for (one, other) in [(&one.train, &other.train), (&one.test, &other.test)] {
        assert!(one.pixels == other.pixels && one.labels == other.labels);
    }
}

fn python_name(name: &str) -> &str {
    name.trim_end_matches(".bin")
}

/// Writes the six batches of the Python version, in the protocols 2, 4 and 5 in turn.
fn write_python(folder: &Path, records: &[u8]) {
    std::fs::create_dir_all(folder).unwrap();
    let names = TRAINING_FILES.into_iter().chain([TEST_FILE]);
    for ((name, batch), protocol) in names
        .zip(records.chunks_exact(BATCH_BYTES))
        .zip([2, 4, 5].into_iter().cycle())
    {
        std::fs::write(folder.join(python_name(name)), pickle(batch, protocol)).unwrap();
    }
}

fn rows(records: &[u8]) -> Vec<(Vec<u8>, i64)> {
    let records = records.chunks_exact(RECORD_BYTES);
    records
        .map(|record| (png(record), i64::from(record[0])))
        .collect()
}

#[test]
fn the_same_images_are_the_same_data_in_every_layout() {
    let records = records();
    let folder = tempfile::tempdir().unwrap();
    let below = |name: &str| folder.path().join(name);

    let binary = below("binary").join(FOLDER);
    std::fs::create_dir_all(&binary).unwrap();
    let names = TRAINING_FILES.into_iter().chain([TEST_FILE]);
    for (name, batch) in names.zip(records.chunks_exact(BATCH_BYTES)) {
        std::fs::write(binary.join(name), batch).unwrap();
    }
    let expected = load(&below("binary")).unwrap();

    // As torchvision leaves it, named by the folder above or itself.
    let python = below("python").join("cifar-10-batches-py");
    write_python(&python, &records);
    same(&load(&below("python")).unwrap(), &expected);
    same(&load(&python).unwrap(), &expected);

    // The archive of the Python version, named or found.
    let archived = below("archived");
    std::fs::create_dir(&archived).unwrap();
    let archive = archived.join("cifar-10-python.tar.gz");
    let gzip =
        flate2::write::GzEncoder::new(File::create(&archive).unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    tar.append_dir_all("cifar-10-batches-py", &python).unwrap();
    tar.into_inner().unwrap().finish().unwrap();
    same(&load(&archive).unwrap(), &expected);
    same(&load(&archived).unwrap(), &expected);

    // Hugging Face's files, found in the folder above or named; the order of the images does not matter.
    let rows = rows(&records);
    let (train, test) = rows.split_at(TRAINING_FILES.len() * RECORDS_PER_BATCH);
    let shards = below("hub").join("plain_text");
    std::fs::create_dir_all(&shards).unwrap();
    let first = shards.join("train-00000-of-00001.parquet");
    let backwards: Vec<(Vec<u8>, i64)> = train.iter().rev().cloned().collect();
    let large = Shape {
        snappy: true,
        rows_per_group: 7777,
        ..PLAIN
    };
    std::fs::write(&first, parquet(&backwards, large)).unwrap();
    let second = shards.join("test-00000-of-00001.parquet");
    std::fs::write(&second, parquet(test, PLAIN)).unwrap();
    same(&load(&below("hub")).unwrap(), &expected);
    same(&load(&first).unwrap(), &expected);

    // In several files, too few and too many.
    let (some, others) = train.split_at(1234);
    std::fs::write(&first, parquet(others, PLAIN)).unwrap();
    let few = error(&shards);
    assert!(few.contains("holds 48766 images instead of 50000"), "{few}");
    std::fs::write(shards.join("train-1.parquet"), parquet(some, PLAIN)).unwrap();
    same(&load(&shards).unwrap(), &expected);
    std::fs::remove_file(&second).unwrap();
    assert!(error(&shards).contains("lacks CIFAR-10's test-*.parquet"));
}

#[test]
fn faults_of_the_python_version_have_their_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let batch = vec![0; BATCH_BYTES];
    write_python(path, &batch.repeat(6));
    let third = path.join("data_batch_3");
    let replaced = |bytes: &[u8]| {
        std::fs::write(&third, bytes).unwrap();
        error(path)
    };
    let few = replaced(&pickle(&batch[RECORD_BYTES..], 2));
    assert!(few.contains("data_batch_3 holds 9999 images"), "{few}");
    let mut labelled = batch.clone();
    labelled[17 * RECORD_BYTES] = 10;
    let label = replaced(&pickle(&labelled, 4));
    assert!(
        label.contains("record 17 of") && label.contains("has label 10"),
        "{label}"
    );
    let cut = replaced(&pickle(&batch, 2)[..1_000_000]);
    assert!(cut.contains("it ends too early"), "{cut}");
    let executed = replaced(b"\x80\x02cos\nsystem\n(U\x02lstR.");
    assert!(executed.contains("nothing was executed"), "{executed}");
    let large = replaced(&vec![0x80; 41 << 20]);
    assert!(large.contains("data_batch_3 is oversized"), "{large}");
    std::fs::remove_file(&third).unwrap();
    assert!(error(path).contains("lacks data_batch_3 of"));
}

/// A few images of different lengths, which need not be PNGs to be read from Parquet.
fn few() -> Vec<(Vec<u8>, i64)> {
    (0..23)
        .map(|row| (vec![row as u8; 5 + row % 4 * 40], row as i64 % 3))
        .collect()
}

fn read(path: &Path, bytes: &[u8]) -> anyhow::Result<Vec<ForeignImage>> {
    std::fs::write(path, bytes)?;
    let images = ForeignImages::open(path)?;
    let mut rows = Vec::new();
    for group in 0..images.groups() {
        rows.extend(images.read(group, 1 << 20)?);
    }
    Ok(rows)
}

fn shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for snappy in [false, true] {
        for dictionary in [false, true] {
            for version in [1, 2] {
                shapes.push(Shape {
                    rows_per_group: 10,
                    column: if version == 1 { "img" } else { "image" },
                    snappy,
                    dictionary,
                    version,
                });
            }
        }
    }
    shapes
}

#[test]
fn parquet_is_read_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.parquet");
    for shape in shapes() {
        let found = read(&path, &parquet(&few(), shape)).unwrap();
        let found: Vec<_> = found
            .into_iter()
            .map(|row| (row.bytes, row.label))
            .collect();
        assert_eq!(found, few());
    }
    let large = [(vec![7; 2 << 20], 1)];
    let refused = read(&path, &parquet(&large, PLAIN)).unwrap_err();
    assert!(refused.to_string().contains("more memory"), "{refused}");
    let unnamed = Shape {
        column: "picture",
        ..PLAIN
    };
    let refused = read(&path, &parquet(&few(), unnamed)).unwrap_err();
    assert!(refused.to_string().contains("no column `img`"), "{refused}");
}

#[test]
fn no_damaged_file_does_worse_than_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.parquet");
    let mut stream = Stream::new(2, Purpose::Synthetic, 0, 0);
    let damage = |whole: &[u8], stream: &mut Stream| {
        let mut bytes = whole.to_vec();
        for _ in 0..=stream.below(3) {
            let place = stream.below(bytes.len() as u64) as usize;
            // Sizes at their limits, and anything else.
            bytes[place] = match stream.below(3) {
                0 => 0xff,
                1 => 0,
                _ => stream.below(256) as u8,
            };
        }
        if stream.below(8) == 0 {
            bytes.truncate(stream.below(bytes.len() as u64) as usize);
        }
        bytes
    };
    for shape in shapes() {
        let whole = parquet(&few(), shape);
        for _ in 0..1000 {
            // Some damage, such as to a pixel, is not noticed here but by the digest.
            let _ = read(&path, &damage(&whole, &mut stream));
        }
        for cut in (0..whole.len()).step_by(7) {
            assert!(read(&path, &whole[..cut]).is_err(), "{cut} bytes");
        }
    }
}

/// Serves files and ranges of them by the ends of their addresses, 404 for any other, and gives the address of the folder.
fn serve(files: Vec<(&'static str, Vec<u8>)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/plain_text/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut request, mut line) = (String::new(), String::new());
            let mut start = 0;
            reader.read_line(&mut request).unwrap();
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("range: bytes=") {
                    start = value.trim().trim_end_matches('-').parse().unwrap();
                }
                line.clear();
            }
            let asked = request.split_whitespace().nth(1).unwrap_or_default();
            let file = files.iter().find(|(name, _)| asked.ends_with(name));
            let (status, body) = match file {
                Some((_, body)) if start > 0 => {
                    let (last, length) = (body.len() - 1, body.len());
                    let range = format!("Content-Range: bytes {start}-{last}/{length}");
                    (format!("206 Partial Content\r\n{range}"), &body[start..])
                }
                Some((_, body)) => ("200 OK".to_owned(), &body[..]),
                None => ("404 Not Found".to_owned(), &b""[..]),
            };
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            // The client may have hung up.
            stream.write_all(head.as_bytes()).ok();
            stream.write_all(body).ok();
        }
    });
    address
}

const TRAIN: &str = "/plain_text/train-00000-of-00001.parquet";
const TEST: &str = "/plain_text/test-00000-of-00001.parquet";

#[test]
fn parquet_files_of_other_images_are_refused_and_nothing_stays() {
    let cache = tempfile::tempdir().unwrap();
    let bytes = parquet(&few(), PLAIN);
    let address = serve(vec![(TRAIN, bytes.clone()), (TEST, bytes)]);
    let mut notes = Vec::new();
    let refused = fetch(
        Some(&address),
        cache.path(),
        &[],
        Pace::default(),
        &mut |progress| {
            if let Progress::Note(note) = progress {
                notes.push(note);
            }
            Ok(())
        },
    );
    notes.retain(|note| note.contains("TLS"));
    let expected = format!(
        "{address} has no TLS; what it delivers is taken only if its digest is that of CIFAR-10"
    );
    assert_eq!(notes, [expected], "told once");
    let Err(DownloadError::Refused(error)) = refused else {
        panic!("expected a refusal, got {refused:?}");
    };
    let error = format!("{error:#}");
    assert!(
        error.contains("holds 23 images instead of 50000") && error.contains(&address),
        "{error}"
    );
    let left: Vec<_> = std::fs::read_dir(cache.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["cifar10.lock"]);

    let address = serve(Vec::new());
    let gone = fetch(
        Some(&address),
        cache.path(),
        &[],
        Pace::default(),
        &mut |_| Ok(()),
    );
    let Err(DownloadError::Unreachable(error)) = gone else {
        panic!("expected nobody to have it, got {gone:?}");
    };
    assert!(format!("{error:#}").contains("status 404"), "{error:#}");
}

#[test]
fn real_cifar10_is_the_same_from_python_and_from_a_download_of_parquet() {
    let Some(path) = std::env::var_os("CIFAR10_DIR").filter(|path| !path.is_empty()) else {
        eprintln!("CIFAR10_DIR is not set: nothing to look at");
        return;
    };
    let expected = load(Path::new(&path)).unwrap();
    assert_eq!(expected.doubt(), None);
    let mut records = Vec::new();
    for set in [&expected.train, &expected.test] {
        for image in 0..set.len() {
            records.push(set.labels[image] as u8);
            records.extend_from_slice(set.image(image));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    write_python(folder.path(), &records);
    let request = Request {
        cache: folder.path().to_path_buf(),
        dir: None,
        allow_download: false,
        ..Request::from_environment(None)
    };
    assert!(request.is_local(), "found where the cache is");
    same(&open(&request, &mut |_| Ok(())).unwrap(), &expected);

    let rows = rows(&records);
    let (train, test) = rows.split_at(TRAINING_FILES.len() * RECORDS_PER_BATCH);
    let shape = Shape {
        snappy: true,
        ..PLAIN
    };
    let train = parquet(train, shape);
    let address = serve(vec![(TRAIN, train), (TEST, parquet(test, shape))]);
    let cache = tempfile::tempdir().unwrap();
    // Something else that an earlier download left is thrown away once.
    let part = cache.path().join("cifar-10-train.parquet.part");
    std::fs::write(part, [1; 1000]).unwrap();
    let mirrors = [address.clone()];
    let fetched = fetch(None, cache.path(), &mirrors, Pace::default(), &mut |_| {
        Ok(())
    });
    same(&fetched.unwrap(), &expected);
    let mut left: Vec<_> = std::fs::read_dir(cache.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, [FOLDER, "cifar10.lock"], "the cache keeps one layout");

    // From behind a place that has nothing, and one that has something else.
    let cache = tempfile::tempdir().unwrap();
    let few = parquet(&few(), PLAIN);
    let other = serve(vec![(TRAIN, few.clone()), (TEST, few)]);
    let mirrors = [serve(Vec::new()), other.clone(), address.clone()];
    let mut notes = Vec::new();
    let mut show = |progress| {
        if let Progress::Note(note) = progress {
            notes.push(note);
        }
        Ok(())
    };
    let fetched = fetch(None, cache.path(), &mirrors, Pace::default(), &mut show);
    same(&fetched.unwrap(), &expected);
    notes.retain(|note| note.contains("trying"));
    assert_eq!(notes.len(), 1, "{notes:?}");
    let begins = format!("{other} delivers something else (");
    let ends = format!("; trying {address}");
    assert!(notes[0].starts_with(&begins) && notes[0].ends_with(&ends));
    assert!(notes[0].contains("holds 23 images instead of 50000"));
}
