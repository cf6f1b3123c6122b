//! The figure of an experiment, from manifest and rows to what is drawn and said. The runs are made up, their errors
//! after what this program reaches at the `quick` profile. PNGs stay in cargo's folder for test files, for a look.

use std::path::{Path, PathBuf};

use refig::figure::{self, Drawing, Figure};
use refig::judge::{Evidence, PaperCurves, PaperResponses, RunEvidence, judge};
use refig::manifest::Experiment;
use refig::origin::Origin;
use refig::plan::{self, RunPlan};
use refig::processor::{Instructions, Processor};
use refig::random::{Purpose, Stream};
use refig::record::curve::{Point, mean, range};
use refig::record::{Ending, Evaluation, Iteration, Split, Statistics, Views};
use refig::run::{
    FORMAT, LayerResponse, Notes, Provenance, ResponseRecord, Rows, RunFile, RunView,
};

fn experiment(name: &str, profile: &str) -> Experiment {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("experiments/{name}.toml"));
    Experiment::load(&path, profile, &[]).unwrap()
}

/// Where a network ends at `quick`, %.
fn end_of(network: &str) -> f64 {
    match network {
        "plain-20" => 61.0,
        "plain-32" => 68.0,
        "plain-44" => 76.0,
        "plain-56" => 83.0,
        _ => 55.0,
    }
}

fn drawn(plan: &RunPlan) -> RunEvidence {
    let last = plan.recipe.iterations;
    let end = end_of(&plan.network.name);
    let mut noise = Stream::new(
        plan.seed,
        Purpose::Synthetic,
        0,
        plan.network.depth() as u64,
    );
    let seed = 1.5 * noise.normal();
    let error = |iteration: u64| {
        let t = (iteration as f64 / last as f64).powf(0.6);
        90.0 + t * (end + seed - 90.0)
    };
    let iterations = (1..=last)
        .map(|iteration| Iteration {
            iteration,
            epoch: 0.0,
            learning_rate: 0.01,
            loss: 2.0,
            error: (error(iteration) + 2.0 + 6.0 * noise.normal()).clamp(0.0, 100.0),
            seconds: 0.0,
        })
        .collect();
    let interval = plan.recipe.evaluation.interval;
    let mut evaluations = Vec::new();
    for iteration in (1..=last / interval).map(|count| count * interval) {
        for (statistics, offset) in [(Statistics::Population, 0.0), (Statistics::Moving, 7.0)] {
            evaluations.push(Evaluation {
                iteration,
                split: Split::Test,
                statistics,
                views: Views::default(),
                images: 10_000,
                loss: 2.0,
                error: error(iteration) + offset,
                top5_error: 10.0,
            });
        }
    }
    let file = RunFile {
        format: FORMAT,
        notes: Notes {
            data: Origin::Cifar10,
            ..Notes::default()
        },
        plan: plan.clone(),
        start: Provenance::default(),
        restarts: Vec::new(),
    };
    RunEvidence {
        view: RunView::new(plan.folder().into(), file, Ending::Finished, last),
        rows: Rows {
            iterations,
            evaluations,
        },
        responses: None,
    }
}

fn runs(experiment: &Experiment, seeds: &[u64]) -> Vec<RunEvidence> {
    let plans = plan::runs(
        experiment,
        seeds,
        "0123abcd",
        Processor::Cpu(Instructions::Avx512),
    )
    .unwrap();
    plans.iter().map(drawn).collect()
}

/// These runs beside the paper's curves and layer responses.
fn evidence(experiment: &Experiment, runs: &[RunEvidence]) -> Evidence {
    let panels = || experiment.panels.iter();
    let of_responses = panels().filter(|_| experiment.responses.is_some());
    Evidence {
        experiment: experiment.clone(),
        seeds: experiment.seeds.clone(),
        runs: runs.to_vec(),
        paper: panels()
            .filter_map(|panel| panel.reference.as_ref())
            .map(|reference| {
                let curves = PaperCurves::read(&reference.file).unwrap();
                (reference.file.clone(), curves)
            })
            .collect(),
        papers_responses: of_responses
            .filter_map(|panel| panel.values.as_ref())
            .map(|reference| {
                let responses = PaperResponses::read(&reference.file).unwrap();
                (reference.file.clone(), responses)
            })
            .collect(),
        without_paper: None,
        papers_errors: Vec::new(),
        baselines: Vec::new(),
        unread: Vec::new(),
        left_out: Vec::new(),
        unused: None,
    }
}

/// The figure of these runs over the paper's curves, with what is said of them.
fn assemble(
    experiment: &Experiment,
    runs: &[RunEvidence],
    reference: bool,
) -> (Figure, Vec<String>) {
    let evidence = evidence(experiment, runs);
    let verdict = judge(&evidence).unwrap();
    match Drawing::of(&evidence, &verdict, reference).unwrap() {
        Some((Drawing::Curves(figure), warnings)) => (figure, warnings),
        other => panic!("no curves: {other:?}"),
    }
}

/// Draws, keeps the files for a look, and gives the SVG's text.
fn kept(figure: &Figure, name: &str) -> String {
    let svg = figure::svg(figure).unwrap();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(folder.join(format!("{name}.svg")), &svg).unwrap();
    std::fs::write(
        folder.join(format!("{name}.png")),
        figure::png(&svg).unwrap(),
    )
    .unwrap();
    svg
}

#[test]
fn three_seeds_at_quick_are_a_mean_that_says_so_and_says_what_is_not_the_papers() {
    let experiment = experiment("fig6", "quick");
    let (figure, warnings) = assemble(&experiment, &runs(&experiment, &[1, 2, 3]), true);
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(
        figure.panels.len(),
        2,
        "the third panel needs a run of ResNet-1202"
    );
    for part in [
        "profile quick",
        "CIFAR-10",
        "cpu (avx512)",
        "fp32",
        "n = 3 seeds (1, 2, 3)",
    ] {
        assert!(
            figure.line.contains(part),
            "no \"{part}\" in {}",
            figure.line
        );
    }
    assert!(figure.notes[0].starts_with("Not the paper's recipe: "));
    assert!(figure.notes[0].contains("batch 64 (paper: 128)"));
    assert!(
        figure
            .notes
            .iter()
            .any(|note| note.contains("same fraction of the schedule"))
    );
    assert_eq!(figure.watermark, None);
    // Population, not moving, statistics: the mean over the seeds at the last iteration.
    let series = &figure.panels[0].series;
    let test = series
        .iter()
        .find(|s| s.network == "plain-56" && s.split == Split::Test)
        .unwrap();
    let last = test.mean.last().unwrap();
    assert_eq!(last.iteration, 600);
    assert!((last.error - 83.0).abs() < 4.0, "{}", last.error);
    assert_eq!(test.range.len(), test.mean.len());
    // The same colour in both panels.
    let colour = |panel: usize, network: &str| {
        let mut series = figure.panels[panel].series.iter();
        series
            .find(|series| series.network == network)
            .unwrap()
            .colour
    };
    assert_eq!(colour(0, "plain-56"), colour(1, "ResNet-56"));
    let svg = kept(&figure, "runs-quick");
    assert!(svg.len() < 1_000_000, "{} bytes", svg.len());
    assert_eq!(svg, figure::svg(&figure).unwrap());
}

#[test]
fn synthetic_images_are_written_across_the_plots_and_into_the_title_line() {
    let experiment = experiment("fig6", "smoke");
    let mut runs = runs(&experiment, &[1]);
    for run in &mut runs {
        run.view.file.notes.data = Origin::Synthetic;
    }
    let (figure, _) = assemble(&experiment, &runs, true);
    assert_eq!(figure.watermark.as_deref(), Some("SYNTHETIC"));
    assert!(figure.line.contains("SYNTHETIC"), "{}", figure.line);
    let svg = kept(&figure, "runs-smoke");
    assert!(svg.matches("SYNTHETIC").count() >= 2 + figure.panels.len());
}

#[test]
fn what_is_missing_unfinished_or_diverged_is_drawn_as_far_as_it_goes_and_named() {
    let experiment = experiment("fig6", "quick");
    let mut runs = runs(&experiment, &[1, 2]);
    runs.retain(|run| run.plan().network.name != "plain-32");
    for run in &mut runs {
        let (name, seed) = (run.plan().network.name.clone(), run.plan().seed);
        let (end, last) = match (name.as_str(), seed) {
            ("plain-56", 2) => (Ending::Diverged, 420),
            ("plain-44", _) => (Ending::Partial, 300),
            ("resnet-110", 1) => (Ending::Partial, 100),
            _ => continue,
        };
        run.view.ending = end;
        run.rows.iterations.truncate(last);
        run.rows
            .evaluations
            .retain(|row| row.iteration <= last as u64);
        if end == Ending::Diverged {
            run.rows.iterations[last - 1].loss = f64::NAN;
        }
    }
    let (figure, warnings) = assemble(&experiment, &runs, true);
    let text = warnings.join("\n");
    assert!(text.contains("no run of plain-32"), "{text}");
    assert!(
        text.contains("diverged: plain-56 seed 2 (at 420)"),
        "{text}"
    );
    assert!(text.contains("ResNet-110 seed 1 (at 100 of 600)"), "{text}");
    let training = |network: &str| {
        let mut series = figure.panels.iter().flat_map(|panel| &panel.series);
        series
            .find(|s| s.network == network && s.split == Split::Train)
            .unwrap()
            .clone()
    };
    let diverged = training("plain-56");
    assert_eq!(diverged.ending, Some(Ending::Finished));
    assert_eq!(diverged.mean.last().unwrap().iteration, 600);
    let (points, end) = &diverged.others[0];
    assert_eq!(
        (points.last().unwrap().iteration, *end),
        (419, Ending::Diverged)
    );
    assert_eq!(training("plain-44").others.len(), 2);
    assert_eq!(training("plain-32").ending, None);
    let svg = kept(&figure, "runs-odd");
    assert!(svg.contains("diverged") && svg.contains("plain-32 (no run)"));
}

#[test]
fn figure_1_has_a_panel_for_each_split_and_no_dashes() {
    let experiment = experiment("fig1", "quick");
    let (figure, _) = assemble(&experiment, &runs(&experiment, &[1]), false);
    let splits: Vec<Split> = figure
        .panels
        .iter()
        .map(|panel| panel.series[0].split)
        .collect();
    assert_eq!(splits, [Split::Train, Split::Test]);
    assert!(
        figure
            .panels
            .iter()
            .all(|panel| panel.series.iter().all(|s| s.reference.is_empty()))
    );
    assert!(figure.line.ends_with("seed 1"), "{}", figure.line);
    let svg = kept(&figure, "runs-fig1");
    assert!(!svg.contains("the paper&apos;s curve"));
}

#[test]
fn a_network_that_starts_from_another_tells_how_long_it_was_trained_in_all() {
    let experiment = experiment("construction", "smoke");
    let (figure, _) = assemble(&experiment, &runs(&experiment, &[1]), false);
    let words = "constructed-56 has been trained for 240 iterations, 120 of them as plain-20";
    let told = figure.notes.iter().any(|note| note.contains(words));
    assert!(told, "{:?}", figure.notes);
}

#[test]
fn a_run_of_resnet_1202_brings_the_third_panel() {
    let mut experiment = experiment("fig6", "paper");
    for entry in &mut experiment.networks {
        entry.optional = false;
    }
    let mut runs = runs(&experiment, &[1]);
    for run in &mut runs {
        for row in &mut run.rows.evaluations {
            row.error /= 8.0;
        }
        for row in &mut run.rows.iterations {
            row.error /= 8.0;
        }
    }
    let (figure, _) = assemble(&experiment, &runs, true);
    assert_eq!(figure.panels.len(), 3);
    assert_eq!(figure.limits.map(|limits| limits.high), Some(20.0));
    let svg = kept(&figure, "runs-three");
    assert!(svg.len() < 1_000_000, "{} bytes", svg.len());
    assert!(!svg.contains("Not the paper"));
}

#[test]
fn every_seed_is_in_the_mean_and_in_the_range() {
    let seeds = [1.0, 2.0, 6.0].map(|error| {
        vec![Point {
            iteration: 10,
            error,
        }]
    });
    assert_eq!(mean(&seeds)[0].error, 3.0);
    let range = range(&seeds)[0];
    assert_eq!((range.low, range.high), (1.0, 6.0));
}

#[test]
fn the_papers_curve_is_scaled_to_the_schedule_of_the_network_above_it() {
    let mut experiment = experiment("fig6", "tenth");
    let mut networks = experiment.networks.iter_mut();
    let short = networks.find(|entry| entry.name == "plain-20").unwrap();
    (short.recipe.iterations, short.recipe.drops) = (3200, vec![1600, 2400]);
    let (figure, _) = assemble(&experiment, &runs(&experiment, &[1]), true);
    let ends = |name: &str| {
        let mut series = figure.panels.iter().flat_map(|panel| &panel.series);
        let above = series.find(|series| series.network == name && series.split == Split::Test);
        above.unwrap().reference.last().unwrap().0
    };
    assert_eq!((ends("plain-20"), ends("plain-32")), (3200.0, 6400.0));
    let said = "their 64000 iterations are scaled to the same fraction of the schedule as our 3200 or 6400.";
    let notes = &figure.notes;
    assert!(notes.iter().any(|note| note.ends_with(said)), "{notes:#?}");
}

#[test]
fn readings_are_drawn_over_the_beginning_of_the_papers_curves() {
    let experiment = experiment("readings", "paper");
    let (figure, _) = assemble(&experiment, &runs(&experiment, &[1, 2, 3]), true);
    let file = &experiment.panels[0].reference.as_ref().unwrap().file;
    let paper = PaperCurves::read(file).unwrap();
    for (panel, network) in figure.panels.iter().zip(["resnet-20", "resnet-56"]) {
        for split in [Split::Train, Split::Test] {
            let beneath: Vec<_> = panel
                .series
                .iter()
                .filter(|series| series.split == split && !series.reference.is_empty())
                .collect();
            let [series] = beneath[..] else {
                panic!(
                    "{network}: the paper's curve is drawn {} times",
                    beneath.len()
                );
            };
            let whole = paper.curve(&["middle_resnet".into()], network, split);
            let points = whole.unwrap().points.iter().copied();
            let beginning: Vec<(f64, f64)> = points.take_while(|point| point.0 <= 8000.0).collect();
            assert_eq!(series.reference, beginning, "{network}");
        }
    }
    let said = |words: &str| figure.notes.iter().any(|note| note.contains(words));
    assert!(said(
        "Not the paper's recipe: the first 8000 iterations (paper: 64000)."
    ));
    assert!(said("20 (whole batches): batch_norm.group 0 (default: 64)"));
    assert!(!said("same fraction"), "{:?}", figure.notes);
    kept(&figure, "runs-readings");
}

#[test]
fn layer_responses_are_compared_with_the_papers_layer_by_layer() {
    let experiment = experiment("fig7", "paper");
    let reference = experiment.panels[0].values.as_ref().unwrap();
    let paper = PaperResponses::read(&reference.file).unwrap();
    let mut runs = runs(&experiment, &[1]);
    for run in &mut runs {
        let network = run.plan().network.name.clone();
        let Some(line) = paper.line(&reference.panels, &network) else {
            continue;
        };
        // One and a half times the paper's, and five times in the third layer.
        let layer = (1..)
            .zip(line)
            .map(|(place, &(_, theirs))| LayerResponse {
                name: String::new(),
                deviation: theirs * if place == 3 { 5.0 } else { 1.5 },
                mean: 0.0,
            })
            .collect();
        run.responses = Some(ResponseRecord {
            format: ResponseRecord::FORMAT,
            run: run.plan().identity().to_owned(),
            network,
            seed: 1,
            data: Origin::Cifar10,
            device: "cpu avx2".into(),
            images: 5000,
            how: experiment.responses.clone().unwrap(),
            layer,
        });
    }
    let verdict = judge(&evidence(&experiment, &runs)).unwrap();
    let networks: Vec<&str> = verdict
        .responses
        .iter()
        .map(|row| row.network.as_str())
        .collect();
    assert_eq!(
        networks,
        [
            "plain-20",
            "plain-56",
            "resnet-20",
            "resnet-56",
            "resnet-110"
        ]
    );
    for row in &verdict.responses {
        let layers = row.layers as f64;
        let distance = (50.0 * (layers - 1.0) + 400.0) / layers;
        assert!((row.mean_distance - distance).abs() < 1e-6, "{row:?}");
        assert_eq!(row.farthest_layer, 3, "{row:?}");
        assert!((row.farthest_ratio - 5.0).abs() < 1e-9, "{row:?}");
        assert!(row.ours > 1.5 * row.papers, "{row:?}");
    }
}
