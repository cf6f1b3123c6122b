//! The real binary on two tiny runs, and what it leaves.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use refig::exit::Exit;
use refig::random::{Purpose, Stream};
use refig::record::parquet::{read_evaluations, read_iterations};
use refig::record::{Evaluation, Iteration, Views};
use refig::run;
use refig::weights::Weights;

use super::common::program::silent;

/// Kills in all, unless the environment says otherwise.
const KILLS: usize = 20;
/// Kills in one place before what was begun there is ended.
const TOGETHER: usize = 3;
/// How often a process is looked at.
const PAUSE: Duration = Duration::from_micros(300);

/// Kills in all, if the environment says how many.
pub fn asked() -> Option<usize> {
    let all = std::env::var("REFIG_FAULTS").ok();
    all.map(|all| all.parse().unwrap())
}

/// A share of all kills, at least one.
pub fn kills(of: usize, share: usize) -> usize {
    (asked().unwrap_or(KILLS) * share / of).max(1)
}

/// Random moments, which are told so that they can be drawn again with `REFIG_SEED`.
pub fn moments(what: &str) -> Stream {
    let given = std::env::var("REFIG_SEED").ok();
    let seed = given.map_or_else(|| std::process::id().into(), |seed| seed.parse().unwrap());
    println!("{what}: moments drawn from seed {seed}");
    Stream::new(seed, Purpose::Shuffle, 0, 0)
}

/// The binary with the folders of a place.
pub fn program(place: &Path) -> Command {
    silent(&["--experiments-dir", "tests/fixtures/experiments"], place)
}

/// Trains both runs and writes their report.
pub fn reproduce(place: &Path) -> Command {
    let mut command = program(place);
    command.args(["reproduce", "tiny", "--profile", "tiny", "--offline"]);
    command.args(["--quiet", "--threads", "1"]);
    command
}

/// Waits for the end or until `moment`.
pub fn ended_before(child: &mut Child, moment: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if begun.elapsed() >= moment {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Kills with SIGKILL.
pub fn kill(mut child: Child) {
    // It may have ended just now.
    child.kill().ok();
    child.wait().unwrap();
}

/// Kills so many of the processes that `start` gives, a few in each place that `place` makes, at random moments of the time that
/// one takes. `ends` ends what was begun in a place, and compares it with what an undisturbed process leaves.
pub fn kill_at_random<T>(
    what: &str,
    place: impl Fn() -> T,
    start: impl Fn(&T) -> Command,
    ends: impl Fn(&T),
) {
    let undisturbed = place();
    let begun = Instant::now();
    start(&undisturbed).status().unwrap();
    let took = begun.elapsed().as_micros() as u64;
    ends(&undisturbed);
    let mut moments = moments(what);
    let all = kills(5, 1);
    let mut hits = 0;
    while hits < all {
        let place = place();
        for _ in 0..TOGETHER {
            let mut child = start(&place).spawn().unwrap();
            let moment = Duration::from_micros(moments.below(took) + 1);
            if ended_before(&mut child, moment).is_some() {
                break;
            }
            kill(child);
            hits += 1;
        }
        ends(&place);
    }
    println!("{hits} kills: {what}");
}

/// What a command says and ends with, if it is silent, too.
pub fn output(command: &mut Command) -> Output {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.output().unwrap()
}

/// Asserts that a command ended because something could not be written: with the exit code for that, in one line that begins in
/// lower case, and says `remedy`.
pub fn assert_unwritable(output: &Output, remedy: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(Exit::Storage as i32), "{said}");
    let errors: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("refig: "))
        .collect();
    assert!(!errors.is_empty(), "{said}");
    for error in errors {
        assert!(!error.starts_with(char::is_uppercase), "{said}");
        assert!(error.contains(remedy), "no {remedy:?}: {said}");
    }
}

/// The files in a folder, by their path below it, without the locks of runs.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = walkdir::WalkDir::new(folder).into_iter().flatten();
    let all = all.filter(|entry| entry.file_type().is_file());
    all.filter(|entry| {
        !entry
            .path()
            .components()
            .any(|part| part.as_os_str() == ".locks")
    })
    .map(|entry| {
        let name = entry.path().strip_prefix(folder).unwrap().to_path_buf();
        (name, std::fs::read(entry.path()).unwrap())
    })
    .collect()
}

/// What a run has recorded, without the seconds.
#[derive(Clone, PartialEq)]
pub struct Numbers {
    name: PathBuf,
    iterations: Vec<Iteration>,
    evaluations: Vec<Evaluation>,
    weights: Weights,
}

impl Numbers {
    /// Whether the network was tested with these views of the images.
    pub fn tested(&self, views: Views) -> bool {
        self.evaluations.iter().any(|row| row.views == views)
    }
}

/// The numbers of all runs in a place, which have ended.
pub fn numbers(place: &Path) -> Vec<Numbers> {
    let runs = run::find(&place.join("results")).unwrap();
    let mut all: Vec<Numbers> = runs
        .into_iter()
        .map(|view| {
            let folder = &view.folder;
            assert!(view.ending.is_final(), "{folder:?} is not done");
            let mut iterations = read_iterations(&folder.join("iterations.parquet")).unwrap();
            // The only column that tells of the clock.
            iterations.iter_mut().for_each(|row| row.seconds = 0.0);
            Numbers {
                name: folder.file_name().unwrap().into(),
                iterations,
                evaluations: read_evaluations(&folder.join("evaluations.parquet")).unwrap(),
                weights: Weights::load(&folder.join("weights.safetensors")).unwrap(),
            }
        })
        .collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

/// The numbers of the undisturbed runs, and how long they took.
pub fn undisturbed() -> &'static (Vec<Numbers>, Duration) {
    static DONE: OnceLock<(Vec<Numbers>, Duration)> = OnceLock::new();
    DONE.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        assert!(reproduce(place.path()).status().unwrap().success());
        let took = begun.elapsed();
        let numbers = numbers(place.path());
        assert_eq!(numbers.len(), 2);
        (numbers, took)
    })
}

/// Ends what was disturbed, and compares it with the undisturbed runs.
pub fn ends_well(place: &Path, after: &str) {
    let output = reproduce(place).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "after {after}: {said}");
    let found = numbers(place);
    assert_eq!(found.len(), 2, "after {after}");
    for (found, expected) in found.iter().zip(&undisturbed().0) {
        assert!(found == expected, "{:?} differs after {after}", found.name);
    }
    for name in ["tiny.svg", "tiny.png", "verdict.json", "index.html"] {
        let path = place.join("reports/tiny/tiny-synthetic").join(name);
        assert!(path.is_file(), "{path:?} is missing after {after}");
    }
    let left: Vec<PathBuf> = walkdir::WalkDir::new(place)
        .into_iter()
        .flatten()
        .map(|entry| entry.into_path())
        .filter(|path| path.extension().is_some_and(|end| end == "tmp"))
        .filter(|path| path.starts_with(place.join("results")))
        .collect();
    assert!(left.is_empty(), "left behind after {after}: {left:?}");
}
