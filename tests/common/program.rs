//! The real binary, with everything that it finds and leaves in one folder.

use std::path::Path;
use std::process::{Command, Stdio};

/// Gives a command of the program its folders in `folder`, and no images that the environment names.
pub fn within<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    let at = |name: &str| folder.join(name);
    placed(command, &at("results"), &at("reports"), &at("cache"))
}

/// The same with folders of any name.
pub fn placed<'a>(
    command: &'a mut Command,
    results: &Path,
    reports: &Path,
    cache: &Path,
) -> &'a mut Command {
    command
        .arg("--results-dir")
        .arg(results)
        .arg("--reports-dir")
        .arg(reports)
        .env("REFIG_CACHE", cache)
        .env_remove("CIFAR10_DIR")
}

/// `refig ARGUMENTS` with its folders in `folder`. It is given nothing to read, and what it says goes nowhere.
pub fn silent(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_refig"));
    within(command.args(arguments), folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
