//! Small real runs: stopped anywhere and started again, they equal the uninterrupted one in every value but the seconds.

mod common;

use std::path::Path;
use std::time::Duration;

use common::images::dataset;
use refig::manifest::NetworkEntry;
use refig::network::{Family, Network, Shortcut};
use refig::orchestrate::{Options, RunsObserver, Start, run_all};
use refig::plan::RunPlan;
use refig::processor::{Instructions, Processor};
use refig::recipe::{EvaluationRecipe, Recipe, WarmUp};
use refig::record::Ending;
use refig::record::{Evaluation, Iteration};
use refig::train::{Observer, Phase, Signal, Stop};

fn plan(family: Family, seed: u64) -> RunPlan {
    plan_of(family, seed, |_| {})
}

/// The usual run with its recipe changed.
fn plan_of(family: Family, seed: u64, change: impl FnOnce(&mut Recipe)) -> RunPlan {
    let network = Network::cifar(family, 8, Shortcut::A, 10).unwrap();
    let mut recipe = Recipe {
        batch: 16,
        iterations: 13,
        learning_rate: 0.05,
        drops: vec![8, 11],
        image_size: 8,
        warm_up: Some(WarmUp {
            learning_rate: 0.01,
            until_error_below: 95.0,
            window: 4,
        }),
        evaluation: EvaluationRecipe {
            interval: 4,
            statistics_images: 100,
            statistics_batch: 32,
            clean_images: 60,
            ..EvaluationRecipe::default()
        },
        ..Recipe::default()
    };
    change(&mut recipe);
    let entry = NetworkEntry {
        name: network.name.clone(),
        label: network.name.clone(),
        network,
        recipe,
        colour: "#000000".into(),
        optional: false,
        variant_of: None,
        start: None,
    };
    let processor = Processor::Cpu(Instructions::detect());
    RunPlan::new(&entry, seed, "tiny", &dataset().digest(), processor).unwrap()
}

/// Counts what it sees and asks for a stop at one moment.
#[derive(Default)]
struct Watch {
    seen: usize,
    stop_at: Option<usize>,
    stop: Stop,
    started: Vec<Start>,
}

impl Watch {
    fn see(&mut self) {
        self.seen += 1;
        if Some(self.seen) == self.stop_at {
            self.stop.request(Signal::Interrupt);
        }
    }
}

impl Observer for Watch {
    fn iteration(&mut self, _: &Iteration) {
        self.see();
    }
    fn phase(&mut self, _: Phase, _: u64, _: u64) {
        self.see();
    }
}

impl RunsObserver for Watch {
    fn begin(&mut self, _: &RunPlan, _: usize, start: Start) {
        self.started.push(start);
    }
}

/// Whether each run was trained, and how it ended.
fn go(folder: &Path, plans: &[RunPlan], threads: usize, watch: &mut Watch) -> Vec<(bool, Ending)> {
    let options = Options {
        experiment: "test".into(),
        cache: std::env::temp_dir(),
        results_dir: folder.to_owned(),
        fresh: false,
        take_over: false,
        overrides: vec![],
        gpu: 0,
        moved_to: None,
        threads,
        keep: None,
        workers: 1,
        keep_every: Duration::from_secs(3600),
    };
    let stop = watch.stop.clone();
    let results = run_all(plans, dataset(), &options, &stop, watch).unwrap();
    results
        .iter()
        .map(|result| (result.trained, result.ending))
        .collect()
}

/// Every recorded value but the seconds, floats as bits, and the bytes of the final weights.
fn recorded(folder: &Path, plan: &RunPlan) -> (Vec<String>, Vec<u8>) {
    let run = folder.join(plan.folder());
    let iterations = refig::record::parquet::read_iterations(&run.join("iterations.parquet"));
    let evaluations = refig::record::parquet::read_evaluations(&run.join("evaluations.parquet"));
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let mut rows = Vec::new();
    for row in iterations.unwrap() {
        let values = bits(&[row.epoch, row.learning_rate, row.loss, row.error]);
        rows.push(format!("{} {values:?}", row.iteration));
    }
    for row in evaluations.unwrap() {
        let Evaluation {
            iteration,
            split,
            statistics,
            views,
            images,
            loss,
            error,
            top5_error,
        } = row;
        let values = bits(&[loss, error, top5_error]);
        rows.push(format!(
            "{iteration} {split:?} {statistics:?} {views:?} {images} {values:?}"
        ));
    }
    (
        rows,
        std::fs::read(run.join("weights.safetensors")).unwrap(),
    )
}

fn check(family: Family, every: usize) {
    let plan = plan(family, 1);
    let folder = tempfile::tempdir().unwrap();
    let mut watch = Watch::default();
    let ended = go(folder.path(), std::slice::from_ref(&plan), 2, &mut watch);
    assert_eq!(ended, [(true, Ending::Finished)]);
    let whole = recorded(folder.path(), &plan);
    // 13 mini-batches; 4 evaluations of two kinds of statistics, and the clean pass.
    assert_eq!(whole.0.len(), 13 + 4 * 2 + 2);
    let moments = watch.seen;

    for stop_at in (1..moments).step_by(every) {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch {
            stop_at: Some(stop_at),
            ..Watch::default()
        };
        let plans = std::slice::from_ref(&plan);
        let first = go(folder.path(), plans, 1, &mut watch);
        if first == [(true, Ending::Partial)] {
            let mut watch = Watch::default();
            // With another number of threads, which must change nothing either.
            let second = go(folder.path(), plans, 2, &mut watch);
            assert_eq!(second, [(true, Ending::Finished)], "stopped at {stop_at}");
            assert!(
                matches!(watch.started[..], [Start::At(_)]),
                "stopped at {stop_at}"
            );
        } else {
            // The stop came with the very last batch.
            assert!(
                stop_at + 2 > moments,
                "not stopped at {stop_at} of {moments}: {first:?}"
            );
        }
        let again = recorded(folder.path(), &plan);
        assert_eq!(again.0, whole.0, "stopped at {stop_at} of {moments}");
        assert!(
            again.1 == whole.1,
            "other weights when stopped at {stop_at} of {moments}"
        );
    }
}

#[test]
fn a_resumed_residual_network_equals_the_uninterrupted_one() {
    check(Family::Resnet, 1);
}

#[test]
fn a_resumed_plain_network_equals_the_uninterrupted_one() {
    check(Family::Plain, 5);
}

#[test]
fn runs_go_in_order_finished_ones_are_skipped_and_fresh_starts_over() {
    let plans = [
        plan(Family::Plain, 1),
        plan(Family::Resnet, 1),
        plan(Family::Resnet, 2),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut watch = Watch {
        stop_at: Some(50),
        ..Watch::default()
    };
    let first = go(folder.path(), &plans, 2, &mut watch);
    assert!(first.len() < 3, "the runs after the stop are not begun");
    assert_eq!(first.last(), Some(&(true, Ending::Partial)));
    let finished = first.len() - 1;
    let second = go(folder.path(), &plans, 2, &mut Watch::default());
    assert_eq!(
        second[..finished],
        vec![(false, Ending::Finished); finished]
    );
    assert_eq!(
        second[finished..],
        vec![(true, Ending::Finished); 3 - finished]
    );
    let mut idle = Watch::default();
    assert_eq!(
        go(folder.path(), &plans, 2, &mut idle),
        [(false, Ending::Finished); 3]
    );
    assert_eq!(idle.seen, 0);
    let (a, b) = (
        recorded(folder.path(), &plans[1]),
        recorded(folder.path(), &plans[2]),
    );
    assert_ne!(a.0, b.0, "another seed gives other numbers");

    let options = Options {
        experiment: "test".into(),
        cache: std::env::temp_dir(),
        results_dir: folder.path().to_owned(),
        fresh: true,
        take_over: false,
        overrides: vec![],
        gpu: 0,
        moved_to: None,
        threads: 1,
        keep: None,
        workers: 0,
        keep_every: Duration::ZERO,
    };
    let mut watch = Watch::default();
    run_all(&plans[1..2], dataset(), &options, &Stop::new(), &mut watch).unwrap();
    assert_eq!(watch.started, [Start::New]);
    assert_eq!(
        recorded(folder.path(), &plans[1]),
        a,
        "a checkpoint at each iteration changes nothing"
    );
}

#[test]
fn a_loss_that_is_not_finite_is_a_finished_result() {
    let plans = [plan_of(Family::Plain, 1, |recipe| {
        recipe.learning_rate = 1e30;
        recipe.warm_up = None;
    })];
    let folder = tempfile::tempdir().unwrap();
    let ended = go(folder.path(), &plans, 2, &mut Watch::default());
    assert_eq!(ended, [(true, Ending::Diverged)]);
    let run = folder.path().join(plans[0].folder());
    let rows = refig::record::parquet::read_iterations(&run.join("iterations.parquet")).unwrap();
    assert!(!rows.last().unwrap().loss.is_finite());
    assert!(
        rows.len() < 13
            && rows[..rows.len() - 1]
                .iter()
                .all(|row| row.loss.is_finite())
    );
    assert_eq!(
        go(folder.path(), &plans, 2, &mut Watch::default()),
        [(false, Ending::Diverged)]
    );
}

#[test]
fn the_probe_s_estimate_grows_with_the_work() {
    let started = std::time::Instant::now();
    let (small, mut large) = (plan(Family::Resnet, 1), plan(Family::Resnet, 2));
    large.recipe.iterations *= 100;
    let runs = [small, large];
    let options = refig::engine::Options {
        threads: 1,
        ..Default::default()
    };
    let both: Vec<&RunPlan> = runs.iter().collect();
    let probe = refig::orchestrate::Probe::measure(&both, &options).unwrap();
    let seconds = |run: &RunPlan, done| {
        let computation = probe.computation(run, done, 50);
        computation.training + computation.evaluation
    };
    assert!(seconds(&runs[0], 0) > 0.0);
    assert!(seconds(&runs[1], 0) > 20.0 * seconds(&runs[0], 0));
    assert!(seconds(&runs[1], 650) < 0.6 * seconds(&runs[1], 0));
    assert!(seconds(&runs[0], 13) < seconds(&runs[0], 0));
    let took = started.elapsed();
    assert!(
        took < Duration::from_secs(20),
        "a probe is short, this took {took:?}"
    );
}
