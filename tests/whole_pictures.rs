//! The fully convolutional test at several scales sees all of every picture, whatever its shape, and gives each the answer that it
//! has alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use jpeg_encoder::{ColorType, Encoder};
use refig::data::imagenet::{Pictures, View};
use refig::data::{Batch, DataSet, ImageSize, PictureRequest, RunImages, open_pictures};
use refig::engine::{self, Engine, Hyperparameters, Tally};
use refig::network::{Network, Shortcut, initialise};
use refig::orchestrate::{Subject, evaluate};
use refig::random::{Purpose, Stream};
use refig::recipe::{Crop, EvaluationRecipe, FinalViews, Normalisation, Recipe, ViewAverage};
use refig::record::{Evaluation, Split, Statistics, Views};
use refig::train::{Scores, Stop};
use refig::weights::Weights;

const SYNSETS: [&str; 2] = ["n01440764", "n02102040"];
const SCALES: [u32; 3] = [32, 40, 57];

/// Width and height: wide and high, a pixel apart, square, and far longer than wide.
const SHAPES: [(u16, u16); 16] = [
    (96, 64),
    (64, 96),
    (97, 64),
    (64, 97),
    (96, 64),
    (80, 80),
    (64, 95),
    (81, 80),
    (80, 81),
    (700, 45),
    (96, 64),
    (45, 700),
    (192, 128),
    (100, 75),
    (75, 100),
    (64, 96),
];

/// Noise under a pattern, so that no two parts of a picture look alike.
fn pixels(width: u16, height: u16, seed: u64) -> Vec<u8> {
    let mut stream = Stream::new(seed, Purpose::Synthetic, 0, 0);
    let (width, height) = (usize::from(width), usize::from(height));
    (0..3 * width * height)
        .map(|at| (at * 150 / (3 * width * height)) as u8 + stream.below(100) as u8)
        .collect()
}

fn jpeg(width: u16, height: u16, seed: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, 95)
        .encode(&pixels(width, height, seed), width, height, ColorType::Rgb)
        .unwrap();
    bytes
}

fn png(width: u16, height: u16, seed: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width.into(), height.into());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    writer
        .write_image_data(&pixels(width, height, seed))
        .unwrap();
    writer.finish().unwrap();
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// A validation picture of every shape, and some to train on.
fn set(root: &Path) {
    let write = |part: &str, number: usize, bytes: &[u8]| {
        let folder = root.join(part).join(SYNSETS[number % 2]);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{number}.JPEG")), bytes).unwrap();
    };
    for (number, (width, height)) in SHAPES.into_iter().enumerate() {
        let seed = number as u64;
        // Some of ImageNet's files are no JPEGs, and one that is packed does not tell its size.
        let bytes = match number {
            2 => png(width, height, seed),
            6 => gzip(&jpeg(width, height, seed)),
            _ => jpeg(width, height, seed),
        };
        write("val", number, &bytes);
    }
    for number in 0..4 {
        write("train", number, &jpeg(50, 40, 100 + number as u64));
    }
}

fn recipe(view_average: ViewAverage) -> Recipe {
    Recipe {
        image_size: 32,
        normalisation: Normalisation::ChannelMeanStd,
        crop: Some(Crop {
            shorter_side: [36, 68],
            test_side: 36,
            ..Crop::default()
        }),
        evaluation: EvaluationRecipe {
            statistics_images: 4,
            scales: SCALES.to_vec(),
            view_average,
            ..EvaluationRecipe::default()
        },
        ..Recipe::default()
    }
}

/// Torchvision's rule, with its division of floats, and the limit of twelve to one.
fn seen(stored: ImageSize, side: u32) -> ImageSize {
    let longer = |long: usize, short: usize| {
        let exact = f64::from(side) * long as f64 / short as f64;
        (exact as usize).min(12 * side as usize)
    };
    let (short, ImageSize { height, width }) = (side as usize, stored);
    match width <= height {
        true => ImageSize {
            height: longer(height, width),
            width: short,
        },
        false => ImageSize {
            height: short,
            width: longer(width, height),
        },
    }
}

/// The answers of the network to one picture after the other, each at one scale after the other.
fn by_hand(engine: &mut dyn Engine, pictures: &Pictures, recipe: &Recipe) -> Tally {
    let mut shapes = BTreeSet::new();
    let mut sum = Tally::default();
    for image in 0..pictures.len(Split::Test) as u32 {
        let stored = pictures.sizes(Split::Test, &[image]).unwrap()[0];
        let mut scores = Scores::new(recipe.evaluation.view_average, 1, 2);
        for side in SCALES {
            let view = View::whole(side, stored);
            assert_eq!(view.size, seen(stored, side), "{stored} at {side}");
            shapes.insert(view.size);
            let mut batch = Batch::default();
            pictures
                .view(Split::Test, &[image], view, false, &mut batch)
                .unwrap();
            let logits = engine.logits(&batch, engine::Statistics::Moving).unwrap();
            scores.add(0, &logits).unwrap();
        }
        let labels = pictures.labels(Split::Test, &[image]);
        sum += scores.tally(&labels).unwrap();
    }
    // 64 x 96 and 64 x 97 differ at 57 pixels and not at 32.
    assert!(shapes.len() > 20, "{}", shapes.len());
    sum
}

fn multi_scale(
    data: &DataSet,
    cache: &Path,
    (network, weights): (&Network, &Weights),
    recipe: &Recipe,
    threads: usize,
) -> Evaluation {
    let subject = Subject {
        weights,
        network,
        recipe,
        seed: 1,
        statistics: &[Statistics::Moving],
        views: &[FinalViews::MultiScale],
    };
    let options = engine::Options {
        threads,
        ..engine::Options::default()
    };
    let mut rows = evaluate(&subject, data, &options, cache, &Stop::default()).unwrap();
    let row = rows.pop().unwrap();
    assert_eq!(row.views, Views::MultiScale);
    row
}

#[test]
fn several_scales_are_averaged_over_whole_pictures_of_many_shapes_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (root, cache) = (folder.path().join("set"), folder.path().join("cache"));
    set(&root);
    let request = PictureRequest::new(Some(&root), &cache);
    let data = open_pictures(&request, &mut |_| Ok(())).unwrap();
    // Shortcuts without parameters, and the layers that minimal filtering and products of matrices serve.
    let networks = [("resnet-18", Shortcut::A), ("resnet-50", Shortcut::B)];
    for ((name, shortcut), average) in networks
        .into_iter()
        .zip([ViewAverage::Softmax, ViewAverage::Logits])
    {
        let network = Network {
            base_width: 32,
            ..Network::parse_table_1(name, shortcut, 2).unwrap()
        };
        let recipe = recipe(average);
        let weights = initialise(&network, &recipe.initialisation, 3);
        let found = [1, 3]
            .map(|threads| multi_scale(&data, &cache, (&network, &weights), &recipe, threads));
        assert_eq!(found[0], found[1], "{name} by one thread and by three");

        let set = data.for_recipe(&recipe, &cache, 2, &mut |_| Ok(()));
        let RunImages::Pictures(pictures) = set.unwrap() else {
            panic!("pictures");
        };
        let hyper = Hyperparameters::from(&recipe);
        let options = engine::Options::default();
        let mut engine = engine::create(&network, 32, &hyper, &options).unwrap();
        engine.restore(&weights).unwrap();
        let sum = by_hand(&mut *engine, &pictures, &recipe);
        assert_eq!(sum.images, SHAPES.len() as u64);
        let row = &found[0];
        assert_eq!(row.images, sum.images);
        assert_eq!(row.loss, sum.loss / sum.images as f64, "{name}");
        assert_eq!(
            row.error,
            100.0 * sum.wrong as f64 / sum.images as f64,
            "{name}"
        );
    }
}
