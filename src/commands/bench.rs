//! `bench`: times a training step, its convolutions and the loader on this machine, also against PyTorch.

use std::io::BufRead;

use anyhow::{Context, Result};

use super::compute;
use super::data::progress;
use super::describe::network;
use crate::cli::{
    BenchCompareArgs, BenchLoaderArgs, BenchOperatorsArgs, BenchStepArgs, Format, PytorchMode,
};
use crate::counted::counted;
use crate::data::{self, PictureRequest};
use crate::engine::Device;
use crate::exit::Exit;
use crate::measure::compare::{Comparison, Mode};
use crate::measure::groups::{self, GroupReport};
use crate::measure::loader::{LoaderBench, LoaderReport};
use crate::measure::operators;
use crate::measure::pictures::{Files, PictureBench};
use crate::measure::step::{StepBench, StepReport, device_name};
use crate::run;
use crate::train::Stop;
use crate::{note, outln};

/// Pairs of runs for the median cost of the loader.
const LOADER_PAIRS: usize = 5;

/// `refig bench step`.
pub fn step(args: &BenchStepArgs) -> Result<Exit> {
    let (network, size) = network(&args.network, &args.options)?;
    let options = compute::precise_options(&args.compute, &args.precision)?;
    let new = |group| StepBench::new(&network, args.batch, size, group, &options);
    let mut bench = new(args.group.unwrap_or(0))?;
    if args.serve {
        for line in std::io::stdin().lock().lines() {
            line?;
            outln!("{}", serde_json::to_string(&bench.report(args.steps)?)?);
        }
        return Ok(Exit::Success);
    }
    let report = bench.report(args.steps)?;
    let groups = match args.group {
        Some(group) => Some(groups::beside(new, group, args.steps)?),
        None => None,
    };
    let loader = match (LoaderBench::new(args.batch, size)?, args.with_loader) {
        (Some(loader), true) => Some(loader.beside(&mut bench, LOADER_PAIRS, args.steps)?),
        (Some(loader), false) => Some(loader.alone()?),
        (None, false) => None,
        (None, true) => {
            return Err(Exit::Usage.error(format!(
                "--with-loader: no images of {size} pixels; use 32, 16 or 8"
            )));
        }
    };
    match args.format {
        Format::Json => {
            let mut json = serde_json::to_value(&report)?;
            json["groups"] = serde_json::to_value(&groups)?;
            json["loader"] = serde_json::to_value(&loader)?;
            outln!("{json}");
        }
        Format::Text => print(&report, groups.as_ref(), loader.as_ref()),
    }
    Ok(Exit::Success)
}

fn print(report: &StepReport, groups: Option<&GroupReport>, loader: Option<&LoaderReport>) {
    let threads = match report.device.as_str() {
        "cpu" => counted(report.threads, "thread"),
        gpu => gpu.to_string(),
    };
    outln!(
        "{} at {2}x{2}, batch {1}, {3}, {threads}, {4}",
        report.network,
        report.batch,
        report.image_size,
        counted(report.steps, "step"),
        report.instructions
    );
    outln!("  median      {:>10.2} ms/step", report.median_ms);
    outln!("  minimum     {:>10.2} ms", report.min_ms);
    outln!("  images      {:>10.0} /s", report.images_per_second);
    outln!(
        "  arithmetic  {:>10.1} GFLOP/s{}",
        report.gflops,
        report.peak_share.map_or(String::new(), |share| format!(
            ", {:.0} % of the peak measured between the steps",
            100.0 * share
        ))
    );
    if let Some(memory) = report.peak_memory_mb {
        outln!("  memory      {memory:>10.0} MB peak resident");
    }
    if let Some(groups) = groups {
        outln!(
            "  groups of {:<4}{:>6.3} times a step over whole mini-batches, median of {}",
            groups.images,
            groups.step_ratio,
            counted(groups.pairs, "pair")
        );
    }
    if let Some(loader) = loader {
        outln!(
            "  loader      {:>10.2} ms/batch on another thread",
            loader.batch_ms
        );
        if let Some(ratio) = loader.step_ratio {
            outln!("  with loader {ratio:>10.3} times a step without loading");
        }
    }
}

/// `refig bench operators`.
pub fn operators(args: &BenchOperatorsArgs) -> Result<Exit> {
    let (network, size) = network(&args.network, &args.options)?;
    let mut options = compute::options(&args.compute)?;
    if options.device != Device::Cpu && args.compute.device != "auto" {
        return Err(Exit::Usage.error(format!(
            "--device {}: convolutions are measured on the CPU only; use `bench step` for a GPU",
            args.compute.device
        )));
    }
    options.device = Device::Cpu;
    let report = operators::measure(&network, args.batch, size, args.rounds, &options)?;
    match args.format {
        Format::Json => outln!("{}", serde_json::to_string_pretty(&report)?),
        Format::Text => outln!("{}", report.text().trim_end()),
    }
    Ok(Exit::Success)
}

/// `refig bench compare`.
pub fn compare(args: &BenchCompareArgs, quiet: bool) -> Result<Exit> {
    for name in &args.networks {
        // Check all names before measuring anything.
        network(name, &args.options)?;
    }
    let options = compute::precise_options(&args.compute, &args.precision)?;
    let comparison = Comparison {
        networks: args.networks.clone(),
        device: options.device,
        precision: options.precision,
        modes: args
            .mode
            .iter()
            .map(|mode| match mode {
                PytorchMode::Eager => Mode::Eager,
                PytorchMode::Graphs => Mode::Graphs,
                PytorchMode::Compile => Mode::Compile,
            })
            .collect(),
        batch: args.batch,
        image_size: args.options.image_size,
        shortcut: args.options.shortcut.clone(),
        threads: options.threads,
        instructions: args.compute.instructions.clone(),
        keep_memory: args.compute.keep_memory,
        pairs: args.pairs,
        steps: args.steps,
        own: std::env::current_exe().context("cannot find this program's executable")?,
        python: args.python.clone(),
    };
    let machine = match options.device {
        Device::Cpu => run::cpu(),
        gpu @ Device::Cuda(_) => device_name(gpu),
    };
    let report = comparison.measure(&machine, &mut |network, pair, ratio| {
        if !quiet {
            note!("{network}: pair {pair} of {}, ratio {ratio:.3}", args.pairs);
        }
    })?;
    match args.format {
        Format::Json => outln!("{}", serde_json::to_string_pretty(&report)?),
        Format::Text => outln!("{}", report.text().trim_end()),
    }
    Ok(Exit::Success)
}

/// `refig bench loader`.
pub fn loader(args: &BenchLoaderArgs, quiet: bool, stop: &Stop) -> Result<Exit> {
    let bench = PictureBench {
        size: args.size,
        batch: args.batch,
        batches: args.batches,
        pairs: args.pairs,
        threads: args.threads.unwrap_or_else(compute::threads),
        python: args.python.clone(),
    };
    bench.check()?;
    let mut show = progress(quiet, stop);
    let files = match args.synthetic {
        Some(count) => Files::Synthetic(count),
        None => {
            let dir = args.data_dir.as_deref();
            let mut request = PictureRequest::new(dir, &data::cache_folder());
            request.allow_synthetic = true;
            Files::Of(data::open_pictures(&request, &mut show)?)
        }
    };
    // Whatever ends it, the copies of images are removed.
    stop.attend(true);
    let report = bench.measure(&files, &run::cpu(), &mut show);
    stop.attend(false);
    let report = report?;
    match args.format {
        Format::Json => outln!("{}", serde_json::to_string_pretty(&report)?),
        Format::Text => outln!("{}", report.text().trim_end()),
    }
    Ok(Exit::Success)
}
