//! Runs with made-up errors, and their report.

use std::path::{Path, PathBuf};

use refig::judge::{Evidence, Seeds, Wanted, judge};
use refig::manifest::{Bars, Experiment};
use refig::origin::Origin;
use refig::plan;
use refig::processor::{Instructions, Processor};
use refig::publish::page::site;
use refig::publish::{Report, publish_bars};
use refig::record::{Ending, Evaluation, Iteration, Recorder, Split, Statistics, Views};
use refig::run::{self, Notes, Resume, RunDirectory};
use refig::weights::Weights;

/// Two seeds of the smoke profile with made-up errors, one of them not finished, on synthetic images.
pub fn record(results: &Path, experiment: &Experiment) {
    for plan in plan::runs(
        experiment,
        &[1, 2],
        "feed",
        Processor::Cpu(Instructions::Avx2),
    )
    .unwrap()
    {
        let notes = Notes {
            data: Origin::Synthetic,
            ..Notes::default()
        };
        let mut run = RunDirectory::open(results, &plan, &notes, false).unwrap();
        assert!(matches!(run.resume().unwrap(), Resume::New));
        let partial = plan.network.name == "plain-56" && plan.seed == 2;
        let last = if partial { 60 } else { plan.recipe.iterations };
        for iteration in 1..=last {
            let error = 90.0 - 0.2 * iteration as f64 - 3.0 * plan.seed as f64;
            run.iteration(Iteration {
                iteration,
                epoch: 0.0,
                learning_rate: 0.01,
                loss: 2.0,
                error,
                seconds: iteration as f64,
            })
            .unwrap();
            if iteration % 60 == 0 {
                run.evaluation(Evaluation {
                    iteration,
                    split: Split::Test,
                    statistics: Statistics::Population,
                    views: Views::default(),
                    images: 10_000,
                    loss: 2.0,
                    error,
                    top5_error: 10.0,
                })
                .unwrap();
            }
        }
        if partial {
            run.checkpoint(last, &Weights::default(), "").unwrap();
        } else {
            run.finish(Ending::Finished, &Weights::default()).unwrap();
        }
    }
}

/// The report of these runs; the path of its page.
pub fn report(folder: &Path) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/fig6.toml");
    let change = "recipe.weight_decay=0.0002".to_owned();
    let mut experiment = Experiment::load(&path, "smoke", &[change]).unwrap();
    for entry in &mut experiment.networks {
        if entry.name == "resnet-20" {
            entry.label = "ResNet-20 by a long name".into();
        }
    }
    let (results, reports) = (folder.join("results"), folder.join("reports"));
    record(&results, &experiment);
    let evidence = evidence(&experiment, &results);
    let verdict = judge(&evidence).unwrap();
    let report = Report::new(&evidence, &verdict, &reports, true).unwrap();
    report.write(&results, false).unwrap();
    let bars = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/context.toml");
    let bars = Bars::load(&bars).unwrap().unwrap();
    publish_bars(&bars, &reports).unwrap();
    site::write(&reports, &[]).unwrap();
    report.folder().join("index.html")
}

/// Seeds 1 and 2 of the experiment.
pub fn evidence(experiment: &Experiment, results: &Path) -> Evidence {
    let wanted = Wanted {
        seeds: Seeds::Only(vec![1, 2]),
        ..Wanted::default()
    };
    Evidence::gather(experiment, &run::find(results).unwrap(), &wanted).unwrap()
}
