use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use clap::Parser;

use refig::exit::Exit;
use refig::note;

fn main() -> ExitCode {
    let cli = refig::cli::Cli::parse();
    let ended = panic::catch_unwind(AssertUnwindSafe(|| refig::commands::run(cli)));
    // The panic's own message has been printed.
    let ended =
        ended.unwrap_or_else(|_| Err(Exit::Internal.error("this is a bug; please report it")));
    let exit = ended.and_then(|exit| refig::console::finish().map(|()| exit));
    match exit {
        Ok(exit) => exit.into(),
        Err(error) => {
            note!("refig: {error:#}");
            Exit::of(&error).into()
        }
    }
}
