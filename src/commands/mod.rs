//! A thin file per verb: from clap's types to the library and back to an exit code.
mod bench;
mod compute;
mod dataset;
mod describe;
mod evaluate;
mod parity;
mod seeds;
mod selection;
mod status;

use anyhow::Result;

use crate::cli::{BenchWhat, Cli, Command};
use crate::exit::Exit;
use crate::orchestrate;
use crate::train::Stop;

/// Does what the command line asks for.
///
/// # Errors
/// With the exit code in the error's chain, see [`Exit::of`].
pub fn run(cli: Cli) -> Result<Exit> {
    let stop = Stop::new();
    orchestrate::listen(&stop)?;
    let places = &cli.places;
    match &cli.command {
        Command::List => describe::list(places),
        Command::Describe(args) => describe::describe(args),
        Command::Schema => describe::schema(),
        Command::Status => status::run(places),
        Command::Parity(args) => parity::run(args),
        Command::Bench {
            what: BenchWhat::Step(args),
        } => bench::step(args),
        Command::Evaluate(args) => evaluate::run(args, places.quiet, &stop),
    }
}
