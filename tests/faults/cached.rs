//! Data sets on their way into a cache folder or into archives, killed with SIGKILL at random moments: whole in the end, or not
//! there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use refig::data::{Batch, PictureRequest, Progress, open_pictures};
use refig::exit::Exit;
use refig::random::{Purpose, Stream};
use refig::record::Split;

use super::black::black;
use super::common::cluster::succeeded;
use super::common::images::{picture_recipe, picture_set};
use super::common::program::silent;
use super::files::damaged;
use super::scene::{files, kill_at_random, kills, output};

/// Names the set and the cache folder to a child.
const CHILD: &str = "REFIG_FAULTS_PICTURES";

/// Real CIFAR-10, if `CIFAR10_DIR` names it.
pub fn at_hand() -> Option<PathBuf> {
    let named = std::env::var_os("CIFAR10_DIR").filter(|path| !path.is_empty());
    named.map(PathBuf::from)
}

/// `refig data prepare imagenet`.
pub fn prepare(set: &Path, out: &Path, cache: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_refig"));
    command.args(["data", "prepare", "imagenet", "--quiet"]);
    command.arg("--data-dir").arg(set).arg("--out").arg(out);
    command.env("REFIG_CACHE", cache);
    command
}

/// Reads pictures as for training, without those that cannot be decoded: an index, a list of these, and the mean image are kept in
/// `cache`. So are pictures that the program makes, if no set is named. Gives the first validation image and what was said.
pub fn read(set: Option<&Path>, cache: &Path) -> (Batch, Vec<String>) {
    let mut notes = Vec::new();
    let mut show = |progress| {
        if let Progress::Note(note) = progress {
            notes.push(note);
        }
        Ok(())
    };
    let request = PictureRequest {
        dir: set.map(Path::to_path_buf),
        cache: cache.to_path_buf(),
        allow_synthetic: set.is_none(),
        skip_unreadable: true,
    };
    let data = open_pictures(&request, &mut show).unwrap();
    let images = data.for_recipe(&picture_recipe(), cache, 1, &mut show);
    let batch = images.unwrap().batch(Split::Test, &[0], false).unwrap();
    (batch, notes)
}

/// The reading process, which the next test starts and kills. Else there is nothing to do.
#[test]
fn a_child_reads_pictures() {
    if let Ok(order) = std::env::var(CHILD) {
        let (set, cache) = order.split_once(' ').unwrap();
        let set = Some(Path::new(set)).filter(|_| !set.is_empty());
        read(set, Path::new(cache));
    }
}

/// That process.
fn child(set: &str, cache: &Path) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "cached::a_child_reads_pictures"])
        .env(CHILD, format!("{set} {}", cache.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    child
}

#[test]
fn what_is_kept_of_pictures_is_whole_after_kills() {
    let made = tempfile::tempdir().unwrap();
    let set = made.path().join("set");
    picture_set(&set);
    let whole = made.path().join("cache");
    let (expected, _) = read(Some(&set), &whole);
    kill_at_random(
        "index and mean image",
        || tempfile::tempdir().unwrap(),
        |cache| child(set.to_str().unwrap(), cache.path()),
        |cache| {
            let (batch, notes) = read(Some(&set), cache.path());
            assert!(batch == expected && notes.is_empty(), "{notes:?}");
            let kept = files(cache.path());
            // Several processes keep this list at a time, so that nobody tidies up.
            let lists = |name: &Path| name.to_string_lossy().starts_with("unreadable-");
            let kept = kept.into_iter().filter(|(name, _)| {
                !(lists(name) && name.extension().is_some_and(|end| end == "part"))
            });
            assert!(kept.eq(files(&whole)), "it is not the same cache");
        },
    );
}

#[test]
fn pictures_that_are_made_are_whole_after_kills() {
    const FOLDER: &str = "synthetic-pictures-1";
    let whole = tempfile::tempdir().unwrap();
    let (expected, _) = read(None, whole.path());
    kill_at_random(
        "making pictures",
        || tempfile::tempdir().unwrap(),
        |cache| child("", cache.path()),
        |cache| {
            assert!(read(None, cache.path()).0 == expected);
            let pictures = |cache: &Path| files(&cache.join(FOLDER));
            assert!(pictures(cache.path()) == pictures(whole.path()));
            for entry in std::fs::read_dir(cache.path()).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(name == FOLDER || !name.starts_with(FOLDER), "{name}");
            }
        },
    );
}

#[test]
fn a_packing_of_pictures_that_is_killed_goes_on() {
    let made = tempfile::tempdir().unwrap();
    let set = made.path().join("set");
    picture_set(&set);
    let whole = made.path().join("packed");
    let start = |out: &Path| prepare(&set, out, &out.with_extension("cache"));
    assert!(start(&whole).status().unwrap().success());
    kill_at_random(
        "packing",
        || tempfile::tempdir().unwrap(),
        |place| {
            let mut command = start(&place.path().join("out"));
            command.stderr(Stdio::null());
            command
        },
        |place| {
            let out = place.path().join("out");
            assert!(start(&out).status().unwrap().success());
            assert!(files(&out) == files(&whole), "{:?}", files(&out).keys());
        },
    );
}

#[test]
fn what_is_damaged_of_a_packing_is_named() {
    let made = tempfile::tempdir().unwrap();
    let (set, out) = (made.path().join("set"), made.path().join("packed"));
    picture_set(&set);
    let again = || {
        let cache = tempfile::tempdir().unwrap();
        output(&mut prepare(&set, &out, cache.path()))
    };
    succeeded(again());
    let mut random = Stream::new(19, Purpose::Shuffle, 0, 0);
    for (name, bytes) in files(&out) {
        let path = out.join(&name);
        for _ in 0..kills(10, 1) {
            std::fs::write(&path, damaged(&bytes, &mut random)).unwrap();
            let done = again();
            let said = String::from_utf8_lossy(&done.stderr);
            // A bit of an archive may be one that says nothing about an image.
            if !done.status.success() {
                assert_eq!(done.status.code(), Some(Exit::Data as i32), "{said}");
                assert!(said.contains(out.to_str().unwrap()), "{said}");
            }
            std::fs::write(&path, &bytes).unwrap();
        }
    }
    succeeded(again());
}

#[test]
fn a_fetch_that_is_killed_is_whole_in_the_end_or_not_there() {
    let made = tempfile::tempdir().unwrap();
    black(made.path());
    let real = at_hand();
    let from = real.as_deref().unwrap_or(made.path());
    let fetch = |place: &Path| {
        let begin = ["data", "fetch", "cifar10", "--offline", "--quiet"];
        let mut command = silent(&begin, place);
        command.arg("--from").arg(from);
        command
    };
    kill_at_random(
        "fetching",
        || tempfile::tempdir().unwrap(),
        |place| fetch(place.path()),
        |place| {
            // Images that are not CIFAR-10's do not get there.
            let expected = match real {
                Some(_) => Exit::Success,
                None => Exit::Data,
            };
            let status = fetch(place.path()).status().unwrap();
            assert_eq!(status.code(), Some(expected as i32));
            let cache = place.path().join("cache");
            let there = std::fs::read_dir(&cache).unwrap();
            let mut there: Vec<String> = there
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            there.sort();
            let whole: &[&str] = match real {
                Some(_) => &["cifar-10-batches-bin", "cifar10.lock"],
                None => &["cifar10.lock"],
            };
            assert_eq!(there, whole);
        },
    );
}
