//! The four networks of Fig. 4 on pictures, killed with SIGKILL at random moments and started again, equal the undisturbed ones.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use refig::exit::Exit;
use refig::record::Views;

use super::common::images::slice;
use super::common::program::silent;
use super::scene::{Numbers, asked, ended_before, kill, kills, moments, numbers};

/// The smoke profile at a scale for a test.
const CHANGES: [&str; 11] = [
    "recipe.iterations=6",
    "recipe.drops=[3]",
    "recipe.batch=8",
    "recipe.image_size=32",
    "recipe.crop.shorter_side=[36, 68]",
    "recipe.crop.test_side=36",
    "recipe.evaluation.interval=6",
    "recipe.evaluation.statistics_images=16",
    "recipe.evaluation.statistics_batch=8",
    "recipe.evaluation.clean_images=8",
    "recipe.evaluation.final_views=[\"ten-crop\"]",
];

/// Trains the networks on pictures that the program makes.
pub fn reproduce(place: &Path) -> Command {
    let mut command = silent(&["reproduce", "fig4", "--profile", "smoke"], place);
    command.args(["--experiments-dir", "experiments", "--offline", "--quiet"]);
    command.args(["--threads", "2", "--checkpoint-every", "1"]);
    for change in CHANGES {
        command.args(["--set", change]);
    }
    command.env_remove("IMAGENET_DIR");
    command
}

/// Nothing on these pictures is comparable with the paper, which the exit code says.
pub fn assert_done(status: ExitStatus) {
    assert_eq!(status.code(), Some(Exit::Missing as i32));
}

/// Kills processes that `start` gives at random moments. Begun again, their runs have the numbers of undisturbed ones, which are
/// returned.
fn killed(what: &str, start: impl Fn(&Path) -> Command) -> Vec<Numbers> {
    let whole = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    assert_done(start(whole.path()).status().unwrap());
    let took = begun.elapsed();
    let expected = numbers(whole.path());
    assert_eq!(expected.len(), 4);
    let mut moments = moments(what);
    let all = kills(2, 1);
    let (mut hits, mut done) = (0, 0);
    let mut place = tempfile::tempdir().unwrap();
    while hits < all {
        let mut child = start(place.path()).spawn().unwrap();
        // What was done stays done, so the later kills meet the later networks.
        let moment = Duration::from_micros(moments.below(took.as_micros() as u64 / 3) + 1000);
        match ended_before(&mut child, moment) {
            None => {
                kill(child);
                hits += 1;
            }
            Some(status) => {
                assert_done(status);
                assert!(numbers(place.path()) == expected, "after {hits} kills");
                place = tempfile::tempdir().unwrap();
                done += 1;
            }
        }
    }
    assert_done(start(place.path()).status().unwrap());
    assert!(numbers(place.path()) == expected, "after {hits} kills");
    println!(
        "{hits} kills of four networks on {what}, which ended {} times",
        done + 1
    );
    expected
}

#[test]
fn four_networks_on_pictures_killed_at_random_moments_equal_the_undisturbed_ones() {
    for run in killed("pictures", reproduce) {
        assert!(run.tested(Views::TenCrop));
    }
}

#[test]
fn four_networks_on_photographs_killed_at_random_moments_equal_the_undisturbed_ones() {
    let Some(slice) = slice() else {
        return;
    };
    // Ten crops of its 800 validation photographs take longer than all the rest.
    let long = asked().is_some();
    let runs = killed("photographs", |place| {
        let mut command = reproduce(place);
        command.arg("--data-dir").arg(&slice);
        if !long {
            command.args(["--set", "recipe.evaluation.final_views=[]"]);
        }
        command
    });
    for run in runs {
        assert_eq!(run.tested(Views::TenCrop), long);
    }
}
