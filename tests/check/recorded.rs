//! Runs on disk with made-up rows, and the verdict on them.

use std::path::Path;

use refig::judge::{Evidence, Seeds, Verdict, Wanted, judge};
use refig::manifest::{Expectation, Experiment, Metric};
use refig::origin::{DataKind, Origin};
use refig::plan::{self, RunPlan};
use refig::processor::{Instructions, Processor};
use refig::record::{Ending, Evaluation, Iteration, Recorder, Split, Statistics, Views};
use refig::run::{self, Notes, Resume, RunDirectory};
use refig::weights::Weights;

pub fn experiment(profile: &str, overrides: &[String]) -> Experiment {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/fig6.toml");
    Experiment::load(&path, profile, overrides).unwrap()
}

pub fn fig7() -> Experiment {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/fig7.toml");
    Experiment::load(&path, "smoke", &[]).unwrap()
}

/// Records the runs of every network: mini-batch errors of 50 but for the last 20, whose mean is 40.5; test errors of 30
/// halfway and 35 at the end, 10 points more with the moving average; a clean pass of 33.
pub fn record(
    results: &Path,
    experiment: &Experiment,
    data: Origin,
    ended: impl Fn(&str) -> Ending,
) {
    let processor = Processor::Cpu(Instructions::Avx2);
    for plan in plan::runs(experiment, &experiment.seeds, data.digest(), processor).unwrap() {
        let (ending, drops) = (ended(&plan.network.name), plan.recipe.drops.clone());
        record_run(results, &plan, data, ending, &drops);
    }
}

/// Records one run, whose learning rate falls after `drops`.
pub fn record_run(results: &Path, plan: &RunPlan, data: Origin, ending: Ending, drops: &[u64]) {
    let notes = Notes {
        data,
        ..Notes::default()
    };
    {
        let mut run = RunDirectory::open(results, plan, &notes, false).unwrap();
        assert!(matches!(run.resume().unwrap(), Resume::New));
        let all = plan.recipe.iterations;
        let last = if ending == Ending::Finished {
            all
        } else {
            all / 2
        };
        for iteration in 1..=last {
            let left = all - iteration;
            run.iteration(Iteration {
                iteration,
                epoch: 0.0,
                learning_rate: plan.recipe.learning_rate
                    * 0.1f64.powi(drops.iter().filter(|&&drop| drop < iteration).count() as i32),
                loss: 2.0,
                // 31 to 50: their mean is 40.5.
                error: if left < 20 { 31.0 + left as f64 } else { 50.0 },
                seconds: 0.0,
            })
            .unwrap();
            let evaluated = [
                (Split::Test, Statistics::Population, 0.0),
                (Split::Test, Statistics::Moving, 10.0),
                (Split::Train, Statistics::Population, -2.0),
            ];
            for (split, statistics, more) in evaluated {
                if iteration == all || (iteration == all / 2 && split == Split::Test) {
                    run.evaluation(Evaluation {
                        iteration,
                        split,
                        statistics,
                        views: Views::default(),
                        images: 10_000,
                        loss: 2.0,
                        error: more + if iteration == all { 35.0 } else { 30.0 },
                        top5_error: 10.0,
                    })
                    .unwrap();
                }
            }
        }
        match ending {
            Ending::Finished | Ending::Diverged => run.finish(ending, &Weights::default()),
            Ending::Partial => run.checkpoint(last, &Weights::default(), ""),
        }
        .unwrap();
    }
}

/// The verdict on the runs of these seeds in a folder.
pub fn judged(results: &Path, experiment: &Experiment, seeds: &[u64]) -> Verdict {
    let wanted = Wanted {
        seeds: Seeds::Only(seeds.to_vec()),
        ..Wanted::default()
    };
    let views = run::find(results).unwrap();
    judge(&Evidence::gather(experiment, &views, &wanted).unwrap()).unwrap()
}

pub fn expect(network: &str, metric: Metric, value: f64) -> Expectation {
    Expectation {
        network: network.into(),
        metric,
        value,
        tolerance: Some(0.01),
        source: "by hand".into(),
        deviation: None,
        runs: None,
        data: DataKind::Cifar10,
        line: None,
    }
}
