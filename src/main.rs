use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = refig::cli::Cli::parse();
    match refig::commands::run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("refig: {error:#}");
            refig::exit::Exit::of(&error).into()
        }
    }
}
