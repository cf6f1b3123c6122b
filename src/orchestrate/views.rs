//! The final test of a run with several views of each image: ten crops (Tables 2 and 3), or the whole image at several scales
//! (Table 4).

use anyhow::Result;

use super::tallies::Tallies;
use crate::data::imagenet::{self, Pictures};
use crate::data::{self, Batch};
use crate::engine::{self, Engine, Hyperparameters, Statistics, Tally};
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

/// Scale and engine of some views.
struct Scale {
    side: u32,
    /// Another engine, where the image size is not the training's.
    engine: Option<Box<dyn Engine>>,
}

/// As [`several_views`], after estimating the population statistics.
///
/// # Errors
/// Errors of the data and the engine, and of keeping the tallies.
pub(super) fn final_views(
    engine: &mut dyn Engine,
    pictures: &Pictures,
    run: &Viewed<'_>,
    options: &engine::Options,
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
    several_views(engine, pictures, run, options, tallies, stop, observer)
}

/// The errors of several views; none if stopped. Population statistics are those of the last estimate. Goes on from `tallies`.
///
/// # Errors
/// Errors of the data and the engine, and of keeping the tallies.
pub(super) fn several_views(
    engine: &mut dyn Engine,
    pictures: &Pictures,
    run: &Viewed<'_>,
    options: &engine::Options,
    tallies: &mut Tallies<'_>,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> Result<Option<Vec<Evaluation>>> {
    let mut rows = Vec::new();
    for views in run.views {
        let (name, kind, mut scales) = match views {
            FinalViews::TenCrop => {
                let side = pictures.test_side();
                let scale = Scale { side, engine: None };
                (Views::TenCrop, imagenet::Views::TenCrops, vec![scale])
            }
            FinalViews::MultiScale => {
                let sides = run.recipe.evaluation.scales.iter();
                let scales = sides
                    .map(|&side| at(engine, run, options, side))
                    .collect::<Result<_>>()?;
                (Views::MultiScale, imagenet::Views::Whole, scales)
            }
        };
        let test = (name, kind, &mut scales[..]);
        let Some(tally) = tally(engine, pictures, run, test, tallies, stop, observer)? else {
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

/// The network at another image size, with the statistics that are asked for as moving averages: after global average
/// pooling, a network takes images of any size.
fn at(
    engine: &mut dyn Engine,
    run: &Viewed<'_>,
    options: &engine::Options,
    side: u32,
) -> Result<Scale> {
    let hyper = Hyperparameters::from(run.recipe);
    let mut other = engine::create(run.network, side as usize, &hyper, options)?;
    let mut state = engine.state(false)?;
    if run.statistics == record::Statistics::Population {
        state.tensors.extend(engine.population()?.tensors);
    }
    other.restore(&state)?;
    Ok(Scale {
        side,
        engine: Some(other),
    })
}

fn tally(
    engine: &mut dyn Engine,
    pictures: &Pictures,
    run: &Viewed<'_>,
    (name, views, scales): (Views, imagenet::Views, &mut [Scale]),
    tallies: &mut Tallies<'_>,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> Result<Option<Tally>> {
    let images: Vec<u32> = (0..pictures.len(Split::Test) as u32).collect();
    let average = run.recipe.evaluation.view_average;
    let statistics = match run.statistics {
        record::Statistics::Population => Statistics::Population,
        record::Statistics::Moving => Statistics::Moving,
    };
    let mut sum = tallies.begun(name, images.len());
    let mut batches = Vec::new();
    // Larger pictures take more memory, which nothing else has needed.
    let crop = run.recipe.image_size;
    let sides = scales.iter().map(|scale| views.size(crop, scale.side));
    let largest = sides.max().unwrap_or(crop).max(crop);
    let at_once = (EVALUATION_BATCH * crop * crop / (largest * largest)).max(1);
    // All views in their order, each with the place of its scale.
    let (mut places, mut all) = (Vec::new(), Vec::new());
    for (place, scale) in scales.iter().enumerate() {
        for number in 0..views.draws(scale.side, 0).len() {
            places.push(place);
            all.push((views, scale.side, number));
        }
    }
    // Views that are made of one decoding of each image.
    let together = (MOST_BYTES / (3 * largest * largest * at_once)).max(1);
    for chunk in images[sum.images as usize..].chunks(at_once) {
        observer.phase(Phase::Test, sum.images, images.len() as u64);
        let mut scores = Scores::new(average, chunk.len(), run.network.classes);
        for (places, all) in places.chunks(together).zip(all.chunks(together)) {
            if stop.requested().is_some() {
                return Ok(None);
            }
            // Crops as bytes, a quarter of their pixels, whether or not the device normalises them.
            pictures.views(Split::Test, chunk, all, &mut batches)?;
            for (&place, batch) in places.iter().zip(&batches) {
                if stop.requested().is_some() {
                    return Ok(None);
                }
                let logits = match &mut scales[place].engine {
                    Some(engine) => engine.logits(batch, Statistics::Moving)?,
                    None => engine.logits(batch, statistics)?,
                };
                scores.add(0, &logits)?;
            }
        }
        let labels = batches
            .first()
            .map_or(&[][..], |batch| batch.labels.as_slice());
        let tally = scores.tally(labels)?;
        sum.images += tally.images;
        sum.loss += tally.loss;
        sum.wrong += tally.wrong;
        sum.wrong_top5 += tally.wrong_top5;
        tallies.advance(name, sum)?;
    }
    Ok(Some(sum))
}
