//! `evaluate`: the test error of a run's weights, or of any weights with torchvision's names.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::compute;
use super::dataset::{self, Source};
use super::describe::network;
use crate::cli::{EvaluateArgs, Format, StatisticsArg, StrideInArg, ViewsArg};
use crate::counted::counted;
use crate::data::imagenet::SYNTHETIC_SIZE;
use crate::data::{self, DataSet};
use crate::engine::Options;
use crate::exit::Exit;
use crate::network::{Family, Network, Shortcut, Stem, StrideIn};
use crate::orchestrate::{self, Subject};
use crate::origin::{DataKind, DataName};
use crate::recipe::{
    Crop, EvaluationRecipe, FinalViews, Normalisation, Precision, Recipe, TrainingSplit,
};
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
        None => of_arguments(args, &weights)?,
    };
    let views = views(args, &network, &recipe)?;
    if recipe.crop.is_some()
        && let Some(size) = recipe.outsized()
    {
        return Err(Exit::Usage.error(format!("{}: recipe.{size}", place())));
    }
    recipe.evaluation.statistics_augmented |= args.statistics_augmented;
    network
        .check_tensors(&weights.tensors)
        .with_context(place)?;
    let options = options(args, &recipe)?;
    // Before images are opened, which may take long.
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
    let mut opened = images(args, header.as_ref(), &recipe, quiet, stop)?;
    number_classes(args, &network, &mut opened)?;
    let subject = Subject {
        weights: &weights,
        network: &network,
        recipe: &recipe,
        seed: header.as_ref().map_or(0, |header| header.seed),
        statistics,
        views: &views,
    };
    let rows = orchestrate::evaluate(&subject, &opened, &options, &data::cache_folder(), stop)?;
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
    if let Some(stride_in) = args.stride_in
        && (!trained.bottleneck || convolution(stride_in) != trained.stride_in)
    {
        let option = match stride_in {
            StrideInArg::First => "--stride-in 1x1",
            StrideInArg::Middle => "--stride-in 3x3",
        };
        let trained = match (trained.bottleneck, trained.stride_in) {
            (false, _) => "a network without bottlenecks",
            (true, StrideIn::First) => "a network with the stride in the 1x1 convolutions",
            (true, StrideIn::Middle) => "a network with the stride in the 3x3 convolutions",
        };
        return Err(refuse(option.into(), trained.into()));
    }
    if let Some(name) = &args.network
        && !trained.name.eq_ignore_ascii_case(name.trim())
    {
        // Variants have names of their own.
        let mut named = match recipe.crop {
            Some(_) => Network {
                stem: trained.stem,
                stride_in: trained.stride_in,
                ..Network::parse_table_1(name, trained.shortcut, trained.classes)?
            },
            None => {
                let mut options = args.options.clone();
                options.image_size = Some(recipe.image_size);
                self::network(name, &options)?.0
            }
        };
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
fn of_arguments(args: &EvaluateArgs, weights: &Weights) -> Result<(Network, Recipe)> {
    let name = args.network.as_ref().ok_or_else(|| {
        Exit::Usage.error(format!(
            "{} does not say which network it holds; name it: refig evaluate resnet-20 --weights {0}",
            args.weights.display()
        ))
    })?;
    let mut options = args.options.clone();
    // 50 and 152 layers are also of the form 6n+2: the weights tell by their first layer.
    let first = weights.tensors.get("conv1.weight");
    if first.is_some_and(|first| first.shape.ends_with(&[3, 3])) {
        options.image_size.get_or_insert(32);
    }
    let (network, image_size) = network(name, &options)?;
    if args.stride_in.is_some() && !network.bottleneck {
        return Err(Exit::Usage.error(format!(
            "--stride-in: {} has no bottlenecks; leave it out",
            network.name
        )));
    }
    if network.stem == Stem::Imagenet {
        return of_pictures(args, weights, network, image_size);
    }
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

/// A network of Table 1 as its weights have it, and the recipe to evaluate it by: torchvision's, unless arguments say otherwise.
fn of_pictures(
    args: &EvaluateArgs,
    weights: &Weights,
    mut network: Network,
    image_size: usize,
) -> Result<(Network, Recipe)> {
    let place = || args.weights.display().to_string();
    let classifier = weights.tensors.get("fc.weight");
    if let Some(&[classes, _]) = classifier.map(|tensor| &tensor.shape[..]) {
        network.classes = classes;
    }
    network.check_sizes().with_context(place)?;
    if network.bottleneck {
        network.stride_in = args.stride_in.map_or(StrideIn::Middle, convolution);
        if args.stride_in.is_none() {
            note!(
                "note: {}: the weights do not tell which convolutions have the stride; those of 3x3, as in torchvision (--stride-in 1x1 for the authors')",
                place()
            );
        }
    }
    if args.options.shortcut.is_none() {
        let fits = |&shortcut: &Shortcut| {
            let network = Network {
                shortcut,
                ..network.clone()
            };
            network.check_tensors(&weights.tensors).is_ok()
        };
        let all = [Shortcut::A, Shortcut::B, Shortcut::C];
        network.shortcut = all.into_iter().find(fits).unwrap_or(network.shortcut);
    }
    // At another size than 224, the same parts of a picture.
    let scaled = |pixels: u32| ((pixels as usize * image_size + 112) / 224) as u32;
    let (crop, usual) = (Crop::default(), EvaluationRecipe::default());
    let recipe = Recipe {
        normalisation: match &args.normalisation {
            Some(name) => normalisation(name)?,
            None => Normalisation::ChannelMeanStd,
        },
        image_size,
        evaluation: EvaluationRecipe {
            scales: usual.scales.iter().map(|&side| scaled(side)).collect(),
            ..usual
        },
        crop: Some(Crop {
            shorter_side: crop.shorter_side.map(scaled),
            test_side: scaled(crop.test_side),
            ..crop
        }),
        ..Recipe::default()
    };
    Ok((network, recipe))
}

fn convolution(stride_in: StrideInArg) -> StrideIn {
    match stride_in {
        StrideInArg::First => StrideIn::First,
        StrideInArg::Middle => StrideIn::Middle,
    }
}

/// The several views of `--views`, each once.
fn views(args: &EvaluateArgs, network: &Network, recipe: &Recipe) -> Result<Vec<FinalViews>> {
    if !args.views.is_empty() && recipe.crop.is_none() {
        return Err(Exit::Usage.error(format!(
            "--views: only pictures of ImageNet are seen in several views, and {} is for images of {} pixels; leave it out",
            network.name, recipe.image_size
        )));
    }
    let views = args.views.iter().map(|views| match views {
        ViewsArg::TenCrop => FinalViews::TenCrop,
        ViewsArg::MultiScale => FinalViews::MultiScale,
    });
    let mut views: Vec<FinalViews> = views.collect();
    views.sort();
    views.dedup();
    Ok(views)
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
    recipe: &Recipe,
    quiet: bool,
    stop: &Stop,
) -> Result<DataSet> {
    if let Some(header) = header
        && let Some(synthetic) = synthetic(args, header, stop)?
        && synthetic.digest() == header.data_digest
    {
        return Ok(synthetic);
    }
    let name = match recipe.crop {
        Some(_) => DataName::Imagenet,
        None => DataName::Cifar10,
    };
    let source = Source {
        set: name,
        synthetic: false,
        kind: DataKind::Any,
    };
    let opened = dataset::to_train_on(source, &args.data, quiet, stop)?;
    if header.is_some_and(|header| opened.digest() != header.data_digest) {
        let source = match &opened {
            DataSet::Memory(dataset) => &dataset.source,
            DataSet::Pictures { collection, .. } => &collection.source,
        };
        note!(
            "note: {}: trained on other images than {source}, so the error is not the recorded one",
            args.weights.display()
        );
    }
    Ok(opened)
}

/// The synthetic images, if a run may have been trained on them and no others are named.
fn synthetic(args: &EvaluateArgs, header: &WeightsHeader, stop: &Stop) -> Result<Option<DataSet>> {
    if header.recipe.crop.is_none() {
        let request = dataset::request(&args.data);
        let synthetic = || data::synthetic(request.synthetic_seed).into();
        return Ok(request.dir.is_none().then(synthetic));
    }
    let mut request = dataset::pictures(&args.data);
    request.allow_synthetic = !args.data.require_official;
    // They are written to the cache folder, so not without need.
    let classes = SYNTHETIC_SIZE.classes;
    let possible = request.allow_synthetic && header.network.classes == classes;
    if request.dir.is_some() || !possible {
        return Ok(None);
    }
    // Whether they are used is not known yet, so nothing is said of it.
    let mut silent = super::data::progress(true, stop);
    data::open_pictures(&request, &mut silent).map(Some)
}

/// Numbers the classes of a part of ImageNet as a network that tells all of them apart does.
fn number_classes(args: &EvaluateArgs, network: &Network, opened: &mut DataSet) -> Result<()> {
    let (ours, theirs) = (network.classes, opened.classes());
    // That the images have more classes is refused by the evaluation.
    if matches!(opened, DataSet::Memory(_)) || ours <= theirs {
        return Ok(());
    }
    if ours == DataName::Imagenet.classes() && opened.number_among_all() {
        note!(
            "note: {}: the images are of {theirs} of its {ours} classes",
            args.weights.display()
        );
        return Ok(());
    }
    Err(Exit::Usage.error(format!(
        "{}: {} tells {ours} classes apart, but the images have {theirs}, and nothing says which; name images of the same classes with --data-dir",
        args.weights.display(),
        network.name
    )))
}

fn print(format: Format, network: &Network, recipe: &Recipe, data: &DataSet, rows: &[Evaluation]) {
    let split = match (recipe.split, &recipe.crop) {
        (TrainingSplit::All, None) => "test",
        (TrainingSplit::All, Some(_)) => "validation",
        (TrainingSplit::HoldOut, _) => "held-out",
    };
    match format {
        Format::Text => {
            for row in rows {
                outln!(
                    "{} on {}: {:.2} % {split} error, {:.2} % top-5, loss {:.4} ({}, {} statistics{}{})",
                    network.name,
                    data.origin().name(),
                    row.error,
                    row.top5_error,
                    row.loss,
                    counted(row.images as usize, "image"),
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
