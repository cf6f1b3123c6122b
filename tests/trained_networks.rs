//! What is made of trained networks: a deeper one by construction, and measurements of their layers' responses.

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::images::dataset;
use refig::exit::Exit;
use refig::judge::{Evidence, Seeds, Verdict, Wanted, judge};
use refig::manifest::{Experiment, ResponseImages, ResponsePooling, ResponseStatistics, Responses};
use refig::orchestrate::{Options, measure_responses, run_all};
use refig::plan::{self, RunPlan};
use refig::processor::{Instructions, Processor};
use refig::publish::Report;
use refig::record::Ending;
use refig::record::{Evaluation, Split, Statistics};
use refig::run::{self, ResponseRecord, RunView};
use refig::train::Stop;
use refig::weights::Weights;

const MANIFEST: &str = r#"
name = "grow"
title = "Growing"
networks = ["plain-8", "plain-14"]
seeds = [1]

[recipe]
batch = 16
iterations = 12
learning_rate = 0.02
drops = [8]
image_size = 8
augmentation = { pad = 1 }
evaluation = { interval = 6, statistics_images = 100, statistics_batch = 32, clean_images = 200 }

[variants.grown]
of = "plain-14"
recipe = { init = { from = "plain-8" } }

[[panels]]
title = "training error"
networks = ["plain-8", "plain-14", "grown"]

[profiles.tiny]
"#;

/// The same runs, measured.
const MEASURED: &str = r#"
name = "measured"
title = "Measured"
kind = "responses"
runs_from = "grow"

[responses]
images = "training"
count = 64
statistics = "population"
pooling = "layer"

[[panels]]
title = "sorted"
networks = ["plain-8"]
order = "sorted"

[profiles.tiny]
expectations = [{ network = "plain-8", metric = "response", value = 1, tolerance = 9, source = "by hand" }]
"#;

struct Place {
    _folder: tempfile::TempDir,
    root: PathBuf,
    results: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("grow.toml"), MANIFEST).unwrap();
    std::fs::write(folder.path().join("measured.toml"), MEASURED).unwrap();
    let root = folder.path().to_owned();
    let results = root.join("results");
    Place {
        _folder: folder,
        root,
        results,
    }
}

fn load(place: &Place, name: &str, set: &[&str]) -> Experiment {
    let set: Vec<String> = set.iter().map(|text| text.to_string()).collect();
    Experiment::load(&place.root.join(format!("{name}.toml")), "tiny", &set).unwrap()
}

fn plans(experiment: &Experiment) -> Vec<RunPlan> {
    plan::runs(
        experiment,
        &[1],
        &dataset().digest(),
        Processor::Cpu(Instructions::Portable),
    )
    .unwrap()
}

fn train(results: &Path, plans: &[RunPlan], fresh: bool) -> anyhow::Result<Vec<(bool, Ending)>> {
    let options = Options {
        experiment: "test".into(),
        cache: std::env::temp_dir(),
        gpu: 0,
        moved_to: None,
        results_dir: results.to_owned(),
        fresh,
        take_over: false,
        overrides: vec![],
        threads: 1,
        keep: None,
        workers: 0,
        keep_every: Duration::from_secs(3600),
    };
    let results = run_all(plans, dataset(), &options, &Stop::new(), &mut ())?;
    Ok(results
        .iter()
        .map(|result| (result.trained, result.ending))
        .collect())
}

fn view(results: &Path, network: &str) -> RunView {
    let mut views = run::find(results).unwrap();
    views.retain(|view| view.plan().network.name == network);
    views.remove(0)
}

fn clean(view: &RunView, iteration: u64, statistics: Statistics) -> Evaluation {
    let rows = view.clone().read().unwrap().1.evaluations;
    let mut rows = rows.into_iter().filter(|row| {
        row.iteration == iteration && row.split == Split::Train && row.statistics == statistics
    });
    rows.next().expect("a clean pass at this iteration")
}

#[test]
fn a_network_made_of_a_shallower_one_begins_where_that_one_ended() {
    let place = place();
    let experiment = load(&place, "grow", &[]);
    let plans = plans(&experiment);
    let names: Vec<&str> = plans
        .iter()
        .map(|plan| plan.network.name.as_str())
        .collect();
    assert_eq!(names, ["plain-8", "plain-14", "grown"]);
    assert_eq!(plans[2].start.as_deref(), Some(plans[0].identity()));
    assert!(plans[0].start.is_none() && plans[1].start.is_none());
    let ended = train(&place.results, &plans, false).unwrap();
    assert_eq!(ended, [(true, Ending::Finished); 3]);

    let (shallow, grown) = (
        view(&place.results, "plain-8"),
        view(&place.results, "grown"),
    );
    let before = clean(&shallow, 12, Statistics::Moving);
    let after = clean(&grown, 0, Statistics::Moving);
    // The same error to the digit: the same images are wrong.
    assert_eq!((before.images, before.error), (after.images, after.error));
    assert!(
        (before.loss - after.loss).abs() < 1e-4 * before.loss,
        "{before:?} {after:?}"
    );
    // It was trained on.
    assert_eq!(grown.clone().read().unwrap().1.iterations.len(), 12);
    assert_ne!(clean(&grown, 12, Statistics::Moving).loss, after.loss);

    // The figure says with which error it began.
    let svg = svg(&place, &experiment).unwrap();
    let both = format!("{0:.2} % and {0:.2} %", before.error);
    let texts = svg.split('<').filter_map(|part| part.split_once('>'));
    let words: Vec<&str> = texts
        .flat_map(|(_, text)| text.split_whitespace())
        .collect();
    assert!(words.join(" ").contains(&both), "no {both} in the figure");
    assert_eq!(
        train(&place.results, &plans, false).unwrap(),
        [(false, Ending::Finished); 3]
    );
}

#[test]
fn what_it_starts_from_is_part_of_its_identity_and_must_be_there() {
    let place = place();
    let plans = plans(&load(&place, "grow", &[]));
    let other = load(&place, "grow", &["recipe.learning_rate=0.01"]);
    let changed = self::plans(&other);
    assert_ne!(plans[2].start, changed[2].start);
    assert!(plans[2].belongs_to(load(&place, "grow", &[]).network("grown").unwrap()));
    assert!(!plans[2].belongs_to(other.network("grown").unwrap()));
    // Of the same recipe, but begun from another run.
    let mut foreign = plans[2].clone();
    foreign.start = changed[2].start.clone();
    assert!(!foreign.belongs_to(load(&place, "grow", &[]).network("grown").unwrap()));

    let alone = &plans[2..];
    let error = train(&place.results, alone, false).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Missing, "{error:#}");
    assert!(format!("{error:#}").contains("plain-8"), "{error:#}");
    train(&place.results, &plans[..1], false).unwrap();
    std::fs::remove_file(view(&place.results, "plain-8").weights().unwrap()).unwrap();
    let error = train(&place.results, alone, false).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Missing, "{error:#}");
    assert!(
        format!("{error:#}").contains("--networks plain-8"),
        "{error:#}"
    );
}

/// The experiment's runs of seed 1, judged.
fn judged(place: &Place, experiment: &Experiment) -> (Evidence, Verdict) {
    let wanted = Wanted {
        seeds: Seeds::Only(vec![1]),
        ..Wanted::default()
    };
    let views = run::find(&place.results).unwrap();
    let evidence = Evidence::gather(experiment, &views, &wanted).unwrap();
    let verdict = judge(&evidence).unwrap();
    (evidence, verdict)
}

/// The figure without the paper's curves.
fn svg(place: &Place, experiment: &Experiment) -> anyhow::Result<String> {
    let (evidence, verdict) = judged(place, experiment);
    let report = Report::new(&evidence, &verdict, &place.root.join("reports"), false)?;
    let png = report.write_figure()?;
    Ok(std::fs::read_to_string(png.with_extension("svg"))?)
}

fn measure(place: &Place, plans: &[RunPlan], how: &Responses) -> anyhow::Result<usize> {
    let mut told = 0;
    measure_responses(
        plans,
        &dataset().into(),
        how,
        &place.results,
        1,
        &Stop::new(),
        &mut |_| told += 1,
    )?;
    Ok(told)
}

#[test]
fn responses_are_measured_once_and_drawn_without_weights() {
    let place = place();
    let experiment = load(&place, "measured", &[]);
    let how = experiment.responses.clone().unwrap();
    let plans = plans(&experiment);
    assert_eq!(plans.len(), 1);
    // Nothing is measured of what is not finished.
    assert_eq!(measure(&place, &plans, &how).unwrap(), 0);
    train(&place.results, &plans, false).unwrap();
    let error = svg(&place, &experiment).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Missing, "{error:#}");
    assert_eq!(measure(&place, &plans, &how).unwrap(), 1);
    assert_eq!(measure(&place, &plans, &how).unwrap(), 0);
    let run = view(&place.results, "plain-8");
    let record = ResponseRecord::load(&run.folder, &how, plans[0].identity())
        .unwrap()
        .unwrap();
    assert_eq!((record.layer.len(), record.images), (7, 64));

    let weights = run.weights().unwrap();
    let kept = Weights::load(&weights).unwrap();
    std::fs::remove_file(&weights).unwrap();
    let drawn = svg(&place, &experiment).unwrap();
    assert!(drawn.contains("standard deviation"));
    // The page shows the same figure, and the number that is judged.
    let (evidence, verdict) = judged(&place, &experiment);
    let reports = place.root.join("reports");
    let report = Report::new(&evidence, &verdict, &reports, false).unwrap();
    report.write(&place.results, false).unwrap();
    let html = std::fs::read_to_string(report.folder().join("index.html")).unwrap();
    assert!(html.contains(">standard deviation</text>") && html.contains(">layer</text>"));
    assert!(!html.contains(">error (%)</text>"));
    assert!(
        html.contains("\"across\":\"layer\"") && html.contains("\"what\":\"standard deviation\"")
    );
    let mean = record
        .layer
        .iter()
        .map(|layer| layer.deviation)
        .sum::<f64>()
        / 7.0;
    let last = record.layer[6].deviation;
    assert!((mean - last).abs() > 0.005, "{mean} {last}");
    // Beside the name, in both: the mean and not the curve's end.
    let value = format!("{mean:.2}");
    let label = format!("<tspan class=\"value\" dx=\"5\">{value}</tspan>");
    assert_eq!(html.matches(&label).count(), experiment.panels.len());
    assert!(drawn.lines().any(|line| line.trim() == value), "{drawn}");
    let judged = verdict.expectations[0].measured.unwrap();
    assert!((judged.mean - mean).abs() < 1e-12, "{judged:?} {mean}");

    // Another way of measuring needs them again.
    let batch = Responses {
        images: ResponseImages::Training,
        count: 64,
        statistics: ResponseStatistics::Batch,
        pooling: ResponsePooling::ChannelMean,
    };
    let error = measure(&place, &plans, &batch).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Missing, "{error:#}");
    kept.save(&weights).unwrap();
    assert_eq!(measure(&place, &plans, &batch).unwrap(), 1);
    // With the mini-batch's own statistics a channel's deviation is its scale, but for epsilon and batches of 32.
    let record = ResponseRecord::load(&run.folder, &batch, plans[0].identity())
        .unwrap()
        .unwrap();
    for (layer, convolution) in record.layer.iter().zip(plans[0].network.convolutions()) {
        assert_eq!(layer.name, convolution.name);
        let scale = &kept.tensors[&format!("{}.weight", convolution.norm)].data;
        let expected = scale.iter().map(|v| f64::from(v.abs())).sum::<f64>() / scale.len() as f64;
        assert!(
            (layer.deviation / expected - 1.0).abs() < 2e-3,
            "{layer:?} {expected}"
        );
    }
}
