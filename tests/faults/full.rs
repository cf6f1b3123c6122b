//! Disks that are full while something is written that is no run in training: packs, exports, reports, and data sets.

use std::path::Path;
use std::process::Command;

use refig::data::{BATCH_BYTES, Request, open};
use refig::run;

use super::black::black;
use super::cached::{at_hand, prepare, read};
use super::common::cluster::{Cluster, succeeded};
use super::common::images::picture_set;
use super::common::program::placed;
use super::disk::{PAGE, SmallDisk, pages};
use super::pictures;
use super::scene::{assert_unwritable, files, kills, moments, output, reproduce};

/// What every error of a full disk asks for.
const REMEDY: &str = "make room";

/// Numbers of free pages: none, and some fewer than `needed`.
fn rooms(what: &str, needed: u64) -> Vec<u64> {
    let mut moments = moments(what);
    let some = (0..kills(20, 1)).map(|_| moments.below(needed));
    std::iter::once(0).chain(some).collect()
}

/// Asserts that a command writes on the disk what it writes where there is room, or nothing of a file, and all of it once there is
/// room. `more` are numbers of free pages. Files of which `differs` is true may tell of what could not be written.
fn assert_whole_or_not_there(
    disk: &SmallDisk,
    command: &dyn Fn() -> Command,
    more: &[u64],
    differs: &dyn Fn(&Path) -> bool,
) {
    disk.clear();
    let about = format!("{:?}", command());
    succeeded(output(&mut command()));
    let whole = disk.files();
    let needed = pages(&whole);
    let mut rooms = rooms(&about, needed);
    rooms.extend(more);
    for room in rooms {
        disk.clear();
        disk.fill(room);
        let refused = output(&mut command());
        println!("{room} of {needed} pages are free: {about}");
        assert_unwritable(&refused, REMEDY);
        for (name, bytes) in disk.files() {
            let same = whole.get(&name) == Some(&bytes);
            assert!(same || differs(&name), "{name:?} was left");
        }
        disk.free();
        succeeded(output(&mut command()));
        assert!(disk.files() == whole, "{:?}", disk.files().keys());
    }
}

#[test]
fn what_is_made_of_records_is_whole_or_not_there() {
    let Some(disk) = SmallDisk::new(8) else {
        return;
    };
    let made = tempfile::tempdir().unwrap();
    assert!(reproduce(made.path()).status().unwrap().success());
    let results = made.path().join("results");
    let run = run::find(&results).unwrap().remove(0).folder;
    let pack = made.path().join("run.tar");
    run::pack(&results, &run, &pack).unwrap();
    let out = disk.at.join("out");
    let [run, pack, out] = [&run, &pack, &out].map(|path| path.to_str().unwrap());
    let (own, small) = (made.path(), disk.at.as_path());
    let tiny = ["tiny", "--profile", "tiny"];
    let all: [(&Path, Vec<&str>); 10] = [
        (own, vec!["run", "pack", run, "--out", out]),
        (small, vec!["run", "unpack", pack]),
        (own, vec!["export", "csv", "--out", out]),
        (own, vec!["export", "tensorboard", "--out", out]),
        (own, vec!["describe", "resnet-8", "--svg", out]),
        (
            own,
            [&["plan"][..], &tiny, &["--offline", "--out", out]].concat(),
        ),
        (own, [&["render"][..], &tiny].concat()),
        (own, [&["report"][..], &tiny].concat()),
        (own, vec!["report", "--all"]),
        (own, [&["check"][..], &tiny, &["--write"]].concat()),
    ];
    for (place, words) in all {
        let command = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_refig"));
            command.args(&words);
            command.args(["--experiments-dir", "tests/fixtures/experiments"]);
            let (results, reports) = (place.join("results"), small.join("reports"));
            placed(&mut command, &results, &reports, &own.join("cache"));
            command
        };
        // The index lists the reports that there are.
        let index = |name: &Path| name == Path::new("reports/index.html");
        assert_whole_or_not_there(&disk, &command, &[], &index);
    }
}

#[test]
fn an_interrupted_packing_of_pictures_goes_on_once_there_is_room() {
    let Some(disk) = SmallDisk::new(8) else {
        return;
    };
    let made = tempfile::tempdir().unwrap();
    let set = made.path().join("set");
    picture_set(&set);
    let command = || prepare(&set, &disk.at.join("out"), &made.path().join("cache"));
    // Enough for the images, so that it begins, but not for what an archive adds to them; and for the list of archives.
    let images: usize = files(&set).values().map(Vec::len).sum();
    let begins = (images as u64).div_ceil(PAGE) + 1;
    assert_whole_or_not_there(&disk, &command, &[begins], &|_| false);
}

#[test]
fn without_room_for_the_cache_pictures_are_read_all_the_same() {
    let Some(disk) = SmallDisk::new(8) else {
        return;
    };
    let made = tempfile::tempdir().unwrap();
    let set = made.path().join("set");
    picture_set(&set);
    let cache = disk.at.join("cache");
    let (expected, notes) = read(Some(&set), &cache);
    assert!(notes.is_empty(), "{notes:?}");
    let whole = disk.files();
    for room in rooms("a cache", pages(&whole)) {
        disk.clear();
        disk.fill(room);
        let (batch, mut notes) = read(Some(&set), &cache);
        assert!(batch == expected, "with {room} pages");
        assert!(!notes.is_empty(), "with {room} pages");
        for note in &notes {
            assert!(note.starts_with("cannot keep "), "{note}");
            assert!(note.contains("REFIG_CACHE"), "{note}");
        }
        // Each thing is said once.
        let all = notes.len();
        notes.dedup();
        assert_eq!(notes.len(), all, "{notes:?}");
        for (name, bytes) in disk.files() {
            assert!(whole.get(&name) == Some(&bytes), "{name:?} was left");
        }
        disk.free();
        let (batch, notes) = read(Some(&set), &cache);
        assert!(batch == expected && notes.is_empty(), "{notes:?}");
        assert!(disk.files() == whole, "with {room} pages");
    }
}

#[test]
fn without_room_for_their_digests_images_are_loaded_all_the_same() {
    let Some(disk) = SmallDisk::new(8) else {
        return;
    };
    let made = tempfile::tempdir().unwrap();
    black(made.path());
    let request = Request {
        cache: disk.at.join("cache"),
        ..Request::from_environment(Some(made.path().into()))
    };
    let digest = || open(&request, &mut |_| Ok(())).unwrap().digest();
    let expected = digest();
    let whole = disk.files();
    for room in rooms("digests", pages(&whole)) {
        disk.clear();
        disk.fill(room);
        assert_eq!(digest(), expected, "with {room} pages");
        assert!(disk.files().is_empty(), "{:?}", disk.files().keys());
        disk.free();
        assert_eq!(digest(), expected);
        assert!(disk.files() == whole, "with {room} pages");
    }
}

#[test]
fn a_data_set_that_finds_no_room_is_not_there() {
    let Some(disk) = SmallDisk::new(200) else {
        return;
    };
    let made = tempfile::tempdir().unwrap();
    black(made.path());
    let real = at_hand();
    let from = real.as_deref().unwrap_or(made.path());
    let cache = disk.at.join("cache");
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_refig"));
        command.args(["data", "fetch", "cifar10", "--offline", "--quiet"]);
        command.arg("--from").arg(from);
        placed(&mut command, made.path(), made.path(), &cache);
        command
    };
    for room in rooms("a data set", 6 * BATCH_BYTES as u64 / PAGE) {
        disk.clear();
        disk.fill(room);
        assert_unwritable(&output(&mut command()), REMEDY);
        let left = disk.files();
        let lock = |name: &Path| name == Path::new("cache/cifar10.lock");
        assert!(left.keys().all(|name| lock(name)), "{:?}", left.keys());
        disk.free();
        if real.is_some() {
            succeeded(output(&mut command()));
        }
    }
}

#[test]
fn pictures_that_find_no_room_are_not_there() {
    let Some(disk) = SmallDisk::new(8) else {
        return;
    };
    let place = tempfile::tempdir().unwrap();
    // There are more of them than pages.
    for room in rooms("pictures", 700) {
        disk.clear();
        disk.fill(room);
        let mut command = pictures::reproduce(place.path());
        command.env("REFIG_CACHE", disk.at.join("cache"));
        assert_unwritable(&output(&mut command), REMEDY);
        assert!(disk.files().is_empty(), "{:?}", disk.files().keys());
        assert!(files(place.path()).is_empty());
    }
}

#[test]
fn a_launch_without_room_submits_nothing_twice() {
    let mut refused = 0;
    // With each page it comes further.
    for room in 0.. {
        let cluster = Cluster::new();
        let results = cluster.at("results");
        std::fs::create_dir(&results).unwrap();
        let Some(disk) = SmallDisk::mount(&results, 1) else {
            return;
        };
        disk.fill(room);
        let output = cluster.launch(&[]);
        let done = output.status.success();
        if !done {
            refused += 1;
            assert_unwritable(&output, REMEDY);
        }
        disk.free();
        succeeded(cluster.launch(&[]));
        cluster.assert_queued_once();
        let ignored = std::fs::read_to_string(results.join(".launches/.gitignore"));
        assert_eq!(ignored.unwrap(), "*\n");
        if done {
            break;
        }
    }
    assert!(refused > 4, "{refused}");
}
