//! Folders and archives that are read or refused.

use std::fs::File;
use std::io::{Read, Write};

use refig::data::{
    BATCH_BYTES, Pace, RECORD_BYTES, RECORDS_PER_BATCH, Request, TEST_FILE, TRAINING_FILES, load,
    open, open_whole, synthetic,
};
use refig::exit::Exit;
use refig::origin::Origin;
use refig::random::{Purpose, Stream};

use super::black::{archive, black, black_archive, error};

#[test]
fn shuffled_files_are_the_same_data() {
    // 50,000 different records, and the same ones in another order and under other names.
    let records: Vec<[u8; RECORD_BYTES]> = (0..50_000u32)
        .map(|index| {
            let mut record = [0; RECORD_BYTES];
            record[0] = (index % 10) as u8;
            record[100..104].copy_from_slice(&index.to_le_bytes());
            record
        })
        .collect();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let orders = [
        (0..50_000).collect::<Vec<u32>>(),
        Stream::new(5, Purpose::Shuffle, 0, 0).permutation(50_000),
    ];
    let loaded = [0, 1].map(|copy| {
        let folder = folders[copy].path().join("cifar-10-batches-bin");
        std::fs::create_dir(&folder).unwrap();
        black(&folder);
        for (name, part) in TRAINING_FILES
            .iter()
            .zip(orders[copy].chunks(RECORDS_PER_BATCH))
        {
            let bytes: Vec<u8> = part
                .iter()
                .flat_map(|&index| records[index as usize])
                .collect();
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        load(folders[copy].path()).unwrap()
    });
    assert_eq!(loaded[0].digest(), loaded[1].digest());
    assert_eq!(loaded[0].train.pixels, loaded[1].train.pixels);
    assert_eq!(loaded[0].train.labels, loaded[1].train.labels);
    assert_eq!(
        loaded[0].origin,
        Origin::Other,
        "these are not CIFAR-10's images"
    );
    assert_eq!(
        (loaded[0].train.len(), loaded[0].test.len()),
        (50_000, 10_000)
    );
}

#[test]
fn every_fault_of_a_folder_has_its_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert!(error(&path.join("nowhere")).contains("no data at"));
    assert!(error(path).contains("none of CIFAR-10's batches"));
    File::create(path.join("data_batch_1")).unwrap();
    let python = error(path);
    assert!(
        python.contains("lacks data_batch_2, data_batch_3") && python.contains("test_batch of"),
        "{python}"
    );

    black(path);
    std::fs::remove_file(path.join("data_batch_3.bin")).unwrap();
    let missing = error(path);
    assert!(
        missing.contains("lacks data_batch_3.bin") && missing.contains("--data-dir"),
        "{missing}"
    );

    let third = File::create(path.join("data_batch_3.bin")).unwrap();
    third.set_len(BATCH_BYTES as u64 - 1).unwrap();
    let truncated = error(path);
    assert!(
        truncated.contains("data_batch_3.bin is truncated: 30729999 bytes instead of 30730000"),
        "{truncated}"
    );
    third.set_len(BATCH_BYTES as u64 + 1).unwrap();
    assert!(error(path).contains("data_batch_3.bin is oversized"));

    let mut bytes = vec![0; BATCH_BYTES];
    bytes[17 * RECORD_BYTES] = 10;
    std::fs::write(path.join("data_batch_3.bin"), bytes).unwrap();
    let label = error(path);
    assert!(
        label.contains("record 17 of") && label.contains("has label 10"),
        "{label}"
    );

    third.set_len(0).unwrap();
    third.set_len(BATCH_BYTES as u64).unwrap();
    assert!(load(path).is_ok());
}

#[test]
fn an_archive_is_read_whole_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cifar.tar.gz");
    let mut entries: Vec<(&str, usize)> = [TEST_FILE, "readme.html"]
        .into_iter()
        .chain(TRAINING_FILES.into_iter().rev())
        .map(|name| {
            (
                name,
                if name == "readme.html" {
                    88
                } else {
                    BATCH_BYTES
                },
            )
        })
        .collect();
    archive(&path, &entries);
    let black_folder = tempfile::tempdir().unwrap();
    black(black_folder.path());
    let data = load(&path).unwrap();
    assert_eq!(
        data.digest(),
        load(black_folder.path()).unwrap().digest(),
        "an archive is its folder"
    );

    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let cut = error(&path);
    assert!(
        cut.contains("damaged") || cut.contains("truncated") || cut.contains("cannot read"),
        "{cut}"
    );
    std::fs::write(&path, b"no archive").unwrap();
    assert!(error(&path).contains("not a readable .tar.gz"));

    entries[3].1 -= RECORD_BYTES;
    archive(&path, &entries);
    assert!(
        error(&path).contains("data_batch_4.bin in"),
        "{}",
        error(&path)
    );
    entries.remove(3);
    archive(&path, &entries);
    assert!(error(&path).contains("lacks data_batch_4.bin"));
}

#[test]
fn the_checksum_of_an_archive_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cifar.tar.gz");
    black_archive(&path);
    let mut bytes = std::fs::read(&path).unwrap();
    // As gzip does, ignore padding.
    let length = bytes.len();
    bytes.resize(length + 1000, 0);
    std::fs::write(&path, &bytes).unwrap();
    load(&path).unwrap();

    bytes.truncate(length);
    bytes[length - 5] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let checksum = error(&path);
    assert!(
        checksum.contains("damaged") && checksum.contains("checksum"),
        "{checksum}"
    );
    std::fs::write(&path, &bytes[..length - 4]).unwrap();
    assert!(error(&path).contains("damaged"));
}

#[test]
fn an_archive_that_unpacks_to_too_much_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cifar.tar.gz");
    let member = |kind: tar::EntryType, states: u64, holds: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_path("filler").unwrap();
        header.set_entry_type(kind);
        header.set_size(states);
        header.set_cksum();
        let mut gzip = flate2::write::GzEncoder::new(
            File::create(&path).unwrap(),
            flate2::Compression::fast(),
        );
        gzip.write_all(header.as_bytes()).unwrap();
        std::io::copy(&mut std::io::repeat(0).take(holds), &mut gzip).unwrap();
        gzip.finish().unwrap();
    };
    // The name of a member of 9 GB, which the header states and the archive need not hold.
    for kind in [
        tar::EntryType::GNULongName,
        tar::EntryType::GNULongLink,
        tar::EntryType::XHeader,
        tar::EntryType::XGlobalHeader,
    ] {
        member(kind, 9 << 30, 1 << 20);
        let error = error(&path);
        assert!(error.contains("take 9663676416 bytes"), "{error}");
    }
    member(tar::EntryType::Regular, 9 << 30, 300 << 20);
    let error = error(&path);
    assert!(error.contains("unpacks to more than"), "{error}");
}

#[test]
fn only_the_official_images_pass_where_they_are_required() {
    let folder = tempfile::tempdir().unwrap();
    black(folder.path());
    let mut request = Request {
        dir: Some(folder.path().into()),
        cache: folder.path().join("cache"),
        mirrors: Vec::new(),
        pace: Pace::default(),
        allow_download: false,
        allow_synthetic: false,
        synthetic_seed: 0,
        require_official: false,
    };
    let data = open(&request, &mut |_| Ok(())).unwrap();
    assert!(
        data.description().starts_with("images other than CIFAR-10"),
        "{}",
        data.description()
    );
    request.require_official = true;
    let error = open(&request, &mut |_| Ok(())).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Data);
    assert!(error.to_string().contains("data fetch cifar10"), "{error}");
}

#[test]
fn images_are_digested_again_where_a_file_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    black(folder.path());
    let request = Request {
        cache: folder.path().join("cache"),
        ..Request::from_environment(Some(folder.path().into()))
    };
    let digests = || {
        let data = open(&request, &mut |_| Ok(())).unwrap();
        let whole = open_whole(&request, &mut |_| Ok(())).unwrap();
        for (set, expected) in [(&data.train, &whole.train), (&data.test, &whole.test)] {
            assert_eq!(set.digest, expected.digest);
            assert!(set.pixels == expected.pixels && set.labels == expected.labels);
        }
        data.digest()
    };
    let black = digests();
    let orders = request.cache.join("cifar10");
    let order = std::fs::read_dir(&orders).unwrap().next().unwrap();
    let order = order.unwrap().path();
    assert_eq!(digests(), black, "the order is known");

    // One bit of one file, whose size stays.
    let third = folder.path().join(TRAINING_FILES[2]);
    let time = std::fs::metadata(&third).unwrap().modified().unwrap();
    let mut file = File::options().write(true).open(&third).unwrap();
    file.write_all(&[1]).unwrap();
    file.set_modified(time).unwrap();
    drop(file);
    let changed = digests();
    assert_ne!(changed, black);
    assert_eq!(digests(), changed, "the new order is known");

    // A damaged order, and none that can be kept.
    std::fs::write(&order, "nonsense").unwrap();
    assert_eq!(digests(), changed);
    std::fs::remove_dir_all(&orders).unwrap();
    std::fs::write(&orders, "in the way").unwrap();
    assert_eq!(digests(), changed);
}

#[test]
fn the_synthetic_set_is_the_same_everywhere() {
    let data = synthetic(0);
    assert_eq!(data.origin, Origin::Synthetic);
    assert_eq!((data.train.len(), data.test.len()), (10_000, 2_000));
    for set in [&data.train, &data.test] {
        for class in 0..10 {
            let images = set.labels.iter().filter(|&&label| label == class).count();
            assert_eq!(images, set.len() / 10, "class {class}");
        }
    }
    assert_eq!(
        data.train.digest,
        "b9a81dda277c87065901a69ff6555460e9d442e0f86f32a0b58bd7c20d2a12a5"
    );
    assert_eq!(
        data.test.digest,
        "ea12f9513007512db406ae6b06467e1e97f92bac3a0d4a5ab2e89f90fd9216ab"
    );
    assert_ne!(synthetic(1).train.digest, data.train.digest);
}
