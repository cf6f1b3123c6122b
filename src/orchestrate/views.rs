//! The final test of a run with several views of each image: ten crops (Tables 2 and 3), or the whole image at several scales
//! (Table 4), of which the network makes one answer each: it is fully convolutional.

use std::ops::Range;

use anyhow::Result;

use super::tallies::Tallies;
use crate::data::imagenet::{Pictures, View};
use crate::data::{self, Batch, ImageSize};
use crate::engine::{Engine, Statistics, Tally};
use crate::network::Network;
use crate::plan::RunPlan;
use crate::random::Purpose;
use crate::recipe::{FinalViews, Recipe};
use crate::record::{self, Evaluation, Split, Views};
use crate::train::{
    EVALUATION_BATCH, EvaluationData, Observer, Phase, Scores, Stop, estimate_statistics,
};

/// The most bytes of crops that wait for the network: ten of each image of a batch at the paper's size.
const MOST_BYTES: usize = 200 << 20;

/// Images whose sizes are looked up before it is asked whether to stop.
const HEADERS: usize = 1024;

/// What is tested with several views, and how.
pub(super) struct Viewed<'a> {
    pub network: &'a Network,
    pub recipe: &'a Recipe,
    pub seed: u64,
    pub views: &'a [FinalViews],
    pub statistics: record::Statistics,
    /// Updates before the test.
    pub iteration: u64,
}

impl<'a> From<&'a RunPlan> for Viewed<'a> {
    /// A run at its end.
    fn from(run: &'a RunPlan) -> Self {
        Self {
            network: &run.network,
            recipe: &run.recipe,
            seed: run.seed,
            views: &run.recipe.evaluation.final_views,
            statistics: record::Statistics::Population,
            iteration: run.recipe.iterations,
        }
    }
}

/// As [`several_views`], after estimating the population statistics.
///
/// # Errors
/// Errors of the data and the engine, and of keeping the tallies.
pub(super) fn final_views(
    engine: &mut dyn Engine,
    pictures: &Pictures,
    run: &Viewed<'_>,
    tallies: &mut Tallies<'_>,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> Result<Option<Vec<Evaluation>>> {
    let recipe = &run.recipe.evaluation;
    if run.views.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let training = pictures.len(Split::Train);
    let count = recipe.statistics_images;
    let on_device = engine.normalises();
    let data = EvaluationData {
        test_images: pictures.len(Split::Test),
        batch: &|split, indices| plain(pictures, split, indices, on_device),
        statistics_batch: &|indices| {
            let (augmented, mut batch) = (recipe.statistics_augmented, Batch::default());
            pictures.for_statistics(augmented, run.seed, indices, on_device, &mut batch)?;
            Ok(batch)
        },
        sample: &data::sample(training, count, run.seed, Purpose::Statistics),
        clean: &[],
        statistics: &[record::Statistics::Population],
    };
    if !estimate_statistics(engine, &data, recipe, stop, observer)? {
        return Ok(None);
    }
    several_views(engine, pictures, run, tallies, stop, observer)
}

/// The errors of several views; none if stopped. Population statistics are those of the last estimate. Goes on from `tallies`.
///
/// # Errors
/// Errors of the data and the engine, and of keeping the tallies.
pub(super) fn several_views(
    engine: &mut dyn Engine,
    pictures: &Pictures,
    run: &Viewed<'_>,
    tallies: &mut Tallies<'_>,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> Result<Option<Vec<Evaluation>>> {
    let mut test = Test {
        engine,
        pictures,
        run,
        tallies,
        stop,
        observer: &mut *observer,
    };
    let mut rows = Vec::new();
    for views in run.views {
        let (name, tally) = match views {
            FinalViews::TenCrop => (Views::TenCrop, test.ten_crops()?),
            FinalViews::MultiScale => (Views::MultiScale, test.scales()?),
        };
        let Some(tally) = tally else {
            return Ok(None);
        };
        let share = |count: u64| 100.0 * count as f64 / tally.images.max(1) as f64;
        rows.push(Evaluation {
            iteration: run.iteration,
            split: Split::Test,
            statistics: run.statistics,
            views: name,
            images: tally.images,
            loss: tally.loss / tally.images.max(1) as f64,
            error: share(tally.wrong),
            top5_error: share(tally.wrong_top5),
        });
    }
    for row in &rows {
        observer.evaluation(row);
    }
    Ok(Some(rows))
}

fn plain(pictures: &Pictures, split: Split, indices: &[u32], on_device: bool) -> Result<Batch> {
    let mut batch = Batch::default();
    pictures.plain(split, indices, on_device, &mut batch)?;
    Ok(batch)
}

/// A network's test on pictures.
struct Test<'a, 'run> {
    engine: &'a mut dyn Engine,
    pictures: &'a Pictures,
    run: &'a Viewed<'a>,
    tallies: &'a mut Tallies<'run>,
    stop: &'a Stop,
    observer: &'a mut dyn Observer,
}

/// A test image, and how large it is at each scale.
struct Scaled {
    image: u32,
    sizes: Vec<ImageSize>,
}

impl Test<'_, '_> {
    /// The sums of ten crops; none if stopped.
    fn ten_crops(&mut self) -> Result<Option<Tally>> {
        let size = ImageSize::square(self.run.recipe.image_size);
        let all = View::ten_crops(self.pictures.test_side(), size);
        let images = self.images();
        let mut sum = self.tallies.begun(Views::TenCrop, images.len());
        let mut batches = Vec::new();
        // Views that are made of one decoding of each image.
        let together = (MOST_BYTES / (3 * size.pixels() * EVALUATION_BATCH)).max(1);
        for chunk in images[sum.images as usize..].chunks(EVALUATION_BATCH) {
            self.progress(sum.images, &images);
            let mut scores = self.scores(chunk);
            for views in all.chunks(together) {
                let views = views.iter().map(|&view| (0..chunk.len(), view));
                let views: Vec<(Range<usize>, View)> = views.collect();
                if !self.add(chunk, &views, &mut batches, &mut scores)? {
                    return Ok(None);
                }
            }
            let labels = self.pictures.labels(Split::Test, chunk);
            sum += scores.tally(&labels)?;
            self.tallies.advance(Views::TenCrop, sum)?;
        }
        Ok(Some(sum))
    }

    /// The sums of whole pictures at several scales; none if stopped. Images are taken in the order of their sizes, so that those
    /// of a size are computed together: whenever it changes, the engine allocates its activations anew. Losses are added
    /// one by one in this order.
    fn scales(&mut self) -> Result<Option<Tally>> {
        let recipe = self.run.recipe;
        let scales = &recipe.evaluation.scales;
        let images = self.images();
        let mut sum = self.tallies.begun(Views::MultiScale, images.len());
        self.progress(sum.images, &images);
        let Some(sorted) = self.sorted(&images, scales)? else {
            return Ok(None);
        };
        // As many pixels at once as other evaluations take.
        let most = EVALUATION_BATCH * recipe.image_size * recipe.image_size;
        let mut rest = &sorted[sum.images as usize..];
        let mut batches = Vec::new();
        while !rest.is_empty() {
            self.progress(sum.images, &images);
            let (chunk, behind) = rest.split_at(decoded_together(rest));
            let mut views = Vec::new();
            for (scale, &side) in scales.iter().enumerate() {
                let mut first = 0;
                for alike in chunk.chunk_by(|a, b| a.sizes[scale] == b.sizes[scale]) {
                    let size = alike[0].sizes[scale];
                    for batch in alike.chunks((most / size.pixels()).max(1)) {
                        let end = first + batch.len();
                        views.push((first..end, View::centre(side, size)));
                        first = end;
                    }
                }
            }
            let shown: Vec<u32> = chunk.iter().map(|scaled| scaled.image).collect();
            let mut scores = self.scores(&shown);
            if !self.add(&shown, &views, &mut batches, &mut scores)? {
                return Ok(None);
            }
            let labels = self.pictures.labels(Split::Test, &shown);
            for tally in scores.tallies(&labels)? {
                sum += tally;
            }
            self.tallies.advance(Views::MultiScale, sum)?;
            rest = behind;
        }
        Ok(Some(sum))
    }

    /// All images with their sizes at these scales, those of the same sizes next to one another; none if stopped.
    fn sorted(&self, images: &[u32], scales: &[u32]) -> Result<Option<Vec<Scaled>>> {
        let mut sorted = Vec::with_capacity(images.len());
        for chunk in images.chunks(HEADERS) {
            if self.stop.requested().is_some() {
                return Ok(None);
            }
            let stored = self.pictures.sizes(Split::Test, chunk)?;
            sorted.extend(chunk.iter().zip(stored).map(|(&image, stored)| {
                Scaled {
                    image,
                    sizes: scales
                        .iter()
                        .map(|&side| View::whole(side, stored).size)
                        .collect(),
                }
            }));
        }
        // By the largest scale first, which tells most apart. Images of the same sizes keep their order.
        sorted.sort_by(|a, b| a.sizes.iter().rev().cmp(b.sizes.iter().rev()));
        Ok(Some(sorted))
    }

    /// Adds views of images, each of a range of them, to their scores. False if stopped.
    fn add(
        &mut self,
        images: &[u32],
        views: &[(Range<usize>, View)],
        batches: &mut Vec<Batch>,
        scores: &mut Scores,
    ) -> Result<bool> {
        let statistics = match self.run.statistics {
            record::Statistics::Population => Statistics::Population,
            record::Statistics::Moving => Statistics::Moving,
        };
        if self.stop.requested().is_some() {
            return Ok(false);
        }
        // Crops as bytes, a quarter of their pixels, whether or not the device normalises them.
        self.pictures.views(Split::Test, images, views, batches)?;
        for ((range, _), batch) in views.iter().zip(&*batches) {
            if self.stop.requested().is_some() {
                return Ok(false);
            }
            let logits = self.engine.logits(batch, statistics)?;
            scores.add(range.start, &logits)?;
        }
        Ok(true)
    }

    fn images(&self) -> Vec<u32> {
        (0..self.pictures.len(Split::Test) as u32).collect()
    }

    fn scores(&self, images: &[u32]) -> Scores {
        let average = self.run.recipe.evaluation.view_average;
        Scores::new(average, images.len(), self.run.network.classes)
    }

    fn progress(&mut self, done: u64, images: &[u32]) {
        self.observer.phase(Phase::Test, done, images.len() as u64);
    }
}

/// How many of the first images are decoded together: as many as have no more than [`MOST_BYTES`] at all scales, at least one and
/// at most as many as of ten crops.
fn decoded_together(images: &[Scaled]) -> usize {
    let mut left = MOST_BYTES;
    let fit = images.iter().take(EVALUATION_BATCH).take_while(|image| {
        let bytes: usize = image.sizes.iter().map(|size| 3 * size.pixels()).sum();
        let fits = left.checked_sub(bytes);
        left = fits.unwrap_or(left);
        fits.is_some()
    });
    fit.count().max(1)
}
