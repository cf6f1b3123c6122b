//! Times the loader of pictures, by itself or in turn with PyTorch's on the same files.
//!
//! PyTorch's side is `benches/torchvision_loader.py`: a `DataLoader` with a worker for each thread, whose pictures are decoded
//! and scaled by torchvision, or by Pillow.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::contender::{Contender, PAUSE, remedy};
use super::step::{forget_peak_memory, peak_memory_mb};
use super::{median, percent};
use crate::counted::counted;
use crate::data::imagenet::{Decoding, Pictures, Sample};
use crate::data::{self, DataSet, Order, PictureRequest, Progress, Report, RunImages};
use crate::exit::Exit;
use crate::recipe::{Crop, Recipe};
use crate::record::Split;

/// PyTorch's side, embedded because an installed program has no source folder.
const SCRIPT: &str = include_str!("../../benches/torchvision_loader.py");
const SCRIPT_NAME: &str = "torchvision_loader.py";

/// What decodes and scales pictures on PyTorch's side, as the script is asked for it.
const DECODERS: [&str; 2] = ["torchvision", "pillow"];

/// Images whose preparation is timed part by part, and how many of these are decoded again to see what takes how long.
const PHASE_IMAGES: usize = 200;
const DECODED_IMAGES: usize = 50;
/// The smallest crop.
const LEAST_SIZE: usize = 32;
const SEED: u64 = 0;

/// The files that are read.
#[derive(Clone, Debug)]
pub enum Files {
    /// Copies of training images.
    Of(DataSet),
    /// So many photographs that are made for it.
    Synthetic(usize),
}

/// What to time, and how.
#[derive(Clone, Debug)]
pub struct PictureBench {
    /// Width and height of the crops.
    pub size: usize,
    /// Images per mini-batch.
    pub batch: usize,
    /// Mini-batches per turn.
    pub batches: usize,
    /// Turns of each side.
    pub pairs: usize,
    pub threads: usize,
    /// Path of a Python that has PyTorch and torchvision, to take turns with.
    pub python: Option<PathBuf>,
}

/// A part of the preparation of an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Phase {
    pub name: &'static str,
    /// Milliseconds per image, on one thread.
    pub ms: f64,
    /// Its share of the whole.
    pub share: f64,
}

/// PyTorch's loader with one of its decoders.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Opponent {
    pub decoder: &'static str,
    /// Median over the turns.
    pub images_per_second: f64,
    /// Our images/s divided by its, pair by pair.
    pub ratios: Vec<f64>,
    /// Median of `ratios`.
    pub ratio: f64,
}

/// The results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PicturesReport {
    /// Name of the processor.
    pub processor: String,
    /// What the images were copied from, or made to be.
    pub data: String,
    /// Different images per turn.
    pub images: usize,
    pub size: usize,
    pub batch: usize,
    pub batches: usize,
    pub threads: usize,
    pub pairs: usize,
    /// Median over the turns.
    pub images_per_second: f64,
    /// Of this process while it prepared mini-batches, in MB of 2^20 bytes, if the system tells.
    pub peak_memory_mb: Option<f64>,
    pub phases: Vec<Phase>,
    /// What takes how much of the time of decoding, if there were files of which this can be told.
    pub decoding: Option<Decoding>,
    /// Versions on the other side.
    pub pytorch: Option<String>,
    pub opponents: Vec<Opponent>,
    /// Our images/s divided by those of the fastest opponent.
    pub ratio: Option<f64>,
}

/// The script's answer.
#[derive(Debug, Deserialize)]
struct Turn {
    versions: String,
    images_per_second: f64,
}

impl PictureBench {
    /// Copies or makes images, so that both sides read the same files, and times their preparation. `processor` is the name for
    /// the report; `progress` gets a note for each pair.
    ///
    /// # Errors
    /// [`Exit::Usage`] for a size that no crop can have, or if there is nothing to measure; [`Exit::Missing`] if the other
    /// side does not run, with what is missing; those of the data and of `progress`.
    pub fn measure(
        &self,
        files: &Files,
        processor: &str,
        progress: &mut Report,
    ) -> Result<PicturesReport> {
        self.check()?;
        let batches = match self.python {
            // Each of PyTorch's workers prepares whole mini-batches: all get as many.
            Some(_) => self.batches.next_multiple_of(self.threads),
            None => self.batches,
        };
        let place = std::env::temp_dir();
        let (sample, data) = match files {
            Files::Of(dataset) => {
                let DataSet::Pictures { collection, .. } = dataset else {
                    return Err(Exit::Usage.error("bench loader times the loader of pictures, not of CIFAR-10; name ImageNet or a part of it with --data-dir"));
                };
                let count = self.batch * batches;
                let sample = Sample::copy(collection, count, &place, progress)?;
                (sample, dataset.description())
            }
            Files::Synthetic(count) => {
                let sample = Sample::photographs(*count, &place, progress)?;
                (sample, Sample::description(*count))
            }
        };
        let recipe = Recipe {
            batch: self.batch,
            image_size: self.size,
            crop: Some(Crop::default()),
            ..Recipe::default()
        };
        let images = images(&sample, &recipe, self.threads, progress)?;
        let RunImages::Pictures(pictures) = &images else {
            return Err(Exit::Internal.error("pictures were opened as images in memory"));
        };
        let (phases, decoding) = phases(pictures, &recipe)?;
        forget_peak_memory();
        // To begin with, a turn each that does not count.
        self.turn(&images, &recipe, batches, 0)?;
        let mut theirs = match &self.python {
            Some(python) => {
                let script = script(&sample)?;
                let started = self.python(python, &script, &sample, batches);
                progress(Progress::Waiting)?;
                Some(started.map_err(|error| remedy(&error, python))?)
            }
            None => None,
        };
        let (mut rates, mut versions) = (Vec::new(), None);
        let mut opponents: Vec<(&'static str, Vec<f64>)> = match theirs {
            Some(_) => DECODERS.map(|decoder| (decoder, Vec::new())).into(),
            None => Vec::new(),
        };
        for pair in 1..=self.pairs {
            let rate = self.turn(&images, &recipe, batches, pair)?;
            let mut note = format!("pair {pair} of {}: {rate:.0} images/s", self.pairs);
            if let Some(theirs) = &mut theirs {
                for (decoder, their_rates) in &mut opponents {
                    let turn: Result<Turn> = theirs.turn(decoder);
                    // A signal ends both sides, and is not the other side's failure.
                    progress(Progress::Waiting)?;
                    let turn = turn?;
                    note += &format!(", {decoder} {:.0}", turn.images_per_second);
                    their_rates.push(turn.images_per_second);
                    versions = Some(turn.versions);
                }
            }
            rates.push(rate);
            progress(Progress::Note(note))?;
        }
        let opponents: Vec<Opponent> = opponents
            .into_iter()
            .map(|(decoder, theirs)| Opponent::new(decoder, &rates, &theirs))
            .collect();
        Ok(PicturesReport {
            processor: processor.into(),
            data,
            images: sample.count,
            size: self.size,
            batch: self.batch,
            batches,
            threads: self.threads,
            pairs: self.pairs,
            images_per_second: median(&rates),
            peak_memory_mb: peak_memory_mb(),
            phases,
            decoding,
            pytorch: versions,
            ratio: opponents
                .iter()
                .map(|opponent| opponent.ratio)
                .min_by(f64::total_cmp),
            opponents,
        })
    }

    /// Refuses what cannot be measured, before any data is opened.
    ///
    /// # Errors
    /// [`Exit::Usage`].
    pub fn check(&self) -> Result<()> {
        let most = Crop::default().shorter_side[0] as usize;
        if !(LEAST_SIZE..=most).contains(&self.size) {
            return Err(Exit::Usage.error(format!(
                "--size {}: crops have {LEAST_SIZE} to {most} pixels",
                self.size
            )));
        }
        if self.batch == 0 || self.batches == 0 || self.pairs == 0 || self.threads == 0 {
            return Err(Exit::Usage.error(format!(
                "{} of {} of {} on {} leave nothing to measure; each must be at least 1",
                counted(self.pairs, "pair"),
                counted(self.batches, "mini-batch"),
                counted(self.batch, "image"),
                counted(self.threads, "thread")
            )));
        }
        Ok(())
    }

    /// Images per second of turn number `turn`, from a loader that has prepared nothing yet.
    fn turn(
        &self,
        images: &RunImages,
        recipe: &Recipe,
        batches: usize,
        turn: usize,
    ) -> Result<f64> {
        thread::sleep(PAUSE);
        let first = (turn * batches) as u64;
        let start = Instant::now();
        let mut loader = images.batches(recipe, SEED, first, self.threads, false)?;
        for _ in 0..batches {
            let batch = loader.next()?;
            loader.recycle(batch);
        }
        Ok((self.batch * batches) as f64 / start.elapsed().as_secs_f64())
    }

    /// The other side, after a turn with each decoder, in which its workers start.
    fn python(
        &self,
        python: &Path,
        script: &Path,
        sample: &Sample,
        batches: usize,
    ) -> Result<Contender> {
        let mut command = Command::new(python);
        command
            .arg(script)
            .arg("--data-dir")
            .arg(sample.images().join("train"));
        for (name, number) in [
            ("--batch", self.batch),
            ("--batches", batches),
            ("--threads", self.threads),
            ("--size", self.size),
        ] {
            command.arg(name).arg(number.to_string());
        }
        command.arg("--serve");
        let mut contender = Contender::start(&python.display().to_string(), command)?;
        for decoder in DECODERS {
            let _: Turn = contender.turn(decoder)?;
        }
        Ok(contender)
    }
}

/// Writes PyTorch's side beside the images: a file, because its workers import it.
fn script(sample: &Sample) -> Result<PathBuf> {
    let path = sample.root().join(SCRIPT_NAME);
    match std::fs::write(&path, SCRIPT) {
        Ok(()) => Ok(path),
        Err(error) => Err(Exit::Storage.error(format!(
            "cannot write {}: {error}; name another folder for temporary files with TMPDIR",
            path.display()
        ))),
    }
}

/// Opens the copied images. Their index and mean image are removed with them.
fn images(
    sample: &Sample,
    recipe: &Recipe,
    threads: usize,
    progress: &mut Report,
) -> Result<RunImages> {
    let cache = sample.root().join("cache");
    let mut silent = |_: Progress| progress(Progress::Waiting);
    let request = PictureRequest::new(Some(&sample.images()), &cache);
    let opened = data::open_pictures(&request, &mut silent)?;
    opened.for_recipe(recipe, &cache, threads, &mut silent)
}

/// The parts of the preparation of an image, and those of decoding.
fn phases(pictures: &Pictures, recipe: &Recipe) -> Result<(Vec<Phase>, Option<Decoding>)> {
    let recipe = Recipe {
        batch: PHASE_IMAGES,
        ..recipe.clone()
    };
    let mut spots = Vec::new();
    Order::new(pictures.len(Split::Train), &recipe, SEED)?.spots(0, &mut spots);
    let found = pictures.phases(SEED, &spots)?;
    let whole = found.read + found.decode + found.resize + found.rest;
    let phase = |name, seconds: f64| Phase {
        name,
        ms: 1e3 * seconds / spots.len() as f64,
        share: seconds / whole,
    };
    let phases = vec![
        phase("read", found.read),
        phase("decode", found.decode),
        phase("resize", found.resize),
        phase("rest", found.rest),
    ];
    spots.truncate(DECODED_IMAGES);
    Ok((phases, pictures.decoding(&spots)?))
}

impl Opponent {
    fn new(decoder: &'static str, ours: &[f64], theirs: &[f64]) -> Self {
        let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
        Self {
            decoder,
            images_per_second: median(theirs),
            ratio: median(&ratios),
            ratios,
        }
    }
}

impl PicturesReport {
    /// The results in words, with a Markdown table if there were opponents.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}, {}, {} x {} crops of {4}x{4} a turn; {5} from {6}\n",
            self.processor,
            counted(self.threads, "thread"),
            self.batches,
            self.batch,
            self.size,
            counted(self.images, "training image"),
            self.data
        );
        text += &format!(
            "  images {:>9.0} /s in the median turn of {}\n",
            self.images_per_second, self.pairs
        );
        if let Some(memory) = self.peak_memory_mb {
            text += &format!("  memory {memory:>9.0} MB peak resident\n");
        }
        for phase in &self.phases {
            let what = match phase.name {
                "decode" => ": entropy decoding and inverse DCT, which the decoder does together",
                "resize" => ": scaling, cropping and mirroring, which are one step",
                "rest" => ": colour and normalisation",
                _ => " from files in memory",
            };
            text += &format!(
                "  {:<6} {:>9.3} ms an image on one thread, {}{what}\n",
                phase.name,
                phase.ms,
                percent(phase.share)
            );
            if let (Some(decoding), "decode") = (&self.decoding, phase.name) {
                text += &format!(
                    "         estimated from {} and copies that lack part of the work: {} entropy decoding, at least {} inverse DCT\n",
                    counted(decoding.images, "file"),
                    percent(decoding.entropy),
                    percent(decoding.transform)
                );
            }
        }
        if let Some(pytorch) = &self.pytorch {
            text += &format!(
                "\n| {pytorch}, decoding with | images/s | ratio (lowest-highest) |\n|---|--:|--:|\n"
            );
        }
        for opponent in &self.opponents {
            let low = opponent
                .ratios
                .iter()
                .copied()
                .fold(f64::INFINITY, f64::min);
            let high = opponent.ratios.iter().copied().fold(0.0, f64::max);
            text += &format!(
                "| {} | {:.0} | {:.2} ({low:.2}-{high:.2}) |\n",
                opponent.decoder, opponent.images_per_second, opponent.ratio
            );
        }
        if let Some(ratio) = self.ratio {
            text += &format!(
                "\n{ratio:.2} times the images/s of the faster one, the median of {}\n",
                counted(self.pairs, "pair")
            );
        }
        text
    }
}
