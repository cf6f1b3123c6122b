//! `reproduce` and `plan`: from the experiment to runs, and what they will cost.

use std::time::Duration;

use anyhow::Result;

use super::check::{draw, verdict};
use super::selection::{self, Selection};
use super::{compute, dataset};
use crate::cli::{Places, ReproduceArgs};
use crate::data::{self, Prospect, Request};
use crate::engine;
use crate::exit::Exit;
use crate::manifest::Experiment;
use crate::orchestrate::{self, Options, Probe, Progress, Style, duration, run_all};
use crate::plan::{self, RunPlan};
use crate::report::{RenderOptions, Wanted};
use crate::run::{self, State, Tree};
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
    data: &Prospect,
) -> Result<Prepared> {
    let compute = compute::options(&args.compute)?;
    let instructions = compute.instruction_set()?;
    let plans = |experiment: &Experiment| {
        let seeds = &selection.seeds;
        plan::runs(experiment, seeds, &data.digest, "cpu", instructions.name())
    };
    let runs = plans(&selection.only)?;
    let mut every = selection.experiment.clone();
    for entry in &mut every.networks {
        entry.optional = false;
    }
    let shown = plans(&every)?;
    let mut left = left(&runs, places, args.fresh)?;
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
        compute,
    })
}

/// The state of each run by its records, without the time that is left.
fn left(runs: &[RunPlan], places: &Places, fresh: bool) -> Result<Vec<Left>> {
    let there = run::find(&places.results_dir)?;
    let of = |plan: &RunPlan| {
        let found = there
            .iter()
            .find(|view| view.plan().identity == plan.identity);
        let (state, from) = match found.map(|view| view.state) {
            Some(State::Done { .. }) if !fresh => ("done".into(), None),
            Some(State::Partial { iteration }) if !fresh => {
                (format!("resumes at {iteration}"), Some(iteration))
            }
            _ => ("new".into(), Some(0)),
        };
        Left {
            state,
            from,
            seconds: 0.0,
        }
    };
    Ok(runs.iter().map(of).collect())
}

/// `refig plan EXPERIMENT`: changes nothing, and fetches nothing.
pub fn plan(args: &ReproduceArgs, places: &Places) -> Result<Exit> {
    refuse_changes(args)?;
    let selection = selection::select(&args.selection, places)?;
    let data = data::foresee(&request(args, &selection))?;
    let prepared = prepare(args, places, selection, &data)?;
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
    let selection = selection::select(&args.selection, places)?;
    let dataset = dataset::open(&request(args, &selection), places.quiet, stop)?;
    let prepared = prepare(args, places, selection, &Prospect::from(&dataset))?;
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
        threads: prepared.compute.threads,
        workers: 1,
        keep_every: KEEP_EVERY,
    };
    let mut progress = Progress::new(Style::choose(places.quiet));
    run_all(&prepared.runs, dataset, &options, stop, &mut progress)?;
    if let Some(signal) = stop.requested() {
        eprintln!("stopped; the same command goes on from there");
        return Ok(signal.exit());
    }
    let wanted = Wanted {
        runs: Some(prepared.shown),
        seeds: Some(prepared.selection.seeds.clone()),
        ..Wanted::default()
    };
    let options = RenderOptions {
        reference: !args.no_reference,
        wanted: wanted.clone(),
    };
    draw(experiment, places, &options)?;
    verdict(experiment, &prepared.selection.seeds, places, &wanted)
}

/// Signals end commands through `stop`.
pub fn listen(stop: &Stop) -> Result<()> {
    orchestrate::listen(stop)?;
    Ok(())
}
