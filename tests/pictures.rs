//! Networks of Table 1 on JPEGs: a stopped run resumes to the bit, several views give what they give one by one, and a device that
//! normalises is left what gives the same pixels.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use refig::data::imagenet::View;
use refig::data::{self, DataSet, ImageSize, RunImages};
use refig::engine::{self, Hyperparameters, Statistics};
use refig::manifest::Experiment;
use refig::orchestrate::{Options, RunsObserver, run_all};
use refig::plan::{self, RunPlan};
use refig::processor::{Instructions, Processor};
use refig::random::Purpose;
use refig::record::{Ending, Evaluation, Iteration, Split, Views};
use refig::run::RunView;
use refig::train::{Observer, Phase, Signal, Stop};

/// Networks at a scale for a test, on pictures that the program makes; `view_average` is what is averaged over several views.
fn experiment(view_average: &str) -> Experiment {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/fig4.toml");
    let set = [
        "recipe.iterations=5",
        "recipe.drops=[3]",
        "recipe.batch=8",
        "recipe.image_size=32",
        "recipe.crop.shorter_side=[36, 68]",
        "recipe.crop.test_side=36",
        "recipe.evaluation.interval=3",
        "recipe.evaluation.statistics_images=16",
        "recipe.evaluation.statistics_batch=8",
        "recipe.evaluation.clean_images=8",
        "recipe.evaluation.scales=[32, 64]",
    ];
    let mut set: Vec<String> = set.iter().map(|change| change.to_string()).collect();
    set.push(format!("recipe.evaluation.view_average={view_average}"));
    let experiment = Experiment::load(&path, "smoke", &set).unwrap();
    experiment.with_classes(10)
}

fn pictures(cache: &Path) -> DataSet {
    let mut request = data::PictureRequest::new(None, cache);
    request.allow_synthetic = true;
    data::open_pictures(&request, &mut |_| Ok(())).unwrap()
}

fn plans(network: &str, data: &DataSet) -> Vec<RunPlan> {
    plans_averaging("softmax", network, data)
}

fn plans_averaging(view_average: &str, network: &str, data: &DataSet) -> Vec<RunPlan> {
    let mut experiment = experiment(view_average);
    experiment.only(&[network.into()]).unwrap();
    let processor = Processor::Cpu(Instructions::detect());
    plan::runs(&experiment, &[1], &data.digest(), processor).unwrap()
}

/// Asks for a stop at one moment.
#[derive(Default)]
struct Watch {
    seen: usize,
    /// Images of the mean image, and all.
    mean: Vec<(u64, u64)>,
    stop_at: Option<usize>,
    stop: Stop,
}

impl Watch {
    fn see(&mut self) {
        self.seen += 1;
        if Some(self.seen) == self.stop_at {
            self.stop.request(Signal::Terminate);
        }
    }
}

impl Observer for Watch {
    fn iteration(&mut self, _: &Iteration) {
        self.see();
    }
    fn phase(&mut self, phase: Phase, done: u64, total: u64) {
        match phase {
            // No run has begun yet.
            Phase::Mean => self.mean.push((done, total)),
            _ => self.see(),
        }
    }
}

impl RunsObserver for Watch {}

fn go(
    folder: &Path,
    data: &DataSet,
    plans: &[RunPlan],
    threads: usize,
    watch: &mut Watch,
) -> Ending {
    let options = Options {
        results_dir: folder.join("results"),
        fresh: false,
        take_over: false,
        experiment: "fig4".into(),
        overrides: Vec::new(),
        gpu: 0,
        moved_to: None,
        threads,
        keep: None,
        workers: 1,
        keep_every: Duration::from_secs(3600),
        cache: folder.join("cache"),
    };
    let stop = watch.stop.clone();
    let results = run_all(plans, data.clone(), &options, &stop, watch).unwrap();
    results[0].ending
}

/// Every recorded value but the seconds, floats as bits, and the bytes of the final weights.
fn recorded(folder: &Path, plan: &RunPlan) -> (Vec<String>, Vec<u8>) {
    let run = RunView::look(&folder.join("results").join(plan.folder()))
        .unwrap()
        .unwrap();
    let weights = std::fs::read(run.weights().unwrap()).unwrap();
    let (_, rows) = run.read().unwrap();
    let mut all: Vec<String> = rows
        .iterations
        .iter()
        .map(|row| {
            format!(
                "{} {:x} {:x}",
                row.iteration,
                row.loss.to_bits(),
                row.error.to_bits()
            )
        })
        .collect();
    all.extend(rows.evaluations.iter().map(|row| format!("{row:?}")));
    (all, weights)
}

#[test]
fn a_run_on_pictures_resumes_to_the_bit_wherever_it_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let data = pictures(&folder.path().join("cache"));
    let plans = plans("resnet-18", &data);
    let mut watch = Watch::default();
    assert_eq!(
        go(folder.path(), &data, &plans, 2, &mut watch),
        Ending::Finished
    );
    let whole = recorded(folder.path(), &plans[0]);
    assert_eq!(watch.mean.last(), Some(&(600, 600)));
    let moments = watch.seen;
    assert!(moments > 20, "{moments}");
    // Ten moments over training, evaluation and the final views.
    for place in 0..10 {
        let stop_at = 1 + place * (moments - 1) / 10;
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch {
            stop_at: Some(stop_at),
            ..Watch::default()
        };
        let ending = go(folder.path(), &data, &plans, 1, &mut watch);
        assert_eq!(ending, Ending::Partial, "stopped at {stop_at} of {moments}");
        let mut watch = Watch::default();
        let ending = go(folder.path(), &data, &plans, 2, &mut watch);
        assert_eq!(ending, Ending::Finished);
        assert!(watch.mean.is_empty(), "it was kept");
        assert!(
            recorded(folder.path(), &plans[0]) == whole,
            "stopped at {stop_at} of {moments}"
        );
    }
}

/// Logarithms of the softmax of a row.
fn log_softmax(row: &[f64]) -> Vec<f64> {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|z| (z - largest).exp()).sum();
    row.iter().map(|z| z - largest - sum.ln()).collect()
}

/// The mean of rows, class by class.
fn mean(rows: &[Vec<f64>]) -> Vec<f64> {
    let sum = |class: usize| rows.iter().map(|row| row[class]).sum::<f64>();
    let mean = |class| sum(class) / rows.len() as f64;
    (0..rows[0].len()).map(mean).collect()
}

/// Loss and errors of images by the logarithms of their classes' probabilities.
#[derive(Default)]
struct ByHand {
    losses: Vec<f64>,
    ranks: Vec<usize>,
}

impl ByHand {
    fn add(&mut self, logarithms: &[f64], label: usize) {
        let own = logarithms[label];
        self.losses.push(-own);
        let better = (0..logarithms.len()).filter(|&class| {
            logarithms[class] > own || (logarithms[class] == own && class < label)
        });
        self.ranks.push(better.count());
    }

    fn assert_equals(&self, row: &Evaluation, context: &str) {
        let images = self.losses.len();
        assert_eq!(row.images as usize, images, "{context}");
        // How many better classes than the image's own make an answer wrong.
        for (found, wrong) in [(row.error, 1), (row.top5_error, 5)] {
            let count = self.ranks.iter().filter(|&&rank| rank >= wrong).count();
            let error = 100.0 * count as f64 / images as f64;
            assert!((found - error).abs() < 1e-9, "{context}: {found}, {error}");
        }
        let loss = self.losses.iter().sum::<f64>() / images as f64;
        // Of logits in single precision.
        let (found, near) = (row.loss, 1e-6 * loss.max(1.0));
        assert!((found - loss).abs() < near, "{context}: {found}, {loss}");
    }
}

#[test]
fn several_views_are_averages_of_probabilities_or_logits() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let data = pictures(&cache);
    // The same training, and another final test.
    let averages = ["softmax", "logits"];
    let [(weights, softmax_rows), (same_weights, logits_rows)] = averages.map(|average| {
        let plans = plans_averaging(average, "plain-18", &data);
        let folder = folder.path().join(average);
        std::fs::create_dir(&folder).unwrap();
        let ending = go(&folder, &data, &plans, 2, &mut Watch::default());
        assert_eq!(ending, Ending::Finished);
        let run = RunView::look(&folder.join("results").join(plans[0].folder()))
            .unwrap()
            .unwrap();
        let weights = run.load_weights().unwrap().unwrap();
        (weights, run.read().unwrap().1.evaluations)
    });
    assert!(weights.tensors == same_weights.tensors);

    // By hand: the same weights and population statistics, image by image.
    let plans = plans("plain-18", &data);
    let plan = &plans[0];
    let recipe = &plan.recipe;
    let RunImages::Pictures(pictures) =
        data.for_recipe(recipe, &cache, 1, &mut |_| Ok(())).unwrap()
    else {
        panic!("pictures");
    };
    let options = engine::Options {
        threads: 2,
        ..engine::Options::default()
    };
    let hyper = Hyperparameters::from(recipe);
    let mut first = engine::create(&plan.network, 32, &hyper, &options).unwrap();
    first.restore(&weights).unwrap();
    first.begin_population().unwrap();
    let sample = data::sample(
        pictures.len(Split::Train),
        16,
        plan.seed,
        Purpose::Statistics,
    );
    for chunk in sample.chunks(8) {
        let mut batch = data::Batch::default();
        pictures
            .plain(Split::Train, chunk, false, &mut batch)
            .unwrap();
        first.add_population(&batch).unwrap();
    }
    first.finish_population(recipe.evaluation.pooling).unwrap();

    let images = pictures.len(Split::Test);
    // For each average, of ten crops and of two scales.
    let mut by_hand: [[ByHand; 2]; 2] = Default::default();
    let mut shapes = BTreeSet::new();
    for image in 0..images as u32 {
        let mut logits = [Vec::new(), Vec::new()];
        let mut label = 0;
        let mut look = |which: usize, view: View| {
            let mut batch = data::Batch::default();
            pictures
                .view(Split::Test, &[image], view, false, &mut batch)
                .unwrap();
            let row = first.logits(&batch, Statistics::Population).unwrap();
            logits[which].push(row.into_iter().map(f64::from).collect::<Vec<f64>>());
            label = usize::from(batch.labels[0]);
        };
        for view in View::ten_crops(36, ImageSize::square(32)) {
            look(0, view);
        }
        // Generated pictures are 128 pixels high, and 128, 144 or 160 wide.
        let stored = pictures.sizes(Split::Test, &[image]).unwrap()[0];
        for side in [32, 64] {
            let view = View::whole(side, stored);
            let size = ImageSize {
                height: side as usize,
                width: side as usize * stored.width / 128,
            };
            assert_eq!(view.size, size);
            shapes.insert(size);
            look(1, view);
        }
        for (which, rows) in logits.iter().enumerate() {
            let probabilities = |row: &Vec<f64>| log_softmax(row).iter().map(|l| l.exp()).collect();
            let each: Vec<Vec<f64>> = rows.iter().map(probabilities).collect();
            let logarithms: Vec<f64> = mean(&each).iter().map(|p| p.ln()).collect();
            by_hand[0][which].add(&logarithms, label);
            by_hand[1][which].add(&log_softmax(&mean(rows)), label);
        }
    }
    assert_eq!(shapes.len(), 6);
    let found = [softmax_rows, logits_rows];
    for ((average, rows), by_hand) in averages.iter().zip(&found).zip(&by_hand) {
        for (views, by_hand) in [Views::TenCrop, Views::MultiScale].into_iter().zip(by_hand) {
            let row = rows.iter().find(|row| row.views == views).unwrap();
            by_hand.assert_equals(row, &format!("{average} of {views:?}"));
        }
    }
}

#[test]
fn views_of_one_decoding_are_those_made_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let data = pictures(&cache);
    let plans = plans("resnet-18", &data);
    let images = [4, 0, 7, 2, 5];
    let wide = ImageSize {
        height: 30,
        width: 36,
    };
    // Some of the images only, and all of them.
    let views: Vec<(Range<usize>, View)> = View::ten_crops(36, ImageSize::square(32))
        .into_iter()
        .chain([36, 64].map(|side| View::centre(side, wide)))
        .zip([0..5, 1..4, 2..2].into_iter().cycle())
        .map(|(view, range)| (range, view))
        .collect();
    // Memory of another form, and later of other views.
    let mut batches = vec![data::Batch {
        pixels: vec![1.0; 7],
        ..data::Batch::default()
    }];
    for (threads, views) in [(1, &views[..]), (3, &views[3..]), (8, &views[..2])] {
        let set = data.for_recipe(&plans[0].recipe, &cache, threads, &mut |_| Ok(()));
        let RunImages::Pictures(pictures) = set.unwrap() else {
            panic!("pictures");
        };
        pictures
            .views(Split::Test, &images, views, &mut batches)
            .unwrap();
        assert_eq!(batches.len(), views.len());
        for ((range, view), batch) in views.iter().zip(&batches) {
            let mut alone = data::Batch::default();
            let shown = &images[range.clone()];
            pictures
                .view(Split::Test, shown, *view, true, &mut alone)
                .unwrap();
            assert!(*batch == alone, "{view:?} on {threads} threads");
        }
    }
}

#[test]
fn crops_for_a_device_that_normalises_are_the_loaders_pixels_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let data = pictures(&cache);
    let plans = plans("resnet-18", &data);
    let recipe = &plans[0].recipe;
    let set = data.for_recipe(recipe, &cache, 2, &mut |_| Ok(())).unwrap();
    let bits = |values: &[f32]| -> Vec<u32> { values.iter().map(|v| v.to_bits()).collect() };
    let same = |[pixels, left]: [&data::Batch; 2]| {
        assert!(left.pixels.is_empty() && pixels.crops.is_none());
        assert_eq!((&left.labels, left.size), (&pixels.labels, pixels.size));
        let made = left.crops.as_ref().unwrap().pixels(left.size);
        assert!(!made.is_empty() && bits(&made) == bits(&pixels.pixels));
    };
    // Training: every image with a colour shift of its own.
    let [mut here, mut device] =
        [false, true].map(|on_device| set.batches(recipe, 1, 0, 1, on_device).unwrap());
    for _ in 0..4 {
        let (pixels, left) = (here.next().unwrap(), device.next().unwrap());
        same([&pixels, &left]);
        let shifts = &left.crops.as_ref().unwrap().shifts;
        assert!(shifts.len() == 8 && shifts[0] != shifts[1] && shifts[0] != [0.0; 3]);
        same([&pixels.part(3..5), &left.part(3..5)]);
        here.recycle(pixels);
        device.recycle(left);
    }
    // Evaluation, and whole pictures, which are larger than the mean image.
    let plain = |on_device| set.batch(Split::Test, &[1, 0, 3], on_device).unwrap();
    same([&plain(false), &plain(true)]);
    // Behind the statistics: as they are, or augmented, in the same way whatever is beside them.
    let mut recipe = recipe.clone();
    for augmented in [false, true] {
        recipe.evaluation.statistics_augmented = augmented;
        let statistics = |indices: &[u32], on_device| {
            let batch = set.statistics_batch(&recipe, 1, indices, on_device);
            batch.unwrap()
        };
        let pixels = statistics(&[1, 0, 3], false);
        same([&pixels, &statistics(&[1, 0, 3], true)]);
        assert!(pixels.part(1..2).pixels == statistics(&[0], false).pixels);
        let as_it_is = set.batch(Split::Train, &[1, 0, 3], false).unwrap();
        assert_eq!(pixels.pixels != as_it_is.pixels, augmented);
    }
    let RunImages::Pictures(pictures) = &set else {
        panic!("pictures");
    };
    let mut used = plain(true);
    for on_device in [false, true] {
        let mut fresh = data::Batch::default();
        let stored = pictures.sizes(Split::Test, &[2]).unwrap()[0];
        let view = View::whole(64, stored);
        for (batch, on_device) in [(&mut used, on_device), (&mut fresh, !on_device)] {
            pictures
                .view(Split::Test, &[2, 2], view, on_device, batch)
                .unwrap();
            assert_eq!(batch.size, view.size);
        }
        // The memory of a mini-batch of the other form shows nothing of it.
        match on_device {
            true => same([&fresh, &used]),
            false => same([&used, &fresh]),
        }
    }
}

#[test]
fn a_plan_states_what_the_paper_s_schedule_takes() {
    let empty = tempfile::tempdir().unwrap();
    let plan = |profile: &str, format: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_refig"))
            .args(["plan", "fig4", "--networks", "resnet-18", "--device", "cpu"])
            .args(["--profile", profile, "--format", format, "--results-dir"])
            .arg(empty.path().join("results"))
            .env("REFIG_CACHE", empty.path().join("cache"))
            .env_remove("IMAGENET_DIR")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let json = |profile: &str| -> serde_json::Value {
        serde_json::from_str(&plan(profile, "json")).unwrap()
    };
    let paper = json("paper");
    assert_eq!(paper["iterations"], 600_000);
    assert_eq!(paper["iterations_left"], 600_000);
    let images = serde_json::json!({ "training": 1_281_167, "test": 50_000 });
    assert_eq!(paper["images"], images);
    assert_eq!(paper["data_bytes"], 154_642_401_280_u64);
    assert!(paper["memory_bytes"].as_u64() > Some(1 << 30));
    let seconds = |key: &str| paper[key].as_f64().unwrap();
    assert!(seconds("mean_image_seconds") > 0.0);
    assert!(seconds("seconds") > seconds("mean_image_seconds"));
    // Generated pictures would stand in.
    let smoke = json("smoke");
    let images = serde_json::json!({ "training": 600, "test": 120 });
    assert_eq!(smoke["images"], images);
    let text = plan("smoke", "text");
    for says in ["24 of 24", "mean image: about", "SYNTHETIC pictures"] {
        assert!(text.contains(says), "{says} in {text}");
    }
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}
