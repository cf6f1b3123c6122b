//! The figure from files: which runs on disk it shows, and that the same files give the same bytes.

use std::path::Path;

use refig::data::Origin;
use refig::exit::Exit;
use refig::manifest::Experiment;
use refig::plan::{self, RunPlan};
use refig::record::{Evaluation, Iteration, Recorder, Split, Statistics};
use refig::report::{RenderOptions, Wanted, render, select};
use refig::run::{self, Notes, Outcome, Resume, RunDirectory};
use refig::weights::Weights;

fn smoke() -> Experiment {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/fig6.toml");
    Experiment::load(&path, "smoke", &[]).unwrap()
}

fn plans(experiment: &Experiment, seed: u64, digest: &str) -> Vec<RunPlan> {
    plan::runs(experiment, &[seed], digest, "cpu", "avx2").unwrap()
}

/// Records a run up to `last`; finished where that is its end, otherwise with a checkpoint there.
fn record(results: &Path, plan: &RunPlan, data: &str, last: u64) {
    let notes = Notes {
        data: data.into(),
        ..Notes::default()
    };
    let mut run = RunDirectory::open(results, plan, &notes, false).unwrap();
    assert!(matches!(run.resume().unwrap(), Resume::New));
    for iteration in 1..=last {
        run.iteration(Iteration {
            iteration,
            epoch: 0.0,
            learning_rate: 0.01,
            loss: 2.0,
            error: 90.0 - 0.2 * iteration as f64,
            seconds: iteration as f64,
        })
        .unwrap();
        if iteration % 60 == 0 {
            run.evaluation(Evaluation {
                iteration,
                split: Split::Test,
                statistics: Statistics::Population,
                images: 10_000,
                loss: 2.0,
                error: 88.0 - 0.2 * iteration as f64,
                top5_error: 10.0,
            })
            .unwrap();
        }
    }
    if last == plan.recipe.iterations {
        run.finish(Outcome::Finished, &Weights::default()).unwrap();
    } else {
        run.checkpoint(last, &Weights::default(), "").unwrap();
    }
}

#[test]
fn the_same_files_give_the_same_bytes_and_partial_runs_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    let experiment = smoke();
    for plan in plans(&experiment, 1, "feed") {
        let last = if plan.network.name == "plain-56" {
            60
        } else {
            120
        };
        record(&results, &plan, "synthetic", last);
    }
    let first = render(&experiment, &results, &reports, &RenderOptions::default()).unwrap();
    assert_eq!(first.svg, reports.join("fig6/smoke/fig6.svg"));
    assert_eq!(first.png, reports.join("fig6/smoke/fig6.png"));
    assert_eq!(
        first.warnings,
        ["not finished: plain-56 seed 1 (at 60 of 120)"]
    );
    let svg = std::fs::read(&first.svg).unwrap();
    let png = std::fs::read(&first.png).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    let text = String::from_utf8(svg.clone()).unwrap();
    assert!(text.contains("SYNTHETIC") && text.contains("cpu (avx2)"));
    assert!(text.contains("the paper&apos;s curve"));
    render(&experiment, &results, &reports, &RenderOptions::default()).unwrap();
    assert_eq!(std::fs::read(&first.svg).unwrap(), svg);
    assert_eq!(std::fs::read(&first.png).unwrap(), png);
    let options = RenderOptions {
        reference: false,
        wanted: Wanted::default(),
    };
    render(&experiment, &results, &reports, &options).unwrap();
    let without = std::fs::read_to_string(&first.svg).unwrap();
    assert!(!without.contains("the paper&apos;s curve"));
}

#[test]
fn runs_are_selected_by_identity_and_data_are_not_mixed() {
    let folder = tempfile::tempdir().unwrap();
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    let experiment = smoke();
    let synthetic = plans(&experiment, 1, "feed");
    for plan in &synthetic {
        record(&results, plan, "synthetic", 120);
    }
    let real = plans(&experiment, 4, "c1fa");
    record(&results, &real[0], "cifar10", 120);
    // From the files alone: CIFAR-10 first, the rest named.
    let rendered = render(&experiment, &results, &reports, &RenderOptions::default()).unwrap();
    let text = std::fs::read_to_string(&rendered.svg).unwrap();
    assert!(text.contains("CIFAR-10 · cpu (avx2) · fp32 · seed 4"));
    assert!(!text.contains("SYNTHETIC"));
    let warnings = rendered.warnings.join("\n");
    assert!(
        warnings.contains("3 runs on synthetic images (feed)"),
        "{warnings}"
    );
    assert!(
        warnings.contains("no run of plain-56, ResNet-20"),
        "{warnings}"
    );
    // By identity.
    let options = RenderOptions {
        wanted: Wanted {
            runs: Some(synthetic),
            ..Wanted::default()
        },
        ..RenderOptions::default()
    };
    let rendered = render(&experiment, &results, &reports, &options).unwrap();
    let text = std::fs::read_to_string(&rendered.svg).unwrap();
    assert!(text.contains("SYNTHETIC images · cpu (avx2) · fp32 · seed 1"));
    assert_eq!(rendered.warnings, Vec::<String>::new());
    // A run of another recipe is no run of this experiment.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/fig6.toml");
    let other = Experiment::load(&path, "smoke", &["recipe.batch=32".into()]).unwrap();
    let error = render(&other, &results, &reports, &RenderOptions::default()).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Missing);
}

#[test]
fn of_runs_that_differ_in_rounding_a_finished_one_is_shown_and_then_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = smoke();
    let version = |plan: &RunPlan, version: u32| {
        let identity = format!("{version}{}", &plan.identity[1..]);
        RunPlan {
            numerics_version: version,
            identity,
            ..plan.clone()
        }
    };
    let all = plans(&experiment, 1, "c1fa");
    for plan in &all {
        let today = plan.network.name == "plain-20";
        record(folder.path(), &version(plan, 1), "cifar10", 120);
        let last = if today { 120 } else { 60 };
        record(folder.path(), &version(plan, 2), "cifar10", last);
    }
    let views = run::find(folder.path()).unwrap();
    assert_eq!(views.len(), 2 * all.len());
    let shown = select(&experiment, &views, &Wanted::default()).runs;
    let versions: Vec<(&str, u32)> = shown
        .iter()
        .map(|view| (&*view.plan().network.name, view.plan().numerics_version))
        .collect();
    assert_eq!(
        versions,
        [("plain-20", 2), ("plain-56", 1), ("resnet-20", 1)]
    );
}

#[test]
fn seeds_and_images_that_are_not_asked_for_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = smoke();
    for (seed, digest, data) in [
        (1, "feed", "synthetic"),
        (2, "feed", "synthetic"),
        (2, "c1fa", "cifar10"),
    ] {
        for plan in plans(&experiment, seed, digest) {
            record(folder.path(), &plan, data, 120);
        }
    }
    let views = run::find(folder.path()).unwrap();
    let chosen = |seeds: Option<Vec<u64>>, origin| -> Vec<(String, u64)> {
        let wanted = Wanted {
            seeds,
            origin,
            ..Wanted::default()
        };
        let selection = select(&experiment, &views, &wanted);
        let plans = selection.runs.iter().map(run::RunView::plan);
        plans
            .filter(|plan| plan.network.name == "resnet-20")
            .map(|plan| (plan.data_digest.clone(), plan.seed))
            .collect()
    };
    let of = |digest: &str, seeds: &[u64]| -> Vec<(String, u64)> {
        seeds.iter().map(|&seed| (digest.into(), seed)).collect()
    };
    assert_eq!(chosen(None, None), of("c1fa", &[2]));
    assert_eq!(chosen(None, Some(Origin::Synthetic)), of("feed", &[1, 2]));
    assert_eq!(chosen(Some(vec![1]), None), of("feed", &[1]));
    assert_eq!(chosen(Some(vec![1]), Some(Origin::Cifar10)), of("", &[]));
}
