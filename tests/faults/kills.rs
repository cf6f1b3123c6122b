//! A reproduction killed with SIGKILL at random moments of each phase and started again equals the uninterrupted one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use refig::random::Stream;

use super::scene::{ended_before, ends_well, kill, kills, moments, reproduce, undisturbed};

/// Kills of the same runs before they are compared and made anew.
const TOGETHER: usize = 10;
/// The latest kill after a phase has begun, in microseconds: writing a file takes less.
const DELAY: u64 = 4000;

/// What is going on, as told by the files that change.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Any moment, most of them between two files.
    Training,
    Part,
    Checkpoint,
    /// The parts become one file.
    Compaction,
    Rendering,
}

const PHASES: [Phase; 5] = [
    Phase::Training,
    Phase::Part,
    Phase::Checkpoint,
    Phase::Compaction,
    Phase::Rendering,
];

impl Phase {
    /// Whether a file belongs to it. Temporary files have a dot before their name.
    fn writes(self, place: &Path, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.trim_start_matches('.');
        let in_parts = path
            .parent()
            .is_some_and(|folder| folder.ends_with("parts"));
        match self {
            Phase::Training => false,
            Phase::Part => in_parts,
            Phase::Checkpoint => name.starts_with("checkpoint."),
            Phase::Compaction => {
                let whole = ["iterations.parquet", "evaluations.parquet", "weights."];
                !in_parts && whole.iter().any(|start| name.starts_with(start))
            }
            Phase::Rendering => path.starts_with(place.join("reports")) && path.is_file(),
        }
    }

    /// The files that belong to it, with their sizes and times.
    fn files(self, place: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
        let all = walkdir::WalkDir::new(place).sort_by_file_name();
        all.into_iter()
            .flatten()
            .filter(|entry| self.writes(place, entry.path()))
            .filter_map(|entry| {
                // Files come and go meanwhile.
                let about = entry.metadata().ok()?;
                Some((
                    entry.path().to_path_buf(),
                    about.len(),
                    about.modified().ok(),
                ))
            })
            .collect()
    }
}

/// Kills a reproduction once in a phase. False if it ended before.
fn killed(place: &Path, phase: Phase, moments: &mut Stream) -> bool {
    let took = undisturbed().1;
    let before = phase.files(place);
    let mut child = reproduce(place).spawn().unwrap();
    if let Phase::Training = phase {
        let moment = Duration::from_micros(moments.below(took.as_micros() as u64 / 2) + 1000);
        if ended_before(&mut child, moment).is_some() {
            return false;
        }
    } else {
        let begun = Instant::now();
        while phase.files(place) == before {
            if ended_before(&mut child, Duration::ZERO).is_some() {
                return false;
            }
            assert!(begun.elapsed() < Duration::from_secs(600), "{phase:?}");
        }
        let delay = Duration::from_micros(moments.below(DELAY));
        if ended_before(&mut child, delay).is_some() {
            return false;
        }
    }
    kill(child);
    true
}

#[test]
fn a_reproduction_killed_in_any_phase_equals_the_uninterrupted_one() {
    let mut moments = moments("kills");
    let all = kills(5, 3);
    let mut counts = [0; PHASES.len()];
    let mut place = tempfile::tempdir().unwrap();
    let mut of_these = 0;
    while counts.iter().sum::<usize>() < all {
        let which = counts.iter().sum::<usize>() % PHASES.len();
        if killed(place.path(), PHASES[which], &mut moments) {
            counts[which] += 1;
            of_these += 1;
        } else {
            // Done: compare and start over, so that every kill hits a run that is not done.
            ends_well(place.path(), "kills");
            place = tempfile::tempdir().unwrap();
            of_these = 0;
        }
        if of_these == TOGETHER {
            ends_well(place.path(), "kills");
            place = tempfile::tempdir().unwrap();
            of_these = 0;
        }
    }
    ends_well(place.path(), "kills");
    let each: Vec<String> = PHASES
        .iter()
        .zip(counts)
        .map(|(phase, count)| format!("{phase:?} {count}"))
        .collect();
    println!("{all} kills of a reproduction: {}", each.join(", "));
}
