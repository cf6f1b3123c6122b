//! No flipped bit and no truncation of any file of a run changes a number silently, and none ends the program.

mod common;

use std::path::{Path, PathBuf};

use common::{evaluation, iteration, notes, plan, train, weights};
use refig::exit::Exit;
use refig::record::{Recorder, Statistics};
use refig::run::disk::Disk;
use refig::run::{Resume, Rows, RunDirectory, RunView, scan};
use refig::weights::Weights;

/// Flipped bits for each file.
const FLIPS: usize = 700;
/// Truncations of each file.
const CUTS: usize = 40;

/// What a run says to those who look at it.
#[derive(Debug, PartialEq)]
struct Said {
    view: RunView,
    rows: Rows,
    weights: Option<Weights>,
}

fn said(results: &Path) -> anyhow::Result<Said> {
    let mut found = scan(results)?;
    if let Some(skipped) = found.skipped.pop() {
        return Err(Exit::Storage.error(skipped.why));
    }
    anyhow::ensure!(found.runs.len() == 1, "{} runs", found.runs.len());
    let (view, rows) = found.runs.remove(0).read()?;
    let weights = view.load_weights()?;
    Ok(Said {
        view,
        rows,
        weights,
    })
}

/// A run with checkpoints at iterations 2 and 4.
fn partial(results: &Path) -> PathBuf {
    let mut run = RunDirectory::open(results, &plan(), &notes(), false).unwrap();
    assert_eq!(run.resume().unwrap(), Resume::New);
    for place in 1..=4 {
        let state = weights(place as f32);
        run.iteration(iteration(place, &state)).unwrap();
        if place % 2 == 0 {
            run.evaluation(evaluation(place, &state, Statistics::Moving))
                .unwrap();
            run.checkpoint(place, &state, "{}").unwrap();
        }
    }
    run.folder().to_path_buf()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let all = walkdir::WalkDir::new(folder).sort_by_file_name();
    let files = all.into_iter().map(|entry| entry.unwrap().into_path());
    files.filter(|path| path.is_file()).collect()
}

/// The file's bytes with one fault each, and what the fault is.
fn faults(whole: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> + '_ {
    let bits = whole.len() * 8;
    // Evenly spread, and each bit of a byte in turn.
    let flips = (0..bits.min(FLIPS)).map(move |n| {
        let bit = if bits <= FLIPS {
            n
        } else {
            (n * (bits / FLIPS) + n % 8) % bits
        };
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        (format!("bit {bit}"), bytes)
    });
    let cuts = (0..whole.len().min(CUTS)).map(move |n| {
        let length = n * whole.len() / CUTS.min(whole.len());
        (format!("cut to {length}"), whole[..length].to_vec())
    });
    flips.chain(cuts)
}

/// Puts every fault into every file and compares what is said with what was said before. Returns the number of cases.
fn damaged(results: &Path, folder: &Path, resumes: bool) -> usize {
    let before = said(results).unwrap();
    let mut cases = 0;
    for path in files(folder) {
        let name = path.strip_prefix(folder).unwrap().display().to_string();
        let whole = std::fs::read(&path).unwrap();
        for (fault, bytes) in faults(&whole) {
            std::fs::write(&path, &bytes).unwrap();
            cases += 1;
            match said(results) {
                // Detected, or without consequence: the log, and whatever a look does not need.
                Ok(now) => assert_eq!(now, before, "{name}: {fault}"),
                Err(error) => {
                    let message = format!("{error:#}");
                    assert_eq!(
                        Exit::of(&error),
                        Exit::Storage,
                        "{name}: {fault}: {message}"
                    );
                    assert!(message.contains(&folder.display().to_string()), "{message}");
                }
            }
            if resumes {
                resumed(results, &format!("{name}: {fault}"));
            }
        }
        std::fs::write(&path, &whole).unwrap();
    }
    assert_eq!(said(results).unwrap(), before);
    cases
}

/// Resumes a copy: at a whole checkpoint with its rows, or not at all and with a remedy that works.
fn resumed(results: &Path, fault: &str) {
    let copy = tempfile::tempdir().unwrap();
    for path in files(&results.join("quick")) {
        let to = copy.path().join(path.strip_prefix(results).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&path, to).unwrap();
    }
    let open = |fresh| RunDirectory::open(copy.path(), &plan(), &notes(), fresh);
    match open(false).and_then(|mut run| run.resume()) {
        Ok(Resume::At(checkpoint)) => {
            let at = checkpoint.iteration;
            assert!(at == 2 || at == 4, "{fault}: resumes at {at}");
            assert_eq!(checkpoint.state, weights(at as f32), "{fault}");
            let rows = said(copy.path()).unwrap().rows;
            assert_eq!(rows.iterations.len() as u64, at, "{fault}");
            for (row, n) in rows.iterations.iter().zip(1..) {
                let expected = iteration(n, &weights(n as f32));
                assert_eq!((row.iteration, row.loss), (n, expected.loss), "{fault}");
            }
        }
        Ok(other) => panic!("{fault}: {other:?}"),
        Err(error) => {
            let message = format!("{error:#}");
            assert_eq!(Exit::of(&error), Exit::Storage, "{fault}: {message}");
            assert!(
                message.contains("remove the run's folder"),
                "{fault}: {message}"
            );
            let mut run = open(true).unwrap();
            assert_eq!(run.resume().unwrap(), Resume::New, "{fault}");
        }
    }
}

#[test]
fn damage_of_a_finished_run_is_noticed() {
    let results = tempfile::tempdir().unwrap();
    train(Disk::default(), results.path(), false).unwrap();
    let folder = results.path().join(plan().folder());
    let cases = damaged(results.path(), &folder, false);
    assert!(cases > 2000, "{cases}");
}

#[test]
fn damage_of_a_partial_run_is_noticed_and_a_resume_is_exact() {
    let results = tempfile::tempdir().unwrap();
    let folder = partial(results.path());
    let cases = damaged(results.path(), &folder, true);
    assert!(cases > 4000, "{cases}");
}

#[test]
fn records_of_another_run_are_refused() {
    let [ours, theirs] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    train(Disk::default(), ours.path(), false).unwrap();
    train(Disk::default(), theirs.path(), false).unwrap();
    let name = plan().folder();
    // Same iterations, another clock.
    let from = theirs.path().join(&name).join("iterations.parquet");
    std::fs::copy(from, ours.path().join(&name).join("iterations.parquet")).unwrap();
    let error = said(ours.path()).unwrap_err();
    assert!(
        error.to_string().contains("iterations.parquet"),
        "{error:#}"
    );
}
