//! A run in one file: it resumes elsewhere to the bit, every byte of the file counts, and nothing further along is replaced.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use common::{LAST, iteration, next, notes, plan, rows_of, same_but_seconds, train, weights};
use refig::exit::Exit;
use refig::record::{Ending, Recorder};
use refig::run::disk::Disk;
use refig::run::fault::{Fault, Stop};
use refig::run::{RunDirectory, RunView, find, pack, pack_on, unpack, unpack_on};

/// The usual run, stopped after its first checkpoints.
fn partial(results: &Path, last: u64) -> PathBuf {
    let mut run = RunDirectory::open(results, &plan(), &notes(), false).unwrap();
    run.resume().unwrap();
    let mut state = weights(1.0);
    for place in 1..=last {
        state = next(&state);
        run.iteration(iteration(place, &state)).unwrap();
        if place % 2 == 0 {
            run.checkpoint(place, &state, "0").unwrap();
        }
    }
    run.folder().to_owned()
}

fn only(results: &Path) -> RunView {
    let mut runs = find(results).unwrap();
    assert_eq!(runs.len(), 1);
    runs.remove(0)
}

/// Everything in a run's folder but the log.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().is_file() && entry.file_name() != "log")
        .map(|entry| {
            let name = entry.path().strip_prefix(folder).unwrap().to_owned();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn a_packed_partial_run_resumes_elsewhere_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    train(Disk::default(), &at("whole"), false).unwrap();
    let run = partial(&at("here"), 3);
    pack(&at("here"), &run, &at("run.tar")).unwrap();
    let there = unpack(&at("run.tar"), &at("there")).unwrap();
    assert_eq!((there.ending, there.iteration), (Ending::Partial, 2));
    assert_eq!(there.folder, at("there").join(plan().folder()));
    train(Disk::default(), &at("there"), false).unwrap();
    let (whole, resumed) = (only(&at("whole")), only(&at("there")));
    assert_eq!(
        (resumed.ending, resumed.iteration),
        (Ending::Finished, LAST)
    );
    assert!(same_but_seconds(&rows_of(&whole), &rows_of(&resumed)));
    let weights = |run: &RunView| std::fs::read(run.weights().unwrap()).unwrap();
    assert_eq!(weights(&whole), weights(&resumed));
    // A finished run travels too, with what was measured of it, and packs to the same bytes.
    let measured = "responses-0123abcd.toml";
    std::fs::write(resumed.folder.join(measured), "x").unwrap();
    pack(&at("there"), &resumed.folder, &at("a.tar")).unwrap();
    let again = unpack(&at("a.tar"), &at("third")).unwrap();
    assert_eq!(files(&again.folder), files(&resumed.folder));
    pack(&at("third"), &again.folder, &at("b.tar")).unwrap();
    assert_eq!(
        std::fs::read(at("a.tar")).unwrap(),
        std::fs::read(at("b.tar")).unwrap()
    );
}

#[test]
fn no_damaged_byte_of_a_pack_becomes_another_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = partial(&at("here"), 4);
    pack(&at("here"), &run, &at("run.tar")).unwrap();
    let bytes = std::fs::read(at("run.tar")).unwrap();
    unpack(&at("run.tar"), &at("whole")).unwrap();
    let whole = files(&only(&at("whole")).folder);
    let mut refused = 0;
    let mut tried = |damaged: &[u8]| {
        let (pack, results) = (at("damaged.tar"), at("damaged"));
        std::fs::write(&pack, damaged).unwrap();
        match unpack(&pack, &results) {
            Ok(run) => assert_eq!(files(&run.folder), whole),
            Err(error) => {
                refused += 1;
                assert_eq!(Exit::of(&error), Exit::Storage, "{error:#}");
                assert!(find(&results).unwrap().is_empty(), "half a run is left");
            }
        }
        std::fs::remove_dir_all(&results).ok();
    };
    for place in (0..bytes.len()).step_by(61) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        tried(&flipped);
    }
    for length in (0..bytes.len()).step_by(499) {
        tried(&bytes[..length]);
    }
    assert!(refused > 100, "only {refused} refused");
    for (wrong, says) in [
        ([&bytes[..], b"x"].concat(), "something follows its end"),
        (b"# refig\n".to_vec(), "it is no pack"),
    ] {
        std::fs::write(at("wrong"), wrong).unwrap();
        let error = unpack(&at("wrong"), &at("damaged")).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_run_that_is_further_along_stays_and_one_that_is_behind_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = partial(&at("early"), 2);
    pack(&at("early"), &run, &at("early.tar")).unwrap();
    let run = partial(&at("late"), 4);
    pack(&at("late"), &run, &at("late.tar")).unwrap();
    unpack(&at("early.tar"), &at("here")).unwrap();
    assert_eq!(unpack(&at("late.tar"), &at("here")).unwrap().iteration, 4);
    for pack in ["early.tar", "late.tar"] {
        let error = unpack(&at(pack), &at("here")).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Storage);
        assert!(error.to_string().contains("at iteration 4"), "{error}");
    }
    assert_eq!(only(&at("here")).iteration, 4);
    // Nor is one that is being trained.
    let held = RunDirectory::open(&at("here"), &plan(), &notes(), false).unwrap();
    let error = pack(&at("here"), held.folder(), &at("x.tar")).unwrap_err();
    assert!(error.to_string().contains("working on this run"), "{error}");
}

#[test]
fn a_run_that_cannot_be_read_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    pack(&at("early"), &partial(&at("early"), 2), &at("early.tar")).unwrap();
    let damages: [&dyn Fn(&Path); 2] = [
        &|file| {
            let mut bytes = std::fs::read(file).unwrap();
            bytes[200] ^= 1;
            std::fs::write(file, bytes).unwrap();
        },
        &|file| std::fs::remove_file(file).unwrap(),
    ];
    for (place, damage) in damages.into_iter().enumerate() {
        let results = at(&format!("late-{place}"));
        let run = partial(&results, 4);
        damage(&run.join("run.toml"));
        let before = files(&run);
        let error = unpack(&at("early.tar"), &results).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Storage);
        assert!(error.to_string().contains("run.toml"), "{error}");
        assert_eq!(files(&run), before);
    }
}

#[test]
fn a_pack_says_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = partial(&at("here"), 4);
    let packed = pack(&at("here"), &run, &at("run.tar")).unwrap();
    assert_eq!((packed.iteration, packed.damage), (4, None));
    let newest = run.join("checkpoint.safetensors");
    let mut bytes = std::fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let packed = pack(&at("here"), &run, &at("run.tar")).unwrap();
    assert_eq!(packed.iteration, 2);
    assert!(
        packed
            .damage
            .unwrap()
            .contains("checkpoint.safetensors: damaged")
    );
    assert_eq!(unpack(&at("run.tar"), &at("there")).unwrap().iteration, 2);
}

#[test]
fn a_pack_replaces_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = partial(&at("here"), 2);
    for text in ["precious", "pack.json", "pack.json is no tar"] {
        std::fs::write(at("notes.md"), text).unwrap();
        let error = pack(&at("here"), &run, &at("notes.md")).unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage);
        assert_eq!(std::fs::read_to_string(at("notes.md")).unwrap(), text);
    }
    std::fs::write(at("run.tar"), "").unwrap();
    for _ in 0..2 {
        pack(&at("here"), &run, &at("run.tar")).unwrap();
    }
}

#[test]
fn a_kill_in_the_middle_of_packing_or_unpacking_leaves_the_run_or_the_pack_whole() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let early = partial(&at("early"), 2);
    pack(&at("early"), &early, &at("early.tar")).unwrap();
    let late = partial(&at("late"), 4);
    pack(&at("late"), &late, &at("late.tar")).unwrap();
    let whole = std::fs::read(at("late.tar")).unwrap();
    let stopped = |after| Disk::with_fault(Arc::new(Fault::new(Stop::Kill, after)));

    let mut stops = 0;
    for after in 0.. {
        std::fs::copy(at("early.tar"), at("x.tar")).unwrap();
        let killed = pack_on(&stopped(after), &at("late"), &late, &at("x.tar")).is_err();
        let found = std::fs::read(at("x.tar")).unwrap();
        let before = std::fs::read(at("early.tar")).unwrap();
        assert!(
            found == before || found == whole,
            "half a pack after {after}"
        );
        if !killed {
            break;
        }
        stops += 1;
    }
    for after in 0.. {
        let results = at(&format!("there-{after}"));
        unpack(&at("early.tar"), &results).unwrap();
        let killed = unpack_on(&stopped(after), &at("late.tar"), &results).is_err();
        stops += usize::from(killed);
        let there = find(&results).unwrap();
        assert!(there.len() <= 1, "two runs after {after}");
        // The same command puts it right.
        if there.first().is_none_or(|run| run.iteration < 4) {
            unpack(&at("late.tar"), &results).unwrap();
        }
        assert_eq!(only(&results).iteration, 4, "after {after}");
        if !killed {
            break;
        }
    }
    assert!(stops > 20, "only {stops} places to stop");
}

#[test]
#[cfg(unix)]
fn a_signal_in_the_middle_of_packing_leaves_no_file() {
    use std::os::unix::process::ExitStatusExt as _;
    use std::time::{Duration, Instant};

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = partial(&at("here"), 2);
    // Takes a while to write.
    let log = std::fs::File::create(run.join("log")).unwrap();
    log.set_len(128 << 20).unwrap();
    std::fs::create_dir(at("out")).unwrap();
    let files = || std::fs::read_dir(at("out")).unwrap().count();
    let mut packing = Command::new(env!("CARGO_BIN_EXE_refig"))
        .args(["run", "pack", &plan().name(), "--out"])
        .arg(at("out").join("run.tar"))
        .arg("--results-dir")
        .arg(at("here"))
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while files() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing begins");
        std::thread::sleep(Duration::from_millis(1));
    }
    let process = packing.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &process]).status();
    assert!(sent.unwrap().success());
    // As of any program that a signal ends.
    assert_eq!(packing.wait().unwrap().signal(), Some(15));
    assert_eq!(files(), 0);
}

#[test]
fn a_pack_cannot_write_outside_the_results() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let name = b"../../escaped";
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
    header.set_size(4);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append(&header, &b"text"[..]).unwrap();
    std::fs::write(at("bad.tar"), tar.into_inner().unwrap()).unwrap();
    let error = unpack(&at("bad.tar"), &at("results")).unwrap_err();
    assert!(error.to_string().contains("no file of a run"), "{error}");
    assert!(!at("escaped").exists());
}

#[test]
fn the_commands_name_the_run_and_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    partial(&at("here"), 2);
    let refig = |results: &str, words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_refig"))
            .args(words)
            .arg("--results-dir")
            .arg(at(results))
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let out = at("run.tar");
    let out = out.to_str().unwrap();
    let (code, text) = refig("here", &["run", "pack", &plan().name(), "--out", out]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("plain-20 seed 3, 2 of 8 iterations in "),
        "{text}"
    );
    let (code, text) = refig("there", &["run", "unpack", out]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("plain-20 seed 3, 2 of 8 iterations"),
        "{text}"
    );
    let (code, text) = refig("there", &["run", "unpack", "nowhere.tar"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("nowhere.tar"), "{text}");
    let (code, _) = refig("there", &["run", "pack", "no-such-run", "--out", out]);
    assert_eq!(code, Some(2));
}

#[test]
fn a_name_of_nine_gigabytes_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.tar");
    let mut header = tar::Header::new_gnu();
    header.set_path("././@LongLink").unwrap();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(9 << 30);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.resize(1 << 20, 0);
    std::fs::write(&file, bytes).unwrap();
    let error = unpack(&file, &folder.path().join("results")).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Storage);
    assert!(
        error.to_string().contains("is no file of a run"),
        "{error:#}"
    );
}
