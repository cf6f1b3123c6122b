//! Completions for shells: `completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

#[derive(Clone, Copy, Debug, Args)]
pub struct CompletionsArgs {
    /// Shell that reads the script.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The script for a shell.
pub fn completions(args: &CompletionsArgs) -> String {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "refig", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
