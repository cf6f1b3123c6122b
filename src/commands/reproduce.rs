//! `reproduce` and `plan`: trains an experiment and writes its report, or shows what that would take.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::dataset::{self, Source};
use super::target::{self, Circumstances, Target};
use super::{compute, forecast, jobs, training};
use crate::again::again;
use crate::cli::{Format, Places, PlanArgs, ReproduceArgs};
use crate::console::paint;
use crate::counted::counted;
use crate::data::Prospect;
use crate::duration::duration;
use crate::engine::{self, Device};
use crate::exit::Exit;
use crate::judge::{Evidence, Wanted, judge};
use crate::orchestrate::plan_file::{self, FrozenPlan};
use crate::orchestrate::{Progress, Schedule, Style, measure_responses, run_all};
use crate::origin::DataKind;
use crate::plan;
use crate::processor::Processor;
use crate::publish::{Report, headline, table};
use crate::run::{self, Tree};
use crate::train::Stop;
use crate::{note, outln};

/// Resolves the experiment, and checks precisions.
pub(super) fn resolve(
    args: &ReproduceArgs,
    places: &Places,
    compute: &engine::Options,
) -> Result<Target> {
    if args.require_clean {
        Tree::require_clean(run::program().as_ref(), "this program's source")?;
    }
    let target = target::select(&args.selection, places, || {
        Ok(Circumstances {
            device: compute.device,
            cifar10: dataset::request(&args.data).is_local(),
        })
    })?;
    // Before fetching data for runs that the device cannot train.
    for entry in &target.only.networks {
        compute
            .in_precision(entry.recipe.precision)
            .check_precision()
            .with_context(|| format!("network {}", entry.name))?;
    }
    Ok(target)
}

/// The images to train on.
pub(super) fn source(args: &ReproduceArgs, target: &Target) -> Source {
    Source::of(&target.experiment, args.selection.data)
}

/// The runs to train, and what is left of each.
fn schedule(
    args: &ReproduceArgs,
    places: &Places,
    target: &Target,
    compute: &engine::Options,
    data: &Prospect,
) -> Result<Schedule> {
    let processor = compute.processor()?;
    let mut runs = plan::runs(&target.only, &target.seeds, &data.digest, processor)?;
    if args.any_processor {
        for plan in &mut runs {
            if places.results_dir.join(plan.folder()).exists() {
                continue;
            }
            let elsewhere = run::made_elsewhere(&places.results_dir, plan)?;
            if let Some(furthest) = elsewhere.iter().max_by_key(|run| run.iteration) {
                *plan = furthest.plan().clone();
            }
        }
    }
    let apart = jobs::are_asked_for(args) && !args.fail_fast;
    let results = &places.results_dir;
    Schedule::new(runs, results, (args.fresh, apart), compute, data)
}

/// `refig plan EXPERIMENT`: downloads nothing, and changes nothing but the file of `--out`.
pub fn plan(whole: &PlanArgs, places: &Places, stop: &Stop) -> Result<Exit> {
    let (format, out, args) = (whole.format, &whole.out, &whole.reproduce);
    if let Some(out) = out {
        plan_file::check_place(out)?;
    }
    if let (Some(name), Some(out)) = (&whole.processor, out) {
        return plan_for((name, out), args, places, stop);
    }
    let (compute, _) = jobs::devices(args)?;
    let target = resolve(args, places, &compute)?;
    let data = dataset::foresee(source(args, &target), &args.data, places.quiet, stop)?;
    let target = target.with_classes(data.classes);
    let schedule = schedule(args, places, &target, &compute, &data)?;
    if let Some(out) = out {
        let (experiment, images) = (&target.experiment, data.test_images);
        plan_file::write(out, &FrozenPlan::new(experiment, &schedule.plans(), images))?;
    }
    let free = run::space::available(&places.results_dir);
    if format == Format::Json {
        let json = forecast::plan_json(&target, &data, &schedule, free);
        outln!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(Exit::Success);
    }
    forecast::show(&target, &data, &schedule, &places.results_dir, free);
    if let Some(out) = out {
        outln!(
            "  plan: {}, for `refig run --plan`, with runs 0 to {}",
            out.display(),
            schedule.runs.len().saturating_sub(1)
        );
    }
    Ok(Exit::Success)
}

/// Writes the plan for another kind of processor, whose speed is not known here.
fn plan_for(
    (name, out): (&str, &Path),
    args: &ReproduceArgs,
    places: &Places,
    stop: &Stop,
) -> Result<Exit> {
    let compute = compute::elsewhere(name)?;
    let target = resolve(args, places, &compute)?;
    let data = dataset::foresee(source(args, &target), &args.data, places.quiet, stop)?;
    let target = target.with_classes(data.classes);
    let processor = match (compute.device, compute.instructions) {
        (Device::Cpu, Some(set)) => Processor::Cpu(set),
        _ => Processor::Cuda,
    };
    let runs = plan::runs(&target.only, &target.seeds, &data.digest, processor)?;
    let experiment = &target.experiment;
    plan_file::write(out, &FrozenPlan::new(experiment, &runs, data.test_images))?;
    if !places.quiet {
        outln!(
            "{}: {} of {} at profile {} ({}) for {processor}, on {}",
            out.display(),
            counted(runs.len(), "run"),
            experiment.name,
            experiment.profile,
            target.why,
            data.description
        );
    }
    Ok(Exit::Success)
}

/// `refig reproduce EXPERIMENT`: trains what is missing, judges and publishes.
pub fn reproduce(args: &ReproduceArgs, places: &Places, stop: &Stop) -> Result<Exit> {
    let (compute, devices) = jobs::devices(args)?;
    let target = resolve(args, places, &compute)?;
    let dataset = dataset::to_train_on(source(args, &target), &args.data, places.quiet, stop)?;
    let target = target.with_classes(dataset.classes());
    let schedule = schedule(args, places, &target, &compute, &Prospect::from(&dataset))?;
    let experiment = &target.experiment;
    let tell = |text: &str| {
        if !places.quiet {
            note!("{text}");
        }
    };
    tell(&format!(
        "{} at profile {} ({}): {}, about {} on {}",
        experiment.name,
        experiment.profile,
        target.why,
        counted(schedule.runs.len(), "run"),
        duration(schedule.seconds() / devices.len() as f64),
        dataset.description()
    ));
    let runs = schedule.plans();
    let made_on = (dataset.digest(), compute.processor()?);
    // Keep the images if they are needed after training.
    let measured = experiment
        .responses
        .as_ref()
        .map(|how| (how, dataset.clone()));
    if jobs::are_asked_for(args) {
        let test_images = dataset.size().test_images;
        let plan = FrozenPlan::new(experiment, &runs, test_images);
        jobs::make(&plan, &schedule, dataset, &devices, args, places, stop)?;
    } else {
        let labels = (&*experiment.name, &*experiment.overrides);
        let begin = (args.fresh, args.take_over);
        let mut options = training::options(labels, begin, places, &compute, args.checkpoints);
        options.moved_to = args.any_processor.then_some(made_on.1);
        let mut progress = Progress::new(Style::choose(places.quiet));
        run_all(&runs, dataset, &options, stop, &mut progress)?;
    }
    if let Some(signal) = stop.requested() {
        note!("stopped; {} to resume", again());
        if args.fresh && runs.len() > 1 {
            note!(
                "note: runs that were not begun keep their earlier results: name those with --networks and --seeds to train them --fresh"
            );
        }
        return Ok(signal.exit());
    }
    if let Some((how, dataset)) = &measured {
        let (results, threads) = (&places.results_dir, compute.threads);
        measure_responses(&runs, dataset, how, results, threads, stop, &mut |text| {
            tell(text)
        })?;
    }
    let wanted = Wanted {
        made_on: Some(made_on),
        ..target.wanted(DataKind::Any)
    };
    let evidence = Evidence::gather(experiment, &super::runs(places)?, &wanted)?;
    let verdict = judge(&evidence)?;
    // First, since the reports folder may be one that cannot be written.
    match places.quiet {
        true => paint(&headline(&verdict)),
        false => paint(&table(&verdict)),
    }
    let report = Report::new(&evidence, &verdict, &places.reports_dir, !args.no_reference)?;
    super::draw(&report, places.quiet)?;
    let index = report.write(&places.results_dir, false)?;
    if !places.quiet {
        outln!("{}", index.display());
    }
    Ok(verdict.exit())
}
