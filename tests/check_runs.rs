//! A check of runs on disk: which of their rows are judged, and what is said of runs that are not there or not the paper's.

use std::path::Path;
use std::process::Command;

use refig::console::plain;
use refig::exit::Exit;
use refig::judge::{Evidence, Seeds, Status, Verdict, Wanted, Yardstick, judge, settled_seeds};
use refig::manifest::{Expectation, Experiment, Metric};
use refig::origin::{CIFAR10_DIGEST, DataKind, Origin};
use refig::plan::{self, RunPlan};
use refig::processor::{Instructions, Processor};
use refig::publish;
use refig::record::{Ending, Evaluation, Iteration, Recorder, Split, Statistics, Views};
use refig::run::{self, LayerResponse, Notes, ResponseRecord, Resume, RunDirectory};
use refig::weights::Weights;

/// The terminal's table in one line.
fn table(verdict: &Verdict) -> String {
    let text = plain(&publish::table(verdict));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn experiment(profile: &str, overrides: &[String]) -> Experiment {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/fig6.toml");
    Experiment::load(&path, profile, overrides).unwrap()
}

fn fig7() -> Experiment {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/fig7.toml");
    Experiment::load(&path, "smoke", &[]).unwrap()
}

/// Records the runs of every network: mini-batch errors of 50 but for the last 20, whose mean is 40.5; test errors of 30
/// halfway and 35 at the end, 10 points more with the moving average; a clean pass of 33.
fn record(results: &Path, experiment: &Experiment, data: Origin, ended: impl Fn(&str) -> Ending) {
    let processor = Processor::Cpu(Instructions::Avx2);
    for plan in plan::runs(experiment, &experiment.seeds, data.digest(), processor).unwrap() {
        let (ending, drops) = (ended(&plan.network.name), plan.recipe.drops.clone());
        record_run(results, &plan, data, ending, &drops);
    }
}

/// Records one run, whose learning rate falls after `drops`.
fn record_run(results: &Path, plan: &RunPlan, data: Origin, ending: Ending, drops: &[u64]) {
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
fn judged(results: &Path, experiment: &Experiment, seeds: &[u64]) -> Verdict {
    let wanted = Wanted {
        seeds: Seeds::Only(seeds.to_vec()),
        ..Wanted::default()
    };
    let views = run::find(results).unwrap();
    judge(&Evidence::gather(experiment, &views, &wanted).unwrap()).unwrap()
}

fn expect(network: &str, metric: Metric, value: f64) -> Expectation {
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

#[test]
fn the_last_iteration_is_judged_with_the_rows_that_the_paper_shows() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment("smoke", &[]);
    experiment.claims.clear();
    experiment.expectations = vec![
        expect("plain-20", Metric::TestError, 35.0),
        expect("plain-20", Metric::TrainingError, 40.5),
    ];
    record(folder.path(), &experiment, Origin::Cifar10, |_| {
        Ending::Finished
    });
    let verdict = judged(folder.path(), &experiment, &experiment.seeds);

    let own: Vec<Status> = verdict
        .expectations
        .iter()
        .filter(|row| row.against == Yardstick::Profile)
        .map(|row| row.status)
        .collect();
    assert_eq!(own, [Status::Pass, Status::Pass]);
    assert_eq!(verdict.exit(), Exit::Success);
    let row = &verdict.networks[0];
    let means = [
        &row.test_error,
        &row.moving_test_error,
        &row.training_error,
        &row.clean_training_error,
        &row.best_test_error,
    ]
    .map(|measured| measured.as_ref().map(|m| m.mean));
    assert_eq!(
        means,
        [Some(35.0), Some(45.0), Some(40.5), Some(33.0), Some(30.0)]
    );
    assert_eq!(verdict.runs[0].best_iteration, Some(60));
    assert!(folder.path().join(&verdict.runs[0].folder).is_dir());

    // The paper's values stand beside, each for a network of this profile and none as a pass.
    let papers: Vec<_> = verdict
        .expectations
        .iter()
        .filter(|row| row.against == Yardstick::Paper)
        .collect();
    assert!(
        papers
            .iter()
            .any(|row| row.network == "resnet-20" && row.expected == 8.75)
    );
    assert!(papers.iter().all(|row| row.status == Status::NotComparable));
    assert!(
        papers
            .iter()
            .all(|row| experiment.network(&row.network).is_some())
    );
}

#[test]
fn runs_that_are_partial_diverged_or_not_there_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment("smoke", &[]);
    experiment.claims.clear();
    experiment.expectations = ["plain-20", "plain-56", "resnet-20"]
        .map(|network| expect(network, Metric::TestError, 35.0))
        .into();
    record(
        folder.path(),
        &experiment,
        Origin::Cifar10,
        |network| match network {
            "plain-20" => Ending::Partial,
            "plain-56" => Ending::Diverged,
            _ => Ending::Finished,
        },
    );
    let statuses = |seeds: &[u64]| -> Vec<Status> {
        let verdict = judged(folder.path(), &experiment, seeds);
        verdict.expectations[..3].iter().map(|r| r.status).collect()
    };
    use Status::{Fail, Missing, Pass};
    assert_eq!(statuses(&experiment.seeds), [Missing, Fail, Pass]);
    let one_more = [&experiment.seeds[..], &[77]].concat();
    assert_eq!(statuses(&one_more), [Missing, Fail, Missing]);
    assert_eq!(statuses(&[77]), [Missing, Missing, Missing]);
}

#[test]
fn synthetic_runs_and_changed_recipes_are_never_held_against_recorded_errors() {
    let folder = tempfile::tempdir().unwrap();
    for (data, overrides) in [
        (Origin::Synthetic, vec![]),
        (Origin::Other, vec![]),
        (Origin::Cifar10, vec!["recipe.batch=32".to_string()]),
    ] {
        let results = folder.path().join(data.key());
        let mut experiment = experiment("smoke", &overrides);
        experiment.claims.clear();
        experiment.expectations = vec![expect("plain-20", Metric::TestError, 35.0)];
        record(&results, &experiment, data, |_| Ending::Finished);
        let verdict = judged(&results, &experiment, &experiment.seeds);
        assert_eq!(verdict.status, Status::NotComparable, "{data:?}");
        assert_eq!(verdict.exit(), Exit::Missing);
        let synthetic = data == Origin::Synthetic;
        assert_eq!(table(&verdict).contains("SYNTHETIC"), synthetic);
        for change in &overrides {
            assert!(verdict.command.contains(change), "{}", verdict.command);
        }
    }
}

#[test]
fn the_recipe_is_checked_in_the_records_before_the_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment("smoke", &[]);
    experiment.claims.clear();
    experiment.expectations = vec![expect("plain-20", Metric::TestError, 35.0)];
    // The runs drop earlier than their rows.
    for entry in &mut experiment.networks {
        assert_eq!(entry.recipe.drops, [72, 108]);
        entry.recipe.drops[0] = 60;
    }
    let processor = Processor::Cpu(Instructions::Avx2);
    for plan in plan::runs(&experiment, &experiment.seeds, CIFAR10_DIGEST, processor).unwrap() {
        let (data, ending) = (Origin::Cifar10, Ending::Finished);
        record_run(folder.path(), &plan, data, ending, &[72, 108]);
    }
    let verdict = judged(folder.path(), &experiment, &experiment.seeds);
    assert_eq!(verdict.status, Status::NotComparable);
    let note = &verdict.expectations[0].note;
    assert!(
        note.contains("learning rate 0.01 at iteration 61, the recipe's is 0.001"),
        "{note}"
    );
}

#[test]
fn curves_are_measured_against_the_papers_and_called_comparable_only_at_its_scale() {
    let folder = tempfile::tempdir().unwrap();
    let mut paper = experiment("paper", &[]);
    paper.networks.retain(|entry| entry.name == "resnet-20");
    record(folder.path(), &paper, Origin::Cifar10, |_| Ending::Finished);
    let verdict = judged(folder.path(), &paper, &paper.seeds);
    let curve = |metric| {
        let found = verdict.curves.iter().find(|row| row.metric == metric);
        found.expect("a row").clone()
    };
    let training = curve(Metric::TrainingError);
    assert!(training.comparable, "{}", training.note);
    assert_eq!(training.source, "fig6.csv, middle_resnet");
    assert_eq!(training.phases.len(), 3);
    // 50 % all along, 40.5 at the end; the paper's last point is 0.83.
    let last = &training.phases[2];
    assert_eq!((last.first, last.last, last.points), (49_000, 64_000, 16));
    assert!(last.mean_difference.unwrap() > 45.0);
    assert!(last.floor_mean.unwrap() > 0.1 && last.floor_mean.unwrap() < 2.0);
    // The first points of the paper's curve are above its axis, as ours all are.
    let first = &training.phases[0];
    assert_eq!(first.above, first.above_too);
    assert_eq!(first.above + first.points, 32);
    // Evaluated halfway and at the end alone.
    let test = curve(Metric::TestError);
    assert_eq!(
        test.phases.iter().map(|phase| phase.points).sum::<usize>(),
        2
    );

    let folder = tempfile::tempdir().unwrap();
    let quick = experiment("quick", &["seeds=[1]".into()]);
    record(folder.path(), &quick, Origin::Cifar10, |_| Ending::Finished);
    let verdict = judged(folder.path(), &quick, &quick.seeds);
    assert_eq!(verdict.curves.len(), 18);
    assert!(
        verdict
            .curves
            .iter()
            .all(|row| !row.comparable && row.phases.is_empty())
    );
    assert!(verdict.curves[0].note.contains("no points correspond"));
    assert!(table(&verdict).contains("curves not comparable with the paper: "));
}

#[test]
fn seeds_beyond_those_asked_for_count_where_every_network_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment("smoke", &[]);
    experiment.seeds = vec![1, 2];
    record(folder.path(), &experiment, Origin::Cifar10, |_| {
        Ending::Finished
    });
    experiment.seeds = vec![3];
    record(
        folder.path(),
        &experiment,
        Origin::Cifar10,
        |network| match network {
            "plain-56" => Ending::Partial,
            _ => Ending::Finished,
        },
    );
    let views = run::find(folder.path()).unwrap();
    // Also where it is known what they must have been made on.
    let made_on = (
        CIFAR10_DIGEST.to_owned(),
        Processor::Cpu(Instructions::Avx2),
    );
    for made_on in [None, Some(made_on)] {
        let seeds = |seeds: Seeds| {
            let wanted = Wanted {
                seeds,
                made_on: made_on.clone(),
                ..Wanted::default()
            };
            settled_seeds(&experiment, &views, &wanted)
        };
        assert_eq!(seeds(Seeds::AtLeast(vec![1])), [1, 2]);
        assert_eq!(seeds(Seeds::AtLeast(vec![4, 1])), [1, 2, 4], "in order");
        assert_eq!(seeds(Seeds::Only(vec![4, 1])), [4, 1], "as named");
    }
}

#[test]
fn runs_that_lie_there_and_are_not_used_are_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment("smoke", &[]);
    experiment.seeds = vec![1, 2];
    record(folder.path(), &experiment, Origin::Cifar10, |_| {
        Ending::Finished
    });
    let wanted = Wanted {
        seeds: Seeds::Only(vec![1, 2]),
        ..Wanted::default()
    };
    let unused = |wanted: &Wanted, of: &Experiment| {
        let views = run::find(folder.path()).unwrap();
        Evidence::gather(of, &views, wanted).unwrap().unused
    };
    assert_eq!(unused(&wanted, &experiment), None);
    let one = Wanted {
        seeds: Seeds::Only(vec![1]),
        ..Wanted::default()
    };
    let line = unused(&one, &experiment).unwrap();
    assert!(
        line.contains("(seed 2 was not requested or is incomplete)"),
        "{line}"
    );
    assert!(
        line.contains("smoke/resnet-20-s2-") && !line.contains("-s1-"),
        "{line}"
    );

    experiment.seeds = vec![1];
    record(folder.path(), &experiment, Origin::Synthetic, |_| {
        Ending::Finished
    });
    let line = unused(&wanted, &experiment).unwrap();
    assert!(line.contains("(on SYNTHETIC images"), "{line}");
    assert!(line.contains("one data set and one device"), "{line}");
    let asked = Wanted {
        data: DataKind::Synthetic,
        ..wanted.clone()
    };
    assert!(
        unused(&asked, &experiment)
            .unwrap()
            .contains("(on CIFAR-10")
    );

    // A run of older arithmetic that was made again.
    let newest = run::find(folder.path())
        .unwrap()
        .into_iter()
        .find(|view| view.file.notes.data == Origin::Cifar10)
        .unwrap();
    let version = newest.plan().numerics_version - 1;
    let older = newest.plan().by_version(version).unwrap();
    let (data, drops) = (newest.file.notes.data, &older.recipe.drops);
    record_run(folder.path(), &older, data, Ending::Finished, drops);
    let line = unused(&wanted, &experiment).unwrap();
    assert!(line.contains("(superseded by a newer version)"), "{line}");
    std::fs::remove_dir_all(folder.path().join(older.folder())).unwrap();

    let mut other = experiment.clone();
    for entry in &mut other.networks {
        entry.recipe.weight_decay *= 2.0;
    }
    let line = unused(&wanted, &other).unwrap();
    assert!(line.contains(" and 6 more (of another recipe)"), "{line}");
    // What is not this figure's is not its business.
    other.networks.clear();
    assert_eq!(unused(&wanted, &other), None);
}

#[test]
fn responses_of_which_nothing_is_claimed_are_whole_once_all_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = fig7();
    experiment.seeds = vec![1];
    assert!(experiment.claims.is_empty(), "nothing is claimed at smoke");
    record(folder.path(), &experiment, Origin::Cifar10, |_| {
        Ending::Finished
    });
    let runs = run::find(folder.path()).unwrap();
    let how = experiment.responses.clone().unwrap();
    for (measured, view) in runs.iter().enumerate() {
        let verdict = judged(folder.path(), &experiment, &[1]);
        assert_eq!(verdict.exit(), Exit::Missing, "{measured} measured");
        assert!(
            verdict.headline.contains("recorded no"),
            "{}",
            verdict.headline
        );
        let record = ResponseRecord {
            format: ResponseRecord::FORMAT,
            run: view.plan().identity().to_owned(),
            network: view.plan().network.name.clone(),
            seed: 1,
            data: Origin::Cifar10,
            device: "cpu avx2".into(),
            images: 64,
            how: how.clone(),
            layer: vec![LayerResponse {
                name: "conv1".into(),
                deviation: 1.0,
                mean: 0.0,
            }],
        };
        record.save(&view.folder).unwrap();
    }
    let verdict = judged(folder.path(), &experiment, &[1]);
    assert_eq!(
        verdict.status,
        Status::NothingClaimed,
        "{}",
        verdict.headline
    );
    assert_eq!(verdict.exit(), Exit::Success);
}

#[test]
fn damaged_curves_of_the_paper_and_a_damaged_verdict_stop_only_what_needs_them() {
    let folder = tempfile::tempdir().unwrap();
    let (file, reports) = (
        folder.path().join("fig6.toml"),
        folder.path().join("reports"),
    );
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/fig6.toml");
    std::fs::copy(shipped, &file).unwrap();
    std::fs::create_dir(folder.path().join("reference")).unwrap();
    std::fs::write(folder.path().join("reference/fig6.csv"), "damaged\n").unwrap();
    let experiment = Experiment::load(&file, "smoke", &[]).unwrap();
    let results = folder.path().join("results");
    record(&results, &experiment, Origin::Cifar10, |_| Ending::Finished);
    let refig = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_refig"))
            .args(args)
            .args(["fig6", "--profile", "smoke"])
            .args(["--experiments-dir".as_ref(), folder.path().as_os_str()])
            .args(["--results-dir".as_ref(), results.as_os_str()])
            .args(["--reports-dir".as_ref(), reports.as_os_str()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), said)
    };
    let (code, said) = refig(&["check"]);
    assert_ne!(code, Exit::Storage as i32, "{said}");
    assert!(
        said.contains("checked without the paper's curves"),
        "{said}"
    );
    for command in ["render", "report"] {
        let (code, said) = refig(&[command]);
        assert_eq!(code, Exit::Storage as i32, "{said}");
        assert!(
            said.contains("fig6.csv:1: ") && said.contains("--no-reference"),
            "{said}"
        );
        let (code, said) = refig(&[command, "--no-reference"]);
        assert_eq!(code, 0, "{said}");
    }
    let verdict = reports.join("fig6/smoke/verdict.json");
    for damaged in ["", "{}"] {
        std::fs::write(&verdict, damaged).unwrap();
        let (code, said) = refig(&["report", "--no-reference"]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("verdict.json"), "{said}");
        assert!(std::fs::metadata(&verdict).unwrap().len() > 100);
    }
}
