//! The loop on the fake engine: images, mini-batches and a recipe.

use std::time::Duration;

use refig::data::{Batch, ImageSet, ImageSize};
use refig::origin::DataName;
use refig::recipe::{EvaluationRecipe, Recipe};
use refig::record::{Ending, Split};
use refig::train::{LoopState, MiniBatches, Observer, Required, Stop, Training, TrainingData};

use super::fake::{Fake, Memory};

const TRAIN: usize = 1000;
const TEST: usize = 300;

fn images(count: usize) -> ImageSet {
    ImageSet {
        size: 1,
        pixels: (0..3 * count).map(|at| (at * 37 % 251) as u8).collect(),
        labels: (0..count).map(|at| (at % 10) as u16).collect(),
        digest: String::new(),
    }
}

fn batch(set: &ImageSet, indices: &[u32]) -> Batch {
    Batch {
        pixels: indices
            .iter()
            .map(|&at| f32::from(set.pixels[3 * at as usize]) / 255.0)
            .collect(),
        labels: indices.iter().map(|&at| set.labels[at as usize]).collect(),
        size: ImageSize::square(set.size),
        ..Batch::default()
    }
}

pub fn recipe(iterations: u64, interval: u64) -> Recipe {
    Recipe {
        batch: 10,
        iterations,
        drops: vec![8, 11],
        evaluation: EvaluationRecipe {
            interval,
            statistics_images: 250,
            statistics_batch: 100,
            clean_images: 200,
            ..EvaluationRecipe::default()
        },
        ..Recipe::default()
    }
}

/// Ten neighbours, a step further at each iteration.
struct Walk<'a> {
    train: &'a ImageSet,
    at: u32,
    fails_at: Option<u32>,
}

impl MiniBatches for Walk<'_> {
    fn next(&mut self) -> anyhow::Result<Batch> {
        self.at += 1;
        anyhow::ensure!(self.fails_at != Some(self.at), "pixel 7 is missing");
        let indices: Vec<u32> = (0..10).map(|n| (self.at * 13 + n) % TRAIN as u32).collect();
        Ok(batch(self.train, &indices))
    }
}

pub struct Scene {
    pub recipe: Recipe,
    pub stop: Stop,
    pub keep_every: Duration,
    pub test_images: Option<usize>,
    /// The mini-batch that cannot be had.
    pub fails_at: Option<u32>,
}

impl Scene {
    pub fn new(recipe: Recipe) -> Self {
        Self {
            recipe,
            stop: Stop::new(),
            keep_every: Duration::from_secs(3600),
            test_images: Some(TEST),
            fails_at: None,
        }
    }

    pub fn run(
        &self,
        engine: &mut Fake,
        memory: &mut Memory,
        from: LoopState,
        observer: &mut dyn Observer,
    ) -> anyhow::Result<Ending> {
        let (train, test) = (images(TRAIN), images(TEST));
        let mut batches = Walk {
            train: &train,
            at: from.iteration as u32,
            fails_at: self.fails_at,
        };
        Training {
            engine,
            data: TrainingData {
                batches: &mut batches,
                training_images: train.len(),
                test_images: test.len(),
                required: self.test_images.map(|images| Required {
                    of: DataName::Imagenet,
                    images,
                }),
                batch: &|split, indices| {
                    let images = match split {
                        Split::Train => &train,
                        Split::Test => &test,
                    };
                    Ok(batch(images, indices))
                },
                statistics_batch: &|indices| Ok(batch(&train, indices)),
                statistics: (0..250).collect(),
                clean: (500..700).collect(),
            },
            recipe: &self.recipe,
            keeper: memory,
            observer,
            stop: &self.stop,
            keep_every: self.keep_every,
        }
        .run(from)
    }
}
