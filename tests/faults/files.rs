//! Every file that a run writes, cut off or with a flipped bit; files from the future; files of an older version.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use refig::digest::sha256;
use refig::exit::Exit;
use refig::random::{Purpose, Stream};
use refig::run::disk::Disk;
use refig::run::fault::{Fault, Stop};
use refig::run::{Rows, find};
use refig::weights::Weights;
use serde_json::Value;

use super::common::{plan, rows_of, same_but_seconds, train};
use super::scene::files;

/// Disk operations after which the partial run was stopped: a checkpoint, parts, and half of the next file.
const STOPS: [u64; 4] = [14, 27, 41, 55];
/// Faults of each file.
const FAULTS: u64 = 6;

/// The rows and the weights of the run in `results`, which has ended.
fn result(results: &Path) -> anyhow::Result<(Rows, Option<Weights>)> {
    let run = find(results)?.remove(0);
    let weights = run.load_weights()?;
    let (_, rows) = run.read()?;
    Ok((rows, weights))
}

fn undisturbed() -> (Rows, Option<Weights>) {
    let results = tempfile::tempdir().unwrap();
    train(Disk::default(), results.path(), false).unwrap();
    result(results.path()).unwrap()
}

/// A run that was stopped after this many operations.
fn stopped(results: &Path, after: u64) {
    let fault = Arc::new(Fault::new(Stop::Kill, after));
    train(Disk::with_fault(fault), results, false).unwrap_err();
}

fn copy(all: &BTreeMap<PathBuf, Vec<u8>>, to: &Path) {
    for (name, bytes) in all {
        let path = to.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// The file as after a power cut, or with a flipped bit.
pub fn damaged(whole: &[u8], random: &mut Stream) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let place = random.below(whole.len().max(1) as u64) as usize;
    match random.below(4) {
        0 => bytes.truncate(place),
        // Blocks that were never written are zeros.
        1 => bytes[place..].fill(0),
        2 => bytes.clear(),
        _ => bytes[place] ^= 1u8 << random.below(8),
    }
    bytes
}

/// Damages each file of a run in turn, starts it again, and expects the undisturbed numbers, or an error with everything else
/// in place. Returns the number of starts that went on and of those that were refused.
fn each_file_damaged(whole: &Path, random: &mut Stream) -> (usize, usize) {
    let (expected_rows, expected_weights) = undisturbed();
    let before = files(whole);
    let (mut went_on, mut refused) = (0, 0);
    for (name, bytes) in before.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        for _ in 0..FAULTS {
            let place = tempfile::tempdir().unwrap();
            copy(&before, place.path());
            std::fs::write(place.path().join(name), damaged(bytes, random)).unwrap();
            let left = files(place.path());
            let done = train(Disk::default(), place.path(), false);
            match done.and_then(|()| result(place.path())) {
                Ok((rows, weights)) => {
                    went_on += 1;
                    assert!(same_but_seconds(&rows, &expected_rows), "{name:?}");
                    assert!(weights == expected_weights, "{name:?}");
                }
                Err(error) => {
                    refused += 1;
                    let message = format!("{error:#}");
                    assert_eq!(Exit::of(&error), Exit::Storage, "{name:?}: {message}");
                    // Nothing but half-written files is gone, and nothing is overwritten.
                    let after = files(place.path());
                    for (kept, bytes) in &left {
                        let file = kept.file_name().unwrap_or_default();
                        let half = file.to_string_lossy().ends_with(".tmp");
                        let same = after.get(kept) == Some(bytes);
                        let log = file == "log" || file == "run.toml";
                        assert!(half || log || same, "{kept:?} after {name:?}: {message}");
                    }
                    train(Disk::default(), place.path(), true).unwrap();
                    let (rows, _) = result(place.path()).unwrap();
                    assert!(same_but_seconds(&rows, &expected_rows), "{name:?}");
                }
            }
        }
    }
    (went_on, refused)
}

#[test]
fn a_damaged_file_costs_a_checkpoint_at_most_or_is_named() {
    let mut random = Stream::new(13, Purpose::Shuffle, 0, 0);
    let mut all = (0, 0);
    for after in STOPS {
        let results = tempfile::tempdir().unwrap();
        stopped(results.path(), after);
        let (went_on, refused) = each_file_damaged(results.path(), &mut random);
        all = (all.0 + went_on, all.1 + refused);
    }
    let results = tempfile::tempdir().unwrap();
    train(Disk::default(), results.path(), false).unwrap();
    let (went_on, refused) = each_file_damaged(results.path(), &mut random);
    all = (all.0 + went_on, all.1 + refused);
    assert!(all.0 > 0 && all.1 > 0, "{all:?}");
    println!(
        "damaged files: {} starts went on, {} were refused",
        all.0, all.1
    );
}

#[test]
fn files_from_the_future_or_the_distant_past_are_files() {
    let (expected, _) = undisturbed();
    let year = Duration::from_secs(365 * 24 * 3600);
    for time in [
        SystemTime::now() + 10 * year,
        SystemTime::UNIX_EPOCH + Duration::from_secs(1),
    ] {
        for after in STOPS {
            let results = tempfile::tempdir().unwrap();
            stopped(results.path(), after);
            for name in files(results.path()).keys() {
                let path = results.path().join(name);
                let file = std::fs::File::options().append(true).open(path).unwrap();
                file.set_modified(time).unwrap();
            }
            train(Disk::default(), results.path(), false).unwrap();
            let (rows, _) = result(results.path()).unwrap();
            assert!(same_but_seconds(&rows, &expected), "{after}");
        }
    }
}

/// Makes a run's folder as the first version wrote it: without digests of files and without a file of the progress.
fn aged(folder: &Path) {
    let run = folder.join("run.toml");
    let text = std::fs::read_to_string(&run).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    let old = rest.replacen("format = 2", "format = 1", 1);
    assert_ne!(old, rest);
    std::fs::write(&run, old).unwrap();
    std::fs::remove_file(folder.join("progress.json")).ok();
    let done = folder.join("done.json");
    if done.exists() {
        let text = std::fs::read_to_string(&done).unwrap();
        let mut fields: Value = serde_json::from_str(&text).unwrap();
        let fields = fields.as_object_mut().unwrap();
        fields.remove("sha256");
        fields.remove("files");
        fields.insert("format".into(), 1.into());
        std::fs::write(&done, serde_json::to_string_pretty(fields).unwrap()).unwrap();
    }
    for name in ["checkpoint.safetensors", "checkpoint.previous.safetensors"] {
        let path = folder.join(name);
        if path.exists() {
            let mut weights = Weights::load(&path).unwrap();
            let mut header: Value = serde_json::from_str(&weights.metadata).unwrap();
            let fields = header.as_object_mut().unwrap();
            fields.remove("files");
            fields.insert("format".into(), 1.into());
            fields.insert("sha256".into(), "".into());
            weights.metadata = header.to_string();
            header["sha256"] = sha256(&weights.to_bytes().unwrap()).into();
            weights.metadata = header.to_string();
            weights.save(&path).unwrap();
        }
    }
}

#[test]
fn results_of_the_first_version_are_read_and_gone_on_with() {
    let (expected, _) = undisturbed();
    let results = tempfile::tempdir().unwrap();
    train(Disk::default(), results.path(), false).unwrap();
    aged(&results.path().join(plan().folder()));
    train(Disk::default(), results.path(), false).unwrap();
    let run = find(results.path()).unwrap().remove(0);
    assert!(same_but_seconds(&rows_of(&run), &expected));
    let mut gone_on = 0;
    for after in STOPS {
        let results = tempfile::tempdir().unwrap();
        stopped(results.path(), after);
        let folder = results.path().join(plan().folder());
        gone_on += usize::from(folder.join("checkpoint.safetensors").exists());
        aged(&folder);
        train(Disk::default(), results.path(), false).unwrap();
        let (rows, _) = result(results.path()).unwrap();
        assert!(same_but_seconds(&rows, &expected), "{after}");
    }
    assert!(gone_on > 0);
}
