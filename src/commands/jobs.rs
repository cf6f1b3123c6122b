//! `reproduce --jobs` and `--devices`: makes runs in child processes, each of which is `refig run`.

use std::ffi::OsString;

use anyhow::Result;

use super::compute;
use super::data::progress;
use crate::again::again;
use crate::cli::{ComputeArgs, Places, ReproduceArgs};
use crate::counted::counted;
use crate::data::{self, DataSet};
use crate::engine::{self, Device};
use crate::exit::Exit;
use crate::note;
use crate::orchestrate::jobs::{Board, Order, Workers, memory, option, slots, supervise};
use crate::orchestrate::plan_file::{FrozenPlan, FrozenRun};
use crate::orchestrate::{Left, Schedule, Style};
use crate::origin::DataKind;
use crate::train::Stop;

/// Whether runs are to be made in processes of their own.
pub fn are_asked_for(args: &ReproduceArgs) -> bool {
    args.jobs.is_some() || !args.devices.is_empty()
}

/// The compute options of all devices, and the devices: those of `--devices`, else the one of `--device`.
pub fn devices(args: &ReproduceArgs) -> Result<(engine::Options, Vec<Device>)> {
    let Some((first, others)) = args.devices.split_first() else {
        let options = compute::options(&args.compute)?;
        return Ok((options, vec![options.device]));
    };
    let options = |name: &String| {
        if !matches!(compute::parse_device(name), Ok(Some(_))) {
            return Err(Exit::Usage.error(format!(
                "--devices {name}: name each device: cpu, or cuda:N with the GPU's number"
            )));
        }
        let args = ComputeArgs {
            device: name.clone(),
            ..args.compute.clone()
        };
        compute::options_by("--devices", &args)
    };
    let all = options(first)?;
    let mut devices = vec![all.device];
    for name in others {
        let other = options(name)?;
        if other.processor()? != all.processor()? {
            return Err(Exit::Usage.error(format!(
                "--devices {}: their numbers differ in rounding, and a figure shows each network's runs on one kind; name GPUs \
                 or the CPU",
                args.devices.join(",")
            )));
        }
        if devices.contains(&other.device) {
            return Err(Exit::Usage.error(format!(
                "--devices {}: {name} is in it twice; use --jobs 2 for two runs at a time on each device",
                args.devices.join(",")
            )));
        }
        devices.push(other.device);
    }
    Ok((all, devices))
}

/// Makes what is left of the runs of `plan`, which are those of `schedule`, on `dataset`. Returns early if `stop` is raised.
///
/// # Errors
/// The exit code of the first run of the plan that failed, once all are made that can be; before that, those of computing the
/// mean image.
pub fn make(
    plan: &FrozenPlan,
    schedule: &Schedule,
    dataset: DataSet,
    devices: &[Device],
    args: &ReproduceArgs,
    places: &Places,
    stop: &Stop,
) -> Result<()> {
    let left = left(plan, schedule);
    let each = plan.runs.iter().zip(&left);
    let unfinished: Vec<&FrozenRun> = each
        .filter(|(_, left)| **left > 0.0)
        .map(|(run, _)| run)
        .collect();
    // No more slots than runs, which would leave cores idle.
    let jobs = args.jobs.unwrap_or(1);
    let jobs = jobs.min(unfinished.len().div_ceil(devices.len()).max(1));
    let images = memory::of_images(plan.data);
    let jobs = jobs.min(held_at_once(
        (&unfinished, images),
        devices,
        jobs,
        args,
        places,
    ));
    let slots = slots(devices, jobs, args.compute.threads, compute::threads());
    // Once with all threads, and not by each worker with its own.
    dataset.keep_means(
        unfinished.iter().map(|run| &run.plan.recipe),
        &data::cache_folder(),
        slots.iter().map(|slot| slot.threads).sum(),
        &mut progress(places.quiet, stop),
    )?;
    // Each worker has its own.
    drop(dataset);
    let workers = Workers::new(&places.results_dir, plan, arguments(args, places))?;
    let order = Order::new(plan, &left);
    let mut board = Board::new(Style::choose(places.quiet), plan, &left);
    let fail_fast = args.fail_fast;
    let failed = supervise((plan, order), &slots, &workers, fail_fast, stop, &mut board);
    for run in &failed {
        let log = run.log.as_ref();
        let log = log.map(|log| format!(" (log: {})", log.display()));
        let log = log.unwrap_or_default();
        note!("failed: {}: {}{log}", run.name, run.why);
    }
    match failed.first() {
        Some(first) if stop.requested().is_none() => Err(first.exit.error(format!(
            "{} of {} failed; the others are kept: see to what is said above, then {}",
            failed.len(),
            counted(plan.runs.len(), "run"),
            again()
        ))),
        _ => Ok(()),
    }
}

/// How many of these runs the memory holds at a time on each device, each with so many bytes of images. Says so if that is less
/// than `jobs`.
fn held_at_once(
    (runs, images): (&[&FrozenRun], u64),
    devices: &[Device],
    jobs: usize,
    args: &ReproduceArgs,
    places: &Places,
) -> usize {
    let keep = args
        .compute
        .keep_memory
        .map(|mebibytes| (mebibytes as u64) << 20);
    let on_gpu = devices.iter().any(|device| *device != Device::Cpu);
    let largest = runs
        .iter()
        .map(|run| (memory::of_step(&run.plan, on_gpu, keep), run))
        .max_by_key(|(bytes, _)| *bytes);
    let Some((step, run)) = largest else {
        return jobs;
    };
    // What all devices together take of the machine, and what each takes of its own memory.
    let (on_host, on_card) = match on_gpu {
        true => (images * devices.len() as u64, Some(step)),
        false => (step + images, None),
    };
    let limits = [
        ("", memory::available(), Some(on_host)),
        (" of a GPU", least_of_cards(devices), on_card),
    ];
    let mut most = usize::MAX;
    for (whose, there, each) in limits {
        let (Some(there), Some(each)) = (there, each) else {
            continue;
        };
        let held = memory::most_at_once(there, each);
        most = most.min(held);
        if held < jobs && !places.quiet {
            note!(
                "{held} of {jobs} runs at a time on each device: one of {} takes about {} MB{whose}, of {} MB",
                run.plan.network.name,
                each.div_ceil(1_000_000),
                there / 1_000_000
            );
        }
    }
    most
}

/// Bytes of the smallest of the GPUs among these devices.
fn least_of_cards(devices: &[Device]) -> Option<u64> {
    let cards = engine::cards().ok()?;
    let used = cards
        .iter()
        .filter(|card| devices.contains(&Device::Cuda(card.number)));
    used.map(|card| card.memory).min()
}

/// What is left of each run, in multiply-adds; 0 of those that are done.
fn left(plan: &FrozenPlan, schedule: &Schedule) -> Vec<f64> {
    let each = plan.runs.iter().zip(&schedule.runs);
    each.map(|(run, scheduled)| {
        let iterations = scheduled.run.recipe.iterations.max(1) as f64;
        match scheduled.left {
            Left::Nothing => 0.0,
            Left::All => run.cost,
            // Also one that only lacks its last evaluation.
            Left::After(iteration) => {
                run.cost * (1.0 - iteration as f64 / iterations).max(1.0 / iterations)
            }
        }
    })
    .collect()
}

/// The arguments of all workers. What is to be downloaded is there by now.
fn arguments(args: &ReproduceArgs, places: &Places) -> Vec<OsString> {
    let mut arguments = vec![
        option("--results-dir", &places.results_dir),
        "--offline".into(),
    ];
    if let Some(dir) = &args.data.data_dir {
        arguments.push(option("--data-dir", dir));
    }
    if args.selection.data != DataKind::Any {
        arguments.push(option("--data", args.selection.data.name()));
    }
    if let Some(seconds) = args.checkpoints.checkpoint_every {
        arguments.push(option("--checkpoint-every", seconds.to_string()));
    }
    if let Some(memory) = args.compute.keep_memory {
        arguments.push(option("--keep-memory", memory.to_string()));
    }
    for (flag, is_set) in [
        ("--require-official", args.data.require_official),
        ("--skip-unreadable", args.data.skip_unreadable),
        ("--fresh", args.fresh),
        ("--take-over", args.take_over),
    ] {
        if is_set {
            arguments.push(flag.into());
        }
    }
    arguments
}
