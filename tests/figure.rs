//! The figure as a reader gets it: what is in the SVG, and what resvg makes of it. The curves are the paper's own with
//! noise. The PNGs stay in cargo's folder for test files, for a look.

use std::path::{Path, PathBuf};

use refig::figure::{self, Colour, Figure, Limits, Panel, Quantity, Series};
use refig::judge::PaperCurves;
use refig::manifest::Evaluated;
use refig::random::{Purpose, Stream};
use refig::record::curve::{self, Point, Range};
use refig::record::{Ending, Split};

const PLAIN: [(&str, Colour); 4] = [
    ("plain-20", (128, 128, 0)),
    ("plain-32", (0, 170, 190)),
    ("plain-44", (70, 180, 40)),
    ("plain-56", (214, 30, 30)),
];
const RESNET: [(&str, Colour); 5] = [
    ("ResNet-20", (128, 128, 0)),
    ("ResNet-32", (0, 170, 190)),
    ("ResNet-44", (70, 180, 40)),
    ("ResNet-56", (214, 30, 30)),
    ("ResNet-110", (20, 20, 20)),
];

fn paper() -> PaperCurves {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/reference/fig6.csv");
    PaperCurves::read(&path).unwrap()
}

/// Fakes of both splits of a network, `seeds` of them, after the paper's curve.
fn faked(
    reference: &PaperCurves,
    network: (&str, Colour),
    seeds: u64,
    iterations: u64,
) -> Vec<Series> {
    let panels = ["left_plain".to_owned(), "middle_resnet".to_owned()];
    let mut both = Vec::new();
    for split in [Split::Train, Split::Test] {
        let drawn = reference
            .curve(&panels, &network.0.to_lowercase(), split)
            .unwrap();
        let shrink = iterations as f64 / 64_000.0;
        let points: Vec<(f64, f64)> = drawn.points.iter().map(|p| (p.0 * shrink, p.1)).collect();
        let runs: Vec<Vec<Point>> = (0..seeds)
            .map(|seed| {
                let mut noise = Stream::new(
                    seed + 10,
                    Purpose::Synthetic,
                    split as u64,
                    network.0.len() as u64,
                );
                let mut curve = Vec::new();
                let (first, end) = (points[0], points[points.len() - 1]);
                let step = if split == Split::Test && iterations < 10_000 {
                    iterations / 6
                } else {
                    iterations / 60
                };
                for count in 1..=iterations / step {
                    let x = (count * step) as f64;
                    let y = match points.windows(2).find(|pair| pair[1].0 >= x) {
                        _ if x < first.0 => first.1 + 60.0 * (1.0 - x / first.0),
                        Some(pair) => {
                            pair[0].1
                                + (x - pair[0].0) / (pair[1].0 - pair[0].0)
                                    * (pair[1].1 - pair[0].1)
                        }
                        None => end.1,
                    };
                    let error = if iterations < 10_000 {
                        // As on a small budget: from 90 % down to 50 or 85 %.
                        90.0 - (60.0 - 2.6 * end.1) * (x / iterations as f64).sqrt()
                            + 2.0 * noise.normal()
                    } else {
                        y + 0.4 * noise.normal()
                    };
                    curve.push(Point {
                        iteration: count * step,
                        error: error.clamp(0.0, 100.0),
                    });
                }
                curve
            })
            .collect();
        both.push(Series {
            network: network.0.to_owned(),
            colour: network.1,
            split,
            mean: curve::mean(&runs),
            range: curve::range(&runs),
            others: Vec::new(),
            ending: Some(Ending::Finished),
            reference: points,
        });
    }
    both
}

fn figure_of(seeds: u64, iterations: u64) -> Figure {
    let reference = paper();
    let panel = |title: &str, networks: &[(&str, Colour)]| Panel {
        title: title.to_owned(),
        first_iteration: 0,
        series: networks
            .iter()
            .flat_map(|network| faked(&reference, *network, seeds, iterations))
            .collect(),
    };
    Figure {
        title: "Fig. 6: training on CIFAR-10 <plain & residual>".into(),
        line: format!("paper profile · CIFAR-10 · cpu (avx512) · fp32 · {seeds} seeds"),
        notes: vec!["The paper's curves are read off its Fig. 6.".into()],
        watermark: None,
        dashed_training: true,
        quantity: Quantity::Errors,
        chance: Some(90.0),
        iterations,
        limits: (iterations == 64_000).then_some(Limits {
            low: 0.0,
            high: 20.0,
        }),
        evaluated: Evaluated::Test,
        panels: vec![panel("plain nets", &PLAIN), panel("residual nets", &RESNET)],
    }
}

/// Draws, keeps the files for a look, and gives the SVG's text.
fn drawn(figure: &Figure, name: &str) -> String {
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
fn the_paper_profile() {
    let figure = figure_of(1, 64_000);
    let svg = drawn(&figure, "paper");
    assert!(svg.len() < 1_000_000, "{} bytes", svg.len());
    assert_eq!(svg, figure::svg(&figure).unwrap());
    assert!(svg.contains("iter. (1e4)") && svg.contains("error (%)"));
    assert!(svg.contains("&lt;plain &amp; residual&gt;"));
    assert!(!svg.contains("SYNTHETIC"));
}

#[test]
fn a_short_profile_with_three_seeds_on_synthetic_data() {
    let mut figure = figure_of(3, 600);
    figure.watermark = Some("SYNTHETIC".into());
    figure.panels[0].series[7].ending = Some(Ending::Partial);
    figure.panels[0].series[7].mean.truncate(4);
    let gone = figure.panels[1].series[9].mean[..3].to_vec();
    figure.panels[1].series[9].others = vec![(gone, Ending::Diverged)];
    figure.notes.push("Not the paper's recipe: iterations 600 (64000), batch 64 (128), learning_rate 0.01 (0.1), drops [360, 540] ([32000, 48000]), image_size 16 (32), evaluation.statistics_images 2000 (50000); the paper's curves are drawn at the same fraction of the schedule.".into());
    let svg = drawn(&figure, "quick");
    assert!(svg.contains("iter. (1e2)"));
    assert_eq!(svg.matches("SYNTHETIC").count(), 2);
}

#[test]
fn a_short_profile_without_the_papers_curves() {
    let mut figure = figure_of(1, 600);
    for series in figure.panels.iter_mut().flat_map(|panel| &mut panel.series) {
        series.reference.clear();
    }
    let svg = drawn(&figure, "quick-alone");
    assert!(!svg.contains("the paper&apos;s curve"));
}

#[test]
fn panels_by_split() {
    let figure = figure_of(1, 64_000);
    let all: Vec<Series> = [0, 1, 6, 7]
        .iter()
        .map(|&i| figure.panels[0].series[i].clone())
        .collect();
    let by = |title: &str, split| Panel {
        title: title.into(),
        first_iteration: 0,
        series: all
            .iter()
            .filter(|series| series.split == split)
            .cloned()
            .collect(),
    };
    let figure = Figure {
        panels: vec![
            by("training error", Split::Train),
            by("test error", Split::Test),
        ],
        ..figure
    };
    drawn(&figure, "splits");
}

/// Where each `name` is written.
fn places(svg: &str, name: &str) -> Vec<(f64, f64)> {
    let number = |tag: &str, key: &str| -> f64 {
        let (_, rest) = tag.split_once(&format!("{key}=\"")).unwrap();
        rest.split('"').next().unwrap().parse().unwrap()
    };
    svg.split("<text ")
        .skip(1)
        .filter_map(|text| text.split_once('>'))
        .filter(|(_, rest)| rest.split('<').next().unwrap().trim() == name)
        .map(|(tag, _)| (number(tag, "x"), number(tag, "y")))
        .collect()
}

#[test]
fn chance_is_drawn_and_named_in_the_open_where_curves_start_at_it() {
    let mut figure = figure_of(1, 600);
    for panel in &mut figure.panels {
        let first = panel.series[0].network.clone();
        panel.series.retain(|series| series.network == first);
        for series in &mut panel.series {
            series.reference.clear();
            // From 89 % down, so that the axis would end at 90 % and the upper left corner is quiet.
            let last = series.mean.len() as f64;
            for (point, place) in series.mean.iter_mut().zip(0..) {
                point.error = 89.0 - 30.0 * f64::from(place) / last;
            }
        }
    }
    assert_eq!(places(&drawn(&figure, "chance"), "chance").len(), 2);

    // With the paper's curve along the bottom, the legend goes up, but not onto the name of the line.
    for series in figure.panels.iter_mut().flat_map(|panel| &mut panel.series) {
        series.reference = vec![(0.0, 5.0), (600.0, 5.0)];
        series.mean.retain(|point| point.iteration >= 300);
        series.mean.iter_mut().for_each(|point| point.error += 10.0);
    }
    let svg = drawn(&figure, "chance-legend");
    let names = places(&svg, "chance");
    let legends = [places(&svg, "plain-20"), places(&svg, "ResNet-20")].concat();
    assert_eq!((names.len(), legends.len()), (2, 4));
    for chance in &names {
        let covering = legends.iter().find(|legend| {
            (legend.0 - chance.0).abs() < 1600.0 && (legend.1 - chance.1).abs() < 400.0
        });
        assert_eq!(covering, None, "{chance:?} is covered");
        // The line lies 9 pixels below its name, a pixel being 10 units.
        let line = chance.1 + 90.0;
        let crossed = legends
            .iter()
            .find(|legend| (legend.1 - line).abs() < 120.0);
        assert_eq!(crossed, None, "the line at {line} is covered");
    }

    // Nor is it put onto a band, such as one through the place that it has now.
    for series in figure.panels.iter_mut().flat_map(|panel| &mut panel.series) {
        let of = |iteration| Range {
            iteration,
            low: 47.0,
            high: 53.0,
        };
        series.range = vec![of(0), of(600)];
    }
    let svg = drawn(&figure, "band-legend");
    let moved = [places(&svg, "plain-20"), places(&svg, "ResNet-20")].concat();
    let labels = |place: &&(f64, f64)| legends.contains(place);
    assert_eq!(
        moved.iter().filter(labels).count(),
        2,
        "legends stay on the band"
    );
}

#[test]
fn held_out_images_are_no_test_set() {
    let mut figure = figure_of(1, 600);
    figure.evaluated = Evaluated::Validation;
    let svg = drawn(&figure, "validation");
    assert_eq!(
        (places(&svg, "validation").len(), places(&svg, "test").len()),
        (1, 0)
    );
}

#[test]
fn long_and_hostile_texts_are_wrapped_and_leave_the_svg_well_formed() {
    let mut figure = figure_of(1, 600);
    figure.title = format!("{} \u{0}\u{1b}\u{fffe}λ <b>", "a long title ".repeat(20));
    figure.panels[0].title = "a panel's long title ".repeat(6);
    for series in &mut figure.panels[0].series {
        series.network = format!("{} & a name that is long \u{8}", series.network);
    }
    let svg = drawn(&figure, "long");
    let document = resvg::usvg::roxmltree::Document::parse(&svg).expect("well-formed");
    assert_eq!(figure::missing_letters(&svg), ['λ']);
    let width = |svg: &str| -> f64 {
        let document = resvg::usvg::roxmltree::Document::parse(svg).expect("well-formed");
        let width = document.root_element().attribute("width");
        width.unwrap().parse().unwrap()
    };
    let usual = width(&figure::svg(&figure_of(1, 600)).unwrap());
    assert!(svg.contains("font-family=\"Roboto, Arial, Helvetica, sans-serif\""));
    // The panels are wider, so that names, values and axes stay apart.
    assert!(width(&svg) > usual + 100.0, "{} and {usual}", width(&svg));
    // Nothing of the title is lost.
    let title: String = document
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .filter(|node| node.attribute("font-size") == Some("170"))
        .filter_map(|node| node.text())
        .map(|line| line.trim().to_owned() + " ")
        .collect();
    assert_eq!(title.matches("a long title").count(), 20, "{title}");
}
