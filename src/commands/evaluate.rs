//! `evaluate`: the test error of a run's weights, or of any weights with torchvision's names.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::describe::network;
use super::{compute, dataset};
use crate::cli::{EvaluateArgs, Format, StatisticsArg};
use crate::data::{self, DataSet};
use crate::engine::Options;
use crate::exit::Exit;
use crate::network::{Family, Network};
use crate::orchestrate::{self, Subject};
use crate::recipe::{Normalisation, Precision, Recipe, TrainingSplit};
use crate::record::{Ending, Evaluation, Statistics, Views};
use crate::run::{self, WeightsHeader};
use crate::train::{BOTH_STATISTICS, Stop};
use crate::weights::Weights;
use crate::{note, outln};

/// `refig evaluate --weights FILE [NETWORK]`.
pub fn run(args: &EvaluateArgs, quiet: bool, stop: &Stop) -> Result<Exit> {
    let place = || args.weights.display().to_string();
    let (weights, changes) = Weights::load_foreign(&args.weights)?;
    for change in changes {
        note!("note: {}: {change}", place());
    }
    run::check_weights(&args.weights)?;
    let header = WeightsHeader::of(&weights, &args.weights)?;
    let (network, mut recipe) = match &header {
        Some(header) => of_run(args, header)?,
        None => of_arguments(args)?,
    };
    recipe.evaluation.statistics_augmented |= args.statistics_augmented;
    network
        .check_tensors(&weights.tensors)
        .with_context(place)?;
    let options = options(args, &recipe)?;
    let opened = images(args, header.as_ref(), quiet, stop)?;
    let statistics: &[Statistics] = match args.statistics {
        Some(StatisticsArg::Population) => &[Statistics::Population],
        Some(StatisticsArg::Moving) => &[Statistics::Moving],
        None if header.is_some() => BOTH_STATISTICS,
        None => &[Statistics::Moving],
    };
    if args.statistics_augmented && !statistics.contains(&Statistics::Population) {
        return Err(Exit::Usage.error(
            "--statistics-augmented applies to population statistics; add --statistics population, or drop it",
        ));
    }
    let subject = Subject {
        weights: &weights,
        network: &network,
        recipe: &recipe,
        seed: header.as_ref().map_or(0, |header| header.seed),
        statistics,
    };
    let rows = orchestrate::evaluate(&subject, &opened, &options, &data::cache_folder(), stop)
        .with_context(place)?;
    print(args.format, &network, &recipe, &opened, &rows);
    Ok(Exit::Success)
}

/// Network and recipe of a run's weights, which arguments may repeat but not contradict.
fn of_run(args: &EvaluateArgs, header: &WeightsHeader) -> Result<(Network, Recipe)> {
    let refuse = |argument: String, trained: String| {
        Exit::Usage.error(format!(
            "{argument} contradicts {}: the weights are of {trained}; leave it out",
            args.weights.display()
        ))
    };
    let (trained, recipe) = (&header.network, &header.recipe);
    if let Some(size) = args.options.image_size
        && size != recipe.image_size
    {
        let trained = format!("images of {} pixels", recipe.image_size);
        return Err(refuse(format!("--image-size {size}"), trained));
    }
    if let Some(name) = &args.normalisation
        && normalisation(name)? != recipe.normalisation
    {
        let trained = match recipe.normalisation {
            Normalisation::PerPixelMean => "images normalised by per-pixel-mean",
            Normalisation::ChannelMeanStd => "images normalised by channel-mean-std",
        };
        return Err(refuse(format!("--normalisation {name}"), trained.into()));
    }
    let shortcut = args.options.shortcut.as_deref();
    if let Some(option) = shortcut
        && trained.family == Family::Resnet
        && !format!("{:?}", trained.shortcut).eq_ignore_ascii_case(option)
    {
        let trained = format!("shortcut option {:?}", trained.shortcut);
        return Err(refuse(format!("--shortcut {option}"), trained));
    }
    if let Some(name) = &args.network
        && !trained.name.eq_ignore_ascii_case(name.trim())
    {
        // Variants have names of their own.
        let mut options = args.options.clone();
        options.image_size = Some(recipe.image_size);
        let (mut named, _) = self::network(name, &options)?;
        named.name.clone_from(&trained.name);
        if shortcut.is_none() {
            named.shortcut = trained.shortcut;
        }
        if named != *trained {
            return Err(refuse(name.clone(), trained.name.clone()));
        }
    }
    if header.outcome == Ending::Diverged {
        note!(
            "note: {}: the run diverged at iteration {}",
            args.weights.display(),
            header.iteration
        );
    }
    Ok((trained.clone(), recipe.clone()))
}

/// Network and recipe of weights that do not describe themselves.
fn of_arguments(args: &EvaluateArgs) -> Result<(Network, Recipe)> {
    let name = args.network.as_ref().ok_or_else(|| {
        Exit::Usage.error(format!(
            "{} does not say which network it holds; name it: refig evaluate resnet-20 --weights {0}",
            args.weights.display()
        ))
    })?;
    let mut options = args.options.clone();
    // The images are CIFAR-10's, so depths that are also in Table 1 mean the CIFAR network.
    options.image_size.get_or_insert(32);
    let (network, image_size) = network(name, &options)?;
    let usual = Recipe::default();
    let recipe = Recipe {
        normalisation: match &args.normalisation {
            Some(name) => normalisation(name)?,
            None => usual.normalisation,
        },
        image_size,
        ..usual
    };
    Ok((network, recipe))
}

fn normalisation(name: &str) -> Result<Normalisation> {
    serde_json::from_value(json!(name)).map_err(|_| {
        Exit::Usage.error(format!(
            "unknown normalisation `{name}`; use per-pixel-mean or channel-mean-std"
        ))
    })
}

/// The engine's options, in the precision of the training if the device has it.
fn options(args: &EvaluateArgs, recipe: &Recipe) -> Result<Options> {
    let options = compute::options(&args.compute)?;
    let precise = options.in_precision(recipe.precision);
    if precise.check_precision().is_ok() {
        return Ok(precise);
    }
    note!(
        "note: {}: trained in {}, evaluated in {}, which this device has",
        args.weights.display(),
        recipe.precision.name(),
        Precision::Fp32.name()
    );
    Ok(options)
}

/// The synthetic images if the weights were trained on them and no others are named, else those that the arguments name.
fn images(
    args: &EvaluateArgs,
    header: Option<&WeightsHeader>,
    quiet: bool,
    stop: &Stop,
) -> Result<DataSet> {
    let request = dataset::request(&args.data);
    let Some(header) = header else {
        return Ok(dataset::open(&request, quiet, stop)?.into());
    };
    if request.dir.is_none() {
        let synthetic = data::synthetic(request.synthetic_seed);
        if synthetic.digest() == header.data_digest {
            return Ok(synthetic.into());
        }
    }
    let opened = dataset::open(&request, quiet, stop)?;
    if opened.digest() != header.data_digest {
        note!(
            "note: {}: trained on other images than {}, so the error is not the recorded one",
            args.weights.display(),
            opened.source
        );
    }
    Ok(opened.into())
}

fn print(format: Format, network: &Network, recipe: &Recipe, data: &DataSet, rows: &[Evaluation]) {
    let split = match recipe.split {
        TrainingSplit::All => "test",
        TrainingSplit::HoldOut => "held-out",
    };
    match format {
        Format::Text => {
            for row in rows {
                outln!(
                    "{} on {}: {:.2} % {split} error, {:.2} % top-5, loss {:.4} ({} images, {} statistics{}{})",
                    network.name,
                    data.origin().name(),
                    row.error,
                    row.top5_error,
                    row.loss,
                    row.images,
                    row.statistics.name(),
                    match row.statistics {
                        Statistics::Population if recipe.evaluation.statistics_augmented =>
                            " of augmented images",
                        _ => "",
                    },
                    match row.views {
                        Views::Centre => String::new(),
                        views => format!(", {}", views.name()),
                    }
                );
            }
        }
        Format::Json => {
            let augmented = recipe.evaluation.statistics_augmented;
            let evaluations: Vec<Value> =
                rows.iter().map(|row| evaluation(row, augmented)).collect();
            let mut described = json!({
                "network": network.name,
                "data": data.origin().name(),
                "image_size": recipe.image_size,
                "split": split,
            });
            // The first is the one to compare with the paper's.
            if let (Value::Object(all), Some(Value::Object(first))) =
                (&mut described, evaluations.first())
            {
                all.extend(first.clone());
            }
            described["evaluations"] = evaluations.into();
            outln!("{described}");
        }
    }
}

fn evaluation(row: &Evaluation, augmented: bool) -> Value {
    let mut value = json!({
        "images": row.images,
        "statistics": row.statistics.name(),
        "error": row.error,
        "top5_error": row.top5_error,
        "loss": row.loss,
    });
    if row.statistics == Statistics::Population && augmented {
        value["statistics_augmented"] = true.into();
    }
    if row.views != Views::default() {
        value["views"] = row.views.name().into();
    }
    value
}
