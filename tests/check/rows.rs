//! Which rows of runs on disk are judged, and which are held against nothing.

use refig::exit::Exit;
use refig::judge::{Status, Verdict, Yardstick};
use refig::manifest::{Metric, NetworkEntry};
use refig::origin::{CIFAR10_DIGEST, Origin};
use refig::plan;
use refig::processor::{Instructions, Processor};
use refig::record::Ending;

use super::recorded::{expect, experiment, judged, record, record_run};
use super::subjects::table;

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
fn an_optional_network_counts_once_it_has_been_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment("smoke", &[]);
    let position = |entry: &NetworkEntry| entry.name == "resnet-20";
    let place = experiment.networks.iter().position(position).unwrap();
    experiment.networks[place].recipe.momentum = 0.5;
    let departs = |verdict: &Verdict| {
        let phrase = "ResNet-20: momentum 0.5 (paper: 0.9)".to_owned();
        verdict.differences.contains(&phrase)
    };
    let mut optional = experiment.clone();
    optional.networks[place].optional = true;
    record(folder.path(), &optional, Origin::Cifar10, |_| {
        Ending::Finished
    });
    let verdict = judged(folder.path(), &optional, &experiment.seeds);
    assert!(!departs(&verdict), "{:?}", verdict.differences);
    assert_eq!(verdict.networks.len(), 2);
    let mut alone = experiment.clone();
    alone.only(&["resnet-20".into()]).unwrap();
    record(folder.path(), &alone, Origin::Cifar10, |_| Ending::Finished);
    let verdict = judged(folder.path(), &optional, &experiment.seeds);
    assert!(departs(&verdict), "{:?}", verdict.differences);
    assert_eq!(verdict.networks.len(), 3);
}

#[test]
fn a_part_of_the_networks_is_reproduced_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment("smoke", &[]);
    experiment
        .only(&["plain-20".into(), "resnet-20".into()])
        .unwrap();
    let verdict = judged(folder.path(), &experiment, &experiment.seeds);
    let asked = "--networks plain-20,resnet-20";
    assert!(verdict.command.contains(asked), "{}", verdict.command);
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
    assert_eq!(verdict.status, Status::Missing);
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
    let shown = table(&verdict);
    assert!(
        shown.contains("curves of plain-20, plain-32, plain-44, plain-56, resnet-20, "),
        "{shown}"
    );
    assert!(
        shown.contains("resnet-56 not comparable with the paper: "),
        "{shown}"
    );
    // It has no warm-up either.
    assert!(
        shown.contains("curves of resnet-110 not comparable with the paper: "),
        "{shown}"
    );
}
