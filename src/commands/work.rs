//! `run --plan`: makes one run of a plan. The worker of `reproduce --jobs`, and of the tasks of a cluster.

use anyhow::{Context as _, Result};

use super::dataset::{self, Source};
use super::{compute, training};
use crate::cli::{ComputeArgs, Format, Places, WorkArgs};
use crate::counted::counted;
use crate::engine;
use crate::exit::Exit;
use crate::orchestrate::plan_file::{self, FrozenPlan, FrozenRun};
use crate::orchestrate::{JsonLines, Progress, RunsObserver, Style, run_all, stop_with_parent};
use crate::plan::{NUMERICS_VERSION, RunPlan};
use crate::processor::{Instructions, Processor};
use crate::record::Ending;
use crate::run::RunView;
use crate::train::Stop;

/// `refig run --plan FILE --index N`.
pub fn run(args: &WorkArgs, places: &Places, stop: &Stop) -> Result<Exit> {
    let speaks = args.format == Format::Json;
    // Before there is a run to observe.
    let refused = |error: &anyhow::Error| {
        if speaks {
            JsonLines::refused(args.run.as_deref(), error);
        }
    };
    let plan = plan_of(args).inspect_err(refused)?;
    let run = run_of(&plan, args).inspect_err(refused)?;
    if args.stop_with_parent {
        stop_with_parent(stop).inspect_err(refused)?;
    }
    let progress = Progress::new(Style::choose(places.quiet));
    let mut observer = JsonLines::new(&run.name, speaks, progress);
    let ended = make((&plan, run), args, places, stop, &mut observer);
    observer.ended(&ended);
    ended
}

fn plan_of(args: &WorkArgs) -> Result<FrozenPlan> {
    let file = args.plan.as_ref().ok_or_else(|| {
        Exit::Usage.error(
            "name a plan with --plan FILE and its run with --index N or --run NAME, or see `refig run pack --help`",
        )
    })?;
    plan_file::read(file)
}

fn run_of<'a>(plan: &'a FrozenPlan, args: &WorkArgs) -> Result<&'a FrozenRun> {
    match (&args.run, args.index) {
        (Some(name), _) => plan.named(name),
        (None, Some(index)) => plan.at(index),
        (None, None) => Err(Exit::Usage.error(format!(
            "--plan: name one of its {} with --index N or --run NAME",
            counted(plan.runs.len(), "run")
        ))),
    }
}

fn make(
    (plan, run): (&FrozenPlan, &FrozenRun),
    args: &WorkArgs,
    places: &Places,
    stop: &Stop,
    observer: &mut JsonLines,
) -> Result<Exit> {
    // Before anything that takes time.
    if !args.fresh
        && let Some(ending) = ended(&run.plan, places)?
    {
        observer.skip(&run.plan, 0, ending);
        return Ok(Exit::Success);
    }
    let compute = compute_options(run, &args.compute)?;
    compute
        .in_precision(run.plan.recipe.precision)
        .check_precision()?;
    let source = Source {
        set: plan.data,
        synthetic: plan.synthetic,
        kind: args.kind,
    };
    let dataset = dataset::to_train_on(source, &args.data, places.quiet, stop)?;
    let digest = dataset.digest();
    if digest != run.plan.data_digest {
        return Err(Exit::Data.error(format!(
            "{} was planned for images with the digest {}, but {} have {digest}; name the same images with --data-dir, with \
             --skip-unreadable or --data if it was planned with that, or plan again",
            run.name,
            run.plan.data_digest,
            dataset.description()
        )));
    }
    let experiment = (&*plan.experiment, &*plan.overrides);
    let begin = (args.fresh, args.take_over);
    let options = training::options(experiment, begin, places, &compute, args.checkpoints);
    let runs = std::slice::from_ref(&run.plan);
    let results = run_all(runs, dataset, &options, stop, observer)?;
    let ended = results.iter().any(|result| result.ending.is_final());
    match stop.requested() {
        Some(signal) if !ended => Ok(signal.exit()),
        _ => Ok(Exit::Success),
    }
}

/// How the run has ended, if it has, and was evaluated as planned.
fn ended(plan: &RunPlan, places: &Places) -> Result<Option<Ending>> {
    let view = RunView::look(&places.results_dir.join(plan.folder()))?;
    let same = |view: &RunView| {
        view.ending.is_final()
            && view.plan().same_run(plan)
            && view.plan().measured() == plan.measured()
    };
    Ok(view.filter(same).map(|view| view.ending))
}

/// The options of the command line on the kind of processor that the run was planned for: numbers of another would differ,
/// and so be another run's.
fn compute_options(run: &FrozenRun, args: &ComputeArgs) -> Result<engine::Options> {
    let planned = run.plan.processor;
    if run.plan.numerics_version != NUMERICS_VERSION {
        return Err(Exit::Storage.error(format!(
            "{} was planned for version {} of the arithmetic, and this program has version {NUMERICS_VERSION}; plan again with \
             it, or use the program that made the plan",
            run.name, run.plan.numerics_version
        )));
    }
    let other = |found: &str| {
        Exit::Device.error(format!(
            "{} was planned for {planned}, but {found}; plan again on such a machine",
            run.name
        ))
    };
    let mut args = args.clone();
    if args.device == "auto" {
        args.device = planned.device().into();
    }
    if let (Processor::Cpu(set), None) = (planned, &args.instructions) {
        if !set.available() {
            let best = Processor::Cpu(Instructions::detect());
            return Err(other(&format!("this machine has {best}")));
        }
        if args.device == "cpu" {
            args.instructions = Some(set.name().into());
        }
    }
    let compute = compute::options(&args)
        .with_context(|| format!("{} was planned for {planned}", run.name))?;
    let found = compute.processor()?;
    if found != planned || run.plan.on(found)?.identity() != run.plan.identity() {
        return Err(other(&format!("this command is for {found}")));
    }
    Ok(compute)
}
