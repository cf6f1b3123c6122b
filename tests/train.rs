//! The training loop on an engine that computes next to nothing: what is evaluated when, that a stop is heeded in every
//! phase, that a resume changes nothing, and that divergence is a result.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use refig::data::{Batch, ImageSet};
use refig::engine::{self, Engine, Step, Tally};
use refig::recipe::{EvaluationRecipe, Pooling, Recipe, WarmUp};
use refig::record::Ending;
use refig::record::{Evaluation, Iteration, Recorder, Split, Statistics};
use refig::train::{
    Keeper, LoopState, MiniBatches, Observer, Phase, Signal, Stop, Training, TrainingData,
};
use refig::weights::{Tensor, Weights};

const TRAIN: usize = 1000;
const TEST: usize = 300;

/// Its one weight depends on every batch and rate it was stepped with; its evaluations depend on the weight and the images.
struct Fake {
    weight: f32,
    population: f32,
    calls: Calls,
    diverge_at: Option<u32>,
    steps: u32,
    /// Steps that it likes to be begun together, and those begun.
    bunch: usize,
    begun: Vec<Step>,
    /// Asks for a stop at the n-th call of any kind.
    stop_at: Option<(usize, Stop)>,
}

/// What the engine was asked to do, in order. (`Engine` is `Send`, hence a mutex on this one thread.)
type Calls = Arc<Mutex<Vec<String>>>;

impl Fake {
    fn new() -> Self {
        Self {
            weight: 1.0,
            population: 0.0,
            calls: Calls::default(),
            diverge_at: None,
            steps: 0,
            bunch: 1,
            begun: Vec::new(),
            stop_at: None,
        }
    }

    fn called(&self, what: String) {
        let mut calls = self.calls.lock().unwrap();
        calls.push(what);
        if let Some((at, stop)) = &self.stop_at
            && calls.len() == *at
        {
            stop.request(Signal::Interrupt);
        }
    }

    fn sum(batch: &Batch) -> f32 {
        batch.pixels.iter().sum()
    }
}

impl Engine for Fake {
    fn begin_step(&mut self, batch: &Batch, rate: f32) -> anyhow::Result<()> {
        self.called(format!("step {rate}"));
        self.steps += 1;
        self.weight = (self.weight * 1.7 + rate * Self::sum(batch)).sin() + 1.0;
        let loss = if self.diverge_at == Some(self.steps) {
            f32::NAN
        } else {
            self.weight
        };
        // Falls over the first steps and jumps up and down throughout.
        let wrong = (self.weight * 3.0) as u32 + 4u32.saturating_sub(self.steps / 4);
        self.begun.push(Step { loss, wrong });
        Ok(())
    }

    fn finish_steps(&mut self) -> anyhow::Result<Vec<Step>> {
        Ok(std::mem::take(&mut self.begun))
    }

    fn steps_in_flight(&self) -> usize {
        self.bunch
    }

    fn begin_population(&mut self) -> anyhow::Result<()> {
        self.population = 0.0;
        Ok(())
    }

    fn add_population(&mut self, batch: &Batch) -> anyhow::Result<()> {
        self.called(format!("statistics {}", batch.labels.len()));
        self.population += self.weight * Self::sum(batch);
        Ok(())
    }

    fn finish_population(&mut self, _: Pooling) -> anyhow::Result<()> {
        Ok(())
    }

    fn population(&self) -> anyhow::Result<Weights> {
        unreachable!("the loop leaves the statistics with the engine")
    }

    fn evaluate(&mut self, batch: &Batch, with: engine::Statistics) -> anyhow::Result<Tally> {
        let statistics = match with {
            engine::Statistics::Population => {
                self.called(format!("evaluate {}", batch.labels.len()));
                self.population
            }
            engine::Statistics::Moving => self.weight,
        };
        Ok(Tally {
            images: batch.labels.len() as u64,
            loss: f64::from(statistics * self.weight + Self::sum(batch)),
            wrong: batch.labels.len() as u64 / 2,
            wrong_top5: 1,
        })
    }

    fn logits(&mut self, _: &Batch, _: engine::Statistics) -> anyhow::Result<Vec<f32>> {
        unreachable!("the loop needs no logits")
    }

    fn state(&self, _: bool) -> anyhow::Result<Weights> {
        let tensor = Tensor {
            shape: vec![2],
            data: vec![self.weight, self.steps as f32],
        };
        Ok(Weights {
            tensors: [("w".to_owned(), tensor)].into(),
            metadata: String::new(),
        })
    }

    fn restore(&mut self, state: &Weights) -> anyhow::Result<()> {
        let data = &state.tensors["w"].data;
        (self.weight, self.steps) = (data[0], data[1] as u32);
        Ok(())
    }
}

/// What a run's directory does: rows since the last kept state are lost.
#[derive(Default)]
struct Memory {
    iterations: Vec<Iteration>,
    evaluations: Vec<Evaluation>,
    kept: Vec<(Weights, LoopState, usize, usize)>,
}

impl Recorder for Memory {
    fn iteration(&mut self, row: Iteration) -> anyhow::Result<()> {
        self.iterations.push(row);
        Ok(())
    }

    fn evaluation(&mut self, row: Evaluation) -> anyhow::Result<()> {
        self.evaluations.push(row);
        Ok(())
    }
}

impl Keeper for Memory {
    fn keep(&mut self, state: &Weights, at: &LoopState) -> anyhow::Result<()> {
        let text = LoopState::from_json(&at.to_json()?)?;
        let rows = (self.iterations.len(), self.evaluations.len());
        self.kept.push((state.clone(), text, rows.0, rows.1));
        Ok(())
    }
}

impl Memory {
    /// As after the process's end: what was not kept is gone.
    fn forget(&mut self) -> Option<(Weights, LoopState)> {
        let (weights, state, iterations, evaluations) = match self.kept.last() {
            Some((weights, state, i, e)) => (Some(weights.clone()), state.clone(), *i, *e),
            None => (None, LoopState::default(), 0, 0),
        };
        self.iterations.truncate(iterations);
        self.evaluations.truncate(evaluations);
        weights.map(|weights| (weights, state))
    }
}

fn images(count: usize) -> ImageSet {
    ImageSet {
        size: 1,
        pixels: (0..3 * count).map(|at| (at * 37 % 251) as u8).collect(),
        labels: (0..count).map(|at| (at % 10) as u8).collect(),
        digest: String::new(),
    }
}

fn batch(set: &ImageSet, indices: &[u32]) -> Batch {
    Batch {
        pixels: indices
            .iter()
            .map(|&at| f32::from(set.pixels[3 * at as usize]) / 255.0)
            .collect(),
        labels: indices
            .iter()
            .map(|&at| set.labels[at as usize].into())
            .collect(),
        size: set.size,
        ..Batch::default()
    }
}

fn recipe(iterations: u64, interval: u64) -> Recipe {
    Recipe {
        batch: 10,
        iterations,
        drops: vec![8, 11],
        evaluation: EvaluationRecipe {
            interval,
            statistics_images: 250,
            statistics_batch: 100,
            clean_images: 200,
            ..EvaluationRecipe::default()
        },
        ..Recipe::default()
    }
}

/// Ten neighbours, a step further at each iteration.
struct Walk<'a> {
    train: &'a ImageSet,
    at: u32,
    fails_at: Option<u32>,
}

impl MiniBatches for Walk<'_> {
    fn next(&mut self) -> anyhow::Result<Batch> {
        self.at += 1;
        anyhow::ensure!(self.fails_at != Some(self.at), "pixel 7 is missing");
        let indices: Vec<u32> = (0..10).map(|n| (self.at * 13 + n) % TRAIN as u32).collect();
        Ok(batch(self.train, &indices))
    }
}

struct Scene {
    recipe: Recipe,
    stop: Stop,
    keep_every: Duration,
    test_images: Option<usize>,
    /// The mini-batch that cannot be had.
    fails_at: Option<u32>,
}

impl Scene {
    fn new(recipe: Recipe) -> Self {
        Self {
            recipe,
            stop: Stop::new(),
            keep_every: Duration::from_secs(3600),
            test_images: Some(TEST),
            fails_at: None,
        }
    }

    fn run(
        &self,
        engine: &mut Fake,
        memory: &mut Memory,
        from: LoopState,
        observer: &mut dyn Observer,
    ) -> anyhow::Result<Ending> {
        let (train, test) = (images(TRAIN), images(TEST));
        let mut batches = Walk {
            train: &train,
            at: from.iteration as u32,
            fails_at: self.fails_at,
        };
        Training {
            engine,
            data: TrainingData {
                batches: &mut batches,
                training_images: train.len(),
                test_images: test.len(),
                required: self.test_images,
                batch: &|split, indices| {
                    let images = match split {
                        Split::Train => &train,
                        Split::Test => &test,
                    };
                    Ok(batch(images, indices))
                },
                statistics: (0..250).collect(),
                clean: (500..700).collect(),
            },
            recipe: &self.recipe,
            keeper: memory,
            observer,
            stop: &self.stop,
            keep_every: self.keep_every,
        }
        .run(from)
    }
}

/// Rows without the one column that is not reproducible, floats as bits.
fn rows(memory: &Memory) -> Vec<String> {
    let iterations = memory.iterations.iter().map(|row| {
        let bits = [row.epoch, row.learning_rate, row.loss, row.error].map(f64::to_bits);
        format!("{} {bits:?}", row.iteration)
    });
    let evaluations = memory.evaluations.iter().map(|row| format!("{row:?}"));
    iterations.chain(evaluations).collect()
}

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
    assert!(
        error.to_string().contains("300 images instead of 10000"),
        "{error}"
    );
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
