//! A thin file per command, from clap's types to the library and back to an exit code.
//!
//! Shared by commands: `target.rs` resolves an experiment with its profile and seeds (`seeds.rs`), `compute.rs` the
//! device, `dataset.rs` the data.

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
mod parity;
mod report;
mod reproduce;
mod run;
mod seeds;
mod status;
mod target;
mod watch;

use anyhow::Result;

use crate::cli::{BenchWhat, Cli, Command, DataAction, WatchArgs};
use crate::exit::Exit;
use crate::note;
use crate::orchestrate;
use crate::publish::Report;
use crate::train::Stop;

/// Runs a command.
///
/// # Errors
/// With the exit code in the error's chain, see [`Exit::of`].
pub fn run(cli: Cli) -> Result<Exit> {
    let stop = Stop::new();
    orchestrate::listen(&stop)?;
    let places = &cli.places;
    match &cli.command {
        Command::List { format } => describe::list(*format, places),
        Command::Describe(args) => describe::describe(args),
        Command::Schema => describe::schema(),
        Command::Status(args) if args.follow => watch::run(&WatchArgs::default(), places, &stop),
        Command::Status(_) => status::run(places),
        Command::Watch(args) => watch::run(args, places, &stop),
        Command::Diff(args) => diff::run(args, places),
        Command::Export(args) => export::run(args, places),
        Command::Run { action } => run::run(action, places),
        Command::Parity(args) => parity::run(args),
        Command::Bench { what } => match what {
            BenchWhat::Step(args) => bench::step(args),
            BenchWhat::Operators(args) => bench::operators(args),
            BenchWhat::Compare(args) => bench::compare(args, places.quiet),
        },
        Command::Reproduce(args) => reproduce::reproduce(args, places, &stop),
        Command::Plan(args) => reproduce::plan(args, places),
        Command::Check(args) => check::check(args, places),
        Command::Render(args) => check::render(args, places),
        Command::Report(args) => report::run(args, places),
        Command::Doctor(args) => doctor::run(args, places),
        Command::Clean(args) => clean::run(args, places),
        Command::Data { action } => {
            let (action, data) = match action {
                DataAction::Fetch { from, data, .. } => {
                    (data::Action::Fetch { from: from.clone() }, data)
                }
                DataAction::Verify { data, .. } => (data::Action::Verify, data),
            };
            let dir = data.data_dir.as_deref();
            data::run(&action, dir, &data.mirrors, places.quiet, &stop)
        }
        Command::Evaluate(args) => evaluate::run(args, places.quiet, &stop),
    }
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
