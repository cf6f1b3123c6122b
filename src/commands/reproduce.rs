//! `reproduce` and `plan`: from the experiment to runs, and what they will cost.

use std::time::Duration;

use anyhow::Result;

use super::check::{draw, verdict};
use super::selection::{self, Selection};
use super::{compute, dataset};
use crate::cli::{Places, ReproduceArgs};
use crate::data::Dataset;
use crate::engine;
use crate::exit::Exit;
use crate::orchestrate::{self, Options, Probe, Progress, Style, duration, run_all};
use crate::plan::{self, RunPlan};
use crate::report::{RenderOptions, Wanted};
use crate::run::{self, State};
use crate::train::Stop;

/// Wall clock between checkpoints outside evaluations.
const KEEP_EVERY: Duration = Duration::from_secs(120);

struct Prepared {
    selection: Selection,
    dataset: Dataset,
    runs: Vec<RunPlan>,
    compute: engine::Options,
}

fn prepare(args: &ReproduceArgs, places: &Places, stop: &Stop) -> Result<Prepared> {
    let selection = selection::select(&args.selection, places)?;
    let compute = compute::options(&args.compute)?;
    let mut request = dataset::request(&args.data);
    request.allow_synthetic = selection.experiment.synthetic && request.dir.is_none();
    let dataset = dataset::open(&request, places.quiet, stop)?;
    let instructions = compute.instruction_set()?;
    let runs = plan::runs(
        &selection.experiment,
        &selection.seeds,
        &dataset.digest(),
        "cpu",
        instructions.name(),
    )?;
    Ok(Prepared {
        selection,
        dataset,
        runs,
        compute,
    })
}

/// What is left of each run: its state in words and the iterations done; `None` where nothing is left.
fn left(runs: &[RunPlan], places: &Places, fresh: bool) -> Result<Vec<(String, Option<u64>)>> {
    let there = run::find(&places.results_dir)?;
    Ok(runs
        .iter()
        .map(|plan| {
            let found = there
                .iter()
                .find(|view| view.plan().identity == plan.identity);
            match found.map(|view| view.state) {
                Some(State::Done { .. }) if !fresh => ("done".into(), None),
                Some(State::Partial { iteration }) if !fresh => {
                    (format!("resumes at {iteration}"), Some(iteration))
                }
                _ => ("new".into(), Some(0)),
            }
        })
        .collect())
}

fn seconds(prepared: &Prepared, left: &[(String, Option<u64>)]) -> Result<Vec<f64>> {
    if left.iter().all(|(_, from)| from.is_none()) {
        return Ok(vec![0.0; left.len()]);
    }
    let probe = Probe::measure(&prepared.runs, &prepared.compute)?;
    let test_images = prepared.dataset.test.labels.len();
    Ok(prepared
        .runs
        .iter()
        .zip(left)
        .map(|(run, (_, from))| from.map_or(0.0, |done| probe.seconds(run, done, test_images)))
        .collect())
}

/// `refig plan EXPERIMENT`: changes nothing.
pub fn plan(args: &ReproduceArgs, places: &Places, stop: &Stop) -> Result<Exit> {
    let prepared = prepare(args, places, stop)?;
    let left = left(&prepared.runs, places, args.fresh)?;
    let costs = seconds(&prepared, &left)?;
    println!(
        "{} at profile {} ({}) on {}",
        prepared.selection.experiment.name,
        prepared.selection.experiment.profile,
        prepared.selection.why,
        prepared.dataset.source
    );
    for ((run, (state, _)), cost) in prepared.runs.iter().zip(&left).zip(&costs) {
        println!(
            "  {:<44} {:<18} {:>9}",
            run.folder(),
            state,
            duration(*cost)
        );
    }
    println!("  together about {}", duration(costs.iter().sum()));
    Ok(Exit::Success)
}

/// `refig reproduce EXPERIMENT`.
pub fn reproduce(args: &ReproduceArgs, places: &Places, stop: &Stop) -> Result<Exit> {
    let prepared = prepare(args, places, stop)?;
    let left = left(&prepared.runs, places, args.fresh)?;
    let costs = seconds(&prepared, &left)?;
    let experiment = &prepared.selection.experiment;
    if !places.quiet {
        eprintln!(
            "{} at profile {} ({}): {} runs, about {} on {}",
            experiment.name,
            experiment.profile,
            prepared.selection.why,
            prepared.runs.len(),
            duration(costs.iter().sum()),
            prepared.dataset.source
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
    run_all(
        &prepared.runs,
        prepared.dataset,
        &options,
        stop,
        &mut progress,
    )?;
    if let Some(signal) = stop.requested() {
        eprintln!("stopped; the same command goes on from there");
        return Ok(signal.exit());
    }
    let wanted = Wanted {
        runs: Some(prepared.runs),
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
