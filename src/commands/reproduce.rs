//! `reproduce` and `plan`: from the experiment to runs, and what they will cost.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::check::{draw, verdict};
use super::selection::{self, Circumstances, Selection};
use super::{compute, dataset};
use crate::cli::{Places, ReproduceArgs};
use crate::data::{self, Prospect, Request};
use crate::engine;
use crate::exit::Exit;
use crate::manifest::Experiment;
use crate::orchestrate::{
    self, Options, Probe, Progress, Style, duration, measure_responses, run_all,
};
use crate::plan::{self, RunPlan};
use crate::report::{RenderOptions, Wanted, with_further_seeds};
use crate::run::{self, RunView, State, Tree};
use crate::train::Stop;

/// Wall clock between checkpoints outside evaluations.
const KEEP_EVERY: Duration = Duration::from_secs(120);

/// An experiment's runs on given data, what is left of each and what it will cost.
struct Prepared {
    selection: Selection,
    /// What is trained.
    runs: Vec<RunPlan>,
    left: Vec<Left>,
    /// What is drawn and checked where it is there: every network of the experiment, the optional ones too.
    shown: Vec<RunPlan>,
    /// Those of `shown`.
    seeds: Vec<u64>,
    compute: engine::Options,
}

/// What is left of a run.
struct Left {
    /// `done`, `resumes at 300`, `new`.
    state: String,
    /// From which iteration on; none where it is done.
    from: Option<u64>,
    /// Estimated.
    seconds: f64,
}

impl Left {
    /// Bytes that the run takes on disk while it goes on.
    fn disk(&self, run: &RunPlan) -> u64 {
        self.from.map_or(0, |_| run::space::needed(run))
    }
}

impl Prepared {
    fn seconds(&self) -> f64 {
        self.left.iter().map(|left| left.seconds).sum()
    }
}

/// With `--require-clean`, before anything else.
fn refuse_changes(args: &ReproduceArgs) -> Result<()> {
    if args.require_clean {
        Tree::require_clean(run::program().as_ref(), "this program's source")?;
    }
    Ok(())
}

/// The experiment, its profile, and what computes.
fn select(args: &ReproduceArgs, places: &Places) -> Result<(Selection, engine::Options)> {
    let compute = compute::options(&args.compute)?;
    let selection = selection::select(&args.selection, places, || {
        Ok(Circumstances {
            device: compute.device,
            cifar10: dataset::request(&args.data).is_local(),
        })
    })?;
    // Before data is fetched for runs that this device refuses.
    for entry in &selection.only.networks {
        compute
            .in_precision(entry.recipe.precision)
            .check_precision()
            .with_context(|| format!("network {}", entry.name))?;
    }
    Ok((selection, compute))
}

/// What the options ask of the data.
fn request(args: &ReproduceArgs, selection: &Selection) -> Request {
    let mut request = dataset::request(&args.data);
    request.allow_synthetic = selection.experiment.synthetic && request.dir.is_none();
    request
}

fn prepare(
    args: &ReproduceArgs,
    places: &Places,
    selection: Selection,
    compute: engine::Options,
    data: &Prospect,
) -> Result<Prepared> {
    let (device, instructions) = (compute.device.kind(), compute.identity()?);
    let plans = |experiment: &Experiment, seeds: &[u64]| {
        plan::runs(experiment, seeds, &data.digest, device, instructions)
    };
    let runs = plans(&selection.only, &selection.seeds)?;
    let there = run::find(&places.results_dir)?;
    // On the same images and device.
    let others = there.iter().map(|view| view.plan().seed);
    let every: BTreeSet<u64> = others.chain(selection.seeds.iter().copied()).collect();
    let every: Vec<u64> = every.into_iter().collect();
    let alike = Wanted {
        runs: Some(plans(&selection.experiment, &every)?),
        ..Wanted::default()
    };
    let (asked, named) = (&selection.seeds, args.selection.seeds.is_some());
    let wanted = with_further_seeds(&selection.experiment, &there, alike, asked, named);
    let seeds = wanted.seeds.unwrap_or_default();
    let mut every = selection.experiment.clone();
    for entry in &mut every.networks {
        entry.optional = false;
    }
    let shown = plans(&every, &seeds)?;
    let mut left = left(&runs, &there, args.fresh);
    if left.iter().any(|left| left.from.is_some()) {
        let probe = Probe::measure(&runs, &compute)?;
        for (left, run) in left.iter_mut().zip(&runs) {
            left.seconds = left
                .from
                .map_or(0.0, |done| probe.seconds(run, done, data.test_images));
        }
    }
    Ok(Prepared {
        selection,
        runs,
        left,
        shown,
        seeds,
        compute,
    })
}

/// The state of a run by its records, if it has any.
fn state_of(plan: &RunPlan, there: &[RunView]) -> Option<State> {
    there
        .iter()
        .find(|view| view.plan().identity == plan.identity)
        .map(|view| view.state)
}

/// What is left of each run, without the time that it will take.
fn left(runs: &[RunPlan], there: &[RunView], fresh: bool) -> Vec<Left> {
    let of = |plan: &RunPlan| {
        let (state, from) = match state_of(plan, there).filter(|_| !fresh) {
            Some(State::Done { .. }) => ("done".into(), None),
            Some(State::Partial { iteration }) => {
                (format!("resumes at {iteration}"), Some(iteration))
            }
            None => ("new".into(), Some(0)),
        };
        Left {
            state,
            from,
            seconds: 0.0,
        }
    };
    runs.iter().map(of).collect()
}

/// `refig plan EXPERIMENT`: changes nothing, and fetches nothing.
pub fn plan(args: &ReproduceArgs, places: &Places) -> Result<Exit> {
    refuse_changes(args)?;
    let (selection, compute) = select(args, places)?;
    let data = data::foresee(&request(args, &selection))?;
    let prepared = prepare(args, places, selection, compute, &data)?;
    let experiment = &prepared.selection.experiment;
    println!(
        "{} at profile {} ({}) on {}",
        experiment.name, experiment.profile, prepared.selection.why, data.source
    );
    for (run, left) in prepared.runs.iter().zip(&prepared.left) {
        println!(
            "  {:<44} {:<18} {:>9}",
            run.folder(),
            left.state,
            duration(left.seconds)
        );
    }
    println!("  together about {}", duration(prepared.seconds()));
    let disk: u64 = (prepared.left.iter().zip(&prepared.runs))
        .map(|(left, run)| left.disk(run))
        .sum();
    let free = run::space::available(&places.results_dir)
        .map_or_else(String::new, |bytes| format!(" of {} MB free", bytes >> 20));
    println!(
        "  disk: at most {} MB{free} for {}",
        disk.div_ceil(1 << 20),
        places.results_dir.display()
    );
    match data.download {
        0 => println!("  download: nothing"),
        bytes => println!(
            "  download: {} MB into {}",
            bytes.div_ceil(1_000_000),
            data::cache_folder().display()
        ),
    }
    Ok(Exit::Success)
}

/// `refig reproduce EXPERIMENT`.
pub fn reproduce(args: &ReproduceArgs, places: &Places, stop: &Stop) -> Result<Exit> {
    refuse_changes(args)?;
    let (selection, compute) = select(args, places)?;
    let dataset = dataset::open(&request(args, &selection), places.quiet, stop)?;
    let prepared = prepare(args, places, selection, compute, &Prospect::from(&dataset))?;
    let experiment = &prepared.selection.experiment;
    if !places.quiet {
        eprintln!(
            "{} at profile {} ({}): {} runs, about {} on {}",
            experiment.name,
            experiment.profile,
            prepared.selection.why,
            prepared.runs.len(),
            duration(prepared.seconds()),
            dataset.source
        );
    }
    let options = Options {
        results_dir: places.results_dir.clone(),
        fresh: args.fresh,
        overrides: experiment.overrides.clone(),
        gpu: match prepared.compute.device {
            engine::Device::Cpu => 0,
            engine::Device::Cuda(number) => number,
        },
        threads: prepared.compute.threads,
        workers: 1,
        keep_every: KEEP_EVERY,
    };
    let mut progress = Progress::new(Style::choose(places.quiet));
    // The images stay where they are needed after training.
    let measured = experiment
        .responses
        .as_ref()
        .map(|how| (how, dataset.clone()));
    run_all(&prepared.runs, dataset, &options, stop, &mut progress)?;
    if let Some(signal) = stop.requested() {
        eprintln!("stopped; the same command goes on from there");
        return Ok(signal.exit());
    }
    if let Some((how, dataset)) = &measured {
        let mut tell = |text: &str| {
            if !places.quiet {
                eprintln!("{text}");
            }
        };
        let (results, threads) = (&places.results_dir, prepared.compute.threads);
        measure_responses(
            &prepared.runs,
            dataset,
            how,
            results,
            threads,
            stop,
            &mut tell,
        )?;
    }
    let wanted = Wanted {
        runs: Some(prepared.shown),
        seeds: Some(prepared.seeds.clone()),
        ..Wanted::default()
    };
    let options = RenderOptions {
        reference: !args.no_reference,
        wanted: wanted.clone(),
    };
    draw(experiment, places, &options)?;
    let seeds = &prepared.seeds;
    verdict(experiment, seeds, places, &wanted, options.reference)
}

/// Signals end commands through `stop`.
pub fn listen(stop: &Stop) -> Result<()> {
    orchestrate::listen(stop)?;
    Ok(())
}
