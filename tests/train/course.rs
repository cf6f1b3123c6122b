//! What the loop does when, and what it tells of it.

use refig::recipe::WarmUp;
use refig::record::{Ending, Iteration, Split, Statistics};
use refig::train::{LoopState, Observer, Phase};

use super::fake::{Fake, Memory};
use super::scene::{Scene, recipe};

#[test]
fn an_evaluation_comes_every_interval_before_the_drop_and_at_the_end() {
    let scene = Scene::new(recipe(13, 4));
    let (mut engine, mut memory) = (Fake::new(), Memory::default());
    let outcome = scene.run(&mut engine, &mut memory, LoopState::default(), &mut ());
    assert_eq!(outcome.unwrap(), Ending::Finished);
    let iterations: Vec<u64> = memory.iterations.iter().map(|row| row.iteration).collect();
    assert_eq!(iterations, (1..=13).collect::<Vec<_>>());
    let evaluated: Vec<_> = memory
        .evaluations
        .iter()
        .map(|row| (row.iteration, row.split, row.statistics, row.images))
        .collect();
    let pair = |iteration, split, images| {
        [
            (iteration, split, Statistics::Population, images),
            (iteration, split, Statistics::Moving, images),
        ]
    };
    let expected = [
        pair(4, Split::Test, 300),
        pair(8, Split::Test, 300),
        pair(12, Split::Test, 300),
        pair(13, Split::Test, 300),
        pair(13, Split::Train, 200),
    ]
    .concat();
    assert_eq!(evaluated, expected);
    assert_eq!(memory.evaluations[0].error, 50.0);
    assert_eq!(memory.evaluations[0].top5_error, 100.0 * 3.0 / 300.0);

    // Update 8 at the old rate, the evaluation, update 9 at the new one.
    let calls = engine.calls.lock().unwrap();
    let eighth = calls
        .iter()
        .enumerate()
        .filter(|(_, c)| c.starts_with("step"));
    let (at, last_old) = eighth.clone().nth(7).unwrap();
    let (next, first_new) = eighth.clone().nth(8).unwrap();
    assert_eq!(
        (last_old.as_str(), first_new.as_str()),
        ("step 0.1", "step 0.01")
    );
    let between: Vec<&str> = calls[at + 1..next].iter().map(String::as_str).collect();
    assert_eq!(
        between,
        [
            "statistics 100",
            "statistics 100",
            "statistics 50",
            "evaluate 128",
            "evaluate 128",
            "evaluate 44"
        ]
    );
}

#[test]
fn the_recorded_rate_is_the_one_used_and_the_warm_up_ends_once() {
    let mut recipe = recipe(60, 1000);
    recipe.drops = vec![50];
    recipe.warm_up = Some(WarmUp {
        learning_rate: 0.01,
        until_error_below: 60.0,
        window: 5,
    });
    let mut memory = Memory::default();
    Scene::new(recipe)
        .run(&mut Fake::new(), &mut memory, LoopState::default(), &mut ())
        .unwrap();
    let rates: Vec<f64> = memory
        .iterations
        .iter()
        .map(|row| row.learning_rate)
        .collect();
    let errors: Vec<f64> = memory.iterations.iter().map(|row| row.error).collect();
    let latch = (5..50)
        .find(|&at| errors[at - 5..at].iter().sum::<f64>() / 5.0 < 60.0)
        .expect("the fake engine gets below the threshold");
    assert!(latch > 5, "the window says something: {errors:?}");
    assert!(
        errors[latch..50].iter().any(|&error| error > 60.0),
        "the latch says something"
    );
    assert!(rates[..latch].iter().all(|&rate| rate == 0.01));
    assert!(rates[latch..50].iter().all(|&rate| rate == 0.1));
    assert!(rates[50..].iter().all(|&rate| (rate - 0.01).abs() < 1e-12));
}

#[test]
fn a_loss_that_is_not_finite_is_the_last_row() {
    let mut engine = Fake::new();
    engine.diverge_at = Some(7);
    let mut memory = Memory::default();
    let outcome = Scene::new(recipe(13, 4))
        .run(&mut engine, &mut memory, LoopState::default(), &mut ())
        .unwrap();
    assert_eq!(outcome, Ending::Diverged);
    assert_eq!(memory.iterations.len(), 7);
    assert!(memory.iterations[6].loss.is_nan());
    assert!(memory.iterations[5].loss.is_finite());
    assert!(memory.evaluations.iter().all(|row| row.iteration == 4));
}

#[test]
fn the_number_of_test_images_is_asserted() {
    let mut scene = Scene::new(recipe(13, 4));
    scene.test_images = Some(10_000);
    let error = scene
        .run(
            &mut Fake::new(),
            &mut Memory::default(),
            LoopState::default(),
            &mut (),
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the test set has 300 images instead of 10000; run `refig data verify imagenet`"
    );
}

#[test]
fn an_observer_sees_every_phase_through_to_its_end() {
    #[derive(Default)]
    struct Seen {
        ended: Vec<(Phase, u64)>,
        iterations: Vec<u64>,
    }
    impl Observer for Seen {
        fn iteration(&mut self, row: &Iteration) {
            self.iterations.push(row.iteration);
        }
        fn phase(&mut self, phase: Phase, done: u64, total: u64) {
            if done == total {
                self.ended.push((phase, total));
            }
        }
    }
    let mut seen = Seen::default();
    Scene::new(recipe(5, 100))
        .run(
            &mut Fake::new(),
            &mut Memory::default(),
            LoopState::default(),
            &mut seen,
        )
        .unwrap();
    assert_eq!(
        seen.ended,
        [
            (Phase::Statistics, 250),
            (Phase::Test, 300),
            (Phase::Clean, 200)
        ]
    );
    assert_eq!(seen.iterations, [1, 2, 3, 4, 5]);
}
