//! What the user sees of runs in plain lines, and how much work is estimated.

use std::io::Write;
use std::sync::{Arc, Mutex};

use refig::manifest::NetworkEntry;
use refig::network::{Family, Network, Shortcut};
use refig::orchestrate::{PictureWork, Progress, RunsObserver, Start, Style, picture_work, work};
use refig::plan::RunPlan;
use refig::processor::Processor;
use refig::recipe::{Crop, EvaluationRecipe, FinalViews, Recipe};
use refig::record::Ending;
use refig::record::{Evaluation, Iteration, Split, Statistics, Views};
use refig::train::Observer;

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn plan(iterations: u64, interval: u64) -> RunPlan {
    let network = Network::cifar(Family::Resnet, 20, Shortcut::A, 10).unwrap();
    let entry = NetworkEntry {
        name: network.name.clone(),
        label: "ResNet-20".into(),
        network,
        recipe: Recipe {
            batch: 100,
            iterations,
            drops: vec![],
            evaluation: EvaluationRecipe {
                interval,
                statistics_images: 2000,
                clean_images: 5000,
                ..EvaluationRecipe::default()
            },
            ..Recipe::default()
        },
        colour: "#000000".into(),
        optional: false,
        variant_of: None,
        start: None,
    };
    RunPlan::new(&entry, 1, "quick", "", Processor::Cuda).unwrap()
}

fn row(iteration: u64) -> Iteration {
    Iteration {
        iteration,
        epoch: 0.0,
        learning_rate: 0.1 * 0.1,
        loss: 1.25,
        error: 40.0,
        seconds: 1.0,
    }
}

#[test]
fn a_pipe_gets_a_line_each_tenth_and_each_evaluation() {
    let page = Page::default();
    let mut progress = Progress::to(Style::Lines, Box::new(page.clone()));
    let plan = plan(600, 200);
    progress.planned(&[1.0, 1.0]);
    progress.begin(&plan, 0, Start::New);
    for iteration in 1..=600 {
        progress.iteration(&row(iteration));
        if iteration % 200 == 0 {
            for statistics in [Statistics::Population, Statistics::Moving] {
                progress.evaluation(&Evaluation {
                    iteration,
                    split: Split::Test,
                    statistics,
                    views: Views::default(),
                    images: 10_000,
                    loss: 1.5,
                    error: 61.25,
                    top5_error: 10.0,
                });
            }
        }
    }
    progress.end(&plan, 0, Ending::Finished);
    progress.skip(&plan, 1, Ending::Finished);
    let lines = page.lines();
    assert_eq!(lines.len(), 10 + 3 + 1, "{lines:#?}");
    assert!(
        lines[0].starts_with(
            "resnet-20 s1 (1 of 2): iteration 60 of 600, lr 0.01  loss 1.250  error 40.0 %"
        ),
        "{}",
        lines[0]
    );
    assert!(lines[0].contains("left"), "{}", lines[0]);
    let test =
        "resnet-20 s1 (1 of 2): iteration 200, test error 61.25 % (loss 1.500, 10000 images)";
    assert_eq!(
        lines.iter().filter(|line| *line == test).count(),
        1,
        "{lines:#?}"
    );
    assert_eq!(lines.last().unwrap(), "resnet-20 s1: already done");
}

#[test]
fn a_resumed_run_says_so_and_quiet_says_nothing() {
    let (page, hush) = (Page::default(), Page::default());
    let plan = plan(100, 100);
    for (style, out) in [(Style::Lines, &page), (Style::Quiet, &hush)] {
        let mut progress = Progress::to(style, Box::new(out.clone()));
        progress.planned(&[1.0]);
        progress.begin(&plan, 0, Start::At(50));
        progress.iteration(&row(51));
        progress.end(&plan, 0, Ending::Partial);
    }
    let lines = page.lines();
    assert_eq!(
        lines,
        [
            "resnet-20 s1 (1 of 1): resumes after iteration 50",
            "resnet-20 s1: stopped; run the same command again to resume"
        ]
    );
    assert!(hush.lines().is_empty());
}

#[test]
fn the_work_left_counts_every_image() {
    let an_image = 40_551_040.0;
    let whole = work(&plan(600, 200), 0, 10_000);
    let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-3;
    assert!(near(whole.training, 60_000.0 * an_image), "{whole:?}");
    // Three evaluations of 2,000 images and twice 10,000, a clean pass of twice 5,000.
    assert!(near(whole.evaluation, 76_000.0 * an_image), "{whole:?}");
    let half = work(&plan(600, 200), 300, 10_000);
    assert!(near(half.training, 30_000.0 * an_image));
    assert!(near(half.evaluation, 54_000.0 * an_image));
    // The last iteration is evaluated too.
    let odd = work(&plan(650, 200), 600, 10_000);
    assert!(near(odd.evaluation, 32_000.0 * an_image));
    // Stopped in the last evaluation, that one is left, with the clean pass.
    let pending = work(&plan(600, 200), 600, 10_000);
    assert_eq!(pending.training, 0.0);
    assert!(near(pending.evaluation, 32_000.0 * an_image));
}

#[test]
fn the_work_of_pictures_counts_every_view() {
    assert_eq!(
        picture_work(&plan(600, 200), 0, 10_000),
        PictureWork::default()
    );
    let pictures = |views: &[FinalViews]| {
        let mut run = plan(600, 200);
        run.recipe.crop = Some(Crop::default());
        run.recipe.evaluation.final_views = views.to_vec();
        run.recipe.evaluation.scales = vec![32, 64];
        run
    };
    let (single, ten) = (pictures(&[]), pictures(&[FinalViews::TenCrop]));
    let both = pictures(&[FinalViews::TenCrop, FinalViews::MultiScale]);
    let of = |run: &RunPlan, done| picture_work(run, done, 10_000);
    // Three evaluations of 2,000 and 10,000 images, and a clean pass.
    let plain = PictureWork {
        training: 60_000.0,
        evaluation: 41_000.0,
        ..PictureWork::default()
    };
    assert_eq!(of(&single, 0), plain);
    let an_image = ten.network.multiply_adds(32) as f64;
    assert_eq!(
        of(&ten, 0),
        PictureWork {
            statistics: 2_000.0 * an_image,
            views: 100_000.0 * an_image,
            evaluation: plain.evaluation + 2_000.0,
            viewed: 10_000.0,
            ..plain
        }
    );
    let large = both.network.multiply_adds(64) as f64;
    let found = of(&both, 0);
    assert_eq!(found.evaluation, plain.evaluation + 2_000.0);
    // Decoded once for each of the two tests.
    assert_eq!(found.viewed, 20_000.0);
    assert_eq!(found.statistics, 2_000.0 * an_image);
    // Whole pictures, of which the mean one is 4 to 3.
    let whole = 10_000.0 * (an_image + large) * 4.0 / 3.0;
    let ratio = found.views / (100_000.0 * an_image + whole);
    assert!((ratio - 1.0).abs() < 1e-12, "{ratio}");
    // The final test is left as long as the run is.
    let late = of(&both, 600);
    assert_eq!((late.training, late.views), (0.0, found.views));
    assert_eq!(late.statistics, found.statistics);
    // What plans record is not affected.
    assert_eq!(work(&both, 0, 10_000), work(&plan(600, 200), 0, 10_000));
}
