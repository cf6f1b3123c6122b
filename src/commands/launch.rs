//! `reproduce --launch`: submits the runs of an experiment to a cluster.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{check, compute, dataset, reproduce};
use crate::cli::{
    CheckArgs, CheckFormat, ComputeArgs, LaunchArgs, LauncherArg, Places, ReproduceArgs,
    SelectionArgs,
};
use crate::counted::counted;
use crate::data::Prospect;
use crate::engine::{self, BUILD_WITH_CUDA, Device};
use crate::exit::Exit;
use crate::orchestrate::launch::{
    self, Launch, Launcher, Launches, Outcome, Site, launch_folder, path_word, plan_in,
};
use crate::orchestrate::plan_file::{self, FrozenPlan};
use crate::origin::DataKind;
use crate::plan;
use crate::processor::Processor;
use crate::train::Stop;
use crate::{note, out, outln};

/// CPUs of a task where neither the site file nor `--threads` says how many.
const CPUS: usize = 4;

/// `refig reproduce EXPERIMENT --launch QUEUE`.
pub fn run(
    queue: LauncherArg,
    args: &ReproduceArgs,
    how: &LaunchArgs,
    places: &Places,
    stop: &Stop,
) -> Result<Exit> {
    let launcher = match queue {
        LauncherArg::Slurm => Launcher::Slurm,
        LauncherArg::Hyperqueue => Launcher::HyperQueue,
    };
    let site = how.site.as_deref().map(Site::read).transpose()?;
    let site = site.unwrap_or_default();
    let compute = compute_options(&args.compute, &site)?;
    let target = reproduce::resolve(args, places, &compute)?;
    let source = reproduce::source(args, &target);
    let data = match how.print {
        true => dataset::foresee(source, &args.data, places.quiet, stop)?,
        // Tasks have no network, so it is fetched here.
        false => {
            let opened = dataset::to_train_on(source, &args.data, places.quiet, stop)?;
            Prospect::from(&opened)
        }
    };
    let target = target.with_classes(data.classes);
    let processor = compute.processor()?;
    let runs = plan::runs(&target.only, &target.seeds, &data.digest, processor)?;
    let plan = FrozenPlan::new(&target.experiment, &runs, data.test_images);

    let results = std::path::absolute(&places.results_dir)
        .with_context(|| format!("cannot use {}", places.results_dir.display()))?;
    let name = launch::prefix(&plan, launcher, &results)?;
    let folder = launch_folder(&results, &name);
    let launch = Launch {
        worker: worker(args, &site, processor, &plan_in(&folder), places)?,
        report: report(&args.selection, &site, &plan, places)?,
        on_gpu: processor == Processor::Cuda,
        threads: threads(&args.compute, &site),
        environment: environment()?,
        folder,
        site,
    };
    if how.print {
        let text = launch::preview(&plan, &launch, launcher, &name, &results)?;
        if text.is_empty() && !places.quiet {
            note!("nothing to submit: {}", all_complete(&plan));
        }
        out!("{text}");
        return Ok(Exit::Success);
    }
    let launches = Launches::open(&results)?;
    launches.prepare(&name)?;
    plan_file::write(&plan_in(&launch.folder), &plan)?;
    let outcome = launch::submit(&plan, &launch, launcher, (&launches, &name), &results)?;
    drop(launches);
    if outcome.complete < plan.runs.len() {
        tell(&outcome, &plan, launcher, places.quiet);
        return Ok(Exit::Success);
    }
    if !places.quiet {
        note!("{}", all_complete(&plan));
    }
    if target.experiment.responses.is_some() {
        // They are measured with the weights, on the device that the runs were planned for.
        let mut args = args.clone();
        args.compute.device = processor.device().into();
        return reproduce::reproduce(&args, places, stop);
    }
    check::check(&check_args(&args.selection, &plan), places)
}

/// The compute options of the tasks. Where jobs are submitted there may be no GPU.
fn compute_options(args: &ComputeArgs, site: &Site) -> Result<engine::Options> {
    let given = compute::parse_device(&args.device)?;
    let own = site.program.is_none() && site.container.is_empty();
    let gpu = match given {
        None => engine::has_cuda() && args.instructions.is_none(),
        Some(Device::Cpu) => false,
        Some(Device::Cuda(_)) if args.device != "cuda" => {
            return Err(Exit::Usage.error(format!(
                "--device {}: the cluster chooses the GPU; use --device cuda with --launch",
                args.device
            )));
        }
        Some(Device::Cuda(_)) if own && !engine::has_cuda() => {
            return Err(Exit::Device.error(format!(
                "--device cuda: this program was built without CUDA; build it with: {BUILD_WITH_CUDA}; or name the one on \
                 the cluster as `program` in the site file"
            )));
        }
        Some(Device::Cuda(_)) => true,
    };
    if gpu {
        return compute::elsewhere("cuda");
    }
    compute::options(&ComputeArgs {
        device: "cpu".into(),
        ..args.clone()
    })
}

/// Threads of a worker.
fn threads(args: &ComputeArgs, site: &Site) -> usize {
    let cpus = site.cpus.map(|cpus| cpus as usize);
    args.threads.or(cpus).unwrap_or(CPUS)
}

/// The program on the cluster.
fn program(site: &Site) -> Result<String> {
    match &site.program {
        Some(program) => match program.to_str() {
            // Looked for in PATH, where it is run.
            Some(name) if !name.contains('/') => Ok(name.to_owned()),
            _ => path_word(program),
        },
        None => path_word(&std::env::current_exe().context("cannot find this program's file")?),
    }
}

/// The variables of this process that say where data is.
fn environment() -> Result<Vec<(&'static str, String)>> {
    let mut all = Vec::new();
    for variable in ["CIFAR10_DIR", "IMAGENET_DIR", "REFIG_CACHE"] {
        let value = std::env::var_os(variable).filter(|value| !value.is_empty());
        if let Some(value) = value {
            all.push((variable, path_word(Path::new(&value))?));
        }
    }
    Ok(all)
}

/// `--name=value` in one word, so that no value is taken for a flag.
fn option(name: &str, value: &str) -> String {
    format!("--{name}={value}")
}

/// The same with a path from the root.
fn place(name: &str, path: &Path) -> Result<String> {
    Ok(option(name, &path_word(path)?))
}

/// The flag for images of one kind only.
fn kind_of_data(selection: &SelectionArgs) -> Option<String> {
    let kind = selection.data;
    (kind != DataKind::Any).then(|| option("data", kind.name()))
}

/// The worker's command, without the number of the run.
fn worker(
    args: &ReproduceArgs,
    site: &Site,
    processor: Processor,
    plan: &Path,
    places: &Places,
) -> Result<Vec<String>> {
    let mut words = vec![
        program(site)?,
        "run".into(),
        place("plan", plan)?,
        place("results-dir", &places.results_dir)?,
        place("reports-dir", &places.reports_dir)?,
        option("device", processor.device()),
        option("threads", &threads(&args.compute, site).to_string()),
        "--offline".into(),
    ];
    let seconds = site.checkpoint_every.map(u64::from);
    if let Some(seconds) = args.checkpoints.checkpoint_every.or(seconds) {
        words.push(option("checkpoint-every", &seconds.to_string()));
    }
    if let Some(memory) = args.compute.keep_memory {
        words.push(option("keep-memory", &memory.to_string()));
    }
    if let Some(dir) = &args.data.data_dir {
        words.push(place("data-dir", dir)?);
    }
    words.extend(kind_of_data(&args.selection));
    for (flag, is_set) in [
        ("--require-official", args.data.require_official),
        ("--skip-unreadable", args.data.skip_unreadable),
        ("--take-over", args.take_over),
    ] {
        if is_set {
            words.push(flag.into());
        }
    }
    Ok(words)
}

/// The command that draws and checks, as `reproduce` does at its end.
fn report(
    selection: &SelectionArgs,
    site: &Site,
    plan: &FrozenPlan,
    places: &Places,
) -> Result<Vec<String>> {
    // A name, or a path to a manifest.
    let manifest = PathBuf::from(&selection.experiment);
    let experiment = match selection.experiment.ends_with(".toml") && manifest.is_file() {
        true => path_word(&manifest)?,
        false => selection.experiment.clone(),
    };
    let mut words = vec![
        program(site)?,
        "check".into(),
        experiment,
        option("profile", &plan.profile),
        "--write".into(),
    ];
    if let Some(seeds) = &selection.seeds {
        words.push(option("seeds", seeds));
    }
    for field in &selection.overrides {
        words.push(option("set", field));
    }
    words.extend(kind_of_data(selection));
    for (name, path) in [
        ("experiments-dir", &places.experiments_dir),
        ("results-dir", &places.results_dir),
        ("reports-dir", &places.reports_dir),
    ] {
        words.push(place(name, path)?);
    }
    Ok(words)
}

/// The same for where all runs are complete already.
fn check_args(selection: &SelectionArgs, plan: &FrozenPlan) -> CheckArgs {
    CheckArgs {
        selection: SelectionArgs {
            profile: Some(plan.profile.clone()),
            // Only what is trained was selected; all is judged.
            networks: Vec::new(),
            ..selection.clone()
        },
        format: CheckFormat::Text,
        write: true,
        strict: false,
        accept: None,
        allow_few_seeds: false,
        against: None,
    }
}

/// That nothing is left to do.
fn all_complete(plan: &FrozenPlan) -> String {
    match plan.runs.len() {
        1 => "the run is complete".into(),
        several => format!("all {several} runs are complete"),
    }
}

/// Says what became of the runs. The jobs' numbers are the result: they are printed in any case.
fn tell(outcome: &Outcome, plan: &FrozenPlan, launcher: Launcher, quiet: bool) {
    if quiet {
        let runs = outcome.submitted.iter().map(|(number, _)| *number);
        for number in runs.chain(outcome.report) {
            outln!("{number}");
        }
        return;
    }
    let submitted: usize = outcome.submitted.iter().map(|(_, runs)| runs).sum();
    note!(
        "{} at profile {}: {}: {} complete, {} queued or running, {submitted} submitted to {}",
        plan.experiment,
        plan.profile,
        counted(plan.runs.len(), "run"),
        outcome.complete,
        outcome.queued.len(),
        launcher.name()
    );
    for (number, runs) in &outcome.submitted {
        outln!("job {number}: {}", counted(*runs, "run"));
    }
    if let Some(number) = outcome.report {
        outln!("job {number}: draws and checks when the others have ended");
    }
    if outcome.later > 0 {
        note!(
            "{} still to submit, since others' weights come first: start the same command again when those are complete",
            counted(outcome.later, "run")
        );
    }
    if !launcher.can_wait() {
        note!(
            "start the same command again when the jobs have ended: it submits what failed, or draws and checks"
        );
    }
}
