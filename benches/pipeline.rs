//! Everything around a training step: augmentation, the loader, evaluation, writing records.
//! `cargo bench --profile dev --bench pipeline`

use std::sync::{Arc, LazyLock};

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use refig::data::{self, Batch, Dataset, Decision, Loader, Normaliser, SYNTHETIC_SEED};
use refig::engine::{self, Hyperparameters, Options, Statistics};
use refig::network::{Family, Network, Shortcut, initialise};
use refig::recipe::Recipe;
use refig::record::{Iteration, parquet};

static DATA: LazyLock<Dataset> = LazyLock::new(|| data::synthetic(SYNTHETIC_SEED));

fn main() {
    divan::main();
}

fn normaliser(recipe: &Recipe) -> Normaliser {
    Normaliser::fit(&DATA.train, recipe.normalisation)
}

/// Crops, flips and normalises one mini-batch; the decisions are drawn beforehand.
#[divan::bench]
fn augmentation(bencher: Bencher<'_, '_>) {
    let recipe = Recipe::default();
    let normaliser = normaliser(&recipe);
    let decisions: Vec<Decision> = (0..recipe.batch)
        .map(|at| data::decide(&recipe.augmentation, 0, 0, at as u64, at as u32))
        .collect();
    let mut batch = Batch::default();
    bencher
        .counter(ItemsCount::new(recipe.batch))
        .bench_local(|| {
            data::apply(
                &DATA.train,
                &normaliser,
                &recipe.augmentation,
                &decisions,
                &mut batch,
            );
        });
}

/// Mini-batches of the paper's recipe, including order and decisions, prepared by this many workers (0: by this thread).
#[divan::bench(args = [0, 1, 2])]
fn loader(bencher: Bencher<'_, '_>, workers: usize) {
    let recipe = Recipe::default();
    let images = Arc::clone(&DATA.train);
    let mut loader =
        Loader::new(images, normaliser(&recipe), &recipe, 0, 0, workers).expect("a loader");
    bencher
        .counter(ItemsCount::new(recipe.batch))
        .bench_local(|| {
            let batch = loader.next().expect("a mini-batch");
            loader.recycle(batch);
        });
}

/// One mini-batch of 128 images through ResNet-20 in evaluation mode.
#[divan::bench]
fn evaluation(bencher: Bencher<'_, '_>) {
    let recipe = Recipe::default();
    let network = Network::cifar(Family::Resnet, 20, Shortcut::A, 10).expect("20 is 6n+2");
    let options = Options::default();
    let mut engine =
        engine::create(&network, 32, &Hyperparameters::from(&recipe), &options).expect("an engine");
    let weights = initialise(&network, &recipe.initialisation, 0);
    engine.restore(&weights).expect("its own weights");
    let indices: Vec<u32> = (0..128).collect();
    let batch = data::batch(&DATA.test, &normaliser(&recipe), &indices);
    bencher
        .counter(ItemsCount::new(indices.len()))
        .bench_local(|| {
            engine
                .evaluate(&batch, Statistics::Moving)
                .expect("a tally")
        });
}

/// The rows of one part, and of a whole run of the paper's recipe, as Parquet in memory.
#[divan::bench(args = [1_000, 64_000])]
fn parquet_writing(bencher: Bencher<'_, '_>, rows: u64) {
    let rows: Vec<Iteration> = (1..=rows)
        .map(|iteration| Iteration {
            iteration,
            epoch: iteration as f64 / 390.625,
            learning_rate: 0.1,
            loss: 2.3 / (iteration as f64).sqrt(),
            error: (iteration % 129) as f64 / 1.28,
            seconds: iteration as f64 * 0.19,
        })
        .collect();
    let provenance = parquet::Provenance::new();
    bencher
        .counter(BytesCount::of_slice(&rows))
        .bench_local(|| parquet::iterations_to_bytes(&rows, &provenance).expect("rows"));
}
