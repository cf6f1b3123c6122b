//! Tables from the files of runs: our mean and deviation beside the paper's values, and nothing made up where no run is.

use std::path::Path;

use refig::judge::{Evidence, Seeds, Wanted, judge};
use refig::manifest::{Experiment, Kind};
use refig::origin::Origin;
use refig::plan;
use refig::processor::{Instructions, Processor};
use refig::publish::Report;
use refig::record::Ending;
use refig::record::{Evaluation, Iteration, Recorder, Split, Statistics, Views};
use refig::run::{self, Notes, Resume, RunDirectory};
use refig::weights::Weights;

fn table6(profile: &str) -> Experiment {
    shipped("table6", profile)
}

fn shipped(name: &str, profile: &str) -> Experiment {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    Experiment::load(&folder.join(format!("{name}.toml")), profile, &[]).unwrap()
}

/// A finished run of the experiment's network that ends at `error`.
fn record(results: &Path, experiment: &Experiment, run: (&str, u64), data: Origin, error: f64) {
    let centre = (Views::Centre, error, 10.0);
    record_views(results, experiment, run, data, &[centre]);
}

/// The same with top-1 and top-5 errors for each way to view an image.
fn record_views(
    results: &Path,
    experiment: &Experiment,
    run: (&str, u64),
    data: Origin,
    errors: &[(Views, f64, f64)],
) {
    let (network, seed) = run;
    let mut experiment = experiment.clone();
    experiment.only(&[network.into()]).unwrap();
    let plan = plan::runs(
        &experiment,
        &[seed],
        data.digest(),
        Processor::Cpu(Instructions::Avx2),
    )
    .unwrap();
    let notes = Notes {
        data,
        ..Notes::default()
    };
    let mut run = RunDirectory::open(results, &plan[0], &notes, false).unwrap();
    assert!(matches!(run.resume().unwrap(), Resume::New));
    let last = plan[0].recipe.iterations;
    for iteration in 1..=last {
        run.iteration(Iteration {
            iteration,
            epoch: 0.0,
            learning_rate: 0.01,
            loss: 2.0,
            error: 50.0,
            seconds: iteration as f64,
        })
        .unwrap();
    }
    for &(views, error, top5_error) in errors {
        run.evaluation(Evaluation {
            iteration: last,
            split: Split::Test,
            statistics: Statistics::Population,
            views,
            images: 10_000,
            loss: 2.0,
            error,
            top5_error,
        })
        .unwrap();
    }
    run.finish(Ending::Finished, &Weights::default()).unwrap();
}

/// Draws the table of these seeds, and gives the text of its SVG.
fn render(
    experiment: &Experiment,
    results: &Path,
    reports: &Path,
    seeds: &[u64],
) -> anyhow::Result<String> {
    let wanted = Wanted {
        seeds: Seeds::Only(seeds.to_vec()),
        ..Wanted::default()
    };
    let evidence = Evidence::gather(experiment, &run::find(results)?, &wanted)?;
    let verdict = judge(&evidence)?;
    let png = Report::new(&evidence, &verdict, reports, true)?.write_figure()?;
    assert!(png.is_file());
    Ok(std::fs::read_to_string(png.with_extension("svg"))?)
}

#[test]
fn every_resnet_stands_beside_the_papers_value_and_the_cited_methods() {
    assert_eq!(table6("smoke").kind, Kind::Table);
    let folder = tempfile::tempdir().unwrap();
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    for (seed, error) in [(1, 60.0), (2, 61.0), (3, 62.0)] {
        record(
            &results,
            &table6("smoke"),
            ("resnet-20", seed),
            Origin::Cifar10,
            error,
        );
    }
    let seeds = [1, 2, 3];
    let svg = render(&table6("smoke"), &results, &reports, &seeds).unwrap();
    let text = std::fs::read_to_string(reports.join("table6/smoke/table6.md")).unwrap();
    let row = |begin: &str| text.lines().find(|line| line.starts_with(begin));
    assert_eq!(
        row("| ResNet | 20 "),
        Some("| ResNet | 20 | 269,722 (0.27M) | 8.75 | 61.00 ± 1.00 (3) |")
    );
    assert!(
        row("| Highway | 19 | 2.3M | 7.54 (7.72 ± 0.16) |").is_some(),
        "{text}"
    );
    // Trained only when asked for: there, and said so.
    assert!(
        row("| ResNet | 1202 | 19,421,274 (19.4M) | 7.93 | not trained").is_some(),
        "{text}"
    );
    assert!(
        text.contains("Not comparable with the paper's errors: "),
        "{text}"
    );
    assert!(svg.contains("61.00 ± 1.00 (3)") && !svg.contains("SYNTHETIC"));

    // Once it is trained it has its number.
    record(
        &results,
        &table6("smoke"),
        ("resnet-1202", 1),
        Origin::Cifar10,
        70.5,
    );
    render(&table6("smoke"), &results, &reports, &seeds).unwrap();
    let text = std::fs::read_to_string(reports.join("table6/smoke/table6.md")).unwrap();
    assert!(text.contains("| 7.93 | 70.50 (1) |"), "{text}");
}

#[test]
fn synthetic_runs_are_marked_and_no_runs_are_no_table() {
    let folder = tempfile::tempdir().unwrap();
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    let error = render(&table6("smoke"), &results, &reports, &[1]).unwrap_err();
    assert!(
        error.to_string().contains("refig reproduce table6"),
        "{error}"
    );
    record(
        &results,
        &table6("smoke"),
        ("resnet-20", 1),
        Origin::Synthetic,
        60.0,
    );
    let svg = render(&table6("smoke"), &results, &reports, &[1]).unwrap();
    let text = std::fs::read_to_string(reports.join("table6/smoke-synthetic/table6.md")).unwrap();
    assert!(text.contains("SYNTHETIC"), "{text}");
    assert!(svg.contains("SYNTHETIC"));
}

#[test]
fn the_papers_mean_of_five_stands_beside_the_best_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    let experiment = table6("quick");
    record(
        &results,
        &experiment,
        ("resnet-20", 1),
        Origin::Cifar10,
        60.0,
    );
    render(&experiment, &results, &reports, &[1]).unwrap();
    let text = std::fs::read_to_string(reports.join("table6/quick/table6.md")).unwrap();
    let row = text
        .lines()
        .find(|line| line.starts_with("| ResNet | 110 "));
    assert_eq!(
        row,
        Some("| ResNet | 110 | 1,727,962 (1.7M) | 6.43 (6.61 ± 0.16) | no finished run |")
    );
}

#[test]
fn a_table_of_several_errors_has_a_pair_of_columns_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    let table3 = shipped("table3", "smoke");
    let errors = [
        (Views::Centre, 70.0, 35.0),
        (Views::TenCrop, 61.0, 30.0),
        (Views::MultiScale, 60.0, 29.0),
    ];
    // Ten classes, as in the data that was there.
    let ten = table3.with_classes(10);
    let (run, part) = (("resnet-50", 1), Origin::ImagenetPart);
    record_views(&results, &ten, run, part, &errors);
    let svg = render(&table3, &results, &reports, &[1]).unwrap();
    assert!(svg.contains("a part of ImageNet, 10 classes, 64x64 pixels"));
    let file = reports.join("table3/smoke-imagenet-part/table3.md");
    let text = std::fs::read_to_string(file).unwrap();
    for row in [
        "| ResNet | 50 | 23,528,522 | 22.85 | 61.00 (1) | 6.71 | 30.00 (1) |",
        "| VGG-16 | 16 | – | 28.07 | cited | 9.33 | cited |",
        "| GoogLeNet | 22 | – | – | – | 9.15 | cited |",
    ] {
        assert!(text.lines().any(|line| line == row), "{row}\n{text}");
    }
    for says in [
        "paper 10-crop top-5 error, %",
        "| ResNet-34 B | 34 |",
        "| 24.52 | no finished run | 7.46 | no finished run |",
    ] {
        assert!(text.contains(says), "{says}\n{text}");
    }
}

#[test]
fn errors_of_squares_are_not_taken_for_those_of_whole_pictures() {
    let ten = shipped("table3", "smoke").with_classes(10);
    for (views, ours) in [
        (Views::MultiScale, ["60.00 (1)", "29.00 (1)"]),
        (Views::SquareScales, ["not measured"; 2]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
        let errors = [(Views::Centre, 70.0, 35.0), (views, 60.0, 29.0)];
        let (run, part) = (("resnet-50", 1), Origin::ImagenetPart);
        record_views(&results, &ten, run, part, &errors);
        render(&shipped("table4", "smoke"), &results, &reports, &[1]).unwrap();
        let file = reports.join("table4/smoke-imagenet-part/table4.md");
        let text = std::fs::read_to_string(file).unwrap();
        let mut rows = text.lines();
        let row = rows.find(|line| line.starts_with("| ResNet | 50 |"));
        let [error, top5] = ours;
        let says = format!("| 20.74 | {error} | 5.25 | {top5} |");
        assert!(
            row.is_some_and(|row| row.ends_with(&says)),
            "{says}\n{text}"
        );
    }
}

#[test]
fn bars_stand_beside_the_papers_and_missing_ones_are_shown_as_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    assert_eq!(shipped("slide35", "paper").kind, Kind::Columns);
    let ten = shipped("slide35", "smoke").with_classes(10);
    let errors = [
        (Views::Centre, 70.0, 35.0),
        (Views::TenCrop, 61.0, 30.25),
        (Views::MultiScale, 60.0, 29.0),
    ];
    let run = ("resnet-50", 1);
    record_views(&results, &ten, run, Origin::Synthetic, &errors);
    // At this profile there is another network, which has no run.
    let svg = render(&shipped("slide35", "smoke"), &results, &reports, &[1]).unwrap();
    for says in [
        "6.71",
        "30.25 (1)",
        "ResNet-50",
        "paper",
        "ours",
        "SYNTHETIC",
        "10-crop top-5 error (%)",
        "no finished run",
        "7.40",
    ] {
        assert!(svg.contains(says), "{says}");
    }
}

#[test]
fn networks_near_chance_are_named_below_tables_and_bars() {
    let folder = tempfile::tempdir().unwrap();
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    let run = ("resnet-20", 1);
    record(&results, &table6("smoke"), run, Origin::Cifar10, 88.0);
    render(&table6("smoke"), &results, &reports, &[1]).unwrap();
    let text = std::fs::read_to_string(reports.join("table6/smoke/table6.md")).unwrap();
    let words = "Barely learned (chance is 90 %): resnet-20 (88.0 %).";
    assert!(text.contains(words), "{text}");

    let ten = shipped("slide35", "smoke").with_classes(10);
    let errors = [
        (Views::Centre, 87.0, 48.0),
        (Views::TenCrop, 86.0, 47.0),
        (Views::MultiScale, 86.0, 47.0),
    ];
    let run = ("resnet-50", 1);
    record_views(&results, &ten, run, Origin::ImagenetPart, &errors);
    let svg = render(&shipped("slide35", "smoke"), &results, &reports, &[1]).unwrap();
    let words = "Barely learned (chance is 90 %): resnet-50 (87.0 %).";
    assert!(svg.contains(words), "{svg}");
}
