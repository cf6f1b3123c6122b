//! Stops, failures and resumes, none of which changes a row.

use std::time::Duration;

use refig::engine::Engine;
use refig::recipe::{Recipe, WarmUp};
use refig::record::Ending;
use refig::train::{LoopState, Stop};

use super::fake::{Fake, Memory, rows};
use super::scene::{Scene, recipe};

#[test]
fn losses_that_are_read_together_change_nothing() {
    let warm_up = WarmUp {
        learning_rate: 0.01,
        until_error_below: 40.0,
        window: 3,
    };
    for (interval, diverge_at, warm_up) in [
        (4, None, None),
        (0, None, None),
        (5, Some(7), None),
        (6, None, Some(warm_up)),
    ] {
        let scene = Scene::new(Recipe {
            warm_up,
            ..recipe(23, interval)
        });
        let made = |bunch, stop_at: Option<usize>| {
            let stop = Stop::new();
            let scene = Scene {
                stop: stop.clone(),
                recipe: scene.recipe.clone(),
                ..Scene::new(recipe(0, 0))
            };
            let mut memory = Memory::default();
            let mut engine = Fake::new();
            engine.bunch = bunch;
            engine.diverge_at = diverge_at;
            engine.stop_at = stop_at.map(|at| (at, stop));
            let run = scene.run(&mut engine, &mut memory, LoopState::default(), &mut ());
            let mut outcome = run.unwrap();
            if let Some((weights, state)) = memory.forget()
                && outcome == Ending::Partial
            {
                let mut engine = Fake::new();
                engine.bunch = bunch;
                engine.restore(&weights).unwrap();
                let again = Scene::new(scene.recipe.clone());
                outcome = again.run(&mut engine, &mut memory, state, &mut ()).unwrap();
            }
            (outcome, rows(&memory))
        };
        let one_by_one = made(1, None);
        for bunch in [2, 7, 100] {
            assert_eq!(made(bunch, None), one_by_one, "{bunch} {interval}");
        }
        if diverge_at.is_none() {
            // Stopped between two loss read-backs: the rows so far are recorded, the rest follows on resume.
            assert_eq!(made(7, Some(3)), one_by_one, "{interval}");
        }
    }
}

#[test]
fn a_mini_batch_that_fails_ends_the_run_and_loses_nothing() {
    let undisturbed = || {
        let mut memory = Memory::default();
        let scene = Scene::new(recipe(23, 4));
        let run = scene.run(&mut Fake::new(), &mut memory, LoopState::default(), &mut ());
        assert_eq!(run.unwrap(), Ending::Finished);
        rows(&memory)
    };
    for bunch in [1, 3, 100] {
        for fails_at in [1, 2, 7, 8, 9, 23] {
            let mut scene = Scene::new(recipe(23, 4));
            scene.fails_at = Some(fails_at);
            let (mut engine, mut memory) = (Fake::new(), Memory::default());
            engine.bunch = bunch;
            let error = scene
                .run(&mut engine, &mut memory, LoopState::default(), &mut ())
                .unwrap_err();
            assert_eq!(error.to_string(), "pixel 7 is missing");
            // All updates before it are kept.
            let kept = memory.forget();
            let done = kept.as_ref().map_or(0, |(_, state)| state.iteration);
            assert_eq!(done, u64::from(fails_at) - 1, "{bunch}");
            let mut engine = Fake::new();
            engine.bunch = bunch;
            if let Some((weights, _)) = &kept {
                engine.restore(weights).unwrap();
            }
            scene.fails_at = None;
            let state = kept.map_or_else(LoopState::default, |(_, state)| state);
            let run = scene.run(&mut engine, &mut memory, state, &mut ());
            assert_eq!(run.unwrap(), Ending::Finished);
            assert_eq!(rows(&memory), undisturbed(), "{bunch} {fails_at}");
        }
    }
}

#[test]
fn a_stop_at_any_moment_is_heeded_within_two_batches_and_the_resume_changes_nothing() {
    let mut whole = Memory::default();
    let mut engine = Fake::new();
    let mut recipe = recipe(13, 4);
    recipe.warm_up = Some(WarmUp {
        learning_rate: 0.01,
        until_error_below: 60.0,
        window: 5,
    });
    let scene = Scene::new(recipe.clone());
    scene
        .run(&mut engine, &mut whole, LoopState::default(), &mut ())
        .unwrap();
    let all = engine.calls.lock().unwrap().len();
    let final_weight = engine.weight.to_bits();
    // 13 updates, four evaluations of 3 + 3 batches, a clean pass of 2.
    assert_eq!(all, 13 + 4 * 6 + 2);
    for at in 1..all {
        let mut memory = Memory::default();
        let scene = Scene::new(recipe.clone());
        let mut engine = Fake::new();
        engine.stop_at = Some((at, scene.stop.clone()));
        let outcome = scene.run(&mut engine, &mut memory, LoopState::default(), &mut ());
        assert_eq!(outcome.unwrap(), Ending::Partial, "stopped at call {at}");
        let more = engine.calls.lock().unwrap().len() - at;
        assert!(more <= 1, "{more} batches after the stop at call {at}");

        let rows_before = memory.iterations.len();
        let (weights, state) = memory.forget().expect("a state was kept");
        assert_eq!(
            memory.iterations.len(),
            rows_before,
            "the kept state has every row"
        );
        let mut engine = Fake::new();
        engine.restore(&weights).unwrap();
        let outcome = Scene::new(recipe.clone()).run(&mut engine, &mut memory, state, &mut ());
        assert_eq!(outcome.unwrap(), Ending::Finished);
        assert_eq!(rows(&memory), rows(&whole), "stopped at call {at}");
        assert_eq!(
            engine.weight.to_bits(),
            final_weight,
            "stopped at call {at}"
        );
    }
}

#[test]
fn how_often_states_are_kept_changes_no_row_and_any_kept_state_will_do() {
    let mut whole = Memory::default();
    Scene::new(recipe(13, 4))
        .run(&mut Fake::new(), &mut whole, LoopState::default(), &mut ())
        .unwrap();
    let at: Vec<u64> = whole.kept.iter().map(|(_, at, ..)| at.iteration).collect();
    assert_eq!(at, [4, 8, 12, 13], "a state with every evaluation");

    let mut often = Scene::new(recipe(13, 4));
    often.keep_every = Duration::ZERO;
    let mut memory = Memory::default();
    often
        .run(&mut Fake::new(), &mut memory, LoopState::default(), &mut ())
        .unwrap();
    assert_eq!(rows(&memory), rows(&whole));
    assert_eq!(memory.kept.len(), 13);
    for upto in 0..=memory.kept.len() {
        // Killed after that many states were kept.
        let mut again = Memory {
            iterations: memory.iterations.clone(),
            evaluations: memory.evaluations.clone(),
            kept: memory.kept[..upto].to_vec(),
        };
        let mut engine = Fake::new();
        let mut from = LoopState::default();
        if let Some((weights, state)) = again.forget() {
            engine.restore(&weights).unwrap();
            from = state;
        }
        Scene::new(recipe(13, 4))
            .run(&mut engine, &mut again, from, &mut ())
            .unwrap();
        assert_eq!(rows(&again), rows(&whole), "from state {upto}");
    }
}

#[test]
fn a_state_beyond_the_recipe_s_end_is_refused() {
    let state = LoopState {
        iteration: 14,
        ..LoopState::default()
    };
    let error = Scene::new(recipe(13, 4))
        .run(&mut Fake::new(), &mut Memory::default(), state, &mut ())
        .unwrap_err();
    assert!(error.to_string().contains("iteration 14"), "{error}");
}
