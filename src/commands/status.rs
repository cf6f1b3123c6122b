//! `status`: lists the runs in the results folder.

use anyhow::Result;

use crate::cli::{Format, Places, StatusArgs};
use crate::exit::Exit;
use crate::inspect::Status;
use crate::{out, outln};

/// `refig status`.
pub fn run(args: &StatusArgs, places: &Places) -> Result<Exit> {
    let status = Status::of(&places.results_dir)?;
    match args.format {
        Format::Json => outln!("{}", serde_json::to_string_pretty(&status.json())?),
        Format::Text if status == Status::default() => {
            outln!("no runs in {}", places.results_dir.display());
        }
        Format::Text => out!("{}", status.text()),
    }
    Ok(Exit::Success)
}
