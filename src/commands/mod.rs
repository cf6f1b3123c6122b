//! A thin file per command, from clap's types to the library and back to an exit code.
//!
//! Shared by commands: `target.rs` resolves an experiment with its profile and seeds (`seeds.rs`), `compute.rs` the
//! device, `dataset.rs` the data, `training.rs` how runs are trained. `forecast.rs` prints what `plan` found. `reproduce` makes runs in child processes by
//! `jobs.rs` or submits them to a cluster by `launch.rs`; each is `refig run`, in `work.rs`.

mod bench;
mod check;
mod clean;
mod compute;
pub mod data;
mod dataset;
mod describe;
mod diff;
mod doctor;
mod evaluate;
mod export;
mod forecast;
mod jobs;
mod launch;
mod parity;
mod report;
mod reproduce;
mod run;
mod seeds;
mod status;
mod target;
mod training;
mod watch;
mod work;

use std::path::PathBuf;

use anyhow::Result;

use crate::cli::{self, BenchWhat, Cli, Command, DataAction, DataName, Places, WatchArgs};
use crate::exit::Exit;
use crate::orchestrate;
use crate::publish::Report;
use crate::run::{RunView, scan};
use crate::train::Stop;
use crate::{note, out};

/// Runs a command.
///
/// # Errors
/// With the exit code in the error's chain, see [`Exit::of`].
pub fn run(cli: Cli) -> Result<Exit> {
    let stop = Stop::new();
    match heeds_signals(&cli.command) {
        true => orchestrate::listen(&stop)?,
        false => orchestrate::end_tidily()?,
    }
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let places = &cli.places.resolve(&here);
    if let Some(above) = &places.above
        && cli.command.uses_project()
        && !places.quiet
    {
        note!("note: using the project at {}", above.display());
    }
    match &cli.command {
        Command::List { format } => describe::list(*format, places),
        Command::Describe(args) => describe::describe(args),
        Command::Schema => describe::schema(),
        Command::Completions(args) => {
            out!("{}", cli::completions(args));
            Ok(Exit::Success)
        }
        Command::Status(args) if args.follow => watch::run(&WatchArgs::default(), places, &stop),
        Command::Status(args) => status::run(args, places),
        Command::Watch(args) => watch::run(args, places, &stop),
        Command::Diff(args) => diff::run(args, places),
        Command::Export(args) => export::run(args, places),
        Command::Run(args) => match &args.action {
            Some(action) => run::run(action, places),
            None => work::run(&args.work, places, &stop),
        },
        Command::Parity(args) => parity::run(args),
        Command::Bench { what } => match what {
            BenchWhat::Step(args) => bench::step(args),
            BenchWhat::Operators(args) => bench::operators(args),
            BenchWhat::Compare(args) => bench::compare(args, places.quiet),
            BenchWhat::Loader(args) => bench::loader(args, places.quiet, &stop),
        },
        Command::Reproduce { args, launch } => match launch.launch {
            Some(queue) => launch::run(queue, args, launch, places, &stop),
            None => reproduce::reproduce(args, places, &stop),
        },
        Command::Plan(args) => reproduce::plan(args, places, &stop),
        Command::Check(args) => check::check(args, places),
        Command::Render(args) => check::render(args, places),
        Command::Report(args) => report::run(args, places),
        Command::Doctor(args) => doctor::run(args, places),
        Command::Clean(args) => clean::run(args, places),
        Command::Data { action } => {
            let (name, action, args) = match action {
                DataAction::Fetch { name, from, data } => {
                    (name, data::Action::Fetch { from: from.clone() }, data)
                }
                DataAction::Verify { name, decode, data } => {
                    (name, data::Action::Verify { decode: *decode }, data)
                }
                DataAction::Prepare {
                    name,
                    data,
                    out,
                    shrink,
                } => {
                    let (out, shrink) = (out.clone(), *shrink);
                    (name, data::Action::Prepare { out, shrink }, data)
                }
            };
            match name {
                DataName::Cifar10 => data::run(&action, args, places.quiet, &stop),
                DataName::Imagenet => data::imagenet(&action, args, places.quiet, &stop),
            }
        }
        Command::Evaluate(args) => evaluate::run(args, places.quiet, &stop),
    }
}

/// Whether a command looks at `Stop`. A signal ends all others as soon as what they have begun is removed, which their
/// atomic writes allow.
fn heeds_signals(command: &Command) -> bool {
    match command {
        Command::Reproduce { .. }
        | Command::Watch(_)
        | Command::Evaluate(_)
        | Command::Data { .. } => true,
        Command::Run(args) => args.action.is_none(),
        // Its copies of images are to be removed.
        Command::Bench { what } => matches!(what, BenchWhat::Loader(_)),
        Command::Status(args) => args.follow,
        _ => false,
    }
}

/// The usable runs in the results folder, with a note about each that is not.
fn runs(places: &Places) -> Result<Vec<RunView>> {
    let found = scan(&places.results_dir)?;
    if !places.quiet {
        for skipped in &found.skipped {
            note!("skipped a run: {}", skipped.why);
        }
    }
    Ok(found.runs)
}

/// Writes a report's figure and prints its warnings and path.
fn draw(report: &Report, quiet: bool) -> Result<()> {
    let png = report.write_figure()?;
    for warning in &report.warnings {
        note!("note: {warning}");
    }
    if !quiet {
        note!("drew {}", png.display());
    }
    Ok(())
}
