//! `bench step`: what a training step costs on this machine, and what the loader adds.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use super::compute;
use super::describe::network;
use crate::cli::{BenchStepArgs, Format};
use crate::data::{self, Loader, Normaliser, SYNTHETIC_SEED};
use crate::engine::Options;
use crate::exit::Exit;
use crate::manifest::Recipe;
use crate::measure::step;

/// `refig bench step`.
pub fn step(args: &BenchStepArgs) -> Result<Exit> {
    let (network, size) = network(&args.network, &args.options)?;
    let options: Options = compute::options(&args.compute)?;
    let report = step::measure(&network, args.batch, size, args.steps, &options)?;
    let loader_ms = loader(args.batch, size)?;
    let mut json = serde_json::to_value(&report)?;
    json["loader_ms"] = loader_ms.into();
    match args.format {
        Format::Json => println!("{json}"),
        Format::Text => {
            println!(
                "{} at {size}x{size}, batch {}, {} steps, {} threads, {}",
                report.network, report.batch, report.steps, report.threads, report.instructions
            );
            println!("  median      {:>10.2} ms a step", report.median_ms);
            println!("  minimum     {:>10.2} ms", report.min_ms);
            println!("  images      {:>10.0} /s", report.images_per_second);
            println!(
                "  arithmetic  {:>10.1} GFLOP/s, {:.0} % of the measured peak",
                report.gflops,
                100.0 * report.peak_share
            );
            if let Some(memory) = report.peak_memory_mb {
                println!("  memory      {memory:>10.0} MB resident at most");
            }
            if let Some(loader_ms) = loader_ms {
                println!(
                    "  loader      {loader_ms:>10.2} ms a batch of work on another thread, beside the step"
                );
            }
        }
    }
    Ok(Exit::Success)
}

/// Milliseconds to prepare a batch without prefetching, as it would cost on the training thread. The synthetic set; `None`
/// for images of a size that it does not have.
fn loader(batch: usize, image_size: usize) -> Result<Option<f64>> {
    if image_size > 32 {
        return Ok(None);
    }
    let recipe = Recipe {
        batch,
        image_size,
        ..Recipe::default()
    };
    let (train, _) = data::synthetic(SYNTHETIC_SEED).for_recipe(&recipe)?;
    let normaliser = Normaliser::fit(&train, recipe.normalisation);
    let mut loader = Loader::new(Arc::clone(&train), normaliser, &recipe, 0, 0, 0)?;
    let batches = 20;
    let begun = Instant::now();
    for _ in 0..batches {
        let batch = loader.next()?;
        loader.recycle(batch);
    }
    Ok(Some(
        begun.elapsed().as_secs_f64() * 1e3 / f64::from(batches),
    ))
}
