//! The final test with several views of each picture, interrupted in its middle, goes on from there and ends with the numbers
//! of the undisturbed one.

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::copy;
use common::images::jpeg;
use refig::data::{DataSet, PictureRequest, open_pictures};
use refig::manifest::Experiment;
use refig::orchestrate::{Options, RunsObserver, Start, run_all};
use refig::plan::RunPlan;
use refig::processor::{Instructions, Processor};
use refig::record::parquet::{read_evaluations, read_iterations};
use refig::record::{Ending, Evaluation, Iteration, Views};
use refig::run::{pack, unpack};
use refig::train::{Observer, Phase, Signal, Stop};

/// The smoke profile at a scale for a test.
const CHANGES: [&str; 11] = [
    "recipe.iterations=2",
    "recipe.drops=[1]",
    "recipe.batch=8",
    "recipe.image_size=32",
    "recipe.crop.shorter_side=[36, 68]",
    "recipe.crop.test_side=36",
    "recipe.evaluation.interval=2",
    "recipe.evaluation.statistics_images=16",
    "recipe.evaluation.statistics_batch=8",
    "recipe.evaluation.clean_images=8",
    "recipe.evaluation.scales=[32, 64]",
];

/// What happens in the middle of the final test.
enum Middle {
    Nothing,
    /// The run's folder is copied here, as a kill would leave it.
    Copy(PathBuf),
    /// In the middle of the pass of this number, from 1 on.
    Stop(usize),
}

struct Watch {
    middle: Middle,
    run: PathBuf,
    last: u64,
    stop: Stop,
    /// Whether training is over.
    trained: bool,
    /// Images that each pass of the final test began after.
    began: Vec<u64>,
    seen: u64,
    warnings: Vec<String>,
}

impl Observer for Watch {
    fn kept(&mut self, iteration: u64) {
        self.trained |= iteration == self.last;
    }

    fn phase(&mut self, phase: Phase, done: u64, total: u64) {
        if !self.trained || phase != Phase::Test {
            return;
        }
        if done < self.seen {
            self.began.push(done);
        }
        self.seen = done;
        if 0 < done && done < total {
            match std::mem::replace(&mut self.middle, Middle::Nothing) {
                Middle::Copy(to) => copy(&self.run, &to),
                Middle::Stop(pass) if self.began.len() == pass => {
                    self.stop.request(Signal::Terminate);
                }
                later => self.middle = later,
            }
        }
    }
}

impl RunsObserver for Watch {
    fn begin(&mut self, _: &RunPlan, _: usize, start: Start) {
        self.trained = start == Start::At(self.last);
    }

    fn warn(&mut self, text: &str) {
        self.warnings.push(text.into());
    }
}

/// More validation pictures than are tested at once, of two shapes.
fn pictures(root: &Path) {
    for (part, pictures) in [("train", 0..30), ("val", 30..180)] {
        for seed in pictures {
            let class = format!("n{:08}", seed % 6);
            let folder = root.join(part).join(&class);
            std::fs::create_dir_all(&folder).unwrap();
            let bytes = jpeg(60 + 8 * (seed as u16 % 2), 48, seed);
            std::fs::write(folder.join(format!("{class}_{seed}.JPEG")), bytes).unwrap();
        }
    }
}

struct Scene {
    cache: tempfile::TempDir,
    _set: tempfile::TempDir,
    dataset: DataSet,
    plan: RunPlan,
}

impl Scene {
    fn new() -> Self {
        let [cache, set] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        pictures(set.path());
        let changes = CHANGES.map(String::from);
        let fig4 = Experiment::load(Path::new("experiments/fig4.toml"), "smoke", &changes).unwrap();
        let request = PictureRequest {
            dir: Some(set.path().to_owned()),
            cache: cache.path().to_owned(),
            allow_synthetic: false,
            skip_unreadable: false,
        };
        let dataset = open_pictures(&request, &mut |_| Ok(())).unwrap();
        let entry = fig4.network("plain-18").unwrap();
        let entry = entry.with_classes(dataset.classes());
        let processor = Processor::Cpu(Instructions::detect());
        let plan = RunPlan::new(&entry, 1, "smoke", &dataset.digest(), processor).unwrap();
        Self {
            cache,
            _set: set,
            dataset,
            plan,
        }
    }

    /// The run's folder in a folder of results.
    fn run(&self, results: &Path) -> PathBuf {
        results.join(self.plan.folder())
    }

    /// Makes what is left of the run.
    fn go(&self, results: &Path, every: Duration, middle: Middle) -> (Ending, Watch) {
        let options = Options {
            results_dir: results.to_owned(),
            fresh: false,
            take_over: false,
            experiment: "fig4".into(),
            overrides: vec![],
            gpu: 0,
            moved_to: None,
            threads: 2,
            keep: None,
            workers: 1,
            keep_every: every,
            cache: self.cache.path().to_owned(),
        };
        let mut watch = Watch {
            middle,
            run: self.run(results),
            last: self.plan.recipe.iterations,
            stop: Stop::new(),
            trained: false,
            began: Vec::new(),
            seen: u64::MAX,
            warnings: Vec::new(),
        };
        let (runs, stop) = (std::slice::from_ref(&self.plan), watch.stop.clone());
        let ended = run_all(runs, self.dataset.clone(), &options, &stop, &mut watch).unwrap();
        (ended[0].ending, watch)
    }

    /// Everything recorded but the seconds.
    fn recorded(&self, results: &Path) -> (Vec<Iteration>, Vec<Evaluation>, Vec<u8>) {
        let run = self.run(results);
        assert!(!run.join("views.json").exists(), "the run is done");
        let mut iterations = read_iterations(&run.join("iterations.parquet")).unwrap();
        iterations.iter_mut().for_each(|row| row.seconds = 0.0);
        let evaluations = read_evaluations(&run.join("evaluations.parquet")).unwrap();
        let weights = std::fs::read(run.join("weights.safetensors")).unwrap();
        (iterations, evaluations, weights)
    }
}

#[test]
fn interrupted_in_its_middle_it_goes_on_to_the_same_numbers() {
    let scene = Scene::new();
    let [whole, killed, moved] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let (whole, killed, moved) = (whole.path(), killed.path(), moved.path());
    let hour = Duration::from_secs(3600);
    // What a kill leaves is as old as the last keeping, here after every batch.
    let as_killed = Middle::Copy(scene.run(killed));
    let (ending, watch) = scene.go(whole, Duration::ZERO, as_killed);
    assert_eq!((ending, &watch.began[..]), (Ending::Finished, &[0, 0][..]));
    let expected = scene.recorded(whole);
    let views: Vec<Views> = expected.1.iter().map(|row| row.views).collect();
    assert!(views.ends_with(&[Views::TenCrop, Views::MultiScale]));

    // On another machine.
    let (tar, kept) = (moved.join("run.tar"), scene.run(killed).join("views.json"));
    pack(killed, &scene.run(killed), &tar).unwrap();
    let unpacked = unpack(&tar, &moved.join("results")).unwrap();
    let bytes = std::fs::read(&kept).unwrap();
    assert_eq!(
        std::fs::read(unpacked.folder.join("views.json")).unwrap(),
        bytes
    );

    // Damaged, as an older version leaves it, and whole.
    let in_middle = |began: &[u64]| began[0] > 0;
    let mut damaged = bytes.clone();
    let digit = bytes.iter().rposition(u8::is_ascii_digit).unwrap();
    damaged[digit] ^= 1;
    for (left, warnings, goes_on) in [
        (Some(&damaged), 1, false),
        (None, 0, false),
        (Some(&bytes), 0, true),
    ] {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        copy(&scene.run(killed), &scene.run(place));
        match left {
            Some(left) => std::fs::write(scene.run(place).join("views.json"), left).unwrap(),
            None => std::fs::remove_file(scene.run(place).join("views.json")).unwrap(),
        }
        let (ending, watch) = scene.go(place, hour, Middle::Nothing);
        assert_eq!(ending, Ending::Finished);
        assert_eq!(watch.warnings.len(), warnings, "{:?}", watch.warnings);
        assert_eq!(in_middle(&watch.began), goes_on, "{:?}", watch.began);
        assert!(scene.recorded(place) == expected);
    }

    // A stop keeps what is done, however short ago the last keeping was: in the middle of either pass.
    for pass in [1, 2] {
        let stopped = tempfile::tempdir().unwrap();
        let stopped = stopped.path();
        let (ending, watch) = scene.go(stopped, hour, Middle::Stop(pass));
        assert_eq!((ending, watch.began.len()), (Ending::Partial, pass));
        let (ending, watch) = scene.go(stopped, hour, Middle::Nothing);
        assert_eq!(ending, Ending::Finished);
        assert!(in_middle(&watch.began), "{:?}", watch.began);
        assert_eq!(watch.began.len(), 3 - pass);
        assert!(scene.recorded(stopped) == expected);
    }
}
