//! `evaluate`: the test error of weights with torchvision's names.

use anyhow::Result;
use serde_json::Value;

use super::describe::network;
use super::{compute, dataset};
use crate::cli::{EvaluateArgs, Format, StatisticsArg};
use crate::data::{self, ImageSet, Normaliser};
use crate::engine::{self, Engine, Hyperparameters, Statistics, Tally};
use crate::exit::Exit;
use crate::outln;
use crate::random::Purpose;
use crate::recipe::{Normalisation, Pooling, Recipe};
use crate::train::Stop;
use crate::weights::Weights;

/// Images per forward pass.
const BATCH: usize = 100;
/// Training images for population statistics.
const STATISTICS_IMAGES: usize = 10_000;

/// `refig evaluate NETWORK --weights FILE`.
pub fn run(args: &EvaluateArgs, quiet: bool, stop: &Stop) -> Result<Exit> {
    let mut options = args.options.clone();
    // The images are CIFAR-10's, so depths that are also in Table 1 mean the CIFAR network.
    options.image_size.get_or_insert(32);
    let (network, image_size) = network(&args.network, &options)?;
    let weights = Weights::load(&args.weights)?;
    let metadata: Value = serde_json::from_str(&weights.metadata).unwrap_or(Value::Null);
    let recipe = Recipe {
        normalisation: normalisation(args, &metadata)?,
        image_size,
        ..Recipe::default()
    };
    if let Some(size) = metadata["image_size"].as_u64()
        && size != recipe.image_size as u64
    {
        return Err(Exit::Usage.error(format!(
            "{}: trained on images of {size} pixels; add --image-size {size}",
            args.weights.display()
        )));
    }
    let statistics = match args.statistics {
        Some(StatisticsArg::Population) => Statistics::Population,
        Some(StatisticsArg::Moving) => Statistics::Moving,
        None if metadata["statistics"] == "population" => Statistics::Population,
        None => Statistics::Moving,
    };
    let options = compute::options(&args.compute)?;
    let mut engine = engine::create(
        &network,
        recipe.image_size,
        &Hyperparameters::from(&recipe),
        &options,
    )?;
    engine.restore(&weights)?;
    let opened = dataset::open(&dataset::request(&args.data), quiet, stop)?;
    let (train, test) = opened.for_recipe(&recipe)?;
    let normaliser = Normaliser::fit(&train, recipe.normalisation);
    if statistics == Statistics::Population {
        gather(engine.as_mut(), &train, &normaliser, stop)?;
    }
    let all: Vec<u32> = (0..test.len() as u32).collect();
    let mut sum = Tally::default();
    for chunk in all.chunks(BATCH) {
        check_stop(stop)?;
        let tally = engine.evaluate(&data::batch(&test, &normaliser, chunk), statistics)?;
        sum.images += tally.images;
        sum.loss += tally.loss;
        sum.wrong += tally.wrong;
        sum.wrong_top5 += tally.wrong_top5;
    }
    let images = sum.images.max(1) as f64;
    let percent = |count: u64| 100.0 * count as f64 / images;
    let statistics = match statistics {
        Statistics::Moving => "moving",
        Statistics::Population => "population",
    };
    match args.format {
        Format::Json => outln!(
            "{}",
            serde_json::json!({
                "network": network.name,
                "data": opened.origin.name(),
                "images": sum.images,
                "statistics": statistics,
                "error": percent(sum.wrong),
                "top5_error": percent(sum.wrong_top5),
                "loss": sum.loss / images,
            })
        ),
        Format::Text => outln!(
            "{} on {}: {:.2} % test error, {:.2} % top-5, loss {:.4} ({} images, {statistics} statistics)",
            network.name,
            opened.origin.name(),
            percent(sum.wrong),
            percent(sum.wrong_top5),
            sum.loss / images,
            sum.images
        ),
    }
    Ok(Exit::Success)
}

/// The normalisation from the flag, the file, or the paper, in this order.
fn normalisation(args: &EvaluateArgs, metadata: &Value) -> Result<Normalisation> {
    let named = args
        .normalisation
        .clone()
        .or_else(|| metadata["normalisation"].as_str().map(String::from));
    let Some(name) = named else {
        return Ok(Recipe::default().normalisation);
    };
    serde_json::from_value(Value::String(name.clone())).map_err(|_| {
        Exit::Usage.error(format!(
            "unknown normalisation `{name}`; use per-pixel-mean or channel-mean-std"
        ))
    })
}

fn gather(
    engine: &mut dyn Engine,
    train: &ImageSet,
    normaliser: &Normaliser,
    stop: &Stop,
) -> Result<()> {
    engine.begin_population()?;
    let sample = data::sample(train.len(), STATISTICS_IMAGES, 0, Purpose::Statistics);
    for chunk in sample.chunks(BATCH) {
        check_stop(stop)?;
        engine.add_population(&data::batch(train, normaliser, chunk))?;
    }
    engine.finish_population(Pooling::Average)
}

fn check_stop(stop: &Stop) -> Result<()> {
    match stop.requested() {
        Some(signal) => Err(signal.exit().error("stopped before the last image")),
        None => Ok(()),
    }
}
