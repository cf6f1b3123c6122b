//! The figure from files: which runs on disk it shows, and that the same files give the same bytes.

use std::path::{Path, PathBuf};

use refig::exit::Exit;
use refig::judge::{Evidence, Seeds, Wanted, judge, select, settled_seeds};
use refig::manifest::Experiment;
use refig::origin::{CIFAR10_DIGEST, DataKind, Origin};
use refig::plan::{self, RunPlan};
use refig::processor::{Instructions, Processor};
use refig::publish::Report;
use refig::record::Ending;
use refig::record::{Evaluation, Iteration, Recorder, Split, Statistics, Views};
use refig::run::{self, Notes, Resume, RunDirectory};
use refig::weights::Weights;

fn shipped(name: &str, profile: &str) -> Experiment {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    Experiment::load(&folder.join(format!("{name}.toml")), profile, &[]).unwrap()
}

fn smoke() -> Experiment {
    shipped("fig6", "smoke")
}

fn plans(experiment: &Experiment, seed: u64, digest: &str) -> Vec<RunPlan> {
    plan::runs(
        experiment,
        &[seed],
        digest,
        Processor::Cpu(Instructions::Avx2),
    )
    .unwrap()
}

/// Records a run up to `last`; finished where that is its end, otherwise with a checkpoint there.
fn record(results: &Path, plan: &RunPlan, data: Origin, last: u64) {
    let notes = Notes {
        data,
        ..Notes::default()
    };
    let mut run = RunDirectory::open(results, plan, &notes, false).unwrap();
    assert!(matches!(run.resume().unwrap(), Resume::New));
    let recipe = &plan.recipe;
    let error = |iteration: u64| 90.0 - 24.0 * iteration as f64 / recipe.iterations as f64;
    for iteration in 1..=last {
        run.iteration(Iteration {
            iteration,
            epoch: 0.0,
            learning_rate: 0.01,
            loss: 2.0,
            error: error(iteration),
            seconds: iteration as f64,
        })
        .unwrap();
        if iteration.is_multiple_of(recipe.evaluation.interval) {
            run.evaluation(Evaluation {
                iteration,
                split: Split::Test,
                statistics: Statistics::Population,
                views: Views::default(),
                images: 10_000,
                loss: 2.0,
                error: error(iteration) - 2.0,
                top5_error: 10.0,
            })
            .unwrap();
        }
    }
    if last == recipe.iterations {
        run.finish(Ending::Finished, &Weights::default()).unwrap();
    } else {
        run.checkpoint(last, &Weights::default(), "").unwrap();
    }
}

/// What was drawn.
#[derive(Debug)]
struct Rendered {
    svg: PathBuf,
    png: PathBuf,
    warnings: Vec<String>,
}

fn render(
    experiment: &Experiment,
    results: &Path,
    reports: &Path,
    wanted: &Wanted,
    reference: bool,
) -> anyhow::Result<Rendered> {
    let evidence = Evidence::gather(experiment, &run::find(results)?, wanted)?;
    let verdict = judge(&evidence)?;
    let report = Report::new(&evidence, &verdict, reports, reference)?;
    let png = report.write_figure()?;
    Ok(Rendered {
        svg: png.with_extension("svg"),
        png,
        warnings: report.warnings.clone(),
    })
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
        record(&results, &plan, Origin::Synthetic, last);
    }
    let first = render(&experiment, &results, &reports, &Wanted::default(), true).unwrap();
    assert_eq!(first.svg, reports.join("fig6/smoke-synthetic/fig6.svg"));
    assert_eq!(first.png, reports.join("fig6/smoke-synthetic/fig6.png"));
    assert_eq!(
        first.warnings,
        ["unfinished: plain-56 seed 1 (at 60 of 120)"]
    );
    let svg = std::fs::read(&first.svg).unwrap();
    let png = std::fs::read(&first.png).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    let text = String::from_utf8(svg.clone()).unwrap();
    assert!(text.contains("SYNTHETIC") && text.contains("cpu (avx2)"));
    assert!(text.contains("the paper&apos;s curve"));
    render(&experiment, &results, &reports, &Wanted::default(), true).unwrap();
    assert_eq!(std::fs::read(&first.svg).unwrap(), svg);
    assert_eq!(std::fs::read(&first.png).unwrap(), png);
    render(&experiment, &results, &reports, &Wanted::default(), false).unwrap();
    let without = std::fs::read_to_string(&first.svg).unwrap();
    assert!(!without.contains("the paper&apos;s curve"));
}

#[test]
fn runs_are_selected_by_what_they_were_made_on_and_data_are_not_mixed() {
    let folder = tempfile::tempdir().unwrap();
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    let experiment = smoke();
    let synthetic = plans(&experiment, 1, "feed");
    for plan in &synthetic {
        record(&results, plan, Origin::Synthetic, 120);
    }
    let real = plans(&experiment, 4, CIFAR10_DIGEST);
    record(&results, &real[0], Origin::Cifar10, 120);
    // From the files alone: CIFAR-10 first, the rest named.
    let rendered = render(&experiment, &results, &reports, &Wanted::default(), true).unwrap();
    let text = std::fs::read_to_string(&rendered.svg).unwrap();
    assert!(text.contains("CIFAR-10 · cpu (avx2) · fp32 · seed 4"));
    assert!(!text.contains("SYNTHETIC"));
    let warnings = rendered.warnings.join("\n");
    assert!(
        warnings.contains("3 runs on SYNTHETIC images (feed), cpu (avx2)"),
        "{warnings}"
    );
    assert!(
        warnings.contains("no run of plain-56, ResNet-20"),
        "{warnings}"
    );
    // By what they were made on.
    let wanted = Wanted {
        made_on: Some(("feed".into(), synthetic[0].processor)),
        ..Wanted::default()
    };
    let rendered = render(&experiment, &results, &reports, &wanted, true).unwrap();
    let text = std::fs::read_to_string(&rendered.svg).unwrap();
    assert!(text.contains("SYNTHETIC images · cpu (avx2) · fp32 · seed 1"));
    assert_eq!(rendered.warnings, Vec::<String>::new());
    // A run of another recipe is no run of this experiment.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/fig6.toml");
    let other = Experiment::load(&path, "smoke", &["recipe.batch=32".into()]).unwrap();
    let error = render(&other, &results, &reports, &Wanted::default(), true).unwrap_err();
    assert_eq!(Exit::of(&error), Exit::Missing);
}

#[test]
fn of_runs_that_differ_in_rounding_a_finished_one_is_shown_and_then_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = smoke();
    let version = |plan: &RunPlan, version: u32| plan.by_version(version).unwrap();
    let all = plans(&experiment, 1, CIFAR10_DIGEST);
    for plan in &all {
        let today = plan.network.name == "plain-20";
        record(folder.path(), &version(plan, 1), Origin::Cifar10, 120);
        let last = if today { 120 } else { 60 };
        record(folder.path(), &version(plan, 2), Origin::Cifar10, last);
    }
    let views = run::find(folder.path()).unwrap();
    assert_eq!(views.len(), 2 * all.len());
    let shown = select(&experiment, &views, &Wanted::default(), &[1]).runs;
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
        (1, "feed", Origin::Synthetic),
        (2, "feed", Origin::Synthetic),
        (2, CIFAR10_DIGEST, Origin::Cifar10),
    ] {
        for plan in plans(&experiment, seed, digest) {
            record(folder.path(), &plan, data, 120);
        }
    }
    let views = run::find(folder.path()).unwrap();
    let chosen = |seeds: Seeds, data| -> Vec<(String, u64)> {
        let wanted = Wanted {
            seeds,
            data,
            ..Wanted::default()
        };
        let seeds = settled_seeds(&experiment, &views, &wanted);
        let selection = select(&experiment, &views, &wanted, &seeds);
        let plans = selection.runs.iter().map(run::RunView::plan);
        plans
            .filter(|plan| plan.network.name == "resnet-20")
            .map(|plan| (plan.data_digest.clone(), plan.seed))
            .collect()
    };
    let of = |digest: &str, seeds: &[u64]| -> Vec<(String, u64)> {
        seeds.iter().map(|&seed| (digest.into(), seed)).collect()
    };
    assert_eq!(chosen(Seeds::All, DataKind::Any), of(CIFAR10_DIGEST, &[2]));
    assert_eq!(chosen(Seeds::All, DataKind::Synthetic), of("feed", &[1, 2]));
    assert_eq!(
        chosen(Seeds::Only(vec![1]), DataKind::Any),
        of("feed", &[1])
    );
    assert_eq!(chosen(Seeds::Only(vec![1]), DataKind::Cifar10), of("", &[]));
}

#[test]
fn letters_that_the_font_lacks_are_told_of_and_visible() {
    let folder = tempfile::tempdir().unwrap();
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    let mut experiment = smoke();
    for plan in plans(&experiment, 1, "feed") {
        record(&results, &plan, Origin::Synthetic, 120);
    }
    experiment.title = "λ = 0.1\n中 \u{7}".into();
    let rendered = render(&experiment, &results, &reports, &Wanted::default(), true).unwrap();
    assert_eq!(
        rendered.warnings,
        [
            "the figure's font has no λ, 中; the PNG shows a question mark, the SVG the viewer's own font"
        ]
    );
    let svg = std::fs::read_to_string(&rendered.svg).unwrap();
    assert!(svg.contains("λ = 0.1 中") && !svg.contains('\u{7}'));
}

/// A line of an SVG.
struct Line<'a> {
    colour: &'a str,
    width: u32,
    dashed: bool,
    /// Where its points are from left to right, a pixel being 10 units.
    across: Vec<f64>,
}

#[test]
fn figure_4_has_thin_training_and_bold_validation_curves_over_the_papers_in_two_panels() {
    let folder = tempfile::tempdir().unwrap();
    let (results, reports) = (folder.path().join("results"), folder.path().join("reports"));
    let fig4 = shipped("fig4", "imagenette");
    for plan in plans(&fig4.with_classes(10), 1, "feed") {
        let last = plan.recipe.iterations;
        record(&results, &plan, Origin::ImagenetPart, last);
    }
    let rendered = render(&fig4, &results, &reports, &Wanted::default(), true).unwrap();
    assert_eq!(rendered.warnings, Vec::<String>::new());
    let place = "fig4/imagenette-imagenet-part/fig4.svg";
    assert_eq!(rendered.svg, reports.join(place));

    let svg = std::fs::read_to_string(&rendered.svg).unwrap();
    let document = resvg::usvg::roxmltree::Document::parse(&svg).unwrap();
    let texts: Vec<(&str, f64)> = document
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .map(|node| {
            let across = node.attribute("x").unwrap().parse().unwrap();
            (node.text().unwrap().trim(), across)
        })
        .collect();
    let line = "profile imagenette · a part of ImageNet, 10 classes, 64x64 pixels · cpu (avx2)";
    assert!(texts.iter().any(|(text, _)| text.starts_with(line)));
    let places = |wanted: &str| -> Vec<f64> {
        let found = texts.iter().filter(|(text, _)| *text == wanted);
        found.map(|(_, across)| *across).collect()
    };
    for key in ["training", "validation", "the paper's curve"] {
        assert_eq!(places(key).len(), 1, "{key}");
    }
    let lines: Vec<Line> = document
        .descendants()
        .filter(|node| node.has_tag_name("polyline"))
        .map(|node| {
            let points = node.attribute("points").unwrap().split_whitespace();
            let across = points.map(|point| point.split(',').next().unwrap());
            Line {
                colour: node.attribute("stroke").unwrap(),
                width: node.attribute("stroke-width").unwrap().parse().unwrap(),
                dashed: node.has_attribute("stroke-dasharray"),
                across: across.map(|place| place.parse().unwrap()).collect(),
            }
        })
        .collect();
    for (title, networks) in [
        ("plain", ["plain-18", "plain-34"]),
        ("ResNet", ["ResNet-18", "ResNet-34"]),
    ] {
        let [middle] = places(title)[..] else {
            panic!("{title} is not the title of one panel");
        };
        // The colours of the depths, and those of the paper's curves: the same, paler.
        let colours = [("#00B8B8", "#8CDFDF"), ("#E02020", "#F19B9B")];
        for (network, (own, papers)) in networks.into_iter().zip(colours) {
            assert_eq!(places(network).len(), 2, "legend and end of {network}");
            // In the order in which they are drawn. The sample in a legend has two points.
            let curves = |colour: &str| {
                let inside = |line: &Line| line.across.iter().all(|x| (x - middle).abs() < 2300.0);
                lines
                    .iter()
                    .enumerate()
                    .filter(|(_, line)| line.colour == colour && line.across.len() > 2)
                    .filter(|(_, line)| inside(line))
                    .collect::<Vec<(usize, &Line)>>()
            };
            let [(first, training), (_, validation)] = curves(own)[..] else {
                panic!("{network} does not have two curves");
            };
            // Ten evaluations, and many more mini-batches.
            assert_eq!(validation.across.len(), 10, "{network}");
            assert!(training.across.len() > 50, "{network}");
            assert!(2 * training.width <= validation.width, "{network}");
            assert!(!training.dashed && !validation.dashed, "{network}");
            let [_, (beneath, _)] = curves(papers)[..] else {
                panic!("the paper's {network} does not have two curves");
            };
            assert!(beneath < first, "the paper's curves lie on {network}'s");
        }
    }
}
